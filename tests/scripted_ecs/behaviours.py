"""What becomes of a deployment: healthy, rolled back, crashing, superseded, never steady."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.aws.wire import Fault, Json
from tests.scripted_ecs.state import FAMILY, PREFIX, Behaviour

if TYPE_CHECKING:
    from tests.scripted_ecs.operations import ScriptedEcs


def becomes_healthy(after: float, *, drained: float | None = None) -> Behaviour:
    """The new task runs after `after` seconds; the deployment completes then, or at `drained`.

    Quicker than ECS, which waits until the task counts: for that, see `scripted_scheduler`.
    """

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        mine = ecs.service_deployment_of(new) if ecs.history else {}

        def running() -> None:
            new["runningCount"], new["pendingCount"] = new["desiredCount"], 0
            for old in ecs.service["deployments"]:
                if old is not new:
                    old["desiredCount"] = 0

        def complete() -> None:
            new["rolloutState"] = "COMPLETED"
            ecs.service["deployments"] = [new]
            mine["status"] = "SUCCESSFUL"

        new["pendingCount"] = new["desiredCount"]
        ecs.at(after, running)
        ecs.at(after if drained is None else drained, complete)

    return behave


def rolls_back(ecs: ScriptedEcs, new: Json, *, begins: float, ends: float, reason: str) -> None:
    """ECS takes `new` back and reinstates the deployment before it, under its old id."""
    mine = ecs.service_deployment_of(new) if ecs.history else {}

    def begin() -> None:
        old = next(d for d in ecs.service["deployments"] if d is not new)
        new.update(
            status="ACTIVE", desiredCount=0, rolloutState="FAILED", rolloutStateReason=reason
        )
        old.update(
            status="PRIMARY",
            rolloutState="IN_PROGRESS",
            rolloutStateReason=f"ECS deployment circuit breaker: rolling back to {old['id']}.",
            desiredCount=ecs.service["desiredCount"],
        )
        ecs.service["taskDefinition"] = old["taskDefinition"]
        ecs.service["deployments"] = [old, new]
        mine["status"] = "ROLLBACK_IN_PROGRESS"
        mine["rollback"] = {"reason": reason}

    def end() -> None:
        old = ecs.primary
        old.update(rolloutState="COMPLETED", runningCount=ecs.service["desiredCount"])
        ecs.service["deployments"] = [old]
        mine["status"] = "ROLLBACK_SUCCESSFUL"

    ecs.at(begins, begin)
    ecs.at(ends, end)


def breaker_rolls_back(*, having_run: bool) -> Behaviour:
    """The circuit breaker rolls back, after the new task has run for a while or without that."""

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        breaker = {"enable": True, "rollback": True}
        ecs.service["deploymentConfiguration"]["deploymentCircuitBreaker"] = breaker
        if having_run:
            ecs.at(2.0, lambda: new.update(runningCount=1))
            ecs.at(6.0, lambda: new.update(runningCount=0))
        ecs.at(7.0, lambda: _crash(ecs, new))
        reason = "ECS deployment circuit breaker: tasks failed to start."
        rolls_back(ecs, new, begins=10.0, ends=16.0, reason=reason)

    return behave


def breaker_fails(ecs: ScriptedEcs, new: Json) -> None:
    """The circuit breaker ends the deployment and does not roll back."""
    breaker = {"enable": True, "rollback": False}
    ecs.service["deploymentConfiguration"]["deploymentCircuitBreaker"] = breaker

    def fail() -> None:
        _crash(ecs, new)
        new.update(
            rolloutState="FAILED", rolloutStateReason="ECS deployment circuit breaker: failed."
        )
        if ecs.history:
            ecs.service_deployment_of(new).update(
                status="STOPPED", statusReason="ECS deployment circuit breaker: failed."
            )

    ecs.at(8.0, fail)


def crashes(ecs: ScriptedEcs, new: Json) -> None:
    """The new task stops again and again."""
    for number in range(1, 200):
        ecs.at(3.0 * number - 1, lambda: new.update(runningCount=1, pendingCount=0))
        ecs.at(3.0 * number, lambda: _crash(ecs, new))


def session_ends(behaviour: Behaviour, after: float = 2.0) -> Behaviour:
    """`behaviour`, and from `after` seconds on nothing is answered: the token has ended."""
    message = "The security token included in the request is expired"
    expired = Fault("ExpiredTokenException", message)
    calls = (
        "DescribeServices",
        "ListServiceDeployments",
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "ListTasks",
        "DescribeTasks",
        "UpdateService",
        "StopServiceDeployment",
    )

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        behaviour(ecs, new)
        ecs.at(after, lambda: ecs.faults.update(dict.fromkeys(calls, expired)))

    return behave


def never_steady(ecs: ScriptedEcs, new: Json) -> None:
    """The new task stays pending for ever."""
    new["pendingCount"] = 1


def superseded(ecs: ScriptedEcs, new: Json) -> None:
    """Somebody else deploys revision 5 while ours is under way."""

    def take_over() -> None:
        if ecs.history:
            ecs.service_deployment_of(new).update(status="STOPPED")
        ecs.start_deployment(f"{PREFIX}:task-definition/{FAMILY}:5")

    ecs.at(3.0, take_over)


def _crash(ecs: ScriptedEcs, new: Json) -> None:
    new["failedTasks"] += 1
    new.update(runningCount=0, pendingCount=1)
    ecs.add_task(
        new["taskDefinition"],
        "STOPPED",
        stoppedReason="Essential container in task exited",
        containers=[{"name": "web", "lastStatus": "STOPPED", "exitCode": 1}],
    )
