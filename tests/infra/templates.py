"""Templates as the tests read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from infra.slipway_app import add_stacks
from slipway.configuration import Configuration, parse, read
from tests.places import CONFIGURATIONS, ROOT

EXAMPLE = ROOT / "cdk.json"
FULL = CONFIGURATIONS / "full.json"
CODE_BUILD = CONFIGURATIONS / "code-build.json"
"""No host: CodeBuild alone builds."""
OVERFLOW = CONFIGURATIONS / "overflow.json"
"""Hosts first, and CodeBuild in a VPC and in an image of its own."""
LOCAL = CONFIGURATIONS / "local.json"
UNPREPARED = CONFIGURATIONS / "unprepared.json"
"""The example in accounts that are no placeholders: image and zone are still to be found."""

Template = dict[str, Any]


@dataclass(frozen=True)
class Stacks:
    """The two templates of an installation, and the configuration that they were made from."""

    configuration: Configuration
    dev: Template
    prod: Template

    @property
    def both(self) -> tuple[Template, Template]:
        return self.dev, self.prod


def synthesize(data: Any, folder: Path) -> Stacks:
    """The templates of a configuration (JSON values), without cdk-nag."""
    configuration = parse(data)
    app = cdk.App(outdir=str(folder / "cdk.out"), analytics_reporting=False)
    dev, prod = add_stacks(app, configuration, assets=folder / "assets")
    assembly = app.synth()
    return Stacks(
        configuration,
        assembly.get_stack_by_name(dev.stack_name).template,
        assembly.get_stack_by_name(prod.stack_name).template,
    )


def synthesize_file(path: Path, folder: Path) -> Stacks:
    return synthesize(read(path), folder)


def resources(template: Template, kind: str) -> dict[str, Any]:
    """Logical id to properties of the resources of a type."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def text(value: Any) -> str:
    """A template's value on one line: references become `${LogicalId}`, without their hashes."""
    if isinstance(value, str):
        return re.sub(r"[0-9a-f]{64}", "<hash>", value)
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref":
            return f"${{{_short(argument)}}}"
        if function == "Fn::GetAtt":
            return f"${{{_short(argument[0])}.{argument[1]}}}"
        if function == "Fn::Join":
            return str(argument[0]).join(text(part) for part in argument[1])
        if function == "Fn::Sub":
            return text(argument if isinstance(argument, str) else argument[0])
    return json.dumps(value, sort_keys=True)


def _short(logical_id: str) -> str:
    """CDK ends a logical id with 8 hexadecimal digits that say nothing."""
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Statement:
    """One statement of one policy: `owner` is the role, or the resource whose policy it is."""

    owner: str
    kind: str
    raw: dict[str, Any]

    @property
    def actions(self) -> list[str]:
        return [text(action) for action in listed(self.raw["Action"])]

    @property
    def resources(self) -> list[str]:
        return [text(resource) for resource in listed(self.raw.get("Resource", []))]

    @property
    def conditions(self) -> str:
        return _conditions(self.raw.get("Condition", {}))

    @property
    def principal(self) -> str:
        principal = self.raw.get("Principal", {})
        if isinstance(principal, str):
            return principal
        return ", ".join(text(p) for values in principal.values() for p in listed(values))


def _conditions(raw: dict[str, Any]) -> str:
    return "; ".join(
        f"{operator} {key} = {', '.join(text(v) for v in listed(values))}"
        for operator, keys in raw.items()
        for key, values in keys.items()
    )


def identity_statements(template: Template) -> Iterator[Statement]:
    """What roles may do."""
    for role in resources(template, "AWS::IAM::Role").values():
        for policy in role.get("Policies", []):
            for raw in policy["PolicyDocument"]["Statement"]:
                yield Statement(text(role["RoleName"]), "may", raw)
    for policy in resources(template, "AWS::IAM::ManagedPolicy").values():
        for raw in policy["PolicyDocument"]["Statement"]:
            yield Statement(text(policy["ManagedPolicyName"]), "may", raw)
    assert not resources(template, "AWS::IAM::Policy"), "a grant behind our back"


def trust_statements(template: Template) -> Iterator[Statement]:
    """Who may become a role."""
    for role in resources(template, "AWS::IAM::Role").values():
        for raw in role["AssumeRolePolicyDocument"]["Statement"]:
            yield Statement(text(role["RoleName"]), "is trusted", raw)


def resource_statements(template: Template) -> Iterator[Statement]:
    """What queues, topics and keys let others do."""
    for name, key in resources(template, "AWS::KMS::Key").items():
        for raw in key["KeyPolicy"]["Statement"]:
            yield Statement(_short(name), "lets in", raw)
    for kind, key in (("AWS::SQS::QueuePolicy", "Queues"), ("AWS::SNS::TopicPolicy", "Topics")):
        for policy in resources(template, kind).values():
            owner = ", ".join(text(target) for target in policy[key])
            for raw in policy["PolicyDocument"]["Statement"]:
                yield Statement(owner, "lets in", raw)
