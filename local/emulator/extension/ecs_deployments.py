"""Gap closed: a service's deployments cannot be listed, followed, proved or stopped.

ListServiceDeployments, DescribeServiceDeployments, DescribeServiceRevisions and
StopServiceDeployment answer from what ministack's scheduler did; DescribeServices names the
present deployment and revisions, and forgets a deployment that failed and was replaced.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import ecs

from local.emulator.extension.ecs_events import DeploymentEvents
from local.emulator.extension.ecs_followed import ENDED, Data, Followed, judge, revision_arn
from local.emulator.extension.private import entry, need, wrap

Response = tuple[int, dict[str, str], bytes]


class ServiceDeployments:
    """All service deployments ever seen, newest last."""

    def __init__(self, events: DeploymentEvents) -> None:
        self._events = events
        self._followed: dict[str, Followed] = {}
        self._lock = threading.RLock()

    # -- following ----------------------------------------------------------------------------

    def observing(self, refresh: Callable[..., Any]) -> Callable[..., Any]:
        """ministack refreshes a service after every change; look at its deployments then."""

        def refreshed(cluster: str, group: str) -> Any:
            result = refresh(cluster, group)
            if group and group.startswith("service:"):
                service = ecs._services.get(f"{cluster}/{group.split(':', 1)[1]}")
                if service:
                    self.observe(service)
            return result

        return refreshed

    def observe(self, service: Data) -> None:
        """Bring what is known of a service's deployments up to date."""
        with self._lock:
            present = list(service.get("deployments") or [])
            by_breaker = _breaker(service) and not self._is_stopped(service["serviceArn"])
            for deployment in reversed(present):
                followed = self._follow(service, deployment)
                self._update(service, followed, deployment, present)
            self._end_the_forgotten(service, {_tail(one["id"]) for one in present})
            self._show(service)
            self._events.look(service, present, by_breaker=by_breaker)
            for deployment in filter(self._is_gone, present):
                with contextlib.suppress(ValueError):  # ministack has made another list meanwhile
                    service["deployments"].remove(deployment)

    def _is_gone(self, deployment: Data) -> bool:
        """Whether ECS lists it no more: it failed, something else is in its place, it has no tasks.

        ministack keeps such a deployment for good. A revision that one of them names is in use.
        """
        tasks = deployment.get("runningCount", 0) + deployment.get("pendingCount", 0)
        return (
            deployment["status"] != "PRIMARY"
            and deployment.get("rolloutState") == "FAILED"
            and self._followed[_tail(deployment["id"])].status in ENDED
            and not tasks
        )

    def _is_stopped(self, service_arn: str) -> bool:
        """Whether one of its deployments was stopped by hand and has not ended yet."""
        return any(
            one.stop_asked and one.status not in ENDED
            for one in self._followed.values()
            if one.service_arn == service_arn
        )

    def _follow(self, service: Data, deployment: Data) -> Followed:
        deployment_id = _tail(deployment["id"])
        if deployment_id not in self._followed:
            previous = self._last_successful(service["serviceArn"])
            self._followed[deployment_id] = Followed(
                deployment_id=deployment_id,
                service_arn=service["serviceArn"],
                cluster_arn=service["clusterArn"],
                task_definition=deployment["taskDefinition"],
                created_at=ecs._ts_to_epoch(deployment["createdAt"]),
                source_id=previous.deployment_id if previous else None,
                network=service.get("networkConfiguration") or {},
                launch_type=service.get("launchType"),
            )
        return self._followed[deployment_id]

    def _last_successful(self, service_arn: str) -> Followed | None:
        for followed in reversed(self._followed.values()):
            if followed.service_arn == service_arn and followed.status == "SUCCESSFUL":
                return followed
        return None

    def _update(
        self, service: Data, followed: Followed, deployment: Data, present: list[Data]
    ) -> None:
        followed.digests = dict(deployment.get("_image_digests") or {})
        if followed.status in ENDED:
            return
        followed.breaker = _breaker(service)
        followed.threshold = ecs._circuit_breaker_threshold(service)
        followed.failures = int(deployment.get("failedTasks") or 0)
        followed.counts = {
            "requestedTaskCount": deployment.get("desiredCount", 0),
            "runningTaskCount": deployment.get("runningCount", 0),
            "pendingTaskCount": deployment.get("pendingCount", 0),
        }
        status, reason = judge(deployment, present, stop_asked=followed.stop_asked)
        if status.startswith("ROLLBACK") and followed.rollback is None:
            primary = next(one for one in present if one["status"] == "PRIMARY")
            followed.rollback = {
                "reason": reason,
                "startedAt": time.time(),
                "serviceRevisionArn": revision_arn(service["serviceArn"], _tail(primary["id"])),
            }
        self._enter(followed, status, reason)

    def _end_the_forgotten(self, service: Data, present: set[str]) -> None:
        for followed in self._followed.values():
            if followed.service_arn != service["serviceArn"] or followed.deployment_id in present:
                continue
            if followed.status not in ENDED:
                self._enter(followed, "STOPPED", "Superseded by a newer service deployment.")

    def _enter(self, followed: Followed, status: str, reason: str) -> None:
        if followed.status == status:
            return
        followed.status, followed.reason, followed.updated_at = status, reason, time.time()
        if status in ENDED:
            followed.finished_at = followed.updated_at

    def _show(self, service: Data) -> None:
        mine = [one for one in self._followed.values() if one.service_arn == service["serviceArn"]]
        underway = [one for one in mine if one.status not in ENDED]
        service.pop("currentServiceDeployment", None)
        if underway:
            service["currentServiceDeployment"] = underway[-1].arn
        service["currentServiceRevisions"] = [
            {
                "arn": revision_arn(service["serviceArn"], _tail(one["id"])),
                "requestedTaskCount": one.get("desiredCount", 0),
                "runningTaskCount": one.get("runningCount", 0),
                "pendingTaskCount": one.get("pendingCount", 0),
            }
            for one in service.get("deployments") or []
            if one.get("rolloutState") != "FAILED"
        ]

    # -- the API ------------------------------------------------------------------------------

    def list(self, data: Data) -> Response:
        """ListServiceDeployments: the newest first."""
        service = _service(data)
        if service is None:
            return _error("ServiceNotFoundException", "Service not found.")
        self.observe(service)
        wanted, created = data.get("status") or [], data.get("createdAt") or {}
        after, before = _seconds(created.get("after")), _seconds(created.get("before"))
        found = [
            one.brief()
            for one in reversed(self._followed.values())
            if one.service_arn == service["serviceArn"]
            and (not wanted or one.status in wanted)
            and (after is None or one.created_at > after)
            and (before is None or one.created_at < before)
        ]
        return _answer({"serviceDeployments": found[: int(data.get("maxResults") or 100)]})

    def describe(self, data: Data) -> Response:
        """DescribeServiceDeployments."""
        found, failures = [], []
        for arn in data.get("serviceDeploymentArns") or []:
            followed = self._by(lambda one, arn=arn: one.arn == arn)  # type: ignore[misc]
            if followed is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                self._look_again(followed)
                found.append(followed.full())
        return _answer({"serviceDeployments": found, "failures": failures})

    def describe_revisions(self, data: Data) -> Response:
        """DescribeServiceRevisions, with the digests that run."""
        found, failures = [], []
        for arn in data.get("serviceRevisionArns") or []:
            followed = self._by(lambda one, arn=arn: one.revision_arn == arn)  # type: ignore[misc]
            if followed is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                self._look_again(followed)
                found.append(_revision(followed))
        return _answer({"serviceRevisions": found, "failures": failures})

    def stop(self, data: Data) -> Response:
        """StopServiceDeployment with ROLLBACK: as if the circuit breaker had triggered."""
        arn = data.get("serviceDeploymentArn") or ""
        followed = self._by(lambda one: one.arn == arn)
        if followed is None:
            return _error("ServiceDeploymentNotFoundException", f"{arn} does not exist")
        if (data.get("stopType") or "ROLLBACK") != "ROLLBACK":
            return _error("InvalidParameterException", "only stopType ROLLBACK is known here")
        if followed.status not in ("PENDING", "IN_PROGRESS"):
            return _error("ConflictException", f"{arn} is {followed.status} and cannot be stopped")
        followed.stop_asked = True
        self._roll_back(followed)
        return _answer({"serviceDeploymentArn": arn})

    def _roll_back(self, followed: Followed) -> None:
        cluster, _, name = followed.service_arn.split(":service/", 1)[1].rpartition("/")
        key = f"{cluster}/{name}"
        service = ecs._services[key]
        failed, previous = _failed_and_previous(service, followed.deployment_id)
        failed.update(rolloutState="FAILED", desiredCount=0, updatedAt=ecs._iso())
        failed["rolloutStateReason"] = "Service deployment was stopped."
        if previous is not None:
            failed["status"] = "ACTIVE"
            previous.update(
                status="PRIMARY",
                desiredCount=service.get("desiredCount", 0),
                rolloutState="IN_PROGRESS",
                updatedAt=ecs._iso(),
            )
            service["taskDefinition"] = previous["taskDefinition"]
        ecs._reconcile_service_tasks(cluster, key)
        ecs._schedule_service_deployment_completion(cluster, key, get_account_id(), get_region())

    def _by(self, fits: Callable[[Followed], bool]) -> Followed | None:
        return next((one for one in list(self._followed.values()) if fits(one)), None)

    def _look_again(self, followed: Followed) -> None:
        cluster, _, name = followed.service_arn.split(":service/", 1)[1].rpartition("/")
        service = ecs._services.get(f"{cluster}/{name}")
        if service is not None:
            self.observe(service)


