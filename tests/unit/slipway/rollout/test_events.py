"""A service's events say why ECS does not get on: that is the cause."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rollout import Progress
from slipway.rollout.events import says_steady, trouble
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs
from tests.unit.slipway.rollout.running import run

MEMORY = (
    "was unable to place a task because no container instance met all of its requirements. The "
    "closest matching (container-instance 05016874) has insufficient memory available."
)
CAPACITY = "was unable to place a task. Reason: Capacity is unavailable at this time."


def says(message: str) -> ecs.Behaviour:
    def behave(scripted: ScriptedEcs, new: Json) -> None:
        new["pendingCount"] = 0
        scripted.at(3.0, lambda: scripted.say(message))
        scripted.at(4.0, lambda: scripted.say("has started 1 tasks: (task 0123)."))

    return behave


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize("message", [MEMORY, CAPACITY])
def test_an_event_of_trouble_is_the_cause(message: str, history: bool) -> None:
    # GIVEN a service whose task ECS cannot place, and an older event of another trouble
    scripted = ScriptedEcs(behaviour=says(message), history=history)
    scripted.say("was unable to place a task because of yesterday.")
    scripted.clock.sleep(3600.0)
    seen: list[Progress] = []

    # WHEN it is deployed to
    result = run(scripted, image=f"{IMAGE}:v8", on_progress=seen.append)

    # THEN the event is told while it waits, and is the cause; the older one is not
    assert (result.outcome, result.restored, scripted.live) == ("timed_out", True, "web:7")
    assert message.rstrip(".") in result.cause
    assert any(message.rstrip(".") in p.waits for p in seen)
    assert "yesterday" not in result.cause


@pytest.mark.parametrize(
    ("message", "is_trouble"),
    [
        (MEMORY, True),
        (CAPACITY, True),
        ("is unable to consistently start tasks successfully.", True),
        ("failed to launch a task with (error ECS was unable to assume the role 'x').", True),
        ("(instance i-1) (port 80) is unhealthy in (target-group tg) due to (reason Health checks "
         "failed with these codes: [502]).", True),
        ("was unable to place a task. Reason: You've reached the limit on the number of vCPUs.",
         True),
        ("was unable to stop or start tasks during a deployment because of the service deployment "
         "configuration. Update the minimumHealthyPercent or maximumPercent value.", True),
        ("has started 1 tasks: (task 1). Amazon ECS replaced 1 tasks due to an unhealthy status.",
         True),
        ("operations are being throttled. Will try again later.", True),
        ("something that ECS says since next year.", True),
        ("has reached a steady state.", False),
        ("has started 2 tasks: (task 1) (task 2).", False),
        ("has stopped 1 running tasks: (task 1).", False),
        ("stopped 1 pending tasks.", False),
        ("registered 1 targets in (target-group tg)", False),
        ("deregistered 1 targets in (target-group tg)", False),
        ("has begun draining connections on 1 tasks.", False),
        ("(deployment ecs-svc/1) deployment completed.", False),
        ("updated computedDesiredCount for taskSet ecs-svc/1 to 2.", False),
        ("rolling back to deployment ecs-svc/1.", False),
    ],
)  # fmt: skip
def test_which_events_are_trouble(message: str, is_trouble: bool) -> None:
    raw = {"events": [{"message": f"(service web) {message}", "createdAt": 50.0}]}
    assert trouble(raw, since=40.0) == (message.rstrip(". ") if is_trouble else None)
    assert trouble(raw, since=60.0) is None


def test_a_steady_state_is_ecs_own_word() -> None:
    raw: dict[str, Any] = {"events": [{"message": "(service web) has reached a steady state.",
                                       "createdAt": 50.0}]}  # fmt: skip
    assert says_steady(raw, since=49.0)
    assert not says_steady(raw, since=60.0)
    assert not says_steady({"events": []}, since=None)
