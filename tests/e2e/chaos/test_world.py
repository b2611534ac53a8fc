"""AWS, Slack and the registry fail for a while: it is deployed later, the commit is not blamed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.chaos.trial import Cost, Trial

SECONDS = 12.0
"""Longer than a client's own repeats last, so that the deployment itself has to be repeated."""


@dataclass(frozen=True)
class Outage:
    """`during`: the stage at which it begins; None: before the push."""

    service: str
    words: str
    action: str = ""
    during: str | None = None
    how: Mapping[str, Any] = field(default_factory=lambda: {"seconds": SECONDS})
    cost: Cost = field(default_factory=Cost)


OUTAGES = {
    "registry": Outage("registry", "no layer can be pushed", during="build", cost=Cost(builds=2)),
    "ecr": Outage("ecr", "ECR's API does not answer", during="build", cost=Cost(builds=2)),
    "ecs": Outage("ecs", "ECS cannot be asked what runs", how={"seconds": 20.0}),
    "ecs-while-waiting": Outage("ecs", "ECS goes silent in the rollout", during="wait"),
    "ecs-throttles": Outage(
        "ecs",
        "ECS throttles the update",
        action="UpdateService",
        how={"times": 6, "code": "ThrottlingException", "status": 400},
    ),
    "sns": Outage("sns", "the outcome cannot be announced", action="Publish", during="wait"),
    "sqs": Outage("sqs", "the lease cannot be renewed", during="build"),
    "dynamodb": Outage(
        "dynamodb", "the table does not answer", during="build", cost=Cost(builds=2)
    ),
    "no-capacity": Outage(
        "ec2",
        "the zone has no capacity for the host",
        action="StartInstances",
        how={"times": 1, "code": "InsufficientInstanceCapacity", "status": 500},
    ),
}


@pytest.mark.chaos
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
def test_an_outage(trial: Trial, outage: Outage) -> None:
    # GIVEN a push, and a service that fails from before it or from one of its stages on
    trial.say(outage.words)
    if outage.during is None:
        trial.fault(outage.service, outage.action, **outage.how)
    pushed = trial.push(f"while {outage.words}", "slow" if outage.during == "build" else "works")
    if outage.during is not None:
        trial.until_stage(pushed, outage.during)
        trial.fault(outage.service, outage.action, **outage.how)
    trial.until_felt(outage.service, timed="seconds" in outage.how)

    # THEN it ends as if nothing had happened, a little later
    trial.ends_well(pushed, outage.cost)
    assert [row.status for row in trial.rows()] == ["succeeded"]


@pytest.mark.chaos
def test_slack_is_down(trial: Trial) -> None:
    # GIVEN a Slack that answers nothing but errors for long
    trial.chain.slack_fault(500, count=1000)
    trial.say("Slack answers 500 to everything")

    # WHEN somebody pushes
    pushed = trial.push("while Slack is down")

    # THEN it is deployed, announced, and the host sleeps, all without Slack
    row = trial.chain.until_ended(pushed)
    trial.chain.until_asleep()
    assert row.status == "succeeded"
    assert trial.chain.serves() == pushed.commit_id
    assert trial.chain.notices(pushed.commit_id[:7]) == []
    trial.say(f"deployed and asleep {time.time() - pushed.ended_at:.0f} s after the push")

    # THEN its notice arrives once Slack is back
    trial.chain.slack_fault(500, count=0)
    trial.say("Slack is back")
    trial.ends_well(pushed)
