"""`slipway taskdef`: the artifacts that CodePipeline's blue/green action takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.scripted_ecs import IMAGE, ScriptedEcs, denied
from tests.unit.slipway.cli.deploy.command import Clients, slipway

SERVICE = ("taskdef", "-c", "prod", "-n", "web")
LIVE: dict[str, Any] = {
    "family": "web",
    "cpu": "256",
    "memory": "512",
    "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "pidMode": "task",
    "enableFaultInjection": True,
    "containerDefinitions": [
        {
            "name": "web",
            "image": f"{IMAGE}:v7",
            "memory": 256,
            "environment": [{"name": "LEVEL", "value": "info"}, {"name": "REGION", "value": "x"}],
            "futureField": {"kept": True},
        },
        {"name": "proxy", "image": "envoy:v1", "dockerLabels": {"team": "a"}},
    ],
}


def _members_of_members(operation: str) -> list[tuple[str, str]]:
    """Every `member.inner` that botocore's model of the operation has, also of a container."""
    model = botocore.session.Session().get_service_model("ecs").operation_model(operation)
    members = model.input_shape.members
    container = members["containerDefinitions"].member.members
    return [
        (prefix + name, inner)
        for prefix, shapes in (("", members), ("web.", container))
        for name, shape in shapes.items()
        if shape.type_name == "structure"
        for inner in shape.members
    ]


@pytest.fixture
def scripted() -> ScriptedEcs:
    made = ScriptedEcs()
    arn = made.add_definition(LIVE, tags=[{"key": "team", "value": "a"}])
    made.service |= {
        "taskDefinition": arn,
        "loadBalancers": [{"containerName": "web", "containerPort": 8080}],
        "platformVersion": "1.4.0",
    }
    made.service["deployments"][0]["taskDefinition"] = arn
    return made


def written() -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(Path("taskdef.json").read_text())
    return definition


def test_writes_what_runs_without_what_ecs_adds(scripted: ScriptedEcs) -> None:
    result = slipway(Clients(scripted), *SERVICE)

    assert result.exit_code == 0, result.output
    assert written() == {**LIVE, "tags": [{"key": "team", "value": "a"}]}
    mark, _, spec = Path("appspec.yaml").read_text().partition("\n")
    assert mark.startswith("# Written by slipway taskdef")
    assert spec == (
        "version: 0.0\n"
        "Resources:\n"
        "  - TargetService:\n"
        "      Type: AWS::ECS::Service\n"
        "      Properties:\n"
        "        TaskDefinition: <TASK_DEFINITION>\n"
        "        LoadBalancerInfo:\n"
        '          ContainerName: "web"\n'
        "          ContainerPort: 8080\n"
        '        PlatformVersion: "1.4.0"\n'
    )
    assert {name for name, _ in scripted.calls} == {"DescribeServices", "DescribeTaskDefinition"}


@pytest.mark.parametrize(
    ("arguments", "images"),
    [
        (("--container", "web=<IMAGE1_NAME>"), ["<IMAGE1_NAME>", "envoy:v1"]),
        (("--all-containers", "app:v2"), ["app:v2", "app:v2"]),
        (("-i", f"{IMAGE}:v8"), [f"{IMAGE}:v8", "envoy:v1"]),
        (("--all-containers", "app:v2", "--container", "proxy=envoy"), ["app:v2", "envoy:latest"]),
    ],
)
def test_sets_the_image_of_one_container_or_all(
    scripted: ScriptedEcs, arguments: tuple[str, ...], images: list[str]
) -> None:
    assert slipway(Clients(scripted), *SERVICE, *arguments).exit_code == 0

    assert [c["image"] for c in written()["containerDefinitions"]] == images


