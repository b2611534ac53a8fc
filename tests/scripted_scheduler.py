"""How ECS's scheduler behaves: what counts as healthy, what it gives up, when it is done; hooks.

The rule is `minimumHealthyPercent`'s in the ECS API reference (DeploymentConfiguration): a task
counts when its health checks pass and its target is healthy; with neither, 40 s after RUNNING. The
old tasks are kept as far as that percentage needs them.
"""

from __future__ import annotations

import math
from typing import Any

from tests.aws.wire import Json
from tests.scripted_ecs import Behaviour, ScriptedEcs, rolls_back

TICK = 0.5
COUNTS_AFTER = 40.0
BREAKER_THRESHOLD = 3


def with_health_check(ecs: ScriptedEcs) -> None:
    """The live definition's containers have health checks: `ecs.health` says how they stand."""
    for definition in ecs.definitions.values():
        for container in definition["containerDefinitions"]:
            container["healthCheck"] = {"command": ["CMD", "true"]}


def behind_balancer(ecs: ScriptedEcs) -> None:
    """The service is behind a target group: `ecs.targets` says how its targets stand."""
    group = (
        "arn:aws:elasticloadbalancing:us-east-1:222222222222:targetgroup/web-tg/0123456789abcdef"
    )
    ecs.service["loadBalancers"] = [
        {"targetGroupArn": group, "containerName": "web", "containerPort": 8080}
    ]


def percents(ecs: ScriptedEcs, least: int, most: int) -> None:
    ecs.service["deploymentConfiguration"] |= {
        "minimumHealthyPercent": least,
        "maximumPercent": most,
    }


def breaker(ecs: ScriptedEcs) -> None:
    ecs.service["deploymentConfiguration"]["deploymentCircuitBreaker"] = {
        "enable": True,
        "rollback": True,
    }


def rolling(starts: float = 2.0, *, dies: float | None = None, drains: float = 0.0) -> Behaviour:
    """A rolling deployment, scheduled as ECS does.

    A new task runs `starts` seconds after it is begun, and dies `dies` seconds after that, again
    and again; an old one goes `drains` seconds after it is given up.
    """

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        _Rolling(ecs, new, starts=starts, dies=dies, drains=drains).begin()

    return behave


class _Rolling:
    """One rolling deployment, from tick to tick."""

    def __init__(
        self, ecs: ScriptedEcs, new: Json, *, starts: float, dies: float | None, drains: float
    ) -> None:
        self._ecs, self._new = ecs, new
        self._starts, self._dies, self._drains = starts, dies, drains
        self._begun: list[float] = []
        self._given_up: list[float] = []
        self._crashes = 0

    def begin(self) -> None:
        now = self._ecs.clock.now()
        self._begun = [now] * self._new["desiredCount"]
        self._new["pendingCount"] = len(self._begun)
        self._ecs.at_time(now + TICK, lambda: self._tick(now + TICK))

    def _tick(self, now: float) -> None:
        if self._new["status"] != "PRIMARY":
            return
        self._run_tasks(now)
        self._ecs._follow_counts(now)
        counted = sum(1 for task in self._tasks() if self._counts(task, now))
        self._give_up(counted, now)
        if self._crashes >= BREAKER_THRESHOLD and self._has_breaker:
            reason = "ECS deployment circuit breaker: tasks failed to start."
            rolls_back(self._ecs, self._new, begins=0.5, ends=6.0, reason=reason)
            return
        gone = all(old["runningCount"] == 0 for old in self._old)
        if counted >= self._new["desiredCount"] and gone:
            self._complete()
            return
        self._ecs.at_time(now + TICK, lambda: self._tick(now + TICK))

    def _run_tasks(self, now: float) -> None:
        for number, begun in enumerate(self._begun):
            if self._dies is not None and now >= begun + self._starts + self._dies:
                self._begun[number] = now
                self._crashes += 1
                self._ecs.add_task(
                    self._new["taskDefinition"],
                    "STOPPED",
                    stoppedReason="Essential container in task exited",
                    containers=[{"name": "web", "lastStatus": "STOPPED", "exitCode": 1}],
                )
        running = sum(1 for begun in self._begun if now >= begun + self._starts)
        self._new |= {"runningCount": running, "pendingCount": len(self._begun) - running}

    def _tasks(self) -> list[Json]:
        return [
            t
            for t in self._ecs.tasks
            if t.get("startedBy") == self._new["id"] and t["lastStatus"] == "RUNNING"
        ]

    def _counts(self, task: Json, now: float) -> bool:
        definition = self._ecs.definitions[task["taskDefinitionArn"]]
        checked = any(c.get("healthCheck") for c in definition["containerDefinitions"])
        balanced = bool(self._ecs.service.get("loadBalancers"))
        if checked and self._ecs.health(task) != "HEALTHY":
            return False
        if balanced:
            return self._ecs.targets is not None and self._ecs.targets(task) == "healthy"
        return checked or now - task["startedAt"] >= COUNTS_AFTER

    def _give_up(self, counted: int, now: float) -> None:
        """Old tasks beyond what the percentage needs are told to go, and go when they drained."""
        least = self._ecs.service["deploymentConfiguration"]["minimumHealthyPercent"]
        kept = max(0, math.ceil(self._ecs.service["desiredCount"] * least / 100) - counted)
        for old in self._old:
            if kept < old["desiredCount"]:
                self._given_up += [now] * (old["desiredCount"] - kept)
                old["desiredCount"] = kept
            gone = [at for at in self._given_up if now >= at + self._drains]
            self._given_up = [at for at in self._given_up if now < at + self._drains]
            old["runningCount"] = max(0, old["runningCount"] - len(gone))

    def _complete(self) -> None:
        self._new["rolloutState"] = "COMPLETED"
        self._ecs.service["deployments"] = [self._new]
        self._ecs.say("has reached a steady state.")
        if self._ecs.history:
            self._ecs.service_deployment_of(self._new)["status"] = "SUCCESSFUL"

    @property
    def _old(self) -> list[Json]:
        return [d for d in self._ecs.service["deployments"] if d is not self._new]

    @property
    def _has_breaker(self) -> bool:
        configuration = self._ecs.service["deploymentConfiguration"]
        return bool((configuration.get("deploymentCircuitBreaker") or {}).get("rollback"))


