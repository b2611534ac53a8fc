"""What a handler talks to: the settings and AWS clients, made once and only when first needed.

botocore's session is used directly: importing boto3 on top of it costs a cold start a tenth more.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from botocore.config import Config

from slipway.contracts.installation import Installation, load_installation

QUICK = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 3})


@functools.cache
def installation() -> Installation:
    """The settings, read once for the life of the process."""
    return load_installation()


@functools.cache
def _session() -> Any:
    return botocore.session.Session()  # type: ignore[no-untyped-call]


@functools.cache
def client(service: str, config: Config = QUICK) -> Any:
    """The client of `service` where Slipway is: in the prod account's region, whoever calls."""
    return _session().create_client(service, region_name=installation().region, config=config)


def client_as(credentials: Any, service: str, region: str) -> Any:
    """A client under `credentials` (from STS), anew each time: they last for minutes."""
    return _session().create_client(
        service,
        region_name=region,
        config=QUICK,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
