"""What is given to `deploy`: images, variables, empty values, files; and what is wrong use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, ScriptedEcs
from tests.unit.slipway.cli.deploy.command import Clients, slipway
from tests.unit.slipway.cli.deploy.test_deploy_command import DEPLOY, HEALTHY, newer_fields


def test_unknown_fields_reach_ecs_from_the_command_line() -> None:
    scripted = ScriptedEcs(behaviour=HEALTHY)
    newer_fields(scripted)

    assert slipway(Clients(scripted), *DEPLOY).exit_code == 0
    (sent,) = scripted.made("RegisterTaskDefinition")
    assert sent["quantumMode"] == {"entangled": True}
    assert sent["containerDefinitions"][0]["neuralPorts"] == [1]


@pytest.mark.parametrize(
    ("arguments", "image"),
    [
        (("-i", f"{IMAGE}:v8"), f"{IMAGE}:v8"),
        (("-i", IMAGE), f"{IMAGE}:latest"),
        (("-i", f"{IMAGE}:v8", "-e", "CI_TAG"), f"{IMAGE}:from-env"),
        (("-to", "0.1.899", "-i", "ignore"), f"{IMAGE}:0.1.899"),
        (("-to", "0.1.899"), f"{IMAGE}:0.1.899"),
        (("--container", "web=host:5000/moved:v1"), "host:5000/moved:v1"),
        (("-i", "app:x", "--container", "web=app:v1", "-to", "v3"), f"{IMAGE}:v3"),
    ],
)
def test_the_image_that_is_registered(arguments: tuple[str, ...], image: str) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    result = slipway(
        Clients(scripted),
        "deploy",
        "-c",
        "prod",
        "-n",
        "web",
        *arguments,
        env={"CI_TAG": "from-env"},
    )

    assert result.exit_code == 0, result.output
    (sent,) = scripted.made("RegisterTaskDefinition")
    assert [c["image"] for c in sent["containerDefinitions"]] == [image]


def test_the_line_of_ecs_deploys_readme_works_by_replacing_the_word() -> None:
    # GIVEN the line that its README gives under 'All options'
    line = (
        "-k ABC123 -s SECRETKEY -r us-east-1 -c prod -n web -i {} -m 50 -M 100 -t 240 -D 2 "
        "-e CI_TIMESTAMP -v"
    )
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(3.0))
    clients = Clients(scripted)

    # WHEN
    arguments = line.format(f"{IMAGE}:old").split()
    result = slipway(clients, "deploy", *arguments, env={"CI_TIMESTAMP": "1700000000"})

    # THEN
    assert result.exit_code == 0, result.output
    (update,) = scripted.made("UpdateService")
    assert (update["desiredCount"], update["deploymentConfiguration"]) == (
        2,
        {"minimumHealthyPercent": 50, "maximumPercent": 100},
    )
    assert clients.credentials is not None
    assert (clients.credentials.access_key, clients.credentials.region) == ("ABC123", "us-east-1")
    # AND neither key nor secret is shown, -v or not
    assert "ABC123" not in result.output
    assert "SECRETKEY" not in result.output
    assert "SECRETKEY" not in repr(clients.credentials)
    assert "ecs:UpdateService" in result.stderr


@pytest.mark.parametrize(
    ("given", "update"),
    [
        (("-D", "3"), {"desiredCount": 3}),
        (("-m", "50"), {"deploymentConfiguration": {"minimumHealthyPercent": 50}}),
        (("-M", "150"), {"deploymentConfiguration": {"maximumPercent": 150}}),
        ((), {}),
    ],
)
def test_what_is_given_is_all_that_is_set(given: tuple[str, ...], update: dict[str, Any]) -> None:
    # GIVEN a service of its own count and percentages
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    # WHEN one is set alone, THEN the others are not sent (ecs-deploy once sent 100 and 200)
    assert slipway(Clients(scripted), *DEPLOY, *given).exit_code == 0
    (sent,) = scripted.made("UpdateService")
    named = ("cluster", "service", "taskDefinition")
    assert {key: value for key, value in sent.items() if key not in named} == update


ACTION = (
    "--aws-access-key", "AKIA", "--aws-secret-key", "s", "", "", "", "", "--region", "us-east-1",
    "--service-name", "web", "", "", "--cluster", "prod", "--image", f"{IMAGE}:v8", "", "", "", "",
    "--min", "100", "--max", "200", "", "", "--timeout", "90", "", "", "", "", "", "",
)  # fmt: skip
"""What ecs-deploy's GitHub Action passes: an empty argument for each input that is not given."""


def test_empty_arguments_count_for_nothing() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    result = slipway(Clients(scripted), "deploy", *ACTION)

    assert result.exit_code == 0, result.output
    assert scripted.live == "web:8"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-i", ""), "-i/--image is missing"),
        (("-i", "app:v1", "-c", ""), "needs -c/--cluster"),
        (("-i", "app:v1", "-n", ""), "exactly one of"),
        (("-i", "app:v1", "-a", ""), "-a/--aws-assume-role ''"),
        (("-i", "app:v1", "-e", ""), "-e/--tag-env-var"),
        (("-i", "app:v1", "-D", ""), "not a valid int"),
        (("-i", "app:v1", "--container", ""), "must be NAME=IMAGE"),
        (("-i", "app:v1", "more"), "unexpected extra argument (more)"),
        (("-i", "app:v1", "", "more", ""), "unexpected extra argument (more)"),
    ],
)
def test_an_empty_value_is_no_value(arguments: tuple[str, ...], says: str) -> None:
    scripted = ScriptedEcs()

    result = slipway(Clients(scripted), "deploy", "-c", "prod", "-n", "web", *arguments)

    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert scripted.calls == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_definitions_file_may_begin_with_a_byte_order_mark(encoding: str) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    image = {"name": "web", "image": f"{IMAGE}:v1", "memory": 64, "command": ["é"]}
    Path("definition.json").write_text(
        json.dumps({"containerDefinitions": [image]}, ensure_ascii=False), encoding=encoding
    )

    result = slipway(Clients(scripted), *DEPLOY, "--task-definition-file", "definition.json")

    assert result.exit_code == 0, result.output
    (sent,) = scripted.made("RegisterTaskDefinition")
    assert sent["containerDefinitions"][0]["command"] == ["é"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-n", "web", "-i", "app:v1"), "needs -c/--cluster"),
        (("-c", "prod", "-n", "web"), "-i/--image is missing"),
        (("-c", "prod", "-n", "web", "-i", "App:v1"), "repository name 'App'"),
        (("-c", "prod", "-n", "web", "-i", "app:v1", "-e", "NOT_SET"), "is not set"),
        (("-c", "prod", "-n", "web", "-i", "app:v1", "-t", "soon"), "not a valid float"),
        (("--no-such-option",), "No such option"),
    ],
)
def test_wrong_use_is_2_and_asks_nothing_of_aws(arguments: tuple[str, ...], says: str) -> None:
    clients = Clients(ScriptedEcs())

    result = slipway(clients, "deploy", *arguments)

    assert (result.exit_code, clients.made) == (2, [])
    assert says in result.stderr
