"""Who this host is, asked of the instance metadata service (IMDSv2); or which builder this is."""

from __future__ import annotations

import json
import os
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.contracts.table.builders import builder_host

ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
REGION_VARIABLE = "AWS_REGION"
DEFAULT_ENDPOINT = "http://169.254.169.254"
_TOKEN_SECONDS = "300"  # noqa: S105 - a lifetime
_TIMEOUT = 3.0


@dataclass(frozen=True)
class HostIdentity:
    """`boot` is `pendingTime` of the identity document: EC2's LaunchTime of this boot.

    `process`: of this agent, and of no other that ran on the host.
    """

    host_id: str
    boot: str
    region: str
    process: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def name(self) -> str:
        """How claims name this host's agent."""
        return f"{self.host_id}/{self.boot}/{self.process}"

    def holder(self, run: int) -> str:
        """How locks name the agent's run of that number."""
        return f"{self.name}.{run}"


def read_identity(endpoint: str | None = None) -> HostIdentity:
    """This host's identity; WorldFailed where the metadata service does not answer."""
    base = (endpoint or os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT).rstrip("/")
    token = _ask(
        f"{base}/latest/api/token",
        {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS},
        method="PUT",
    )
    text = _ask(
        f"{base}/latest/dynamic/instance-identity/document", {"X-aws-ec2-metadata-token": token}
    )
    return parse_identity(text)


def builder_identity(pipeline: str, generation: int) -> HostIdentity:
    """A builder's, in place of a host's: its generation is its boot. WrongUse without a region."""
    region = os.environ.get(REGION_VARIABLE, "")
    if not region:
        raise WrongUse(f"the environment variable {REGION_VARIABLE} is not set")
    return HostIdentity(builder_host(pipeline), str(generation), region)


def parse_identity(document: str) -> HostIdentity:
    """The identity in an instance identity document; WorldFailed for anything else."""
    try:
        data = json.loads(document)
        return HostIdentity(str(data["instanceId"]), str(data["pendingTime"]), str(data["region"]))
    except (ValueError, KeyError, TypeError) as error:
        raise WorldFailed(f"the instance identity document is not one: {error!r}") from None


def _ask(url: str, headers: dict[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - http only
    # The metadata service is link-local: a proxy of the environment must not be asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except (urllib.error.URLError, OSError) as error:
        raise WorldFailed(f"the instance metadata service does not answer: {error}") from None
