"""A first deployment that fails can be tried again, and one that ends leaves nothing in its way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.templates import Stacks, Template

REFUSES_TO_GO = re.compile(r"DeletionProtection|DisableApiTermination|TerminationProtection")
WAY_OUT = {
    "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
}


def _templates(*installations: Stacks) -> Iterator[Template]:
    for stacks in installations:
        yield from stacks.both


def needs(template: Template, name: str) -> set[str]:
    """All that CloudFormation makes before `name` and deletes after it."""
    found: set[str] = set()
    todo = [name]
    while todo:
        resource = template["Resources"][todo.pop()]
        listed = resource.get("DependsOn", [])
        new = {*([listed] if isinstance(listed, str) else listed), *_references(resource)}
        new = (new & set(template["Resources"])) - found
        found |= new
        todo += new
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "Ref" in value:
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            at = value["Fn::GetAtt"]
            yield at[0] if isinstance(at, list) else at.partition(".")[0]
        if "Fn::Sub" in value:
            text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
            yield from (m.partition(".")[0] for m in re.findall(r"\$\{([^!}]+)\}", text))
        for member in value.values():
            yield from _references(member)
    elif isinstance(value, list):
        for member in value:
            yield from _references(member)


def test_nothing_of_a_failed_creation_stays(example: Stacks, full: Stacks, local: Stacks) -> None:
    """CloudFormation's Retain also keeps what it made before it failed; its name is then taken."""
    kept = set()
    for template in _templates(example, full, local):
        for name, resource in template["Resources"].items():
            policy = resource.get("DeletionPolicy", "Delete")
            assert policy in ("Delete", "RetainExceptOnCreate"), name
            if policy != "Delete":
                kept.add(resource["Type"])
                assert resource["UpdateReplacePolicy"] == "Retain", name
    # AND what holds data outlives the stack all the same
    assert kept == {
        "AWS::CodeCommit::Repository",
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
        "AWS::KMS::Key",
    }


def test_nothing_refuses_to_be_deleted(example: Stacks, full: Stacks, local: Stacks) -> None:
    def protections(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            for key, member in value.items():
                if REFUSES_TO_GO.search(key):
                    yield member
                yield from protections(member)
        elif isinstance(value, list):
            for member in value:
                yield from protections(member)

    for template in _templates(example, full, local):
        for name, resource in template["Resources"].items():
            assert not any(protections(resource.get("Properties", {}))), name


def _has_public_address(resource: dict[str, Any]) -> bool:
    return '"AssociatePublicIpAddress": true' in _json(resource) or (
        '"AssignPublicIp": "ENABLED"' in _json(resource)
    )


def _json(value: Any) -> str:
    return json.dumps(value)


def test_what_has_a_public_address_is_made_after_the_way_out_and_goes_before_it(
    example: Stacks, local: Stacks
) -> None:
    for stacks in (example, local):
        template = stacks.prod["Resources"]
        public = [name for name, r in template.items() if _has_public_address(r)]
        assert {template[name]["Type"] for name in public} == {
            "AWS::EC2::Instance",
            "AWS::ECS::Service",
        }
        for name in public:
            before = {template[n]["Type"] for n in needs(stacks.prod, name)}
            assert before >= WAY_OUT, name


def test_nothing_waits_for_itself(example: Stacks, full: Stacks, local: Stacks) -> None:
    for template in _templates(example, full, local):
        for name in template["Resources"]:
            assert name not in needs(template, name), name


def test_a_network_that_exists_has_its_way_out_already(full: Stacks) -> None:
    types = {r["Type"] for r in full.prod["Resources"].values()}
    assert not types & WAY_OUT


def test_what_is_kept_holds_nothing_that_has_to_go(full: Stacks, example: Stacks) -> None:
    """A kept resource that still uses a network, a role or a key would keep those from going."""
    for template in _templates(example, full):
        for name, resource in template["Resources"].items():
            if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
                held = {template["Resources"][n]["Type"] for n in _held(template, name)}
                assert not {t for t in held if t.startswith(("AWS::EC2::", "AWS::KMS::"))}, name


def _held(template: Template, name: str) -> set[str]:
    return set(_references(template["Resources"][name])) & set(template["Resources"])


@pytest.mark.parametrize(
    ("resources", "cyclic"),
    [
        ({"A": {"DependsOn": "B"}, "B": {"Properties": {"X": {"Ref": "A"}}}}, True),
        ({"A": {"Properties": {"X": {"Fn::Sub": "${B.Arn}"}}}, "B": {"DependsOn": ["A"]}}, True),
        ({"A": {"Properties": {"X": {"Fn::GetAtt": ["B", "Arn"]}}}, "B": {}}, False),
    ],
)
def test_what_a_resource_needs_is_seen(resources: dict[str, Any], cyclic: bool) -> None:
    template = {"Resources": resources}
    assert "B" in needs(template, "A")
    assert ("A" in needs(template, "A")) is cyclic
