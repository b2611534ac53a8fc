"""What a handler talks to: AWS clients, made once and only when first needed.

Read from the environment at run time, never at import: `SLIPWAY_HOSTS` (instance ids, separated by
commas) and `SLIPWAY_BUILD_QUEUE_URL`. All else comes from the installation's settings.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from contracts.errors import WrongUse
from contracts.installation import Installation, PipelineSettings, load_installation
from contracts.table import Table

HOSTS_VARIABLE = "SLIPWAY_HOSTS"
QUEUE_VARIABLE = "SLIPWAY_BUILD_QUEUE_URL"

_QUICK = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})
_ONCE = Config(connect_timeout=3, read_timeout=20, retries={"total_max_attempts": 1})
"""For EC2: a call repeated by the client could hide that the first one did stop the host."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """The world that handlers act on; a test or a simulation puts its own in its place.

    `codecommit_as(pipeline)` is a CodeCommit client under the pipeline's `tip` role.
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


@functools.cache
def installation() -> Installation:
    return load_installation()


@functools.cache
def sns() -> Any:
    """SNS where the topics are: in the prod account's region, whichever account calls."""
    return boto3.client("sns", region_name=installation().region, config=_QUICK)


@functools.cache
def services() -> Services:
    """Everything that starter, stopper and reconciler need; made at the first invocation."""
    settings = installation()
    return Services(
        installation=settings,
        now=time.time,
        sns=sns(),
        table=Table(_client("dynamodb"), settings.names.table),
        ec2=_client("ec2", _ONCE),
        sqs=_client("sqs"),
        codecommit_as=_codecommit_as,
        hosts=tuple(h.strip() for h in _variable(HOSTS_VARIABLE).split(",") if h.strip()),
        queue_url=_variable(QUEUE_VARIABLE),
    )


def _codecommit_as(pipeline: PipelineSettings) -> Any:
    """CodeCommit in the dev account's region, as the pipeline's `tip` role, assumed afresh."""
    answer = _client("sts").assume_role(
        RoleArn=pipeline.tip_role_arn, RoleSessionName="slipway-reconciler", DurationSeconds=900
    )
    keys = answer["Credentials"]
    return boto3.client(
        "codecommit",
        region_name=installation().dev_region,
        config=_QUICK,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


@functools.cache
def _client(service: str, config: Config = _QUICK) -> Any:
    return boto3.client(service, region_name=installation().region, config=config)


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise WrongUse(f"the environment variable {name} is not set")
    return value
