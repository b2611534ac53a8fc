"""A first deployment that fails half-way, and the next try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.emulator.world import World
from tests.infra.templates import LOCAL, synthesize_file

TAKEN = "/slipway/first"


def kept_resources(folder: Path) -> dict[str, Any]:
    """What holds data in prod's template, and last a parameter whose name is taken already."""
    template = synthesize_file(LOCAL, folder).prod["Resources"]
    kept = {n: r for n, r in template.items() if r.get("DeletionPolicy", "Delete") != "Delete"}
    last = {
        "Type": "AWS::SSM::Parameter",
        "DependsOn": list(kept),
        "Properties": {"Name": TAKEN, "Type": "String", "Value": "x"},
    }
    return {**kept, "Last": last}


def test_a_failed_creation_can_be_tried_again(world: World, tmp_path: Path) -> None:
    # GIVEN something that makes the first deployment fail once table and repositories are there
    ssm, cloudformation = world.root("ssm"), world.root("cloudformation")
    ssm.put_parameter(Name=TAKEN, Type="String", Value="somebody's")
    resources = kept_resources(tmp_path)
    assert {r["Type"] for r in resources.values()} >= {
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
    }

    # WHEN it fails
    assert world.try_to_deploy("first", resources) == "ROLLBACK_COMPLETE"

    # THEN CloudFormation has taken all of it back: its names are free
    assert "slipway-deployments" not in world.root("dynamodb").list_tables()["TableNames"]

    # AND once it is mended, the next try
    ssm.delete_parameter(Name=TAKEN)
    cloudformation.delete_stack(StackName="first")
    world.deploy("first-again", resources)

    # AND what holds data outlives the stack
    cloudformation.delete_stack(StackName="first-again")
    assert "slipway-deployments" in world.root("dynamodb").list_tables()["TableNames"]
