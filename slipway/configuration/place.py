"""The hosts' image and zone where the configuration leaves them out: found once, and kept.

Which images and zones there are is for AWS to say, and only for one account and region. A template
that asked at each deployment (a parameter that means 'latest', the first of the account's zones)
would replace the hosts whenever the answer changes. So `slipway prepare` asks once, and what it was
told is kept in cdk.context.json, the CDK's own file for what was looked up, which belongs into
version control. It stands beside the configuration, wherever that is: whoever keeps theirs outside
Slipway's folder updates Slipway without losing what was found. A synth reads it and asks nobody: it
needs neither network nor credentials, and dev's stack can be deployed without prod's. (The CDK's
own look-ups would ask at a synth of either stack, and none of them knows which zones offer an
instance type.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.configuration import Configuration
from slipway.configuration.placeholders import EXAMPLE_ACCOUNTS, EXAMPLE_AMI
from slipway.contracts.errors import InvalidConfiguration, WrongUse

FILE_NAME = "cdk.context.json"
OURS = "slipway:"
"""What our context keys begin with."""


@dataclass(frozen=True)
class Place:
    """What the hosts are made of and where; `zone` is None in a network that exists already,
    `ami` where there are no hosts."""

    ami: str | None
    zone: str | None


def read_context(path: Path) -> dict[str, Any]:
    """A context file; empty where there is none. WrongUse for one that is broken."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise WrongUse(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise WrongUse(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise WrongUse(f"{path} holds no object")
    return found


def found_for(configuration_file: Path, elsewhere: Path = Path(FILE_NAME)) -> dict[str, Any]:
    """What was found for a configuration: beside its file; what is not, in this folder's file."""
    ours = {k: v for k, v in read_context(elsewhere).items() if k.startswith(OURS)}
    return {**ours, **read_context(configuration_file.with_name(FILE_NAME))}


def image_key(configuration: Configuration) -> str:
    """The context key of the image: one for each account, region and processor."""
    c = configuration
    return f"{OURS}image:{c.prod.account}:{c.prod_region}:{c.architecture}"


def zone_key(configuration: Configuration) -> str:
    """The context key of the zone: one for each account and region, so that it never moves."""
    return f"{OURS}zone:{configuration.prod.account}:{configuration.prod_region}"


def makes_network(configuration: Configuration) -> bool:
    """Whether a network is made by the stack, and needs a zone."""
    return configuration.needs_network and configuration.network.subnet_id is None


def place_of(configuration: Configuration, kept: Callable[[str], Any]) -> Place:
    """What is configured, else what was found and is `kept` under its context key.

    InvalidConfiguration names what is neither. The example's accounts are nobody's: what could be
    found there are placeholders, so that the example can be looked at without an account.
    """
    c = configuration
    example = c.prod.account in EXAMPLE_ACCOUNTS
    ami = _image(c, kept) or (EXAMPLE_AMI if example else None)
    zone = c.network.availability_zone or kept(zone_key(c))
    zone = zone or (f"{c.prod_region}a" if example else None)
    needed = {"buildHost.ami": ami} if c.hosts else {}
    if makes_network(c):
        needed["network.availabilityZone"] = zone
    missing = [path for path, value in needed.items() if value is None]
    if missing:
        problem = f"is left out, and was not found yet: `slipway prepare` does, in {FILE_NAME}"
        raise InvalidConfiguration([(path, problem) for path in missing])
    return Place(ami=ami if c.hosts else None, zone=zone if makes_network(c) else None)


def _image(c: Configuration, kept: Callable[[str], Any]) -> str | None:
    return (c.hosts and c.hosts.ami) or kept(image_key(c))