STAGES = (
    "RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME", "CLEAN_UP",
)  # fmt: skip
"""As in botocore's model, which lacks PRE_PRODUCTION_TRAFFIC_SHIFT of the documents."""


def pauses(
    stage: str,
    *,
    until: float,
    then: str,
    kind: str = "PAUSE",
    minutes: int = 60,
    timeout_action: str = "ROLLBACK",
) -> Behaviour:
    """Blue/green, a stage every 5 s; the hook at `stage` holds it `until` seconds after the update.

    `then`: CONTINUE or ROLLBACK (a person's or the function's answer), or TIMED_OUT, whose action
    is `timeout_action`. Green's tasks run from SCALE_UP on.
    """

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        mine = ecs.service_deployment_of(new)
        target = "" if kind == "PAUSE" else "arn:aws:lambda:us-east-1:222222222222:function:check"
        hook: Json = {"targetType": kind, "lifecycleStages": [stage]}
        hook |= {"timeoutConfiguration": {"timeoutInMinutes": minutes, "action": timeout_action}}
        hook |= {"hookTargetArn": target} if target else {}
        configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [hook]}
        ecs.service["deploymentConfiguration"] |= configuration
        mine["deploymentConfiguration"] = configuration
        begun, at = ecs.clock.now(), STAGES.index(stage)
        goes_on = then == "CONTINUE" or (then == "TIMED_OUT" and timeout_action == "CONTINUE")
        for number, name in enumerate(STAGES[: at + 1]):
            ecs.at_time(begun + 5.0 * number, lambda s=name: _enter(ecs, new, mine, s))
        ecs.at_time(begun + 5.0 * at, lambda: _hold(mine, kind, target, begun + 5.0 * at))
        ecs.at_time(begun + until, lambda: _answer(mine, then))
        if not goes_on:
            _back(ecs, new, begun + until, then)
            return
        for number, name in enumerate(STAGES[at + 1 :], start=1):
            ecs.at_time(begun + until + 5.0 * number, lambda s=name: _enter(ecs, new, mine, s))
        last = begun + until + 5.0 * (len(STAGES) - at)
        ecs.at_time(last, lambda: _finish(ecs, new, mine))

    def _hold(mine: Json, kind: str, target: str, now: float) -> None:
        waiting = "AWAITING_ACTION" if kind == "PAUSE" else "IN_PROGRESS"
        detail: Json = {"hookId": "hook-1", "targetType": kind, "status": waiting}
        detail |= {"expiresAt": now + 60.0 * minutes, "timeoutAction": timeout_action}
        mine["lifecycleHookDetails"] = [detail | ({"targetArn": target} if target else {})]

    return behave


def _enter(ecs: ScriptedEcs, new: Json, mine: Json, stage: str) -> None:
    mine["lifecycleStage"] = stage
    if stage == "SCALE_UP":
        new |= {"runningCount": new["desiredCount"], "pendingCount": 0}


def _answer(mine: Json, then: str) -> None:
    word = {"CONTINUE": "SUCCEEDED", "ROLLBACK": "FAILED"}.get(then, then)
    mine["lifecycleHookDetails"][0]["status"] = word


def _back(ecs: ScriptedEcs, new: Json, moment: float, then: str) -> None:
    reason = "Lifecycle hook timed out." if then == "TIMED_OUT" else "Rollback was requested."

    def back() -> None:
        rolls_back(ecs, new, begins=0.5, ends=4.0, reason=reason)

    ecs.at_time(moment, back)


def _finish(ecs: ScriptedEcs, new: Json, mine: Json) -> None:
    new["rolloutState"], mine["status"] = "COMPLETED", "SUCCESSFUL"
    ecs.service["deployments"] = [new]


def clients(ecs: ScriptedEcs) -> dict[str, Any]:
    """What a rollout needs besides ECS."""
    return {"balancing": lambda: ecs.client("elbv2")}
