"""Who calls, for the verbs that need no installation: as the options say, or the local run's own.

The local run is taken where nothing else is configured, as every other verb takes it: not where an
option or the environment says who calls or where AWS is. What is taken so is said.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.credential_options import credentials_from
from slipway.cli.aws.credentials import Credentials

SAY_WHO = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECS",
)
"""Variables by which somebody says who calls, or where. (AWS SDKs and Tools Reference Guide)"""


def who_calls(given: dict[str, Any]) -> Credentials:
    """The credentials that the options in `given` ask for (and are taken out of it); see above."""
    credentials = credentials_from(given)
    found = in_local_run(credentials, environment=os.environ, folder=Path.cwd())
    if found is not credentials:
        click.echo(
            f"note: this goes to the local run at {found.endpoint}; for AWS give -p/--profile",
            err=True,
        )
    return found


def in_local_run(
    credentials: Credentials, *, environment: Mapping[str, str], folder: Path
) -> Credentials:
    """The local run's, or `credentials` as they are where that is not what is meant."""
    if credentials.are_given or any(environment.get(name) for name in SAY_WHO):
        return credentials
    from slipway.cli.aws.locate import local_run

    run = local_run(folder=folder, environment=environment)
    if run is None or credentials.region not in (None, run.region):
        return credentials
    return replace(
        credentials,
        access_key=run.account,  # the emulator's own convention: 12 digits are the account
        secret_key="local",  # noqa: S106 - and this is no secret
        region=run.region,
        endpoint=run.endpoint_url,
    )
