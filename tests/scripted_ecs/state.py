"""What a scripted ECS holds, as the wire has it, and what is still to happen to it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.wire import REGION, Fault, Json

Behaviour = Callable[[Any, Json], None]
"""What happens to a `ScriptedEcs` once a deployment has begun."""

ACCOUNT = "222222222222"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER, SERVICE, FAMILY = "prod", "web", "web"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/web"


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.time += seconds


def denied(action: str) -> Fault:
    who = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/ci"
    return Fault("AccessDeniedException", f"User: {who} is not authorized to perform: {action}")


@dataclass
class EcsState:
    """One cluster, one service, and what happens to it.

    `behaviour` is what the first registered (or forced) revision's deployment does; deployments of
    older revisions do `older_behaviour` (become healthy after two seconds). `faults`: operation →
    error, always. `throttled(n)`: whether the n-th call is throttled. `stale`: for how many seconds
    after an update reads still show the state before it. `history`: whether there are service
    deployments; `names_current`: whether the service names its current one. `health`: the state of
    a running task's health checks; `targets`: that of its target behind the balancer (None: not
    registered yet).
    """

    clock: Any = field(default_factory=FakeClock)
    behaviour: Behaviour | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    throttled: Callable[[int], bool] = lambda _number: False
    stale: float = 0.0
    older_behaviour: Behaviour | None = None
    history: bool = True
    number_matches: bool = True
    names_current: bool = False
    calls: list[tuple[str, Json]] = field(default_factory=list)
    attempts: int = 0
    definitions: dict[str, Json] = field(default_factory=dict)
    definition_tags: dict[str, list[Json]] = field(default_factory=dict)
    service: Json = field(default_factory=dict)
    others: list[Json] = field(default_factory=list)
    service_deployments: dict[str, Json] = field(default_factory=dict)
    revisions: dict[str, Json] = field(default_factory=dict)
    tasks: list[Json] = field(default_factory=list)
    one_off: Callable[[Any, Json], Json] | None = None
    images: set[str] | None = None
    health: Callable[[Json], str] = lambda _task: "UNKNOWN"
    targets: Callable[[Json], str] | None = None
    caches: tuple[str, ...] = ()
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _before: tuple[float, Json] | None = None
    _serial: int = 100
    _tokens: dict[str, Json] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        if self.service:
            return
        for revision in (5, 6, 7):
            arn = self.add_definition(
                {
                    "family": FAMILY,
                    "containerDefinitions": [
                        {
                            "name": "web",
                            "image": f"{IMAGE}:v{revision}",
                            "essential": True,
                            "memory": 64,
                        }
                    ],
                }
            )
        self.service = {
            "serviceArn": f"{PREFIX}:service/{CLUSTER}/{SERVICE}",
            "serviceName": SERVICE,
            "clusterArn": f"{PREFIX}:cluster/{CLUSTER}",
            "status": "ACTIVE",
            "desiredCount": 1,
            "runningCount": 1,
            "pendingCount": 0,
            "schedulingStrategy": "REPLICA",
            "taskDefinition": arn,
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
            "deployments": [],
            "events": [],
        }
        first = self.make_deployment(arn, running=1, state="COMPLETED")
        self.service["deployments"] = [first]
        self.make_service_deployment(first, status="SUCCESSFUL")

    # --- state ------------------------------------------------------------------------------

    def add_definition(self, request: Json, tags: list[Json] | None = None) -> str:
        """Register `request` as ECS would, without recording a call; the ARN."""
        family = request["family"]
        taken = [int(a.rpartition(":")[2]) for a in self.definitions if f"/{family}:" in a]
        number = max(taken, default=4) + 1
        arn = f"{PREFIX}:task-definition/{family}:{number}"
        definition = copy.deepcopy({k: v for k, v in request.items() if k != "tags"})
        self.definitions[arn] = {
            **definition,
            "taskDefinitionArn": arn,
            "revision": number,
            "status": "ACTIVE",
            "registeredAt": 1.7e9,
            "registeredBy": f"arn:aws:iam::{ACCOUNT}:root",
            "compatibilities": ["EC2", "FARGATE"],
            "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.ecr-auth"}],
        }
        self.definition_tags[arn] = tags if tags is not None else request.get("tags", [])
        return arn

    def make_deployment(
        self, arn: str, *, running: int = 0, state: str | None = "IN_PROGRESS"
    ) -> Json:
        self._serial += 1
        deployment = {
            "id": f"ecs-svc/{self._serial}",
            "status": "PRIMARY",
            "taskDefinition": arn,
            "desiredCount": self.service.get("desiredCount", 1),
            "runningCount": running,
            "pendingCount": 0,
            "failedTasks": 0,
            "createdAt": self.clock.now(),
            "updatedAt": self.clock.now(),
        }
        if state is not None:
            deployment["rolloutState"] = state
            deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} {state.lower()}."
        return deployment

    def make_service_deployment(self, deployment: Json, status: str = "IN_PROGRESS") -> Json:
        number = deployment["id"].rpartition("/")[2]
        revision = f"{PREFIX}:service-revision/{CLUSTER}/{SERVICE}/" + (
            number if self.number_matches else f"9{number}"
        )
        arn = f"{PREFIX}:service-deployment/{CLUSTER}/{SERVICE}/sd-{number}"
        definition = self.definitions[deployment["taskDefinition"]]
        self.revisions[revision] = {
            "serviceRevisionArn": revision,
            "serviceArn": self.service["serviceArn"],
            "taskDefinition": deployment["taskDefinition"],
            "containerImages": [
                {"containerName": c["name"], "image": c["image"], "imageDigest": digest_of(number)}
                for c in definition["containerDefinitions"]
            ],
        }
        made = {
            "serviceDeploymentArn": arn,
            "serviceArn": self.service["serviceArn"],
            "clusterArn": self.service["clusterArn"],
            "createdAt": self.clock.now(),
            "status": status,
            "targetServiceRevision": {
                "arn": revision,
                "requestedTaskCount": self.service["desiredCount"],
                "runningTaskCount": 0,
                "pendingTaskCount": 0,
            },
            "sourceServiceRevisions": [],
        }
        self.service_deployments[arn] = made
        if self.names_current:
            self.service["currentServiceDeployment"] = arn
        return made

    def at(self, seconds: float, change: Callable[[], None]) -> None:
        """Schedule `change` for `seconds` from now."""
        self.at_time(self.clock.now() + seconds, change)

    def at_time(self, moment: float, change: Callable[[], None]) -> None:
        """Schedule `change` for a moment of the clock, which may be over when it is looked at."""
        self._serial += 1
        self._events.append((moment, self._serial, change))

    def advance(self) -> None:
        """Let everything happen whose time has come."""
        while due := sorted(e for e in self._events if e[0] <= self.clock.now()):
            self._events.remove(due[0])
            due[0][2]()
            self._follow_counts(due[0][0])
        self._follow_counts(self.clock.now())

    def _follow_counts(self, now: float) -> None:
        """Each deployment has as many tasks as it counts running; a task that went is not back.

        One that is not listed any more has none.
        """
        listed = {d["id"] for d in self.service.get("deployments", [])}
        for task in self.tasks:
            by = task.get("startedBy", "")
            if by.startswith("ecs-svc/") and by not in listed and task["lastStatus"] == "RUNNING":
                task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "silent": True}
        for deployment in self.service.get("deployments", []):
            mine = [t for t in self.tasks if t.get("startedBy") == deployment["id"]]
            running = [t for t in mine if t["lastStatus"] == "RUNNING"]
            for task in running[deployment["runningCount"] :]:
                task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "silent": True}
            for _ in range(deployment["runningCount"] - len(running)):
                self.add_service_task(deployment, now)

    def add_service_task(self, deployment: Json, now: float) -> Json:
        """A task of the service that runs from now on."""
        definition = self.definitions[deployment["taskDefinition"]]
        task = self.add_task(
            deployment["taskDefinition"],
            "RUNNING",
            startedBy=deployment["id"],
            startedAt=now,
            group=f"service:{SERVICE}",
            containers=[
                {"name": c["name"], "lastStatus": "RUNNING", "image": c.get("image", "")}
                for c in definition["containerDefinitions"]
            ],
        )
        address = f"10.0.{self._serial // 250}.{self._serial % 250}"
        details = [{"name": "privateIPv4Address", "value": address}]
        task["attachments"] = [{"type": "ElasticNetworkInterface", "details": details}]
        return task

    def say(self, message: str) -> None:
        """An event of the service, now; ECS lists the newest first."""
        event = {"id": str(len(self.service["events"])), "createdAt": self.clock.now()}
        self.service["events"].insert(0, {**event, "message": f"(service {SERVICE}) {message}"})

    def forget_events(self) -> None:
        """What was still to come does not happen."""
        self._events.clear()

    def deployment(self, identifier: str) -> Json | None:
        return next((d for d in self.service["deployments"] if d["id"] == identifier), None)

    def service_deployment_of(self, deployment: Json) -> Json:
        number = deployment["id"].rpartition("/")[2]
        return self.service_deployments[
            f"{PREFIX}:service-deployment/{CLUSTER}/{SERVICE}/sd-{number}"
        ]

    @property
    def primary(self) -> Json:
        self.advance()
        return next(d for d in self.service["deployments"] if d["status"] == "PRIMARY")

    @property
    def live(self) -> str:
        """family:revision of the primary deployment."""
        return str(self.primary["taskDefinition"].rpartition("/")[2])

    def made(self, operation: str) -> list[Json]:
        """The parameters of each call to `operation` that was let through."""
        return [parameters for name, parameters in self.calls if name == operation]

    def add_task(self, arn: str, status: str, **members: Any) -> Json:
        self._serial += 1
        task = {
            "taskArn": f"{PREFIX}:task/{CLUSTER}/{self._serial:032x}",
            "taskDefinitionArn": arn,
            "lastStatus": status,
            "desiredStatus": "STOPPED" if status == "STOPPED" else "RUNNING",
            "containers": [{"name": "web", "lastStatus": status}],
            **members,
        }
        self.tasks.append(task)
        return task


def digest_of(number: str) -> str:
    """The digest that deployment `number` runs."""
    return "sha256:" + f"{int(number):064x}"


def timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
