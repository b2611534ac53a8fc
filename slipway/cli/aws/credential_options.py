"""ecs-deploy's options for who calls, shared by the verbs that need no installation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from slipway.cli.aws.credentials import Credentials
from slipway.contracts.errors import WrongUse

_OPTIONS = (
    click.option("-k", "--aws-access-key", metavar="ID", help="Access key id."),
    click.option("-s", "--aws-secret-key", metavar="KEY", help="Secret access key."),
    click.option("-r", "--region", help="Region. Default: as for the AWS CLI."),
    click.option("-p", "--profile", help="Profile of the AWS configuration."),
    click.option("--aws-instance-profile", is_flag=True, help="Use this EC2 instance's own role."),
    click.option("-a", "--aws-assume-role", metavar="ARN", help="Assume this role for all calls."),
)


def credential_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `credentials_from` reads."""
    return with_options(_OPTIONS)(function)


def credentials_from(given: dict[str, Any]) -> Credentials:
    """The credentials that were asked for; their options are taken out of `given`.

    Empty ones are none; but whoever means a role does not mean to go without it.
    """
    role = given.pop("aws_assume_role")
    if role == "":
        raise WrongUse("-a/--aws-assume-role '': must be a role's ARN")
    return Credentials(
        access_key=given.pop("aws_access_key") or None,
        secret_key=given.pop("aws_secret_key") or None,
        region=given.pop("region") or None,
        profile=given.pop("profile") or None,
        instance_profile=given.pop("aws_instance_profile"),
        role=role,
    )


def with_options(
    options: tuple[Callable[..., Any], ...],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a command `options`, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
