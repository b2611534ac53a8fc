"""What of a statement AWS would never allow, or would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.infra.reference.arns import fits
from tests.infra.reference.policies import Kind, Statement
from tests.infra.reference.reference import Action, Resource, actions, is_known, key_type

_OPERATOR = re.compile(
    r"(ForAllValues:|ForAnyValue:)?(String(Not)?(Equals(IgnoreCase)?|Like)|Numeric\w+|Date\w+|Bool"
    r"|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like)|Null)(IfExists)?"
)
_LITERAL = re.compile(r"String(Not)?Equals")
_FAMILIES = {
    "ARN": ("Arn", "String"),
    "Bool": ("Bool",),
    "Date": ("Date",),
    "IP": ("IpAddress", "NotIpAddress"),
    "Numeric": ("Numeric",),
    "String": ("String",),
}
"""The operators that compare a key of a type; `Null` compares any."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with a statement; `action` where it is one of its actions alone."""

    statement: Statement
    action: str
    problem: str

    def __str__(self) -> str:
        s = self.statement
        action = f", {self.action}" if self.action else ""
        return f"{s.where}: {s.owner}, statement {s.sid}{action}: {self.problem}"


def judge(statement: Statement) -> Iterator[Finding]:
    """All that the reference has against the statement."""
    for name in statement.unread:
        yield Finding(statement, "", f"{name} is not understood here")
    taken: list[Action] = []
    for pattern in statement.actions:
        known = actions(pattern)
        taken += known
        if not known:
            yield Finding(statement, pattern, "AWS knows no such action")
    if statement.kind is not Kind.TRUST:
        yield from _resources(statement, taken)
    yield from _conditions(statement, taken)


# --- resources


def _resources(statement: Statement, taken: list[Action]) -> Iterator[Finding]:
    if not statement.resources:
        yield Finding(statement, "", "names no resource")
    if statement.kind is Kind.KEY and statement.resources != ("*",):
        yield Finding(statement, "", "the resource of a key's own policy is '*'")
    if statement.kind is not Kind.KEY and statement.effect == "Allow":
        for action in taken:
            yield from _of_action(statement, action)
    for arn in statement.resources:
        if not any(_takes(action, arn) for action in taken) and taken:
            yield Finding(statement, "", f"none of its actions takes {arn}")


def _of_action(statement: Statement, action: Action) -> Iterator[Finding]:
    """Whether the action has all that it needs, and no more than it must."""
    arns = statement.resources
    if not action.resources:
        if "*" not in arns:
            yield Finding(statement, action.name, f"takes only '*', not {_some(arns)}")
        return
    if "*" in arns:
        names = ", ".join(r.name for r in action.resources)
        yield Finding(statement, action.name, f"has '*' where AWS takes a name: {names}")
        return
    met = [r for r in action.resources if _named(r, arns)]
    if not met:
        yield Finding(
            statement, action.name, f"takes {_forms(action.resources)}, not {_some(arns)}"
        )
    for resource in action.resources:
        if met and resource.required and resource not in met:
            yield Finding(statement, action.name, f"needs {_forms([resource])} as well")


def _takes(action: Action, arn: str) -> bool:
    return arn == "*" or any(fits(arn, resource.form) for resource in action.resources)


def _named(resource: Resource, arns: Iterable[str]) -> bool:
    return any(fits(arn, resource.form) for arn in arns)


def _forms(resources: Iterable[Resource]) -> str:
    return " or ".join(r.form for r in resources)


def _some(arns: tuple[str, ...]) -> str:
    return arns[0] + (f" and {len(arns) - 1} more" if len(arns) > 1 else "") if arns else "nothing"


# --- conditions


def _conditions(statement: Statement, taken: list[Action]) -> Iterator[Finding]:
    for operator, keys in statement.conditions.items():
        if not _OPERATOR.fullmatch(operator):
            yield Finding(statement, "", f"IAM knows no condition operator {operator}")
            continue
        for key, values in keys.items():
            yield from _values(statement, operator, key, values)
            for action in taken:
                problem = _key(statement, operator, key, action)
                if problem:
                    yield Finding(statement, action.name, problem)


def _key(statement: Statement, operator: str, key: str, action: Action) -> str | None:
    known = set(action.keys)
    for resource in action.resources:
        if statement.kind is not Kind.IDENTITY or _named(resource, statement.resources):
            known |= resource.keys
    kind = key_type(key, known)
    if kind is None:
        return f"knows no condition key {key}"
    many, family = kind.startswith("ArrayOf"), kind.removeprefix("ArrayOf")
    if many and not operator.startswith("For"):
        return f"{key} has several values: {operator} needs ForAnyValue or ForAllValues"
    if not many and operator.startswith("For"):
        return f"{key} has one value: {operator} compares several"
    compares = operator.rpartition(":")[2]
    if compares != "Null" and not compares.startswith(_FAMILIES.get(family, ("String",))):
        return f"{operator} does not compare {key}, which is of type {kind}"
    return None


def _values(
    statement: Statement, operator: str, key: str, values: tuple[str, ...]
) -> Iterator[Finding]:
    for value in values:
        if _LITERAL.fullmatch(operator.rpartition(":")[2]) and ("*" in value or "?" in value):
            yield Finding(statement, "", f"{operator} takes the wildcard of {value} literally")
        if value.startswith("arn:") and not is_known(value):
            yield Finding(statement, "", f"{key}: AWS has no ARN of the form {value}")
