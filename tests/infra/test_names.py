"""No name is taken twice, where two installations or both sides share an account."""

from __future__ import annotations

import json
from pathlib import Path

from slipway.configuration import read
from tests.infra.templates import EXAMPLE, Stacks, resources, synthesize, text

NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::SSM::Parameter": "Name",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Logs::LogGroup": "LogGroupName",
}


def _names(stacks: Stacks) -> list[tuple[str, str]]:
    """What may be there once in an account and region: kind and name."""
    return [
        (kind, text(properties[key]))
        for kind, key in NAMED.items()
        for template in stacks.both
        for properties in resources(template, kind).values()
    ]


def test_stage_stands_beside_production_in_the_same_accounts(
    example: Stacks, tmp_path: Path
) -> None:
    # GIVEN the same configuration under another name, for its own repositories
    data = read(EXAMPLE)
    data["name"] = "slipway-stage"
    # WHEN it is synthesized with all that the other one has
    data["customerKey"] = True
    names = _names(synthesize(data, tmp_path))
    # THEN no name is taken already
    assert len(names) > 40
    assert not set(names) & set(_names(example))


def test_one_account_for_both_sides_and_another_region_for_dev(tmp_path: Path) -> None:
    # GIVEN one account, and repositories in another region
    data = read(EXAMPLE)
    data["dev"] = {"account": data["prod"]["account"], "region": "eu-west-1"}
    # WHEN it is synthesized
    stacks = synthesize(data, tmp_path)
    # THEN no name is taken twice, and each role is trusted as before
    names = _names(stacks)
    assert len(set(names)) == len(names)
    # AND nothing of dev names a topic of its own region
    assert "arn:aws:sns:eu-west-1" not in json.dumps(stacks.dev)
    assert not resources(stacks.dev, "AWS::CloudWatch::Alarm")
