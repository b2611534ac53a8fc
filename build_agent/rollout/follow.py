"""Follow our deployment until it ends: look, judge, tell, wait a little, look again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from build_agent.rollout.api import NO_ANSWER, Api, Denied
from build_agent.rollout.judge import (
    Look,
    Ours,
    ServiceDeployment,
    Verdict,
    is_healthy,
    judge,
)
from build_agent.rollout.plan import Outcome, short
from build_agent.rollout.service import Service, look_again

QUICK, SLOW, SLOWER_AFTER = (0.5, 0.9), 5.0, 120.0
"""Seconds between looks: at random within `QUICK`, growing to `SLOW` after `SLOWER_AFTER`."""
MIN_CRASHES = 2
"""Failed tasks from which a deployment that does not become healthy is called a crash loop."""
PATIENCE = 27
"""Points of patience with an ECS that does not tell about our service deployment."""
NOT_YET, NOTHING = 1, 9
"""What an answer without it costs: ours may still come (stale), or ECS has none or fails."""

Tell = Callable[[Look, bool], None]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds that the parts of a wait may take."""

    healthy: float
    drain: float
    rollback: float
    wait_drain: bool = True


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How a deployment ended.

    `drained` False: the old tasks were not gone when the wait ended. `healthy`: the new tasks were
    all up then, so that running out of time is no reason to go back.
    """

    outcome: Outcome
    cause: str
    service: Service
    drained: bool | None = None
    service_deployment: str | None = None
    healthy: bool = False


class History:
    """Finds our service deployment and reads it; gives up where ECS denies it or has none.

    `known`: ARNs of service deployments that were there before the update.
    """

    def __init__(self, api: Api, ours: Ours, *, known: Iterable[str | None] = ()) -> None:
        self._api = api
        self._ours = ours
        self._not_ours = set(known)
        self._spent = 0
        self.arn: str | None = None
        self.skipped: str | None = None

    def read(self, service: Service) -> ServiceDeployment | None:
        """Our service deployment now, or None where it is not known (yet, or at all)."""
        if self.skipped is not None:
            return None
        try:
            found = self._find(service) if self.arn is None else self._describe(self.arn)
        except Denied as error:
            self.skipped = f"{error.action} is denied; judged by the deployment's rolloutState"
            return None
        except NO_ANSWER as error:
            self._miss(f"{error}; judged by the deployment's rolloutState", NOTHING)
            return None
        if found is None:
            return None
        self._spent = 0
        self.arn = str(found["serviceDeploymentArn"])
        return parse_service_deployment(found)

    def _miss(self, why: str, cost: int) -> None:
        self._spent += cost
        if self._spent >= PATIENCE:
            self.skipped = why

    def _find(self, service: Service) -> Mapping[str, Any] | None:
        current = service.service_deployment
        if current is not None and current not in self._not_ours:
            found = self._describe(current)
            if found is not None and self._is_ours(found):
                return found
        if current is not None and self._spent < PATIENCE // 2:
            self._miss("", NOT_YET)
            return None
        return self._find_in_list(service)

    def _find_in_list(self, service: Service) -> Mapping[str, Any] | None:
        """Ours in the service's list: by our deployment's number, else by what it brings."""
        answer = self._api.look(
            "list_service_deployments", cluster=service.cluster, service=service.arn, maxResults=10
        )
        listed = [_from_brief(brief) for brief in answer.get("serviceDeployments") or []]
        self._miss(
            "ECS lists no service deployment of ours; judged by the deployment's rolloutState",
            NOT_YET if listed else NOTHING,
        )
        new = [d for d in listed if d["serviceDeploymentArn"] not in self._not_ours]
        by_number = [d for d in new if self._bears_our_number(d)]
        for found in by_number or reversed(new):
            if self._is_ours(found):
                return found
        return None

    def _is_ours(self, found: Mapping[str, Any]) -> bool:
        """Whether a service deployment brings what our update asked for, and is not from before."""
        target = _target(found)
        if target is None:
            return False  # an old answer: it may tell at the next look
        if self._bears_our_number(found):
            return True
        brings_ours = False
        if not self._is_older(found):
            answer = self._api.look("describe_service_revisions", serviceRevisionArns=[target])
            definitions = [r.get("taskDefinition") for r in answer.get("serviceRevisions") or []]
            if not definitions:
                return False
            brings_ours = self._ours.task_definition in definitions
        if not brings_ours:
            self._not_ours.add(found["serviceDeploymentArn"])
        return brings_ours

    def _bears_our_number(self, found: Mapping[str, Any]) -> bool:
        """In practice ECS numbers a service revision like its deployment: saves a call."""
        target = _target(found) or ""
        return target.rpartition("/")[2] == self._ours.id.rpartition("/")[2]

    def _is_older(self, found: Mapping[str, Any]) -> bool:
        created, ours = _seconds(found.get("createdAt")), self._ours.created_at
        return created is not None and ours is not None and created < ours - 1.0

    def _describe(self, arn: str) -> Mapping[str, Any] | None:
        answer = self._api.look("describe_service_deployments", serviceDeploymentArns=[arn])
        found: list[Mapping[str, Any]] = answer.get("serviceDeployments") or []
        return found[0] if found else None


def known_deployments(api: Api, service: Service) -> frozenset[str]:
    """The service deployments there are, so that an older one is never taken for ours.

    Needed where ours brings a task definition that one before it brought as well.
    """
    try:
        answer = api.look(
            "list_service_deployments", cluster=service.cluster, service=service.arn, maxResults=10
        )
    except NO_ANSWER:
        return frozenset()
    return frozenset(d["serviceDeploymentArn"] for d in answer.get("serviceDeployments") or [])


def follow(
    api: Api, ours: Ours, history: History, *, service: Service, limits: Limits, tell: Tell
) -> Followed:
    """Look until our deployment is over, or one of `limits` is.

    `service` is UpdateService's own answer (or the service as it was found). Raises what the
    calls raise once their patience is at its end: then the outcome is not known.
    """
    clock = api.clock
    begun = clock.now()
    watch = _Watch(ours=ours, begun=begun)
    api.deadline = begun + limits.healthy
    try:
        while True:
            seen = look_again(api, service) or service
            look = watch.look(seen, history.read(seen), clock.now())
            api.deadline = watch.deadline(limits)
            verdict = judge(ours, look)
            tell(look, watch.healthy_since is not None)
            ended = watch.end(look, verdict, limits, history)
            if ended is not None:
                return ended
            clock.sleep(interval(look.age))
            service = seen
    finally:
        api.deadline = None


def interval(age: float, *, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next look, `age` seconds after the update."""
    if age < SLOWER_AFTER:
        return uniform(*QUICK)
    return min(SLOW, uniform(*QUICK) * (1 + (age - SLOWER_AFTER) / 60.0))


