"""Is it over, and how? Looks that a scenario seldom shows, each with what it must mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.rollout.judge import (
    Look,
    Ours,
    ServiceDeployment,
    is_counted,
    is_scaled_up,
    is_up,
    judge,
)
from slipway.rollout.service import Deployment, Service

OURS = Ours(
    id="ecs-svc/2",
    task_definition="web:8",
    known_before=frozenset({"ecs-svc/1"}),
    previous="web:7",
    created_at=100.0,
)


def deployment(number: int, revision: int, **members: Any) -> Deployment:
    given = {"status": "ACTIVE", "state": "IN_PROGRESS", "desired": 1, "created_at": 100.0 + number}
    return Deployment(
        id=f"ecs-svc/{number}", task_definition=f"web:{revision}", **{**given, **members}
    )


def primary(number: int, revision: int, **members: Any) -> Deployment:
    return deployment(number, revision, status="PRIMARY", **members)


def service(*deployments: Deployment, **members: Any) -> Service:
    given = {"strategy": "ROLLING", "scheduling": "REPLICA", "controller": "ECS", "desired": 1}
    return Service(
        arn="arn",
        name="web",
        cluster="prod",
        status="ACTIVE",
        task_definition="web:8",
        deployments=deployments,
        **{**given, **members},
    )


STEADY = "(service web) has reached a steady state."


def said(message: str, *, at: float) -> dict[str, Any]:
    """A service with one event."""
    return {"events": [{"message": message, "createdAt": at}]}


def mine(status: str, **members: Any) -> ServiceDeployment:
    return ServiceDeployment(arn="sd", status=status, **members)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A look, and what it means: `go_on`, `rolling_back`, or how it ended."""

    seen: Service
    ours: ServiceDeployment | None = None
    means: str
    at: dict[str, Any] = field(default_factory=dict)
    says: str = ""


LATE = {"age": 60.0, "odd_for": 60.0}
OLD = primary(1, 7, state="COMPLETED", created_at=10.0)

