"""The two stacks of an installation, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

from infra.dev_stack import DevStack
from infra.hosts.assets import ROOT, Staged, stage
from infra.local_differences import Differences
from infra.permissions.arns import Arns
from infra.prod_stack import ProdStack
from infra.shared import Common
from slipway.configuration import CONTEXT_KEY, Configuration, load, parse
from slipway.configuration.place import found_for, place_of
from slipway.configuration.resolve import resolve
from slipway.contracts.names import Names

FILE_CONTEXT_KEY = "configuration"
"""`cdk … -c configuration=FILE` chooses another configuration than cdk.json's, JSON or YAML."""

ASSETS = ROOT / ".make" / "assets"


def configuration_of(app: cdk.App) -> Configuration:
    """The configuration that the app was started with; InvalidConfiguration names what is wrong."""
    path = app.node.try_get_context(FILE_CONTEXT_KEY)
    if path is not None:
        return load(Path(path))
    return parse(app.node.try_get_context(CONTEXT_KEY))


def add_stacks(
    app: cdk.App, configuration: Configuration, *, assets: Path = ASSETS
) -> tuple[DevStack, ProdStack]:
    """Both stacks of the installation, neither of which refers to the other."""
    place = place_of(configuration, _found(app))
    installation = resolve(configuration)
    differences = Differences.of(configuration)
    staged = stage(installation, assets)
    arns = Arns(installation)
    dev = DevStack(
        app,
        f"{installation.name}-dev",
        configuration=configuration,
        installation=installation,
        common=_common(configuration, staged, arns.dev),
        env=cdk.Environment(account=installation.dev_account, region=installation.dev_region),
        synthesizer=differences.synthesizer(),
    )
    prod = ProdStack(
        app,
        f"{installation.name}-prod",
        configuration=configuration,
        installation=installation,
        common=_common(configuration, staged, arns.prod),
        staged=staged,
        place=place,
        env=cdk.Environment(account=installation.prod_account, region=installation.region),
        synthesizer=differences.synthesizer(),
    )
    _tag(app, configuration)
    _bound(configuration, dev, prod)
    return dev, prod


def _found(app: cdk.App) -> Callable[[str], Any]:
    """What `slipway prepare` found for the configuration that the app was started with."""
    path = app.node.try_get_context(FILE_CONTEXT_KEY)
    beside = {} if path is None else found_for(Path(path))
    return lambda key: beside.get(key) or app.node.try_get_context(key)


def _common(configuration: Configuration, staged: Staged, arn: Callable[[str, str], str]) -> Common:
    """One for each stack: CDK's `Code` belongs to the first stack that uses it."""
    return Common(
        configuration=configuration,
        names=Names(configuration.name),
        code=lambda_.Code.from_asset(str(staged.functions)),
        differences=Differences.of(configuration),
        arn=arn,
    )


def _tag(app: cdk.App, configuration: Configuration) -> None:
    for key, value in {"slipway-installation": configuration.name, **configuration.tags}.items():
        cdk.Tags.of(app).add(key, value)


def _bound(configuration: Configuration, *stacks: cdk.Stack) -> None:
    """Set the configured permissions boundary on every role of the stacks."""
    if configuration.permissions_boundary is None:
        return
    named = configuration.permissions_boundary
    for stack in stacks:
        arn = f"arn:{configuration.partition}:iam::{stack.account}:policy/{named.lstrip('/')}"
        policy = iam.ManagedPolicy.from_managed_policy_arn(
            stack, "Boundary", named if named.startswith("arn:") else arn
        )
        iam.PermissionsBoundary.of(stack).apply(policy)
