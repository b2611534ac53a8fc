"""Services whose deployments CodeDeploy makes: AppSpec, CreateDeployment, wait, stop, roll back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.api import NO_ANSWER, Api, Refused, WrongForAws
from slipway.rollout.follow import interval
from slipway.rollout.plan import CodeDeployGroup, Outcome, Timeouts
from slipway.rollout.service import Service

_OVER = frozenset({"Succeeded", "Failed", "Stopped"})
_NO_SUCH_GROUP = ("ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException")
_ROLLED_BACK = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST")
_INSTALLED = ("AfterInstall", "AllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One look at a CodeDeploy deployment. `event`: the newest lifecycle event, with its status.

    `shifted`: traffic is at the new task set; `settled`: and the hook after that is over as well,
    so that only the old task set's going is left. `waits`: whose word it waits for, and until when.
    """

    status: str
    reason: str = ""
    rollback: str | None = None
    event: str = ""
    installed: bool = False
    shifted: bool = False
    settled: bool = False
    waits: str = ""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a CodeDeploy deployment ended."""

    outcome: Outcome
    cause: str
    deployment: str
    drained: bool | None = None
    restored: bool | None = None


def begin(
    api: Api, group: CodeDeployGroup, service: Service, target: str, *, rollback: bool
) -> str:
    """Have `group` deploy the task definition `target` (ARN); the deployment's id.

    With `rollback` CodeDeploy itself takes it back where it fails or is stopped, or where the
    group's own settings say so.
    """
    events = rollback_events(_described(api, group)) if rollback else []
    return _create(api, group, appspec(service, target), events)


def see_through(
    api: Api,
    service: Service,
    identifier: str,
    *,
    timeouts: Timeouts,
    rollback: bool,
    wait_drain: bool,
    tell: Callable[[Watched], None],
) -> Ended:
    """Follow deployment `identifier` to its end.

    The new task set must be installed within `timeouts.healthy`, else the deployment is stopped
    and (with `rollback`) taken back. Once installed it is never stopped: traffic shifting and the
    old task set's going have the `drain` limit, overrunning which is said. What CodeDeploy waits
    for a person to say is not counted.
    """
    way = _Way(api=api, service=service, identifier=identifier, timeouts=timeouts, tell=tell)
    begun = last = api.clock.now()
    installed_at: float | None = None
    waited = 0.0
    while True:
        seen = way.look(identifier)
        now = api.clock.now()
        waited += now - last if seen.waits else 0.0
        last = now
        if seen.status in _OVER:
            return _ended(way, seen)
        if seen.installed and installed_at is None:
            installed_at = now
        if seen.settled and not wait_drain:
            cause = (
                "traffic has moved; the old task set was not waited for: CodeDeploy goes on with "
                "the deployment, unwatched"
            )
            return Ended(outcome="succeeded", cause=cause, deployment=identifier, drained=False)
        if installed_at is None and now - begun > timeouts.healthy:
            return _stop(way, seen, rollback=rollback)
        if installed_at is not None and now - installed_at - waited > timeouts.drain:
            return _overrun(identifier, seen, now - begun)
        api.clock.sleep(interval(now - begun))


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One deployment under way, and what following it needs."""

    api: Api
    service: Service
    identifier: str
    timeouts: Timeouts
    tell: Callable[[Watched], None]

    def look(self, identifier: str) -> Watched:
        seen = watch(self.api, identifier, self.service)
        self.tell(seen)
        return seen


def appspec(service: Service, target: str) -> dict[str, Any]:
    """The AppSpec that brings `service` to `target`: an ECS service, its load balancer's container.

    Source: AWS CodeDeploy user guide, 'AppSpec resources section for Amazon ECS deployments'.
    """
    properties: dict[str, Any] = {"TaskDefinition": target}
    balancers = service.raw.get("loadBalancers") or []
    if not balancers:
        for task_set in service.raw.get("taskSets") or []:
            balancers = balancers or task_set.get("loadBalancers") or []
    if balancers:
        properties["LoadBalancerInfo"] = {
            "ContainerName": balancers[0].get("containerName"),
            "ContainerPort": balancers[0].get("containerPort"),
        }
    if service.raw.get("platformVersion"):
        properties["PlatformVersion"] = service.raw["platformVersion"]
    resource = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return {"version": 0.0, "Resources": [resource]}