def _breaker(service: Data) -> bool:
    breaker = (service.get("deploymentConfiguration") or {}).get("deploymentCircuitBreaker")
    return bool((breaker or {}).get("enable"))


def _tail(deployment_id: str) -> str:
    return deployment_id.rpartition("/")[2]


def _failed_and_previous(service: Data, deployment_id: str) -> tuple[Data, Data | None]:
    deployments = service["deployments"]
    failed = next(one for one in deployments if _tail(one["id"]) == deployment_id)
    previous = next(
        (
            one
            for one in deployments
            if one is not failed and one.get("rolloutState") == "COMPLETED"
        ),
        None,
    )
    return failed, previous


def _revision(followed: Followed) -> Data:
    definition = ecs._task_defs.get(ecs._resolve_td_key(followed.task_definition)) or {}
    images = []
    for container in definition.get("containerDefinitions", []):
        image = container["image"]
        pinned = image.split("@", 1)[1] if "@" in image else None
        digest = pinned or followed.digests.get(container["name"])
        shown = {"containerName": container["name"], "image": image}
        images.append({**shown, "imageDigest": digest} if digest else shown)
    revision = {
        "serviceRevisionArn": followed.revision_arn,
        "serviceArn": followed.service_arn,
        "clusterArn": followed.cluster_arn,
        "taskDefinition": followed.task_definition,
        "networkConfiguration": followed.network,
        "containerImages": images,
        "createdAt": followed.created_at,
    }
    return {**revision, "launchType": followed.launch_type} if followed.launch_type else revision


