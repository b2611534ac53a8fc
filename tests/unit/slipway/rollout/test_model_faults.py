"""What is wrong with a task definition: the same as botocore finds, and no value is told."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from slipway.rollout.model_faults import faults

MODEL = botocore.session.Session().get_service_model("ecs")
SHAPE = MODEL.operation_model("RegisterTaskDefinition").input_shape
SECRET = "hunter2"
GOOD: dict[str, Any] = {
    "family": "web",
    "cpu": "256",
    "requiresCompatibilities": ["FARGATE"],
    "containerDefinitions": [
        {
            "name": "web",
            "image": "<IMAGE1_NAME>",
            "memory": 256,
            "essential": True,
            "environment": [{"name": "TOKEN", "value": SECRET}],
            "dockerLabels": {"team": "a"},
            "healthCheck": {"command": ["CMD", "true"], "interval": 30},
            "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/web"}},
        }
    ],
    "volumes": [{"name": "data", "host": {"sourcePath": "/data"}}],
    "tags": [{"key": "team", "value": "a"}],
}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("containerDefinitions.0.memory", "256", "must be a whole number, not a text"),
        ("containerDefinitions.0.memory", True, "must be a whole number, not true or false"),
        ("containerDefinitions.0.memory", 1.5, "must be a whole number, not a number"),
        ("containerDefinitions.0.essential", "yes", "must be true or false, not a text"),
        ("containerDefinitions.0.environment.0.value", 1, "must be a text, not a number"),
        ("containerDefinitions.0.environment", {"TOKEN": SECRET}, "must be a list, not an object"),
        ("containerDefinitions.0.enviroment", [], "did you mean 'environment'?"),
        ("containerDefinitions.0.dockerLabels.team", 1, "must be a text, not a number"),
        ("containerDefinitions.0.healthCheck", {}, "is missing"),
        ("containerDefinitions.0", [SECRET], "must be an object, not a list"),
        ("cpu", 256, "must be a text, not a number"),
        ("volume", [], "did you mean 'volumes'?"),
    ],
)
def test_each_fault_is_told_by_its_path(path: str, value: Any, said: str) -> None:
    found = dict(faults(with_value(GOOD, path, value), SHAPE))

    ((where, problem),) = found.items()
    assert where.replace("[", ".").replace("]", "").startswith(path)
    assert said in problem
    assert SECRET not in f"{found}"


def with_value(data: Any, path: str, value: Any) -> Any:
    made = copy.deepcopy(data)
    *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
    place = made
    for parent in parents:
        place = place[parent]
    place[last] = value
    return made


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert list(faults(GOOD, SHAPE)) == []


def places(value: Any, path: str = "") -> Iterator[str]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield f"{path}{key}"
        yield from places(item, f"{path}{key}.")


# Without true and false: botocore takes them for numbers, and ECS does not.
WRONG = ("x", "", 1, -1, 1.5, [], ["x"], [1], {}, {"name": "x"}, {"nonsense": 1}, [{}])


def test_botocores_own_validator_finds_as_many_in_random_definitions() -> None:
    dice, wrong = random.Random(7), 0
    for _ in range(3000):
        given = copy.deepcopy(GOOD)
        for _ in range(dice.randint(1, 3)):
            path = dice.choice(list(places(given)))
            given = with_value(given, path, copy.deepcopy(dice.choice(WRONG)))
        theirs = ParamValidator().validate(given, SHAPE)._errors
        ours = list(faults(given, SHAPE))
        assert len(ours) == len(theirs), (given, ours, theirs)
        wrong += bool(ours)
    assert 1000 < wrong < 2999  # both kinds came up
