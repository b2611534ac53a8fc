"""Follow our deployment until it ends: look, judge, tell, wait a little, look again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.api import NO_ANSWER, Api, Denied
from slipway.rollout.health import Health, Prover
from slipway.rollout.hooks import hooks_of
from slipway.rollout.judge import Look, Ours, ServiceDeployment, is_scaled_up, is_up, judge
from slipway.rollout.plan import Factory
from slipway.rollout.service import Service, look_again
from slipway.rollout.watch import Followed, Limits, Watch

QUICK, SLOW, SLOWER_AFTER = (0.5, 0.9), 5.0, 120.0
"""Seconds between looks: at random within `QUICK`, growing to `SLOW` after `SLOWER_AFTER`."""
PATIENCE = 27
"""Points of patience with an ECS that does not tell about our service deployment."""
NOT_YET, NOTHING = 1, 9
"""What an answer without it costs: ours may still come (stale), or ECS has none or fails."""

Tell = Callable[[Look, bool, str], None]
"""Told of each look, with whether the new tasks are healthy and what the deployment waits for."""


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
    api: Api,
    ours: Ours,
    history: History,
    *,
    service: Service,
    limits: Limits,
    tell: Tell,
    balancing: Factory | None = None,
) -> Followed:
    """Look until our deployment is over, or one of `limits` is.

    `service` is UpdateService's own answer (or the service as it was found). `balancing` makes a
    client of Elastic Load Balancing. Raises what the calls raise once their patience is at its
    end: then the outcome is not known.
    """
    clock = api.clock
    watch = Watch(ours=ours, begun=clock.now())
    prover = Prover(api, ours.id, ours.task_definition, balancing)
    api.deadline = watch.begun + limits.healthy
    try:
        while True:
            seen = look_again(api, service) or service
            look = watch.look(seen, history.read(seen), clock.now())
            api.deadline = watch.deadline(limits)
            verdict = judge(ours, look)
            if verdict.ending == "go_on":
                watch.note_health(look, _health(prover, watch, look, limits))
            tell(look, watch.healthy_since is not None, watch.waits(look))
            ended = watch.end(look, verdict, limits)
            if ended is not None:
                return replace(ended, service_deployment=history.arn)
            clock.sleep(interval(look.age))
            service = seen
    finally:
        api.deadline = None


def _health(prover: Prover, watch: Watch, look: Look, limits: Limits) -> Health:
    """Whether the new tasks are all healthy: by ECS's stage where there are stages, else proved."""
    if look.service.strategy != "ROLLING":
        if look.ours is None:
            return Health(healthy=False, known=False, waits_for="ECS does not tell its stage")
        return Health(healthy=is_scaled_up(look))
    if not is_up(watch.ours, look):
        prover.forget()
        return Health(healthy=False)
    return prover.prove(look.service, fresh=watch.is_overrun(look, limits))


def interval(age: float, *, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next look, `age` seconds after the update."""
    if age < SLOWER_AFTER:
        return uniform(*QUICK)
    return min(SLOW, uniform(*QUICK) * (1 + (age - SLOWER_AFTER) / 60.0))


def parse_service_deployment(raw: Mapping[str, Any]) -> ServiceDeployment:
    """`ServiceDeployment` of one entry of DescribeServiceDeployments."""
    return ServiceDeployment(
        arn=raw.get("serviceDeploymentArn", ""),
        status=raw.get("status", ""),
        reason=raw.get("statusReason") or "",
        stage=raw.get("lifecycleStage"),
        rollback_reason=(raw.get("rollback") or {}).get("reason") or "",
        hooks=hooks_of(raw),
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
