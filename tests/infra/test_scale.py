"""One pipeline, ten, a hundred: within the limits of CloudFormation and IAM, growing linearly.

Seconds are for `python -m bench.synthesis` to show; here it is what they are spent on.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from infra.permissions.roles import INLINE_LIMIT, MANAGED_LIMIT, MANAGED_POLICIES, parcels_of
from infra.permissions.statements import allow
from slipway.configuration import parse, read
from slipway.contracts.errors import InvalidConfiguration
from tests.infra.templates import EXAMPLE, identity_statements, resources, synthesize, text

MOST_RESOURCES = 500
MOST_BYTES = 1_000_000
ACCOUNT = "222222222222"


def many(count: int) -> Any:
    """A configuration of `count` pipelines to existing services, repositories created."""
    data = read(EXAMPLE)
    (pattern,) = data["pipelines"]
    data["pipelines"] = [_pipeline(pattern, f"payments-api-{n}") for n in range(count)]
    return data


def _pipeline(pattern: Any, name: str) -> Any:
    pipeline = copy.deepcopy(pattern)
    pipeline["name"] = pipeline["repository"]["name"] = name
    pipeline["images"][0]["repository"]["name"] = f"team/{name}"
    roles = [f"arn:aws:iam::{ACCOUNT}:role/{name}-{kind}" for kind in ("task", "execution")]
    pipeline["service"] = {"cluster": "production", "name": name, "roles": roles}
    return pipeline


@pytest.mark.parametrize("when", ["hosts", "overflow", "codeBuild"])
def test_a_hundred_pipelines_fit_and_cost_a_hundred_times_what_one_adds(
    when: str, tmp_path: Path
) -> None:
    made = {}
    for count in (1, 10, 100):
        # WHEN so many pipelines are synthesized
        stacks = synthesize(built_by(when, many(count)), tmp_path / str(count))
        made[count] = sum(_but_policies(template) for template in stacks.both)
        # THEN both stacks are within CloudFormation's limits, and each role within IAM's
        for template in stacks.both:
            assert len(template["Resources"]) < MOST_RESOURCES
            assert len(json.dumps(template)) < MOST_BYTES
            _check_policies(template)
        # AND nothing was left out on the way
        pushed = {
            r
            for s in identity_statements(stacks.prod)
            if "ecr:PutImage" in s.actions
            for r in s.resources
        }
        assert len(pushed) == count
        # AND each of those who build may push each
        roles = {"hosts": 1, "overflow": 2, "codeBuild": 1}[when]
        pushing = [
            s for s in identity_statements(stacks.prod) if "ecr:UploadLayerPart" in s.actions
        ]
        assert sum(len(s.resources) for s in pushing) == roles * count
    # But for the policies that long statements are divided into, growth is linear.
    each = (made[10] - made[1]) / 9
    assert made[100] - made[1] <= 99 * each


def built_by(when: str, data: Any) -> Any:
    """The configuration with another engine; hosts are left out where none are needed."""
    data["builders"] = {"when": when}
    if when == "codeBuild":
        del data["buildHost"]
    return data


def test_many_rollouts_are_written_down_once_for_hosts_and_follower(tmp_path: Path) -> None:
    prod = synthesize(many(20), tmp_path).prod
    shared = {
        name: policy
        for name, policy in resources(prod, "AWS::IAM::ManagedPolicy").items()
        if policy["ManagedPolicyName"].startswith("slipway-rollouts")
    }
    assert shared
    for role in resources(prod, "AWS::IAM::Role").values():
        attached = {arn["Ref"] for arn in role.get("ManagedPolicyArns", []) if "Ref" in arn}
        rolls_out = role["RoleName"] in ("slipway-host", "slipway-follower")
        assert attached >= set(shared) if rolls_out else not attached & set(shared)


def _but_policies(template: Any) -> int:
    return len(template["Resources"]) - len(resources(template, "AWS::IAM::ManagedPolicy"))


def test_whatever_the_configuration_allows_fits_into_a_stack(tmp_path: Path) -> None:
    # GIVEN the most of everything that makes resources
    data = many(100)
    data["buildHost"]["count"] = 10
    data["notices"]["emails"] = [f"team-{number}@example.com" for number in range(20)]
    data["customerKey"] = True
    data["builders"] = {"when": "overflow"}
    for number, pipeline in enumerate(data["pipelines"][:50]):
        pipeline["service"] = {"sample": True}
        extra = copy.deepcopy(data["pipelines"][50 + number]["images"][0])
        extra["repository"]["name"] += "-proxy"
        data["pipelines"][50 + number]["images"].append(extra)
    # THEN both stacks hold it
    for template in synthesize(data, tmp_path).both:
        assert len(template["Resources"]) < MOST_RESOURCES
        assert len(json.dumps(template)) < MOST_BYTES
    # AND one repository more is refused in words
    extra = copy.deepcopy(data["pipelines"][99]["images"][1])
    extra["repository"]["name"] += "-2"
    data["pipelines"][99]["images"].append(extra)
    with pytest.raises(InvalidConfiguration, match="at most 150"):
        parse(data)


def _check_policies(template: Any) -> None:
    for role in resources(template, "AWS::IAM::Role").values():
        documents = [p["PolicyDocument"] for p in role.get("Policies", [])]
        assert sum(_size(document) for document in documents) <= INLINE_LIMIT
        assert len(role.get("ManagedPolicyArns", [])) <= MANAGED_POLICIES
    for policy in resources(template, "AWS::IAM::ManagedPolicy").values():
        assert _size(policy["PolicyDocument"]) <= MANAGED_LIMIT


def _size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":"), default=text))


def test_a_long_statement_is_divided_and_loses_nothing() -> None:
    # GIVEN a statement that is too long for one policy, between two short ones
    names = [f"arn:aws:ecr:eu-central-1:{ACCOUNT}:repository/team/api-{n}" for n in range(300)]
    statements = [
        allow("First", ["sns:Publish"], ["arn:topic"]),
        allow("Long", ["ecr:PutImage", "ecr:BatchGetImage"], names),
        allow("Last", ["sqs:SendMessage"], ["arn:queue"]),
    ]
    # WHEN it is put into parcels
    parcels = list(parcels_of(statements))
    # THEN every resource is there once, under its actions
    pieces = [s for parcel in parcels for s in parcel]
    assert [r for s in pieces if s.sid == "Long" for r in s.resources] == names
    assert [s.sid for s in pieces if s.sid != "Long"] == ["First", "Last"]
    assert all(
        s.actions == ("ecr:PutImage", "ecr:BatchGetImage") for s in pieces if s.sid == "Long"
    )


def test_a_wildcard_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        allow("Wild", ["sqs:SendMessage"], ["*"]).statement()


def test_what_no_role_can_hold_is_refused_in_words(tmp_path: Path) -> None:
    # GIVEN a hundred pipelines whose names are as long as they may be
    data = many(100)
    for number, pipeline in enumerate(data["pipelines"]):
        pipeline["service"]["name"] = f"{'x' * 150}-{number}"
    # THEN it is the configuration that is wrong, not AWS half-way through a deployment
    with pytest.raises(InvalidConfiguration, match="spread the pipelines"):
        synthesize(data, tmp_path)


def test_at_most_fifty_samples_are_made() -> None:
    data = read(EXAMPLE)
    (pattern,) = data["pipelines"]
    data["pipelines"] = []
    for number in range(51):
        pipeline = copy.deepcopy(pattern)
        pipeline["name"] = f"sample-{number}"
        data["pipelines"].append(pipeline)
    with pytest.raises(InvalidConfiguration, match="at most 50"):
        parse(data)
