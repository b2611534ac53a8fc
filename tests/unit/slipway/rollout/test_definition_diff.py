"""What two task definitions differ in beside images: names, no values that may be secret."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from slipway.rollout.definition_diff import beside_images, same_definition
from tests.aws.wire import Json
from tests.scripted_ecs import IMAGE, ScriptedEcs, becomes_healthy
from tests.unit.slipway.rollout.stepwise import KillsEach, rolled_out
from tests.unit.slipway.rollout.test_stepwise import world

SECRET = "hunter2"
WANTED: dict[str, Any] = {
    "family": "web",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
        {
            "name": "web",
            "image": "app:v1",
            "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": "LEVEL", "value": SECRET}, {"name": "A", "value": "1"}],
            "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:x"}],
            "healthCheck": {"command": ["CMD", SECRET]},
            "logConfiguration": {"logDriver": "awslogs", "options": {"cpu": SECRET}},
            "dockerLabels": {"memory": SECRET},
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
        },
        {"name": "proxy", "image": "envoy:v1", "essential": False},
    ],
    "volumes": [{"name": "data"}],
    "tags": [{"key": "team", "value": SECRET}],
}
REGISTERED = copy.deepcopy(WANTED)
REGISTERED["containerDefinitions"][0] |= {
    "cpu": 0,
    "essential": True,
    "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
    "environment": [{"name": "A", "value": "1"}, {"name": "LEVEL", "value": SECRET}],
    "healthCheck": {"command": ["CMD", SECRET], "interval": 30, "timeout": 5, "retries": 3},
    "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": False}],
    "volumesFrom": [],
    "systemControls": [],
}
REGISTERED["containerDefinitions"][1] |= {"cpu": 0, "environment": [], "portMappings": []}
REGISTERED |= {"volumes": [{"name": "data", "host": {}}], "placementConstraints": []}
"""As ECS answers it: its defaults filled in, the environment in another order."""


def test_what_ecs_fills_in_is_no_change() -> None:
    assert beside_images(REGISTERED, WANTED) == ()
    assert same_definition(REGISTERED, WANTED)


def test_another_image_alone_is_no_change_beside_images_and_yet_another_definition() -> None:
    other = copy.deepcopy(WANTED)
    other["containerDefinitions"][0]["image"] = "app:v2"
    assert beside_images(REGISTERED, other) == ()
    assert not same_definition(REGISTERED, other)


def env(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("place", "member", "value", "lines"),
    [
        (None, "cpu", "512", ("cpu: 256 → 512",)),
        (None, "memory", None, ("memory: 512 → none",)),
        (None, "taskRoleArn", "arn:aws:iam::1:role/x", ("taskRoleArn: added",)),
        (None, "volumes", [], ("volumes.data: removed",)),
        (None, "tags", [{"key": "team", "value": "b"}], ("tags.team: changed",)),
        (0, "environment", env(LEVEL="x", A="1"), ("web.environment.LEVEL: changed",)),
        (0, "environment", env(LEVEL=SECRET), ("web.environment.A: removed",)),
        (
            0, "environment", env(LEVEL=SECRET, A="1", NEW=SECRET),
            ("web.environment.NEW: added",),
        ),
        (0, "secrets", [], ("web.secrets.TOKEN: removed",)),
        (0, "memory", 256, ("web.memory: none → 256",)),
        (0, "essential", False, ("web.essential: none → false",)),
        (0, "command", [SECRET], ("web.command: added",)),
        (0, "dockerLabels", {"memory": "x"}, ("web.dockerLabels.memory: changed",)),
        (0, "healthCheck", {"command": ["CMD", "x"]}, ("web.healthCheck.command: changed",)),
        (
            0, "logConfiguration", {"logDriver": "awslogs", "options": {"cpu": "x"}},
            ("web.logConfiguration.options: changed",),
        ),
        (0, "portMappings", [{"containerPort": 80}], ("web.portMappings: changed",)),
        (1, "name", "other", ("container other: added", "container proxy: removed")),
    ],
)  # fmt: skip
def test_each_change_is_a_line_that_shows_no_secret(
    place: int | None, member: str, value: Any, lines: tuple[str, ...]
) -> None:
    changed = copy.deepcopy(WANTED)
    holder = changed if place is None else changed["containerDefinitions"][place]
    holder[member] = value
    if value is None:
        del holder[member]

    found = beside_images(REGISTERED, changed)

    assert found == lines
    assert SECRET not in " ".join(found)
    assert not same_definition(REGISTERED, changed)


@pytest.mark.parametrize("other", [[{"image": "x"}], [{"name": "web"}, {"name": "web"}]])
def test_containers_that_cannot_be_told_apart_are_a_change(other: list[dict[str, str]]) -> None:
    changed = {**WANTED, "containerDefinitions": other}
    assert beside_images(WANTED, changed) == ("containerDefinitions: changed",)
    assert not same_definition(WANTED, changed)


class FillsIn(ScriptedEcs):
    """ECS, which answers its defaults beside what was registered."""

    def add_definition(self, request: Json, tags: list[Json] | None = None) -> str:
        containers = [
            {"cpu": 0, "essential": True, "volumesFrom": [], **container}
            for container in request["containerDefinitions"]
        ]
        return super().add_definition({**request, "containerDefinitions": containers}, tags)


def test_a_whole_definition_whose_registering_was_not_answered_is_registered_once() -> None:
    # GIVEN a definition from a file, and a process that dies with each answer to a change
    container = {"name": "web", "image": f"{IMAGE}:v8", "memory": 64}
    scripted = FillsIn(behaviour=becomes_healthy(2.0))
    base = {"family": "web", "containerDefinitions": [container]}
    made = world(scripted, base=base, images={"web": f"{IMAGE}:v8"})
    # WHEN it is rolled out
    told = rolled_out(made, kills=KillsEach(answered=True))
    # THEN there is one revision of it
    assert (told.result.outcome, told.live) == ("succeeded", "web:8")
    assert len(scripted.definitions) == 4