def test_sets_values_of_an_environment(scripted: ScriptedEcs) -> None:
    given = (
        "cpu=512", "family=web-prod", "runtimePlatform.cpuArchitecture=X86_64",
        "web.environment.LEVEL=debug=1", "web.environment.NEW=yes", "web.memory=1024",
        "web.essential=true", "web.secrets.TOKEN=arn:aws:ssm:x", "proxy.dockerLabels.team=b",
        'volumes=[{"name": "data"}]', "web.stopTimeout=30",
    )  # fmt: skip
    arguments = [part for item in given for part in ("--set", item)]

    result = slipway(Clients(scripted), *SERVICE, *arguments, "--unset", "web.environment.REGION")

    assert result.exit_code == 0, result.output
    made = written()
    web, proxy = made["containerDefinitions"]
    assert (made["cpu"], made["family"], made["volumes"]) == ("512", "web-prod", [{"name": "data"}])
    assert made["runtimePlatform"] == {
        "cpuArchitecture": "X86_64",
        "operatingSystemFamily": "LINUX",
    }
    assert web["environment"] == [
        {"name": "LEVEL", "value": "debug=1"},
        {"name": "NEW", "value": "yes"},
    ]
    assert (web["memory"], web["essential"], web["stopTimeout"]) == (1024, True, 30)
    assert web["secrets"] == [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:x"}]
    assert web["futureField"] == {"kept": True}
    assert proxy["dockerLabels"] == {"team": "b"}


HELD = [
    "web.healthCheck.command", "web.environment.GONE", "web.secrets.TOKEN", "web.command",
    "web.dockerLabels.team", "web.logConfiguration.options.tag", "web.linuxParameters.tmpfs",
    "web.linuxParameters.capabilities.add", "web.firelensConfiguration.options.x", "volumes",
    "ephemeralStorage.sizeInGiB", "proxyConfiguration.type", "runtimePlatform.none", "taskRoleArn",
]  # fmt: skip


@pytest.mark.parametrize("path", HELD)
def test_what_is_absent_stays_absent(scripted: ScriptedEcs, path: str) -> None:
    # GIVEN a definition that has none of it
    result = slipway(Clients(scripted), *SERVICE, "--no-tags", "--unset", path)

    # THEN it is as it was (what no definition has is refused)
    if path.endswith("none"):
        assert result.exit_code == 2
        return
    assert result.exit_code == 0, result.output
    assert written() == LIVE


@pytest.mark.parametrize(
    "path", [f"{name}.{inner}" for name, inner in _members_of_members("RegisterTaskDefinition")]
)
def test_unsetting_any_member_makes_nothing_that_ecs_refuses(
    scripted: ScriptedEcs, path: str
) -> None:
    result = slipway(Clients(scripted), *SERVICE, "--no-tags", "--unset", path)

    assert result.exit_code in (0, 2), result.output
    if result.exit_code == 0:
        assert written() == LIVE or path.startswith("runtimePlatform.")  # which is there


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--set", "cpu"), "must be PATH=VALUE"),
        (("--set", "web.memory=lots"), "must be a whole number"),
        (("--set", "web.memory=true"), "must be a whole number"),
        (("--set", "web.essential=1"), "must be true or false"),
        (("--set", "volumes={}"), "must be a JSON list"),
        (("--set", "nonsense=1"), "'nonsense' is not one of family, "),
        (("--set", "web.nonsense=1"), "'nonsense' is not one of name, "),
        (("--set", "web.command.x=1"), "set it as JSON"),
        (("--set", "containerDefinitions=[]"), "name a container of web, proxy"),
        (("--unset", "family"), 'Missing required parameter in input: "family"'),
        (("--set", 'web.healthCheck={"interval": 5}'), 'containerDefinitions[0].healthCheck: "com'),
        (("--set", 'web.portMappings=[{"port": 80}]'), "Unknown parameter in containerDefinitions"),
        (
            ("--set", "web.command=[1]"),
            "Invalid type for parameter containerDef",
        ),
        (("--set", "web.logConfiguration.options.tag=x"), '"logDriver"'),
        (("--set", "ephemeralStorage={}"), '"sizeInGiB"'),
        (("--unset", "web.healthCheck.nonsense"), "'nonsense' is not one of command"),
        (("--container", "db=app:v1"), "there are: web"),
        (("--container", "web=App"), "repository name"),
        (("-i", "other:v1"), "there are: web"),
        (("--load-balancer", "db:80"), "must be NAME:PORT with one of web, proxy"),
        (("--load-balancer", "web:http"), "must be NAME:PORT"),
        (("-d", "web"), "exactly one of"),
    ],
)
def test_what_cannot_be_right_is_said_and_nothing_is_written(
    scripted: ScriptedEcs, arguments: tuple[str, ...], says: str
) -> None:
    result = slipway(Clients(scripted), *SERVICE, *arguments)

    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert not Path("taskdef.json").exists()


def test_a_family_needs_to_be_told_its_load_balancer(scripted: ScriptedEcs) -> None:
    family = ("taskdef", "-d", "web")

    result = slipway(Clients(scripted), *family)
    assert result.exit_code == 2
    assert "give --load-balancer NAME:PORT, or --no-appspec" in result.stderr

    assert slipway(Clients(scripted), *family, "--no-appspec", "--no-tags").exit_code == 0
    assert written() == LIVE
    assert not Path("appspec.yaml").exists()

    line = (*family, "--load-balancer", "proxy:443", "-o", "deep/er")
    assert slipway(Clients(scripted), *line).exit_code == 0
    assert 'ContainerName: "proxy"' in Path("deep/er/appspec.yaml").read_text()


def test_a_denied_look_is_3_and_one_sentence(scripted: ScriptedEcs) -> None:
    scripted.faults["DescribeTaskDefinition"] = denied("ecs:DescribeTaskDefinition")

    result = slipway(Clients(scripted), *SERVICE)

    assert result.exit_code == 3
    assert "not allowed" in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_that_cannot_be_written_is_3(scripted: ScriptedEcs) -> None:
    Path("file").write_text("")

    result = slipway(Clients(scripted), *SERVICE, "-o", "file/inside")

    assert result.exit_code == 3
    assert "cannot write to" in result.stderr