def _seconds(moment: Any) -> float | None:
    return None if moment is None else float(ecs._ts_to_epoch(moment))


def _service(data: Data) -> Data | None:
    cluster = ecs._resolve_cluster_name(data.get("cluster") or "default")
    found = ecs._resolve_service_ref(data.get("service") or "")
    if cluster is None or found is None:
        return None
    name, named_cluster = found
    service: Data | None = ecs._services.get(f"{named_cluster or cluster}/{name}")
    return service


def _answer(data: Data) -> Response:
    response: Response = json_response(data)
    return response


def _error(code: str, message: str) -> Response:
    response: Response = error_response_json(code, message, 400)
    return response


def install(events: DeploymentEvents) -> ServiceDeployments:
    """Answer what ministack answers with empty lists."""
    for name in (
        "_services",
        "_task_defs",
        "_ts_to_epoch",
        "_iso",
        "_circuit_breaker_threshold",
        "_resolve_cluster_name",
        "_resolve_service_ref",
        "_resolve_td_key",
        "_reconcile_service_tasks",
        "_schedule_service_deployment_completion",
    ):
        need(ecs, name)
    deployments = ServiceDeployments(events)
    wrap(ecs, "_refresh_service_state", deployments.observing)
    entry(ecs, "_ACTION_MAP", "ListServiceDeployments", deployments.list)
    entry(ecs, "_ACTION_MAP", "DescribeServiceDeployments", deployments.describe)
    entry(ecs, "_ACTION_MAP", "DescribeServiceRevisions", deployments.describe_revisions)
    need(ecs, "_ACTION_MAP")["StopServiceDeployment"] = deployments.stop
    return deployments
