"""The statements of a template, or of a page of the documentation, wherever they stand in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from tests.infra.reference.arns import plain
from tests.infra.templates import Stacks

Json = Mapping[str, Any]


class Kind(Enum):
    """What a policy is attached to."""

    IDENTITY = auto()
    TRUST = auto()
    RESOURCE = auto()
    KEY = auto()
    """A key's own policy: its resource is always `*`, which means this key."""


@dataclass(frozen=True)
class Statement:
    """One statement, all its values plain texts. `where`: template or page; `owner`: in it."""

    where: str
    owner: str
    sid: str
    kind: Kind
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]
    unread: tuple[str, ...] = ()
    """Members that nothing here understands."""


_KNOWN = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
_BLOCK = re.compile(r"^```json\n(.*?)^```", re.DOTALL | re.MULTILINE)


def of_stacks(name: str, stacks: Stacks) -> Iterator[Statement]:
    """Every statement of both templates of a configuration."""
    yield from of_template(f"{name}, dev", stacks.dev)
    yield from of_template(f"{name}, prod", stacks.prod)


def of_template(where: str, template: Json) -> Iterator[Statement]:
    """Every statement: of every policy document, whatever resource it is in, and permissions."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        for path, document in _documents(properties, ()):
            kind = _kind(resource["Type"], path)
            for raw in _listed(document["Statement"]):
                yield _read(where, name, kind, template, raw)
        if resource["Type"] == "AWS::Lambda::Permission":
            yield _read(where, name, Kind.RESOURCE, template, _permission(properties))


def of_page(where: str, page: str) -> Iterator[Statement]:
    """The statements of the JSON policies that a Markdown page prints."""
    for number, block in enumerate(_BLOCK.findall(page), start=1):
        document = json.loads(block)
        for raw in _listed(document.get("Statement", [])):
            yield _read(where, f"JSON block {number}", Kind.IDENTITY, {}, raw)


def _documents(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield path, value
            return
        for name, member in value.items():
            yield from _documents(member, (*path, name))
    elif isinstance(value, list):
        for member in value:
            yield from _documents(member, path)


def _kind(resource_type: str, path: tuple[str, ...]) -> Kind:
    if path == ("AssumeRolePolicyDocument",):
        return Kind.TRUST
    if resource_type.startswith("AWS::IAM::"):
        return Kind.IDENTITY
    return Kind.KEY if resource_type == "AWS::KMS::Key" else Kind.RESOURCE


def _permission(properties: Json) -> Json:
    """A Lambda permission as the statement that Lambda makes of it."""
    condition: dict[str, Any] = {}
    if "SourceArn" in properties:
        condition["ArnLike"] = {"aws:SourceArn": properties["SourceArn"]}
    if "SourceAccount" in properties:
        condition["StringEquals"] = {"aws:SourceAccount": properties["SourceAccount"]}
    return {
        "Effect": "Allow",
        "Action": properties["Action"],
        "Resource": properties["FunctionName"],
        "Principal": {"Service": properties["Principal"]},
        "Condition": condition,
    }


def _read(where: str, owner: str, kind: Kind, template: Json, raw: Json) -> Statement:
    def texts(value: Any) -> tuple[str, ...]:
        return tuple(plain(template, v) for v in _listed(value))

    return Statement(
        where=where,
        owner=owner,
        sid=raw.get("Sid", "without a Sid"),
        kind=kind,
        effect=raw["Effect"],
        actions=texts(raw.get("Action", [])),
        resources=texts(raw.get("Resource", [])),
        conditions={
            operator: {key: texts(values) for key, values in keys.items()}
            for operator, keys in raw.get("Condition", {}).items()
        },
        unread=tuple(sorted(set(raw) - _KNOWN)),
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
