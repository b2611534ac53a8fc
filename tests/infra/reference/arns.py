"""ARNs: the form that AWS gives for one, and whether a policy's pattern can name such a one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_VARIABLE = re.compile(r"\$\{(\w+)\}|<(\w+)>")

_WITH_SLASHES = re.compile(
    r"iam:\w+WithPath|s3:ObjectName|ssm:ParameterNameWithoutLeadingSlash|logs:Log(Group|Stream)Name"
    r"|ecr:RepositoryName|secretsmanager:SecretId|kms:Alias"
)
"""The names that may hold a slash themselves; anywhere else a slash begins the next name."""

_ANY, _NAME, _PATH = "*", "name", "path"

RETURNED = {
    ("AWS::DynamoDB::Table", "Arn"): "dynamodb:{place}:table/x",
    ("AWS::ECS::Cluster", "Arn"): "ecs:{place}:cluster/x",
    ("AWS::Events::Rule", "Arn"): "events:{place}:rule/x",
    ("AWS::IAM::Role", "Arn"): "iam::{account}:role/x",
    ("AWS::KMS::Key", "Arn"): "kms:{place}:key/x",
    ("AWS::Lambda::Function", "Arn"): "lambda:{place}:function:x",
    ("AWS::Logs::LogGroup", "Arn"): "logs:{place}:log-group:x:*",
    ("AWS::SNS::Topic", "Ref"): "sns:{place}:x",
    ("AWS::SQS::Queue", "Arn"): "sqs:{place}:x",
}
"""What CloudFormation returns for a resource of ours; `x` stands for the name that it makes."""

_PSEUDO = {
    "AWS::AccountId": "222222222222",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
}


def plain(template: Mapping[str, Any], value: Any) -> str:
    """A template's value as the text that CloudFormation makes of it; `x` for a made name.

    ValueError for a function or a returned value that is not known here: teach it.
    """
    if isinstance(value, (str, int)):
        return str(value)
    ((function, argument),) = value.items()
    if function == "Ref":
        return _PSEUDO.get(argument) or _returned(template, argument, "Ref")
    if function == "Fn::GetAtt":
        name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        return _returned(template, name, attribute)
    if function == "Fn::Join":
        return str(argument[0]).join(plain(template, part) for part in argument[1])
    if function == "Fn::Sub" and isinstance(argument, str):
        return re.sub(r"\$\{([^}]+)\}", lambda m: plain(template, {"Ref": m[1]}), argument)
    raise ValueError(f"cannot read {value}")


def _returned(template: Mapping[str, Any], logical_id: str, attribute: str) -> str:
    kind = template["Resources"][logical_id]["Type"]
    form = RETURNED.get((kind, attribute))
    if form is not None:
        return "arn:aws:" + form.format(place="eu-central-1:222222222222", account="222222222222")
    if attribute == "Ref":
        return "x"
    raise ValueError(f"what does {attribute} of a {kind} return? tell tests/infra/reference/arns")


def fits(pattern: str, form: str) -> bool:
    """Whether `pattern` (a policy's, with `*` and `?`) names any ARN of AWS's `form`."""
    return pattern == "*" or _meet(_read_pattern(pattern), _read_form(form))


def _read_pattern(pattern: str) -> tuple[str, ...]:
    return tuple(_ANY if c == "*" else c for c in pattern)


@cache
def _read_form(form: str) -> tuple[str, ...]:
    found: list[str] = []
    service = form.split(":", 3)[2]
    end = 0
    for match in _VARIABLE.finditer(form):
        found += form[end : match.start()]
        name = f"{service}:{match[1] or match[2]}"
        found.append(_PATH if _WITH_SLASHES.fullmatch(name) else _NAME)
        end = match.end()
    return (*found, *form[end:])


def _meet(pattern: tuple[str, ...], form: tuple[str, ...]) -> bool:
    """Whether some text is both; the sets of places that are reached are walked together."""
    seen: set[tuple[int, int, bool]] = set()
    todo = [(0, 0, False)]  # in the pattern, in the form, whether its name has a character yet
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j, begun = place
        if i == len(pattern) and j == len(form):
            return True
        if j < len(form) and len(form[j]) > 1 and begun:
            todo.append((i, j + 1, False))
        if i < len(pattern) and pattern[i] == _ANY:
            todo.append((i + 1, j, begun))
            if j < len(form):
                todo.append((i, j, True) if len(form[j]) > 1 else (i, j + 1, False))
        elif i < len(pattern) and j < len(form):
            if len(form[j]) > 1 and _may_hold(form[j], pattern[i]):
                todo.append((i + 1, j, True))
            elif pattern[i] in ("?", form[j]):
                todo.append((i + 1, j + 1, False))
    return False


def _may_hold(kind: str, character: str) -> bool:
    return character not in (":" if kind == _PATH else ":/")