ROWS = {
    # somebody else's deployment of the previous revision is no rollback of ECS
    "another deployment of the previous revision": Row(
        seen=service(primary(3, 7), deployment(2, 8)), at=LATE, means="superseded"
    ),
    "another deployment of another revision while ours had failed": Row(
        seen=service(primary(3, 5), deployment(2, 8, state="FAILED")), at=LATE, means="superseded"
    ),
    "ECS's words in the new deployment": Row(
        seen=service(primary(3, 7, state="COMPLETED", reason="ECS deployment rolling back.")),
        at=LATE,
        means="rolled_back",
    ),
    "ECS's words in the service's events": Row(
        seen=service(
            primary(3, 7, state="COMPLETED"),
            events=("(service web) (deployment ecs-svc/2) failed: rolling back to ecs-svc/1.",),
        ),
        at=LATE,
        means="rolled_back",
        says="rolling back to ecs-svc/1",
    ),
    "the rollback itself is not over": Row(
        seen=service(primary(1, 7), deployment(2, 8, state="FAILED", reason="breaker")),
        at=LATE,
        means="rolling_back",
        says="breaker",
    ),
    # one odd answer is not believed
    "a newer deployment seen once": Row(
        seen=service(primary(3, 5), deployment(2, 8)), at={"odd_for": 0.0}, means="go_on"
    ),
    "an answer from before the update": Row(
        seen=service(OLD), at={"age": 10.0, "odd_for": 10.0}, means="go_on"
    ),
    "an answer from before the update, though ours was seen": Row(
        seen=service(OLD), at={"age": 14.0, "odd_for": 5.0, "ours_seen": True}, means="go_on"
    ),
    "an old deployment that was not known, for a moment": Row(
        seen=service(primary(9, 7, created_at=50.0)), at={"odd_for": 5.0}, means="go_on"
    ),
    "the state before, and it stays": Row(
        seen=service(OLD), at=LATE, means="rolled_back", says="went back"
    ),
    "no primary deployment": Row(seen=service(deployment(2, 8)), means="go_on"),
    # ours failed
    "ours failed, and the service rolls back by itself": Row(
        seen=service(primary(2, 8, state="FAILED", reason="breaker"), breaker_rolls_back=True),
        at={"odd_for": 1.0},
        means="rolling_back",
    ),
    "ours failed, and the rollback does not come": Row(
        seen=service(primary(2, 8, state="FAILED", reason="breaker"), breaker_rolls_back=True),
        at={"odd_for": 5.0},
        means="failed",
        says="breaker",
    ),
    # a Classic load balancer: there is no rolloutState
    "no rolloutState, alone, and ECS says that it is steady": Row(
        seen=service(primary(2, 8, state=None, running=1), raw=said(STEADY, at=105.0)),
        means="succeeded",
    ),
    "no rolloutState, alone and running, and ECS has not said that it is steady": Row(
        seen=service(primary(2, 8, state=None, running=1), raw=said(STEADY, at=90.0)),
        means="go_on",
    ),
    "no rolloutState, the old one is still there": Row(
        seen=service(primary(2, 8, state=None, running=1), deployment(1, 7, state=None)),
        means="go_on",
    ),
    "no rolloutState, a task is missing": Row(
        seen=service(primary(2, 8, state=None, running=0)), means="go_on"
    ),
    "completed, but of another revision": Row(
        seen=service(primary(2, 9, state="COMPLETED")), means="go_on"
    ),
    # our service deployment, where ECS tells about it
    "successful": Row(seen=service(primary(2, 8)), ours=mine("SUCCESSFUL"), means="succeeded"),
    "successful, in an answer from before": Row(
        seen=service(OLD), ours=mine("SUCCESSFUL"), at={"odd_for": 2.0}, means="go_on"
    ),
    "successful, and somebody came right after": Row(
        seen=service(primary(3, 9)),
        ours=mine("SUCCESSFUL"),
        at={"odd_for": 4.0},
        means="superseded",
        says="ecs-svc/3 of web:9 took over",
    ),
    "successful, and the state before stays": Row(
        seen=service(OLD), ours=mine("SUCCESSFUL"), at=LATE, means="superseded"
    ),
    "stopped, and a newer one is there": Row(
        seen=service(primary(3, 9)), ours=mine("STOPPED"), at={"odd_for": 1.0}, means="superseded"
    ),
    "stopped, in an answer from before": Row(
        seen=service(OLD),
        ours=mine("STOPPED"),
        at={"age": 5.0, "odd_for": 1.0, "ours_seen": False},
        means="go_on",
    ),
    "stopped at once, the newer one may still come": Row(
        seen=service(primary(2, 8)), ours=mine("STOPPED"), at={"age": 1.0}, means="go_on"
    ),
    "stopped, and nobody else": Row(
        seen=service(primary(2, 8)),
        ours=mine("STOPPED", reason="breaker"),
        at={"age": 20.0},
        means="failed",
        says="breaker",
    ),
    "being stopped": Row(
        seen=service(primary(2, 8)), ours=mine("STOP_REQUESTED"), at=LATE, means="go_on"
    ),
    "a status that is not known yet": Row(
        seen=service(primary(2, 8)), ours=mine("SOMETHING_NEW"), at=LATE, means="go_on"
    ),
    "the rollback failed": Row(
        seen=service(primary(2, 8)), ours=mine("ROLLBACK_FAILED"), means="failed"
    ),
    "the rollback was asked for": Row(
        seen=service(primary(2, 8)), ours=mine("ROLLBACK_REQUESTED"), means="rolling_back"
    ),
    "rolled back": Row(
        seen=service(OLD),
        ours=mine("ROLLBACK_SUCCESSFUL", rollback_reason="Alarm web-5xx"),
        means="rolled_back",
        says="Alarm web-5xx",
    ),
    "in progress says nothing, whatever rolloutState says": Row(
        seen=service(primary(2, 8, state="COMPLETED")), ours=mine("IN_PROGRESS"), means="go_on"
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_a_look_means(row: Row) -> None:
    look = Look(**{"service": row.seen, "ours": row.ours, "age": 30.0, **row.at})

    verdict = judge(OURS, look)

    assert (verdict.outcome or verdict.ending) == row.means
    assert row.says in verdict.cause


NEW_UP = primary(2, 8, running=1)


@pytest.mark.parametrize(
    ("seen", "up"),
    [
        (service(NEW_UP, deployment(1, 7, desired=0, running=1)), True),
        (service(NEW_UP, deployment(1, 7, desired=1), load_balanced=True), True),
        (service(primary(2, 8, running=0)), False),
        (service(primary(2, 8, running=1, pending=1)), False),
        (service(primary(2, 8, running=1, state="FAILED")), False),
        (service(deployment(2, 8, running=1), primary(3, 9)), False),
    ],
)
def test_when_the_new_tasks_run(seen: Service, up: bool) -> None:
    assert is_up(OURS, Look(service=seen, ours=None, age=10.0)) is up


FOUR = primary(2, 8, running=4, desired=4)


@pytest.mark.parametrize(
    ("seen", "counted"),
    [
        (service(NEW_UP, deployment(1, 7, desired=0, running=1)), True),
        (service(NEW_UP, deployment(1, 7, desired=1, running=1)), False),
        # ECS may stop the old ones before the new ones are healthy
        (service(NEW_UP, deployment(1, 7, desired=0, running=1), min_percent=0), False),
        (service(FOUR, deployment(1, 7, desired=0), min_percent=75), False),
        (service(FOUR, deployment(1, 7, desired=0), min_percent=76), True),
    ],
)
def test_when_ecs_acts_as_if_the_new_tasks_counted(seen: Service, counted: bool) -> None:
    assert is_counted(OURS, Look(service=seen, ours=None, age=10.0)) is counted


@pytest.mark.parametrize(
    ("strategy", "stage", "up"),
    [
        ("BLUE_GREEN", "PRE_SCALE_UP", False),
        ("BLUE_GREEN", "SCALE_UP", False),
        ("BLUE_GREEN", "BAKE_TIME", True),
        ("LINEAR", "PRE_PRODUCTION_TRAFFIC_SHIFT", True),
        ("ROLLING", "BAKE_TIME", False),
    ],
)
def test_which_stages_say_that_the_new_tasks_are_up(strategy: str, stage: str, up: bool) -> None:
    seen = service(NEW_UP, strategy=strategy)
    look = Look(service=seen, ours=mine("IN_PROGRESS", stage=stage), age=10.0)
    assert is_scaled_up(look) is up
