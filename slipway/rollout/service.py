"""A service as ECS describes it, as values; and what it runs now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.api import NO_ANSWER, Api, WrongForAws
from slipway.rollout.events import says_steady
from slipway.rollout.plan import Clock

ECS, CODE_DEPLOY, EXTERNAL = "ECS", "CODE_DEPLOY", "EXTERNAL"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One entry of a service's `deployments` (or a task set, for CODE_DEPLOY services).

    `state` is `rolloutState`: IN_PROGRESS, COMPLETED, FAILED, or None (Classic load balancer).
    """

    id: str
    status: str
    task_definition: str
    state: str | None = None
    reason: str = ""
    desired: int = 0
    running: int = 0
    pending: int = 0
    failed: int = 0
    created_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """What DescribeServices (or UpdateService) said about a service at one moment."""

    arn: str
    name: str
    cluster: str
    status: str
    controller: str
    strategy: str
    scheduling: str
    desired: int
    task_definition: str
    deployments: tuple[Deployment, ...]
    service_deployment: str | None = None
    revisions: tuple[str, ...] = ()
    load_balanced: bool = False
    min_percent: int = 100
    breaker_rolls_back: bool = False
    events: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def primary(self) -> Deployment | None:
        return next((d for d in self.deployments if d.status == "PRIMARY"), None)

    def deployment(self, identifier: str) -> Deployment | None:
        return next((d for d in self.deployments if d.id == identifier), None)

    @property
    def is_settled(self) -> bool:
        """Whether the primary deployment is the only one and, in ECS's own words, done.

        Behind a Classic load balancer there is no `rolloutState`: ECS's event says it.
        """
        primary = self.primary
        if primary is None or len(self.deployments) > 1:
            return False
        if primary.state is not None or self.controller != ECS:
            return primary.state in (None, "COMPLETED")
        up = primary.running >= primary.desired and not primary.pending
        return up and says_steady(self.raw, since=primary.created_at)

    @property
    def is_daemon(self) -> bool:
        return self.scheduling == "DAEMON"

    @property
    def named_definitions(self) -> frozenset[str]:
        """Every task definition that this service or one of its deployments names."""
        named = {d.task_definition for d in self.deployments} | {self.task_definition}
        return frozenset(named - {""})

    @property
    def proven(self) -> str:
        """The task definition to go back to: the newest that completed, else the primary's."""
        primary = self.primary
        if primary is None or primary.state in (None, "COMPLETED"):
            return primary.task_definition if primary else self.task_definition
        done = [d for d in self.deployments if d.state == "COMPLETED"]
        return done[0].task_definition if done else primary.task_definition


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a service runs now.

    `digests`: container to image digest of the live service revision, where ECS tells (else
    empty); `images`: container to image as the service revision names it. `steady`: no other
    deployment is on its way.
    """

    service: str
    task_definition: str
    revision: str | None
    steady: bool
    digests: Mapping[str, str]
    images: Mapping[str, str]


def live(ecs: Any, *, cluster: str, service: str, clock: Clock) -> Live:
    """What `service` runs now, in at most four calls.

    WrongUse for a service that is not there or not ACTIVE; WorldFailed where AWS fails.
    """
    api = Api(ecs, clock)
    seen = read_service(api, cluster, service)
    primary = seen.primary
    revision = _live_revision(api, seen)
    images = revision.get("containerImages", []) if revision else []
    return Live(
        service=seen.name,
        task_definition=primary.task_definition if primary else seen.task_definition,
        revision=revision.get("serviceRevisionArn") if revision else None,
        steady=seen.is_settled,
        digests={i["containerName"]: i["imageDigest"] for i in images if i.get("imageDigest")},
        images={i["containerName"]: i["image"] for i in images if i.get("image")},
    )


def read_service(api: Api, cluster: str | None, name: str) -> Service:
    """The ACTIVE service `name`; WrongUse where it or the cluster is not there, or not ACTIVE."""
    answer = api.read("describe_services", **_cluster(cluster), services=[name])
    found = answer.get("services") or []
    if not found:
        reasons = {f.get("reason", "MISSING") for f in answer.get("failures") or []}
        why = ", ".join(sorted(reasons)) or "MISSING"
        raise WrongUse(f"there is no service {name!r} in cluster {cluster or 'default'!r} ({why})")
    service = parse_service(found[0])
    if service.status != "ACTIVE":
        raise WrongUse(f"service {name!r} is {service.status}: only an ACTIVE one can be deployed")
    return service


def look_again(api: Api, cluster: str, arn: str) -> Service | None:
    """The service as DescribeServices has it now; None where a stale answer does not hold it."""
    try:
        answer = api.read("describe_services", cluster=cluster, services=[arn])
    except WrongForAws:
        return None
    found = answer.get("services") or []
    return parse_service(found[0]) if found else None


def parse_service(raw: Mapping[str, Any]) -> Service:
    """`Service` of one entry of DescribeServices' `services`, or of UpdateService's `service`."""
    configuration = raw.get("deploymentConfiguration") or {}
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    alarms = configuration.get("alarms") or {}
    entries = raw.get("deployments") or raw.get("taskSets") or []
    first: Mapping[str, Any] = next((e for e in entries if e.get("status") == "PRIMARY"), {})
    return Service(
        arn=raw.get("serviceArn") or raw.get("serviceName", ""),
        name=raw.get("serviceName", ""),
        cluster=raw.get("clusterArn", ""),
        status=raw.get("status", "ACTIVE"),
        controller=(raw.get("deploymentController") or {}).get("type") or ECS,
        strategy=configuration.get("strategy") or "ROLLING",
        scheduling=raw.get("schedulingStrategy") or "REPLICA",
        desired=raw.get("desiredCount") or 0,
        task_definition=raw.get("taskDefinition") or first.get("taskDefinition") or "",
        deployments=tuple(_deployment(entry) for entry in entries),
        service_deployment=raw.get("currentServiceDeployment"),
        revisions=tuple(r["arn"] for r in raw.get("currentServiceRevisions") or [] if "arn" in r),
        load_balanced=bool(raw.get("loadBalancers") or first.get("vpcLatticeConfigurations")),
        min_percent=_min_percent(raw, configuration),
        breaker_rolls_back=bool(
            (breaker.get("enable") and breaker.get("rollback"))
            or (alarms.get("enable") and alarms.get("rollback"))
        ),
        events=tuple(event.get("message", "") for event in (raw.get("events") or [])[:10]),
        raw=raw,
    )


def _min_percent(raw: Mapping[str, Any], configuration: Mapping[str, Any]) -> int:
    """minimumHealthyPercent; ECS's default is 100, for a DAEMON service 0."""
    default = 0 if raw.get("schedulingStrategy") == "DAEMON" else 100
    found = configuration.get("minimumHealthyPercent")
    return default if found is None else int(found)


