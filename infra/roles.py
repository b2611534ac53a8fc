"""Roles as Slipway has them: named, with their statements inside, as long as IAM allows that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from contracts.errors import InvalidConfiguration

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
    statements: Sequence[iam.PolicyStatement],
    max_session: cdk.Duration | None = None,
) -> iam.Role:
    """A role that may do `statements` and nothing else, whatever is granted to it later.

    Statements are inline. Where they are too long for that (many pipelines), they are spread over
    managed policies; InvalidConfiguration where even those do not hold them.
    """
    inline = size_of(statements) <= INLINE_LIMIT
    document = iam.PolicyDocument(statements=list(statements), minimize=False)
    return iam.Role(
        scope,
        construct_id,
        role_name=name,
        description=description,
        assumed_by=trusted,
        max_session_duration=max_session,
        inline_policies={"slipway": document} if inline else {},
        managed_policies=[] if inline else _managed(scope, construct_id, name, statements),
    )


def _managed(
    scope: Construct, construct_id: str, name: str, statements: Sequence[iam.PolicyStatement]
) -> list[iam.IManagedPolicy]:
    parcels = list(parcels_of(statements))
    if len(parcels) > MANAGED_POLICIES:
        problem = (
            f"role {name} would need {len(parcels)} policies and IAM allows {MANAGED_POLICIES}: "
            "spread the pipelines over several installations"
        )
        raise InvalidConfiguration([("pipelines", problem)])
    return [
        iam.ManagedPolicy(
            scope,
            f"{construct_id}Policy{number}",
            managed_policy_name=f"{name}-{number}",
            statements=parcel,
        )
        for number, parcel in enumerate(parcels, start=1)
    ]


def parcels_of(statements: Sequence[iam.PolicyStatement]) -> Iterator[list[iam.PolicyStatement]]:
    """`statements` in order, in parcels that a managed policy holds; long ones are divided."""
    parcel: list[iam.PolicyStatement] = []
    room = MANAGED_LIMIT - FRAME
    for statement in statements:
        rest: iam.PolicyStatement | None = statement
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


def _divide(
    statement: iam.PolicyStatement, room: int
) -> tuple[iam.PolicyStatement | None, iam.PolicyStatement | None]:
    """What of the statement fits into `room` characters, and the rest: its resources divided."""
    if _length(statement) <= room:
        return statement, None
    raw = statement.to_statement_json()
    resources = raw["Resource"] if isinstance(raw["Resource"], list) else [raw["Resource"]]
    size = _length(_of(raw, [])) + 16
    count = 0
    for resource in resources:
        size += len(json.dumps(resource)) + 1
        if size > room:
            break
        count += 1
    if count == 0:
        return None, statement
    return _of(raw, resources[:count]), _of(raw, resources[count:])


def _of(raw: dict[str, Any], resources: list[Any]) -> iam.PolicyStatement:
    return iam.PolicyStatement.from_json({**raw, "Resource": resources})


def size_of(statements: Sequence[iam.PolicyStatement]) -> int:
    """Characters of a policy of `statements`, as IAM counts them."""
    return FRAME + sum(_length(statement) for statement in statements)


def _length(statement: iam.PolicyStatement) -> int:
    return len(json.dumps(statement.to_statement_json(), separators=(",", ":"))) + 1