@dataclass
class _Watch:
    """What a wait remembers from one look to the next."""

    ours: Ours
    begun: float
    odd_since: float | None = None
    healthy_since: float | None = None
    rolling_back_since: float | None = None
    rolling_back_cause: str = ""
    ours_seen: bool = False
    most_failed: int = 0

    def look(self, service: Service, mine: ServiceDeployment | None, now: float) -> Look:
        entry = service.deployment(self.ours.id)
        self.ours_seen = self.ours_seen or entry is not None
        self.most_failed = max(self.most_failed, entry.failed if entry else 0)
        odd = entry is None or entry.status != "PRIMARY" or entry.state == "FAILED"
        self.odd_since = (self.odd_since if self.odd_since is not None else now) if odd else None
        look = Look(
            service=service,
            ours=mine,
            age=now - self.begun,
            odd_for=now - self.odd_since if self.odd_since is not None else 0.0,
            ours_seen=self.ours_seen,
        )
        healthy = is_healthy(self.ours, look)
        self.healthy_since = (
            (self.healthy_since if self.healthy_since is not None else now) if healthy else None
        )
        return look

    def deadline(self, limits: Limits) -> float:
        """Until when (on the clock) a throttled look is tried again."""
        since = self.rolling_back_since
        if since is not None:
            return since + limits.rollback
        if self.healthy_since is not None:
            return self.healthy_since + limits.drain
        return self.begun + limits.healthy

    def end(
        self, look: Look, verdict: Verdict, limits: Limits, history: History
    ) -> Followed | None:
        """How the wait ends with this look, or None: it goes on."""
        now = self.begun + look.age
        if verdict.ending == "over":
            assert verdict.outcome is not None  # noqa: S101 - `over` always names the outcome
            drained = True if verdict.outcome == "succeeded" else None
            took_back = verdict.outcome == "rolled_back" and self.rolling_back_cause
            cause = took_back or verdict.cause
            return self._followed(verdict.outcome, cause, look, history, drained)
        if verdict.ending == "rolling_back":
            since = self.rolling_back_since = self.rolling_back_since or now
            self.rolling_back_cause = self.rolling_back_cause or verdict.cause
            if now - since <= limits.rollback:
                return None
            cause = f"{verdict.cause}; its rollback was not over after {limits.rollback:.0f} s"
            return self._followed("failed", cause, look, history)
        if self.healthy_since is not None:
            return self._drained(look, limits, history, now - self.healthy_since)
        if look.age <= limits.healthy:
            return None
        return self._out_of_time(look, limits, history)

    def _drained(
        self, look: Look, limits: Limits, history: History, healthy_for: float
    ) -> Followed | None:
        if not limits.wait_drain:
            cause = "the new tasks are healthy; the old ones were not waited for"
            return self._followed("succeeded", cause, look, history, drained=False)
        if healthy_for <= limits.drain + bake_seconds(look.service):
            return None
        stage = look.ours.stage if look.ours else None
        if stage not in (None, "CLEAN_UP"):
            cause = f"it is healthy, yet still in stage {stage} after {look.age:.0f} s"
            return self._followed("timed_out", cause, look, history, drained=False)
        cause = f"the new tasks are healthy; the old ones were not gone after {healthy_for:.0f} s"
        return self._followed("succeeded", cause, look, history, drained=False)

    def _out_of_time(self, look: Look, limits: Limits, history: History) -> Followed:
        entry = look.service.deployment(self.ours.id)
        counts = (
            f"{entry.running} of {entry.desired} tasks running, {entry.pending} pending"
            if entry
            else "ECS never listed it"
        )
        if look.ours is not None and look.ours.stage:
            counts += f", stage {look.ours.stage}"
        if self.most_failed >= MIN_CRASHES:
            cause = f"its tasks kept stopping ({self.most_failed} failed) for {look.age:.0f} s"
            return self._followed("crash_loop", cause, look, history)
        cause = f"it was not healthy after {limits.healthy:.0f} s ({counts})"
        return self._followed("timed_out", cause, look, history)

    def _followed(
        self,
        outcome: Outcome,
        cause: str,
        look: Look,
        history: History,
        drained: bool | None = None,
    ) -> Followed:
        return Followed(
            outcome=outcome,
            cause=cause.rstrip(". ") or f"{short(self.ours.task_definition)} runs",
            service=look.service,
            drained=drained,
            service_deployment=history.arn,
            healthy=self.healthy_since is not None,
        )