def check_group(api: Api, group: CodeDeployGroup, service: Service) -> None:
    """WrongUse where the group is not there, or deploys another service."""
    named = f"{group.application}/{group.name}"
    try:
        deployed = _services(_described(api, group))
    except Refused as error:
        if error.code in _NO_SUCH_GROUP:
            raise WrongUse(f"CodeDeploy has no deployment group {named}") from None
        raise
    pair = (service.cluster.rpartition("/")[2], service.name)
    if pair not in deployed:
        others = ", ".join("/".join(other) for other in deployed) or "none"
        raise WrongUse(f"CodeDeploy's group {named} deploys {others}, not {'/'.join(pair)}")


def group_of(api: Api, service: Service) -> CodeDeployGroup:
    """The application and group that deploy `service`.

    Known from the deployment that made its task set, else by the names that the ECS console gives
    them, else by looking through the account's groups, those that may be seen. WrongUse where none
    deploys it; Denied where the account's applications may not be listed.
    """
    cluster = service.cluster.rpartition("/")[2]
    for task_set in service.raw.get("taskSets") or []:
        if str(task_set.get("externalId") or "").startswith("d-"):
            info = _deployment(api, task_set["externalId"])
            if info.get("applicationName") and info.get("deploymentGroupName"):
                return CodeDeployGroup(
                    application=info["applicationName"], name=info["deploymentGroupName"]
                )
    usual = CodeDeployGroup(
        application=f"AppECS-{cluster}-{service.name}", name=f"DgpECS-{cluster}-{service.name}"
    )
    if _deploys(api, usual, cluster, service.name):
        return usual
    for application in api.pages("list_applications", "applications"):
        groups = api.pages(
            "list_deployment_groups", "deploymentGroups", applicationName=application
        )
        for name in groups:
            group = CodeDeployGroup(application=application, name=name)
            if _deploys(api, group, cluster, service.name):
                return group
    raise WrongUse(
        f"service {service.name!r} is deployed by CodeDeploy, yet no deployment group names it, "
        "of those that may be seen"
    )


def watch(api: Api, identifier: str, service: Service) -> Watched:
    """One look at deployment `identifier`: its status and its lifecycle events."""
    info = _deployment(api, identifier)
    events = _events(api, identifier, service)
    status = {e.get("lifecycleEventName"): e.get("status") for e in events}
    told = [e for e in events if e.get("status") not in (None, "Pending", "Unknown")]
    newest = told[-1] if told else {}
    rollback = info.get("rollbackInfo") or {}
    reason = (info.get("errorInformation") or {}).get("message") or ""
    return Watched(
        status=info.get("status", "Created"),
        reason=" ".join(filter(None, [reason, _diagnosis(events)])),
        rollback=rollback.get("rollbackDeploymentId"),
        event=f"{newest['lifecycleEventName']} {newest['status']}" if newest else "",
        installed=info.get("status") in ("Ready", "Baking")
        or status.get("Install") == "Succeeded"
        or any(status.get(name) in ("InProgress", "Succeeded") for name in _INSTALLED),
        shifted=status.get("AllowTraffic") == "Succeeded",
        settled=status.get("AllowTraffic") == "Succeeded"
        and status.get("AfterAllowTraffic") in (None, "Succeeded", "Skipped"),
        waits=_waits(info),
    )


def _waits(info: Mapping[str, Any]) -> str:
    """Whose word a deployment that is `Ready` waits for; empty where it waits for nobody's."""
    configuration = info.get("blueGreenDeploymentConfiguration") or {}
    option = configuration.get("deploymentReadyOption") or {}
    minutes = option.get("waitTimeInMinutes")
    if info.get("status") != "Ready" or not minutes:
        return ""
    then = "goes on" if option.get("actionOnTimeout") == "CONTINUE_DEPLOYMENT" else "stops"
    return (
        f"a person's word (codedeploy:ContinueDeployment) for {minutes} minutes at most; then "
        f"CodeDeploy {then}"
    )


def rollback_events(info: Mapping[str, Any]) -> list[str]:
    """When a deployment of a group is taken back: ours, and those that the group has by itself.

    What CreateDeployment is given *replaces* the group's own, alarms included (CodeDeploy API
    reference, CreateDeployment: autoRollbackConfiguration).
    """
    own = info.get("autoRollbackConfiguration") or {}
    kept = own.get("events") or [] if own.get("enabled") else []
    return sorted({*_ROLLED_BACK, *kept})


def _create(
    api: Api, group: CodeDeployGroup, spec: Mapping[str, Any], events: Sequence[str]
) -> str:
    """Begin a deployment that is taken back on `events`; none: as the group says."""
    content = json.dumps(spec)
    rollback = {"enabled": True, "events": list(events)}
    answer = api.change(
        "create_deployment",
        applicationName=group.application,
        deploymentGroupName=group.name,
        revision={
            "revisionType": "AppSpecContent",
            "appSpecContent": {
                "content": content,
                "sha256": hashlib.sha256(content.encode()).hexdigest(),
            },
        },
        **({"autoRollbackConfiguration": rollback} if events else {}),
    )
    return str(answer["deploymentId"])