def containers_of_revision(api: Api, revision: str) -> dict[str, tuple[str, str]]:
    """Container to (image, digest) of a service revision; empty where ECS does not tell."""
    described = _revision(api, revision) or {}
    return {
        i["containerName"]: (i.get("image", ""), i["imageDigest"])
        for i in described.get("containerImages") or []
        if i.get("containerName") and i.get("imageDigest")
    }


def _live_revision(api: Api, service: Service) -> Mapping[str, Any] | None:
    """The service revision that the primary deployment runs, or None where ECS does not tell."""
    primary = service.primary
    candidates = list(service.revisions) or _revisions_by_history(api, service)
    for arn in candidates[:3]:
        revision = _revision(api, arn)
        if revision and primary and revision.get("taskDefinition") == primary.task_definition:
            return revision
    return None


def _revisions_by_history(api: Api, service: Service) -> list[str]:
    try:
        answer = api.look(
            "list_service_deployments",
            cluster=service.cluster,
            service=service.arn,
            status=["SUCCESSFUL"],
            maxResults=1,
        )
    except NO_ANSWER:
        return []
    return [
        brief["targetServiceRevisionArn"]
        for brief in answer.get("serviceDeployments") or []
        if brief.get("targetServiceRevisionArn")
    ]


def _revision(api: Api, arn: str) -> Mapping[str, Any] | None:
    try:
        answer = api.look("describe_service_revisions", serviceRevisionArns=[arn])
    except NO_ANSWER:
        return None
    found = answer.get("serviceRevisions") or []
    return found[0] if found else None


_STABILITY = {"STABILIZING": "IN_PROGRESS", "STEADY_STATE": "COMPLETED"}
"""How a task set says what a deployment's `rolloutState` does."""


def _deployment(raw: Mapping[str, Any]) -> Deployment:
    desired = raw.get("desiredCount", raw.get("computedDesiredCount"))
    created: Any = raw.get("createdAt")
    return Deployment(
        id=raw.get("id", ""),
        status=raw.get("status", ""),
        task_definition=raw.get("taskDefinition") or "",
        state=raw.get("rolloutState") or _STABILITY.get(raw.get("stabilityStatus") or ""),
        reason=raw.get("rolloutStateReason") or "",
        desired=desired or 0,
        running=raw.get("runningCount") or 0,
        pending=raw.get("pendingCount") or 0,
        failed=raw.get("failedTasks") or 0,
        created_at=created.timestamp() if hasattr(created, "timestamp") else created,
    )


def _cluster(cluster: str | None) -> dict[str, str]:
    return {} if cluster is None else {"cluster": cluster}