def bake_seconds(service: Service) -> float:
    """How long a blue/green, linear or canary deployment is meant to take after it is healthy."""
    configuration = service.raw.get("deploymentConfiguration") or {}
    minutes = float(configuration.get("bakeTimeInMinutes") or 0)
    canary = configuration.get("canaryConfiguration") or {}
    minutes += float(canary.get("canaryBakeTimeInMinutes") or 0)
    linear = configuration.get("linearConfiguration") or {}
    steps = 100.0 / float(linear.get("stepPercent") or 100.0)
    minutes += steps * float(linear.get("stepBakeTimeInMinutes") or 0)
    return minutes * 60.0


def parse_service_deployment(raw: Mapping[str, Any]) -> ServiceDeployment:
    """`ServiceDeployment` of one entry of DescribeServiceDeployments."""
    target = raw.get("targetServiceRevision") or {}
    sources = raw.get("sourceServiceRevisions") or []
    return ServiceDeployment(
        arn=raw.get("serviceDeploymentArn", ""),
        status=raw.get("status", ""),
        reason=raw.get("statusReason") or "",
        stage=raw.get("lifecycleStage"),
        rollback_reason=(raw.get("rollback") or {}).get("reason") or "",
        target_requested=target.get("requestedTaskCount"),
        target_running=target.get("runningTaskCount"),
        target_pending=target.get("pendingTaskCount"),
        source_requested=sum(s.get("requestedTaskCount") or 0 for s in sources)
        if sources
        else None,
    )


def _from_brief(brief: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of ListServiceDeployments in the shape of DescribeServiceDeployments."""
    return {**brief, "targetServiceRevision": {"arn": brief.get("targetServiceRevisionArn")}}


def _target(found: Mapping[str, Any]) -> str | None:
    arn = (found.get("targetServiceRevision") or {}).get("arn")
    return None if arn is None else str(arn)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)