def _ended(way: _Way, seen: Watched) -> Ended:
    identifier = way.identifier
    if seen.status == "Succeeded":
        cause = "CodeDeploy says that it succeeded"
        return Ended(outcome="succeeded", cause=cause, deployment=identifier, drained=True)
    cause = f"CodeDeploy says {seen.status}" + (f": {seen.reason}" if seen.reason else "")
    restored = _await_rollback(way, seen)
    outcome: Outcome = "rolled_back" if restored else "failed"
    return Ended(outcome=outcome, cause=cause, deployment=identifier, restored=restored)


def _stop(way: _Way, seen: Watched, *, rollback: bool) -> Ended:
    api, timeouts = way.api, way.timeouts
    newest = f" ({seen.event})" if seen.event else ""
    cause = f"the new task set was not installed after {timeouts.healthy:.0f} s{newest}"
    if not rollback:
        return Ended(outcome="timed_out", cause=cause, deployment=way.identifier)
    api.change("stop_deployment", deploymentId=way.identifier, autoRollbackEnabled=True)
    deadline = api.clock.now() + timeouts.rollback
    while seen.status not in _OVER and api.clock.now() < deadline:
        api.clock.sleep(interval(0.0))
        seen = way.look(way.identifier)
    if seen.status == "Succeeded":
        return _ended(way, seen)
    restored = seen.status in _OVER and _await_rollback(way, seen)
    return Ended(outcome="timed_out", cause=cause, deployment=way.identifier, restored=restored)


def _overrun(identifier: str, seen: Watched, age: float) -> Ended:
    if seen.settled:
        cause = f"traffic has moved; the old task set was not gone after {age:.0f} s"
        return Ended(outcome="succeeded", cause=cause, deployment=identifier, drained=False)
    what = (
        "its hook AfterAllowTraffic was not over" if seen.shifted else "its traffic had not moved"
    )
    cause = (
        f"the new task set is up, yet {what} after {age:.0f} s; it goes on in CodeDeploy, unwatched"
    )
    return Ended(outcome="timed_out", cause=cause, deployment=identifier)


def _await_rollback(way: _Way, seen: Watched) -> bool:
    """Whether CodeDeploy's own rollback ended well, waiting for it within the bound.

    Without a rollback deployment traffic never moved: the task set before it serves.
    """
    if seen.rollback is None:
        return not seen.shifted
    deadline = way.api.clock.now() + way.timeouts.rollback
    while way.api.clock.now() < deadline:
        back = way.look(seen.rollback)
        if back.status in _OVER:
            return back.status == "Succeeded"
        way.api.clock.sleep(interval(0.0))
    return False


def _deployment(api: Api, identifier: str) -> Mapping[str, Any]:
    info: Mapping[str, Any] = api.read("get_deployment", deploymentId=identifier)["deploymentInfo"]
    return info


def _events(api: Api, identifier: str, service: Service) -> list[Mapping[str, Any]]:
    """The lifecycle events; none where they are denied or not there yet."""
    target = f"{service.cluster.rpartition('/')[2]}:{service.name}"
    try:
        answer = api.look("get_deployment_target", deploymentId=identifier, targetId=target)
    except NO_ANSWER:
        return []
    ecs = (answer.get("deploymentTarget") or {}).get("ecsTarget") or {}
    events: list[Mapping[str, Any]] = ecs.get("lifecycleEvents") or []
    return events


def _diagnosis(events: list[Mapping[str, Any]]) -> str:
    for event in events:
        if event.get("status") == "Failed":
            message = (event.get("diagnostics") or {}).get("message") or ""
            return f"({event.get('lifecycleEventName')} failed{': ' + message if message else ''})"
    return ""


def _deploys(api: Api, group: CodeDeployGroup, cluster: str, service: str) -> bool:
    """Whether the group is there, may be seen, and deploys the service."""
    try:
        return (cluster, service) in _services(_described(api, group))
    except (Refused, WrongForAws):
        return False


def _described(api: Api, group: CodeDeployGroup) -> Mapping[str, Any]:
    info: Mapping[str, Any] = api.read(
        "get_deployment_group",
        applicationName=group.application,
        deploymentGroupName=group.name,
    )["deploymentGroupInfo"]
    return info


def _services(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Cluster and service of each ECS service that a group deploys."""
    found = info.get("ecsServices") or []
    return [(str(s.get("clusterName")), str(s.get("serviceName"))) for s in found]
