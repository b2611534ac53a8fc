"""Roles as Slipway has them: named, with their statements inside, as long as IAM allows that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from infra.findings import accept
from infra.permissions.statements import Allow
from slipway.contracts.errors import InvalidConfiguration

INLINE_LIMIT = 10_240
"""IAM: characters of all inline policies of a role together, without white space."""

MANAGED_LIMIT = 6_144
"""IAM: characters of a managed policy, without white space."""

MANAGED_POLICIES = 10
"""IAM: managed policies of a role, by default."""

FRAME = len('{"Version":"2012-10-17","Statement":[]}')


def slipway_role(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    description: str,
    trusted: iam.IPrincipal,
    statements: Sequence[Allow],
    shared: Sequence[iam.IManagedPolicy] = (),
    max_session: cdk.Duration | None = None,
) -> iam.Role:
    """A role that may do `statements` and nothing else, whatever is granted to it later.

    Statements are inline, as many as fit; the rest (many pipelines) is spread over managed
    policies. `shared`: policies that another role has, too. InvalidConfiguration where a role
    cannot hold them all.
    """
    inline, *parcels = parcels_of(statements, first=INLINE_LIMIT)
    _check(name, len(parcels) + len(shared))
    role = iam.Role(
        scope,
        construct_id,
        role_name=name,
        description=description,
        assumed_by=trusted,
        max_session_duration=max_session,
        inline_policies={"slipway": _document(inline)},
        managed_policies=[
            *_managed(scope, f"{construct_id}Policy", name, description, parcels),
            *shared,
        ],
    )
    _accept_wildcards(role, inline)
    return role


def _document(statements: Sequence[Allow]) -> iam.PolicyDocument:
    return iam.PolicyDocument(statements=[s.statement() for s in statements], minimize=False)


def _accept_wildcards(construct: IConstruct, statements: Sequence[Allow]) -> None:
    for statement in statements:
        for resource in statement.wildcards:
            accept(construct, f"IAM5[Resource::{resource}]", statement.why or "")


def managed_policies(
    scope: Construct, construct_id: str, name: str, description: str, statements: Sequence[Allow]
) -> list[iam.IManagedPolicy]:
    """A policy `name`; where `statements` are too long for one, also `<name>-2`, `<name>-3` …

    InvalidConfiguration where they are more than can be attached to one role.
    """
    parcels = list(parcels_of(statements))
    _check(name, len(parcels))
    return _managed(scope, construct_id, name, description, parcels)


def _check(name: str, count: int) -> None:
    if count > MANAGED_POLICIES:
        problem = (
            f"{name} would need {count} policies and IAM allows {MANAGED_POLICIES} a role: "
            "spread the pipelines over several installations"
        )
        raise InvalidConfiguration([("pipelines", problem)])


def _managed(
    scope: Construct,
    construct_id: str,
    name: str,
    description: str,
    parcels: Sequence[Sequence[Allow]],
) -> list[iam.IManagedPolicy]:
    policies: list[iam.IManagedPolicy] = []
    for number, parcel in enumerate(parcels, start=1):
        policy = iam.ManagedPolicy(
            scope,
            f"{construct_id}{number}",
            managed_policy_name=name if number == 1 else f"{name}-{number}",
            description=description,
            document=_document(parcel),
        )
        _accept_wildcards(policy, parcel)
        policies.append(policy)
    return policies


def parcels_of(statements: Sequence[Allow], *, first: int = MANAGED_LIMIT) -> Iterator[list[Allow]]:
    """`statements` in order, in parcels that a managed policy holds; long ones are divided.

    `first`: characters that the first parcel may have.
    """
    parcel: list[Allow] = []
    room = first - FRAME
    for statement in statements:
        rest: Allow | None = statement
        while rest is not None:
            fitting, rest = _divide(rest, room)
            if fitting is not None:
                parcel.append(fitting)
                room -= _length(fitting)
            if rest is not None:
                yield parcel
                parcel, room = [], MANAGED_LIMIT - FRAME
    if parcel:
        yield parcel


def _divide(statement: Allow, room: int) -> tuple[Allow | None, Allow | None]:
    """What of the statement fits into `room` characters, and the rest: its resources divided."""
    if _length(statement) <= room:
        return statement, None
    size = _length(replace(statement, resources=()))
    count = 0
    for resource in statement.resources:
        size += len(json.dumps(resource)) + 1
        if size > room:
            break
        count += 1
    if count == 0:
        return None, statement
    fitting = replace(statement, resources=statement.resources[:count])
    return fitting, replace(statement, resources=statement.resources[count:])


def size_of(statements: Sequence[Allow]) -> int:
    """Characters of a policy of `statements`, as IAM counts them."""
    return FRAME + sum(_length(statement) for statement in statements)


def _length(statement: Allow) -> int:
    raw: dict[str, Any] = {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": statement.actions,
        "Resource": statement.resources,
    }
    if statement.conditions:
        raw["Condition"] = statement.conditions
    return len(json.dumps(raw, separators=(",", ":"))) + 1
