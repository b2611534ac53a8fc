"""Clients of the emulator as an account's administrator: a 12-digit access key is the account."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

SECRET = "local"  # noqa: S105 - the emulator looks at the access key alone
_QUICK = Config(
    connect_timeout=2,
    read_timeout=30,
    retries={"mode": "standard", "max_attempts": 3},
    user_agent_extra="slipway-local",
)


def client_of(service: str, endpoint_url: str, account: str, region: str) -> Any:
    """A boto3 client that is the root of `account` in the emulator, whatever the caller is."""
    return boto3.Session(
        aws_access_key_id=account,
        aws_secret_access_key=SECRET,
        region_name=region,
    ).client(service, endpoint_url=endpoint_url, config=_QUICK)


def account_environment(
    base: dict[str, str], endpoint_url: str, account: str, region: str
) -> dict[str, str]:
    """`base` for a tool that shall act as that root, freed of whatever credentials it had."""
    kept = {k: v for k, v in base.items() if not k.startswith("AWS_")}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
