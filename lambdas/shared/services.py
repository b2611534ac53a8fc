"""The world that starter, stopper and reconciler act on.

Read from the environment at run time, never at import: `SLIPWAY_HOSTS` (instance ids, separated by
commas; empty where builds of CodeBuild alone are configured), `SLIPWAY_BUILD_QUEUE_URL`,
`SLIPWAY_DEAD_LETTERS_URL`, `SLIPWAY_FOLLOW_QUEUE_URL` and `SLIPWAY_BUILDER_PROJECT`. All else comes
from the installation's settings.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from lambdas.shared.clients import client, client_as, installation
from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.table import Table

HOSTS_VARIABLE = "SLIPWAY_HOSTS"
QUEUE_VARIABLE = "SLIPWAY_BUILD_QUEUE_URL"
FOLLOW_VARIABLE = "SLIPWAY_FOLLOW_QUEUE_URL"
DEAD_LETTERS_VARIABLE = "SLIPWAY_DEAD_LETTERS_URL"
PROJECT_VARIABLE = "SLIPWAY_BUILDER_PROJECT"

_ONCE = Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 1})
"""For EC2: a call repeated by the client could hide that the first one did stop the host. For
CodeBuild: a start that is refused is tried again by the next decision.
"""


@dataclass(frozen=True, kw_only=True)
class Services:
    """The world that handlers act on; a test or a simulation puts its own in its place.

    `codecommit_as(pipeline)` is a CodeCommit client under the pipeline's `tip` role. Only the
    reconciler has a `follow_queue_url`, and, with builders, the `dead_letters_url` of the build
    queue. `builder_project`: CodeBuild's; empty where hosts build.
    """

    installation: Installation
    now: Callable[[], float]
    sns: Any
    table: Table
    ec2: Any
    sqs: Any
    codecommit_as: Callable[[PipelineSettings], Any]
    hosts: tuple[str, ...]
    queue_url: str
    follow_queue_url: str = ""
    dead_letters_url: str = ""
    codebuild: Any = None
    builder_project: str = ""


@functools.cache
def services() -> Services:
    """Everything that starter, stopper and reconciler need; made at the first invocation."""
    settings = installation()
    has_builders = settings.builders.uses_code_build
    return Services(
        installation=settings,
        now=time.time,
        sns=client("sns"),
        table=Table(client("dynamodb"), settings.names.table),
        ec2=client("ec2", _ONCE),
        sqs=client("sqs"),
        codecommit_as=_codecommit_as,
        hosts=_hosts(settings),
        queue_url=_variable(QUEUE_VARIABLE),
        follow_queue_url=os.environ.get(FOLLOW_VARIABLE, ""),
        dead_letters_url=os.environ.get(DEAD_LETTERS_VARIABLE, ""),
        codebuild=client("codebuild", _ONCE) if has_builders else None,
        builder_project=_variable(PROJECT_VARIABLE) if has_builders else "",
    )


def _hosts(settings: Installation) -> tuple[str, ...]:
    """The hosts' instance ids; none where builds of CodeBuild alone are configured."""
    if not settings.builders.uses_hosts:
        return ()
    return tuple(h.strip() for h in _variable(HOSTS_VARIABLE).split(",") if h.strip())


def _codecommit_as(pipeline: PipelineSettings) -> Any:
    """CodeCommit in the dev account's region, as the pipeline's `tip` role, assumed afresh."""
    answer = client("sts").assume_role(
        RoleArn=pipeline.tip_role_arn, RoleSessionName="slipway-reconciler", DurationSeconds=900
    )
    return client_as(answer["Credentials"], "codecommit", installation().dev_region)


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise WrongUse(f"the environment variable {name} is not set")
    return value
