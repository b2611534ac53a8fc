"""kill -9 of the agent at each stage of a deployment: nothing lost, nothing done twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.chaos.trial import END_SECONDS, Cost, Trial

ONCE = Cost()


@dataclass(frozen=True)
class Death:
    """Where the agent dies, in words, and what the whole may cost then."""

    point: str
    words: str
    passes: int = 1
    cost: Cost = ONCE


DEATHS = {
    "after-receive": Death("receive", "SQS had handed out the request"),
    "in-fetch": Death("in fetch", "the fetch had begun"),
    "in-build": Death("in build", "the build had begun", cost=Cost(builds=2)),
    "in-push": Death("in push", "the push had begun", cost=Cost(builds=2)),
    "half-pushed": Death(
        "tagged", "the layers were in ECR, the build's own tag was not", cost=Cost(builds=2)
    ),
    "after-push": Death("tagged", "the image was whole in ECR", passes=3),
    "after-hand-over": Death("handed over", "the row owned the rollout, and nobody had been told"),
    "after-delete": Death("deleted", "the request was deleted, nothing in ECS was changed"),
    "after-register": Death(
        "registered", "ECS had the new revision, nobody had noted which", cost=Cost(revisions=2)
    ),
    "after-update": Death("updated", "ECS had taken the new revision"),
    "while-waiting": Death("in wait", "the new tasks were awaited"),
    "before-record": Death("in record", "the rollout had ended, nothing was recorded"),
    "after-record": Death("recorded", "the outcome was recorded, not announced"),
    "after-announce": Death("announced", "SNS had the notice, the table did not know"),
    "after-mark": Death("marked", "the notice was noted, the deployment not closed"),
}
SHORT = ("after-update",)


def idle_is_long(settings: dict[str, Any]) -> None:
    """Else the host may sleep before the rollout's end, and the follower passes the point."""
    settings["limits"]["idle_period"] = int(END_SECONDS)


def _cases() -> list[object]:
    long = pytest.mark.chaos
    return [
        pytest.param(death, id=name, marks=() if name in SHORT else long)
        for name, death in DEATHS.items()
    ]


@pytest.mark.parametrize("death", _cases())
def test_kill_the_agent(trial: Trial, death: Death) -> None:
    # GIVEN an agent that will die at one point
    trial.die_at(death.point, death.passes)

    # WHEN somebody pushes, and the host stays awake for that long
    with trial.installed(idle_is_long):
        pushed = trial.push(f"killed {death.point}")
        trial.chain.until("the agent's death", trial.is_dead, END_SECONDS)
    trial.say(f"kill -9 of the agent when {death.words}")

    # THEN it ends as if nothing had happened
    trial.ends_well(pushed, death.cost)
