"""Who builds: each combination that says nothing, or cannot be, is told by its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from click.testing import CliRunner

from slipway.cli.verbs.config import command
from slipway.configuration import builder_rules, load, parse, read
from slipway.configuration.builder_rules import BUILDER_RULES
from slipway.configuration.builders import IMAGES, MOST_TIMEOUT
from slipway.configuration.place import place_of
from slipway.configuration.resolve import resolve
from slipway.contracts.installation import BuildersSettings
from tests.infra.templates import CODE_BUILD, EXAMPLE, OVERFLOW
from tests.infra.test_configuration import REMOVE, changed, problems

CODE = "builders.codeBuild"
ARM = "aws/codebuild/amazonlinux-aarch64-standard:4.0"
ELSEWHERE = "222222222222.dkr.ecr.us-east-1.amazonaws.com/builders/x:1"
NEAR = "arn:aws:secretsmanager:eu-central-1:222222222222:secret:hub"


@pytest.mark.parametrize(
    ("base", "path", "value", "where", "said"),
    [
        (EXAMPLE, "buildHost", REMOVE, "buildHost", 'is missing: builders.when is "hosts"'),
        (OVERFLOW, "buildHost", REMOVE, "buildHost", 'is missing: builders.when is "overflow"'),
        (
            EXAMPLE,
            "builders",
            {"when": "always"},
            "builders.when",
            "must be 'hosts', 'overflow' or 'codeBuild'",
        ),
        (
            EXAMPLE,
            "builders",
            {"overflowAfter": 60},
            "builders.overflowAfter",
            'only where builders.when is "overflow"; it is "hosts"',
        ),
        (
            CODE_BUILD,
            "builders.overflowAfter",
            60,
            "builders.overflowAfter",
            'only where builders.when is "overflow"; it is "codeBuild"',
        ),
        (
            EXAMPLE,
            "builders",
            {"codeBuild": {}},
            CODE,
            'only where builders.when is "overflow" or "codeBuild"',
        ),
        (CODE_BUILD, "network", {}, "network", "the builders' own is builders.codeBuild.network"),
        (
            OVERFLOW,
            f"{CODE}.architecture",
            "x86_64",
            f"{CODE}.architecture",
            '"x86_64": must be "arm64", as buildHost.architecture',
        ),
        (CODE_BUILD, f"{CODE}.image", ARM, f"{CODE}.image", "is for arm64, and builds run on x86"),
        (
            CODE_BUILD,
            f"{CODE}.image",
            "aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.13",
            f"{CODE}.image",
            "has no docker daemon",
        ),
        (CODE_BUILD, f"{CODE}.image", "python:3.13", f"{CODE}.image", "one in ECR with its tag"),
        (CODE_BUILD, f"{CODE}.image", ELSEWHERE, f"{CODE}.image", "must be in eu-central-1"),
        (CODE_BUILD, f"{CODE}.compute", "tiny", f"{CODE}.compute", "must be 'small', 'medium'"),
        (CODE_BUILD, f"{CODE}.limit", 0, f"{CODE}.limit", "greater than or equal to 1"),
        (CODE_BUILD, f"{CODE}.timeout", 4, f"{CODE}.timeout", "greater than or equal to 5"),
        (CODE_BUILD, f"{CODE}.timeout", 2161, f"{CODE}.timeout", "less than or equal to 2160"),
        (
            CODE_BUILD,
            f"{CODE}.timeout",
            74,
            f"{CODE}.timeout",
            "74: must be at least 75: pipeline 'shop' may fetch for 600 s and build for 3600 s",
        ),
        (
            CODE_BUILD,
            "pipelines.0.images.0.test",
            {"target": "tests", "timeout": 200_000},
            "pipelines[0].buildTimeout",
            "with fetchTimeout and the time of its tests",
        ),
        (
            CODE_BUILD,
            "pipelines.1.buildTimeout",
            200_000,
            "pipelines[1].buildTimeout",
            "the 2160 minutes that CodeBuild lets a build have",
        ),
        (
            CODE_BUILD,
            f"{CODE}.network",
            {"subnets": ["subnet-01234567"], "securityGroups": ["sg-01234567"]},
            f"{CODE}.network.vpc",
            "is missing: give it, or network.vpcId",
        ),
        (
            CODE_BUILD,
            f"{CODE}.network",
            {"subnets": [], "securityGroups": ["sg-1"]},
            f"{CODE}.network.securityGroups[0]",
            "a security group's id, sg-…",
        ),
        (
            CODE_BUILD,
            "pipelines.0.images.0.platform",
            "linux/arm64",
            "pipelines[0].images[0].platform",
            "builds of CodeBuild are for linux/amd64 only",
        ),
        (
            EXAMPLE,
            "dockerHub",
            {"secret": NEAR.replace("eu-central-1", "us-east-1")},
            "dockerHub.secret",
            "secrets are asked for in eu-central-1",
        ),
        (EXAMPLE, "dockerHub", {"secret": "hub"}, "dockerHub.secret", "a Secrets Manager secret"),
    ],
)
def test_a_fault_is_told_by_path_value_and_what_is_allowed(
    base: Path, path: str, value: Any, where: str, said: str
) -> None:
    assert said in problems(changed(path, value, base))[where]


OF_A_RULE = {
    "hosts_where_they_build": changed("buildHost", REMOVE),
    "given_where_used": changed("builders", {"codeBuild": {}}),
    "same_processor": changed(f"{CODE}.architecture", "x86_64", OVERFLOW),
    "image_fits": changed(f"{CODE}.image", ARM, CODE_BUILD),
    "time_for_a_build": changed(f"{CODE}.timeout", 74, CODE_BUILD),
    "most_time_of_all": changed("pipelines.1.buildTimeout", 200_000, CODE_BUILD),
    "whole_builder_network": changed(
        f"{CODE}.network", {"subnets": ["subnet-01234567"], "securityGroups": ["sg-01234567"]},
        CODE_BUILD,
    ),
    "secret_is_near": changed("dockerHub", {"secret": NEAR.replace("eu-", "us-")}),
}  # fmt: skip


@pytest.mark.parametrize("rule", [rule.__name__ for rule in BUILDER_RULES])
def test_each_rule_is_what_refuses_its_fault(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = OF_A_RULE[rule]
    if rule == "most_time_of_all":
        del data["builders"]["codeBuild"]["timeout"]
    problems(data)
    # WHEN the rule is not there THEN nothing refuses it
    rest = [r for r in BUILDER_RULES if r.__name__ != rule]
    monkeypatch.setattr("slipway.configuration.rules._RULES", rest)
    parse(data)


def test_the_defaults_of_a_builder_are_the_contracts() -> None:
    data = read(CODE_BUILD)
    data["builders"] = {"when": "codeBuild"}
    made = resolve(parse(data))
    # THEN a build has the time that the slowest pipeline may take, in seconds
    assert made.builders == BuildersSettings(when="codeBuild", timeout=75 * 60.0)
    assert made.host_count == 0
    assert made.functions == ("starter", "follower", "notifier", "reconciler")
    assert str(made.docker_hub_secret).endswith(":222222222222:secret:docker-hub")
    # AND who has said nothing has hosts
    assert resolve(load(EXAMPLE)).builders.when == BuildersSettings().when == "hosts"


def test_hosts_and_builders_build_for_one_processor() -> None:
    over, alone = load(OVERFLOW), load(CODE_BUILD)
    assert (over.architecture, over.platform) == ("arm64", "linux/arm64")
    assert (alone.architecture, alone.platform) == ("x86_64", "linux/amd64")
    assert parse(changed(f"{CODE}.image", REMOVE, OVERFLOW)).builder_image == IMAGES["arm64"]
    # AND hosts that are configured and not used decide nothing
    data = read(CODE_BUILD)
    data["buildHost"] = {"architecture": "arm64"}
    assert parse(data).architecture == "x86_64"
    assert parse(data).hosts is None


def of_real_accounts() -> Any:
    """CodeBuild alone, in accounts that are no placeholders."""
    data = read(CODE_BUILD)
    data["dev"]["account"], data["prod"]["account"] = "333333333333", "444444444444"
    data["dev"]["operators"], data["pipelines"] = [], data["pipelines"][1:]
    data["pipelines"][0]["service"]["roles"] = []
    return data


def test_nothing_has_to_be_found_where_there_is_neither_host_nor_sample() -> None:
    place = place_of(parse(of_real_accounts()), {}.get)
    assert (place.ami, place.zone) == (None, None)


def test_the_bounds_are_those_of_aws_s_own_model() -> None:
    model = botocore.session.get_session().get_service_model("codebuild")
    assert model.shape_for("BuildTimeOut").metadata == {"min": 5, "max": MOST_TIMEOUT}
    network = model.shape_for("VpcConfig").members
    assert (network["subnets"].metadata["max"], network["securityGroupIds"].metadata["max"]) == (
        16, 5,
    )  # fmt: skip
    assert {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_2XLARGE"} <= set(
        model.shape_for("ComputeType").enum
    )


def test_the_command_says_what_the_choice_costs_a_month(tmp_path: Path) -> None:
    ours = tmp_path / "ours.json"

    def check(compute: str, *words: str) -> str:
        data = of_real_accounts()
        del data["builders"]["codeBuild"]["pricePerMinute"]
        data["builders"]["codeBuild"]["compute"] = compute
        ours.write_text(json.dumps(data))
        result = CliRunner().invoke(command, ["check", str(ours), *words])
        assert result.exit_code == 0
        return str(result.stdout)

    said = check("small")
    assert 'builders.when is "codeBuild": $0.69 a month for 40 deployments of 4 min' in said
    said = check("small", "--deployments", "1", "--build-minutes", "2")
    assert "for 1 deployment of 2 min" in said
    assert json.loads(check("small", "--json"))["month"] == pytest.approx(0.6914, abs=1e-4)
    # AND a price that is not known is told, and how to give it
    assert "pricePerMinute" in check("xlarge")
    assert json.loads(check("xlarge", "--json"))["month"] is None


def test_every_rule_has_its_fault_here() -> None:
    assert set(OF_A_RULE) == {rule.__name__ for rule in builder_rules.BUILDER_RULES}
