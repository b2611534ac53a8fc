"""A configuration is right, or each fault is told by its path, its value and what is allowed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from slipway.configuration import LimitSettings, load, parse, read
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration
from slipway.contracts.installation import Installation, Limits, RolloutSettings, TestSettings
from tests.infra.templates import EXAMPLE, FULL, LOCAL

REMOVE = object()


def changed(path: str, value: Any, base: Path = EXAMPLE) -> Any:
    """The base configuration with the value at `path` (`a.0.b`) replaced or removed."""
    data = copy.deepcopy(read(base))
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    place = data
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else place[parent]
    if value is REMOVE:
        del place[last]
    else:
        place[last] = value
    return data


def problems(data: Any) -> dict[str, str]:
    with pytest.raises(InvalidConfiguration) as caught:
        parse(data)
    return dict(caught.value.problems)


@pytest.mark.parametrize("pattern", ["a.xml", "**/T-*.xml", "/app/r/*.xml", "out/[ab].xml"])
def test_reports_are_named_by_patterns(pattern: str) -> None:
    test = {"target": "tests", "reports": [pattern]}
    configuration = parse(changed("pipelines.0.images.0.test", test))
    settings = resolve(configuration).pipelines[0].images[0].test
    assert settings == TestSettings(target="tests", reports=(pattern,))
    again = Installation.from_json(resolve(configuration).to_json())
    assert again.pipelines[0].images[0].test == settings


def test_a_dockerfile_may_stand_anywhere_in_the_repository() -> None:
    image = {"context": "services/web", "dockerfile": "../../docker/web.Dockerfile"}
    base = read(EXAMPLE)["pipelines"][0]["images"][0]
    parse(changed("pipelines.0.images.0", {**base, **image}))
    image["dockerfile"] = "../../../web.Dockerfile"
    told = problems(changed("pipelines.0.images.0", {**base, **image}))
    assert told["pipelines[0].images[0].dockerfile"].endswith('from the context "services/web"')


@pytest.mark.parametrize("path", [EXAMPLE, FULL, LOCAL])
def test_the_examples_are_right(path: Path) -> None:
    load(path)


@pytest.mark.parametrize(
    ("path", "value", "where", "said"),
    [
        ("name", "Slip way", "name", '"Slip way": must be 1 to 24 lower-case'),
        ("region", REMOVE, "region", "is missing"),
        ("dev.account", "12", "dev.account", '"12": must be an account number of 12 digits'),
        ("dev.account", 111111111111, "dev.account", "111111111111: must be a text, in quotes"),
        ("dev.color", "red", "dev.color", "is not a known key here"),
        ("pipelines", [], "pipelines", "[]: "),
        ("pipelines.0.name", "Shop", "pipelines[0].name", '"Shop": must be 1 to 40'),
        ("pipelines.0.branch", "a..b", "pipelines[0].branch", '"a..b": must be a branch name'),
        ("pipelines.0.branch", "--all", "pipelines[0].branch", '"--all": must be a branch name'),
        (
            "pipelines.0.images.0.dockerfile",
            "../Dockerfile",
            "pipelines[0].images[0].dockerfile",
            '"../Dockerfile": leads out of the repository, from the context "."',
        ),
        (
            "pipelines.0.images.0.dockerfile",
            "/Dockerfile",
            "pipelines[0].images[0].dockerfile",
            "a file's path, relative to the context",
        ),
        (
            "pipelines.0.images.0.dockerfile",
            "docker/..",
            "pipelines[0].images[0].dockerfile",
            "a file's path, relative to the context",
        ),
        (
            "pipelines.0.images.0.context",
            "a/../b",
            "pipelines[0].images[0].context",
            "without '..'",
        ),
        (
            "pipelines.0.submodules",
            ["https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/lib"],
            "pipelines[0].submodules[0]",
            'such as "lib"',
        ),
        ("pipelines.0.submodules", "lib", "pipelines[0].submodules", "must be a list"),
        (
            "pipelines.0.images.0.platform",
            "windows",
            "pipelines[0].images[0].platform",
            "must be 'linux/arm64' or 'linux/amd64'",
        ),
        (
            "pipelines.0.images.0.platform",
            "linux/amd64",
            "pipelines[0].images[0].platform",
            "the build host builds for linux/arm64 only",
        ),
        (
            "pipelines.0.images.0.buildSecrets.npm",
            "hunter2",
            "pipelines[0].images[0].buildSecrets.npm",
            "an SSM parameter's name that starts with '/'",
        ),
        (
            "pipelines.0.images.0.buildSecrets.npm",
            "arn:aws:secretsmanager:eu-central-1:222222222222:secret:npm-AbCdEf:token::",
            "pipelines[0].images[0].buildSecrets.npm",
            "(nothing after its name)",
        ),
        (
            "pipelines.0.images.0.buildSecrets.npm",
            "arn:aws:secretsmanager:us-east-1:222222222222:secret:npm",
            "pipelines[0].images[0].buildSecrets.npm",
            "the build host asks for secrets of eu-central-1",
        ),
        (
            "pipelines.0.images.0.baseRepositories",
            ["base/python:3.13"],
            "pipelines[0].images[0].baseRepositories[0]",
            "an ECR repository's URI without a tag",
        ),
        (
            "pipelines.0.images.0.baseRepositories",
            ["333333333333.dkr.ecr.us-east-1.amazonaws.com/base"],
            "pipelines[0].images[0].baseRepositories[0]",
            "must be in eu-central-1; ECR can replicate it there",
        ),
        (
            "pipelines.0.images.0.test",
            {},
            "pipelines[0].images[0].test.target",
            "is missing",
        ),
        (
            "pipelines.0.images.0.test",
            {"target": "tests", "reports": ["../x.xml"]},
            "pipelines[0].images[0].test.reports[0]",
            "\"../x.xml\": must be a path in the container, or a pattern with '*'",
        ),
        (
            "pipelines.0.images.0.test",
            {"target": "tests", "reports": ["/*/x.xml"]},
            "pipelines[0].images[0].test.reports[0]",
            "after a '/' at its beginning comes a plain name",
        ),
        (
            "pipelines.0.images.0.test",
            {"target": "tests", "memory": 1},
            "pipelines[0].images[0].test.memory",
            "greater than or equal to 64",
        ),
        (
            "pipelines.0.images.0.test",
            {"target": "tests", "command": "make check"},
            "pipelines[0].images[0].test.command",
            "must be a list",
        ),
        ("region", "cn-north-1", "region", "AWS in China is not supported"),
        ("dev.region", "cn-northwest-1", "dev.region", "AWS in China is not supported"),
        ("prod.region", "us-gov-west-1", "prod.region", "in another partition than eu-central-1"),
        (
            "permissionsBoundary",
            "arn:aws:iam::222222222222:policy/platform/boundary",
            "permissionsBoundary",
            'give its name, "platform/boundary", and make one in each',
        ),
        (
            "pipelines.0.service",
            {"cluster": "production"},
            "pipelines[0].service.name",
            "is missing (or set sample to true)",
        ),
        (
            "pipelines.0.service.cluster",
            "production",
            "pipelines[0].service.cluster",
            "is not allowed where sample is true",
        ),
        ("buildHost.count", 11, "buildHost.count", "11: must be less than or equal to 10"),
        ("buildHost.ami", "latest", "buildHost.ami", '"latest": must be an AMI\'s id'),
        ("buildHost.volumeKey", "alias/x", "buildHost.volumeKey", "the ARN of a KMS key"),
        (
            "buildHost.volumeKey",
            "arn:aws:kms:us-east-1:222222222222:key/1234abcd",
            "buildHost.volumeKey",
            "is not in eu-central-1, where the hosts are",
        ),
        ("network.vpcId", "vpc-01234567", "network.subnetId", "go together"),
        (
            "network",
            {"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.0.0.0/24"},
            "network.cidr",
            "is of a network that is made",
        ),
        ("tags", {"AWS:owner": "me"}, "tags.AWS:owner", "reserved for AWS"),
        (
            "pipelines.0.service",
            {"cluster": "c", "name": "n", "roles": ["arn:aws:iam::222222222222:role/web-*"]},
            "pipelines[0].service.roles[0]",
            "without '*'",
        ),
        (
            "network.availabilityZone",
            "us-east-1a",
            "network.availabilityZone",
            "is not in eu-central-1",
        ),
        ("region", "us-gov-west-1", "lambdas.powertoolsLayer", "is missing: in us-gov-west-1"),
        ("limits.lockTtl", 300, "limits.lockTtl", "300: must be at least 325 (AWS takes calls"),
        ("limits.followFirst", 90, "limits.followLongest", "60: must be at least 90 (followFi"),
        ("limits.followLongest", 901, "limits.followLongest", "901: must be less than or equal to"),
        (
            "limits.settledKept",
            40 * 86400 - 1,
            "limits.settledKept",
            "3455999: must be greater than or equal to 3456000",
        ),
        ("limits.deploymentsKept", 60, "limits.deploymentsKept", "60: must be greater than"),
        ("limits.stopClaim", 30, "limits.stopClaim", "30: must be greater than or equal to 60"),
        (
            "dev.operators",
            ["arn:aws:iam::111111111111:role/x"],
            "dev.operators[0]",
            "must be a role or user of the prod account",
        ),
        ("notices.emails", ["ops"], "notices.emails[0]", '"ops": must be an e-mail address'),
        ("permissionsBoundary", "a b", "permissionsBoundary", "an IAM policy's ARN, or the name"),
        (
            "pipelines.0.notices.commitUrl",
            "https://example.com/",
            "pipelines[0].notices.commitUrl",
            "holds {commit}",
        ),
    ],
)
def test_a_fault_is_told_by_path_value_and_what_is_allowed(
    path: str, value: Any, where: str, said: str
) -> None:
    found = problems(changed(path, value))
    assert said in found[where]


def test_all_faults_are_told_at_once() -> None:
    data = changed("name", "Slip way")
    data["buildHost"]["count"] = 0
    assert set(problems(data)) == {"name", "buildHost.count"}


def test_a_repository_said_twice_is_meant_once() -> None:
    # GIVEN two pipelines on one repository, one of which wants it created
    data = read(FULL)
    data["pipelines"][1]["repository"]["create"] = True
    assert "said differently" in problems(data)["pipelines[1].repository"]


def test_two_pipelines_cannot_deploy_one_service() -> None:
    data = read(FULL)
    data["pipelines"][1]["service"]["name"] = "shop"
    assert "one pipeline a service" in problems(data)["pipelines[1].service"]


def test_two_pipelines_cannot_have_one_name() -> None:
    data = read(FULL)
    data["pipelines"][1]["name"] = "shop"
    assert "taken already" in problems(data)["pipelines[1].name"]


def test_limits_and_rollout_have_the_contract_s_fields_and_defaults() -> None:
    assert Limits(**LimitSettings().model_dump()) == Limits()
    assert resolve(load(EXAMPLE)).pipelines[0].rollout == RolloutSettings()


def test_what_a_push_does_during_a_rollout_is_each_pipelines_own_to_say() -> None:
    chosen = {p.name: p.rollout.new_push for p in resolve(load(FULL)).pipelines}
    assert chosen.pop("shop") == "takeOver"
    assert set(chosen.values()) == {"wait"}
    # AND another word is refused, with those that there are
    data = read(FULL)
    data["pipelines"][0]["rollout"]["newPush"] = "supersede"
    said = problems(data)["pipelines[0].rollout.newPush"]
    assert "'wait'" in said
    assert "'takeOver'" in said


def test_an_installation_survives_its_file() -> None:
    for path in (EXAMPLE, FULL, LOCAL):
        installation = resolve(load(path))
        assert Installation.from_json(installation.to_json()) == installation


def test_places_are_the_accounts_own() -> None:
    shop = resolve(load(FULL)).pipeline("shop")
    assert shop.git_url == "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/shop"
    assert shop.source_role_arn == "arn:aws:iam::111111111111:role/slipway-stage-source"
    assert shop.images[0].repository_uri == (
        "222222222222.dkr.ecr.eu-central-1.amazonaws.com/shop/web"
    )
    assert shop.webhook_parameter == "/slipway-stage/slack-webhook/shop"


def test_places_of_one_machine_are_its_own() -> None:
    sample = resolve(load(LOCAL)).pipeline("sample")
    assert sample.git_url == "http://127.0.0.1:4570/sample"
    assert sample.images[0].repository_uri == "127.0.0.1:4566/sample"


def test_stage_and_production_have_no_name_in_common() -> None:
    stage = resolve(parse(changed("name", "slipway-stage"))).names
    production = resolve(load(EXAMPLE)).names
    for name in (
        "trigger_role",
        "source_role",
        "host_role",
        "table",
        "build_queue",
        "request_topic",
    ):
        assert getattr(stage, name) != getattr(production, name)
