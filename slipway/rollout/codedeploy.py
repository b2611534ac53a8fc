"""What CodeDeploy is asked and says: AppSpec, deployment group, a deployment's events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.api import NO_ANSWER, Api, Refused, WrongForAws
from slipway.rollout.looks import Watched
from slipway.rollout.plan import CodeDeployGroup
from slipway.rollout.service import Service

OVER = frozenset({"Succeeded", "Failed", "Stopped"})
"""The statuses of a deployment that has ended."""
HOOKS = (
    "BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic",
    "AfterAllowTraffic",
)  # fmt: skip
"""The lifecycle events of an ECS deployment that an AppSpec may name a Lambda function for.

Source: AWS CodeDeploy user guide, 'AppSpec hooks section for an Amazon ECS deployment'.
"""
_NO_SUCH_GROUP = ("ApplicationDoesNotExistException", "DeploymentGroupDoesNotExistException")
_ROLLED_BACK = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST")
_INSTALLED = ("AfterInstall", "AllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic")


def appspec(service: Service, target: str, hooks: Mapping[str, str]) -> dict[str, Any]:
    """The AppSpec that brings `service` to `target`: an ECS service, its load balancer's container.

    `hooks`: lifecycle event to the Lambda function that CodeDeploy calls then. Source: AWS
    CodeDeploy user guide, 'AppSpec resources section for Amazon ECS deployments'.
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
    spec: dict[str, Any] = {"version": 0.0, "Resources": [resource]}
    wanted = [{event: hooks[event]} for event in HOOKS if event in hooks]
    return {**spec, "Hooks": wanted} if wanted else spec


def check_group(api: Api, group: CodeDeployGroup, service: Service) -> None:
    """WrongUse where the group is not there, or deploys another service."""
    named = f"{group.application}/{group.name}"
    try:
        deployed = _services(described_group(api, group))
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


def watch(api: Api, identifier: str, target: str) -> Watched:
    """One look at deployment `identifier`: its status, its events at `target` (cluster:service)."""
    info = _deployment(api, identifier)
    events = _events(api, identifier, target)
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


def create_request(
    group: CodeDeployGroup, service: Service, target: str, events: Sequence[str], rollout: str
) -> dict[str, Any]:
    """What CreateDeployment is asked, so that `target` (ARN) is deployed.

    It is taken back on `events`; none: as the group says. `rollout`: the id by which it is known.
    """
    content = json.dumps(appspec(service, target, group.hooks))
    rollback = {"enabled": True, "events": list(events)}
    return {
        "applicationName": group.application,
        "deploymentGroupName": group.name,
        "description": description_of(rollout),
        "revision": {
            "revisionType": "AppSpecContent",
            "appSpecContent": {
                "content": content,
                "sha256": hashlib.sha256(content.encode()).hexdigest(),
            },
        },
        **({"autoRollbackConfiguration": rollback} if events else {}),
    }


def description_of(rollout: str) -> str:
    """The description of the deployment that the rollout of this id makes."""
    return f"Slipway rollout {rollout}"


def made_by(api: Api, group: CodeDeployGroup, service: Service, rollout: str) -> str | None:
    """The deployment that a rollout has made, though its answer was lost; None: it made none.

    Looked at are the group's last one and those of the service's task sets, and, where one of them
    is a rollback, the one that it takes back.
    """
    last = described_group(api, group).get("lastAttemptedDeployment") or {}
    sets = [s.get("externalId") for s in service.raw.get("taskSets") or []]
    for identifier in filter(None, [last.get("deploymentId"), *sets]):
        if not str(identifier).startswith("d-"):
            continue
        info = _deployment(api, identifier)
        taken_back = (info.get("rollbackInfo") or {}).get("rollbackTriggeringDeploymentId")
        for found in (info, _deployment(api, taken_back) if taken_back else {}):
            if found.get("description") == description_of(rollout):
                return str(found["deploymentId"])
    return None


def rollback_events_of(api: Api, group: CodeDeployGroup) -> tuple[str, ...]:
    """`rollback_events` of the group as it is now."""
    return tuple(rollback_events(described_group(api, group)))


def _deployment(api: Api, identifier: str) -> Mapping[str, Any]:
    info: Mapping[str, Any] = api.read("get_deployment", deploymentId=identifier)["deploymentInfo"]
    return info


def _events(api: Api, identifier: str, target: str) -> list[Mapping[str, Any]]:
    """The lifecycle events; none where they are denied or not there yet."""
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
        return (cluster, service) in _services(described_group(api, group))
    except (Refused, WrongForAws):
        return False


def described_group(api: Api, group: CodeDeployGroup) -> Mapping[str, Any]:
    """The group's settings."""
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
