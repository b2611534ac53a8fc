"""An ECS whose answers change over time, by script. No network, no waiting.

`ScriptedEcs` holds one service and its task definitions as JSON, the way the wire has them. What a
deployment does after UpdateService is a *behaviour*: a function that schedules changes of the state
at seconds after the update. Real botocore clients talk to it (`client()`), so that serialisation,
parsing, validation and events are the real ones; `serve()` puts the same thing behind a port.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from build_agent.fence import HANDLER

Json = dict[str, Any]
Behaviour = Callable[["ScriptedEcs", Json], None]

REGION, ACCOUNT = "us-east-1", "222222222222"
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


class Fault(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def denied(action: str) -> Fault:
    who = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/ci"
    return Fault("AccessDeniedException", f"User: {who} is not authorized to perform: {action}")


@dataclass
class ScriptedEcs:
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
    one_off: Callable[[ScriptedEcs, Json], Json] | None = None
    images: set[str] | None = None
    health: Callable[[Json], str] = lambda _task: "UNKNOWN"
    targets: Callable[[Json], str] | None = None
    caches: tuple[str, ...] = ()
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _before: tuple[float, Json] | None = None
    _serial: int = 100
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
        """Each deployment has as many tasks as it counts running; a task that went is not back."""
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

    # --- operations -------------------------------------------------------------------------

    def handle(self, operation: str, parameters: Json) -> Json:
        """Answer one call; raises Fault."""
        with self._lock:
            self.advance()
            self.attempts += 1
            if self.throttled(self.attempts):
                raise Fault("ThrottlingException", "Rate exceeded")
            self.calls.append((operation, parameters))
            if operation in self.faults:
                raise self.faults[operation]
            return getattr(self, f"_on_{operation}")(parameters)

    def _on_DescribeServices(self, parameters: Json) -> Json:
        if parameters.get("cluster", "default").rpartition("/")[2] != CLUSTER:
            raise Fault("ClusterNotFoundException", "Cluster not found.")
        known = {s["serviceName"]: s for s in (self._seen_service(), *self.others)}
        found, failures = [], []
        for wanted in parameters["services"]:
            name = wanted.rpartition("/")[2]
            if name in known:
                found.append(known[name])
            else:
                failures.append({"arn": f"{PREFIX}:service/{CLUSTER}/{name}", "reason": "MISSING"})
        return {"services": copy.deepcopy(found), "failures": failures}

    def _seen_service(self) -> Json:
        if self._before is not None and self.clock.now() - self._before[0] < self.stale:
            return self._before[1]
        return self.service

    def _on_ListServices(self, _parameters: Json) -> Json:
        return {"serviceArns": [s["serviceArn"] for s in (self.service, *self.others)]}

    def _on_DescribeTaskDefinition(self, parameters: Json) -> Json:
        arn = self._resolve(parameters["taskDefinition"])
        answer = {"taskDefinition": copy.deepcopy(self.definitions[arn])}
        if "TAGS" in parameters.get("include", []):
            answer["tags"] = copy.deepcopy(self.definition_tags.get(arn, []))
        return answer

    def _resolve(self, name: str) -> str:
        short = name.rpartition("task-definition/")[2]
        family, _, number = short.partition(":")
        arns = [a for a in self.definitions if a.rpartition("/")[2].partition(":")[0] == family]
        for arn in arns:
            if number and arn.endswith(f"/{family}:{number}"):
                return arn
        if number or not arns:
            raise Fault("ClientException", "Unable to describe task definition.")
        return max(arns, key=lambda a: int(a.rpartition(":")[2]))

    def _on_RegisterTaskDefinition(self, parameters: Json) -> Json:
        arn = self.add_definition(parameters)
        return {"taskDefinition": copy.deepcopy(self.definitions[arn])}

    def _on_DeregisterTaskDefinition(self, parameters: Json) -> Json:
        arn = self._resolve(parameters["taskDefinition"])
        self.definitions[arn]["status"] = "INACTIVE"
        return {"taskDefinition": copy.deepcopy(self.definitions[arn])}

    def _on_ListTaskDefinitions(self, parameters: Json) -> Json:
        prefix = parameters.get("familyPrefix", "")
        arns = [
            a
            for a, d in self.definitions.items()
            if d["status"] == "ACTIVE" and d["family"].startswith(prefix)
        ]
        return {"taskDefinitionArns": arns}

    def _on_UpdateService(self, parameters: Json) -> Json:
        arn = self._resolve(parameters.get("taskDefinition", self.service["taskDefinition"]))
        self._before = (self.clock.now(), copy.deepcopy(self.service))
        if "desiredCount" in parameters:
            self.service["desiredCount"] = parameters["desiredCount"]
        self.service["deploymentConfiguration"] |= parameters.get("deploymentConfiguration", {})
        if arn != self.service["taskDefinition"] or parameters.get("forceNewDeployment"):
            self.start_deployment(arn)
        self.advance()
        return {"service": copy.deepcopy(self.service)}

    def start_deployment(self, arn: str) -> Json:
        """What UpdateService starts; also for somebody else's deployment."""
        is_first = len(self.made("UpdateService")) == 1 or arn not in self._older()
        for old in self.service["deployments"]:
            old["status"] = "ACTIVE"
        new = self.make_deployment(arn)
        self.service["deployments"].insert(0, new)
        self.service["taskDefinition"] = arn
        if self.history:
            self.make_service_deployment(new)
        older = self.older_behaviour or becomes_healthy(2.0)
        behaviour = self.behaviour if is_first and self.behaviour else older
        self.behaviour = None if is_first else self.behaviour
        behaviour(self, new)
        return new

    def _older(self) -> list[str]:
        return list(self.definitions)[:3]

    def _on_ListServiceDeployments(self, _parameters: Json) -> Json:
        shown = self.service_deployments.values() if self.history else ()
        briefs = [
            {
                "serviceDeploymentArn": d["serviceDeploymentArn"],
                "status": d["status"],
                "createdAt": d["createdAt"],
                "targetServiceRevisionArn": d["targetServiceRevision"]["arn"],
            }
            for d in shown
        ]
        return {"serviceDeployments": list(reversed(briefs))}

    def _on_DescribeServiceDeployments(self, parameters: Json) -> Json:
        arns = parameters["serviceDeploymentArns"]
        known = self.service_deployments if self.history else {}
        return {"serviceDeployments": copy.deepcopy([known[a] for a in arns if a in known])}

    def _on_DescribeServiceRevisions(self, parameters: Json) -> Json:
        arns = parameters["serviceRevisionArns"]
        known = self.revisions if self.history else {}
        return {"serviceRevisions": copy.deepcopy([known[a] for a in arns if a in known])}

    def _on_StopServiceDeployment(self, parameters: Json) -> Json:
        mine = self.service_deployments[parameters["serviceDeploymentArn"]]
        if mine["status"] not in ("PENDING", "IN_PROGRESS"):
            raise Fault("ConflictException", "The deployment cannot be stopped.")
        mine["status"] = "ROLLBACK_REQUESTED"
        number = mine["serviceDeploymentArn"].rpartition("-")[2]
        deployment = self.deployment(f"ecs-svc/{number}")
        assert deployment is not None
        self.forget_events()
        rolls_back(self, deployment, begins=0.5, ends=4.0, reason="Stopped by the user.")
        return {"serviceDeploymentArn": mine["serviceDeploymentArn"]}

    def _on_ListTasks(self, parameters: Json) -> Json:
        """A hundred at once, as ECS does."""
        wanted = parameters.get("desiredStatus", "RUNNING")
        arns = [
            t["taskArn"] for t in self.tasks if t["desiredStatus"] == wanted and not t.get("silent")
        ]
        start = int(parameters.get("nextToken", "0"))
        more = {"nextToken": str(start + 100)} if len(arns) > start + 100 else {}
        return {"taskArns": arns[start : start + 100], **more}

    def _on_DescribeTasks(self, parameters: Json) -> Json:
        assert len(parameters["tasks"]) <= 100, "DescribeTasks takes 100 tasks"
        known = {t["taskArn"]: t for t in self.tasks}
        found = [copy.deepcopy(known[a]) for a in parameters["tasks"] if a in known]
        for task in found:
            if task.get("startedBy", "").startswith("ecs-svc/"):
                task["healthStatus"] = self.health(task)
                for container in task["containers"]:
                    container["healthStatus"] = task["healthStatus"]
        return {"tasks": found}

    def _on_DescribeTargetHealth(self, parameters: Json) -> Json:
        """Of Elastic Load Balancing: the targets of the service's running tasks."""
        found = []
        for task in self.tasks:
            if not task.get("attachments") or task["lastStatus"] != "RUNNING":
                continue
            state = self.targets(task) if self.targets else None
            if state is not None:
                address = task["attachments"][0]["details"][0]["value"]
                found.append({"id": address, "port": 8080, "state": state})
        return {"targets": found}

    def _on_RunTask(self, parameters: Json) -> Json:
        task = self.add_task(self._resolve(parameters["taskDefinition"]), "RUNNING")
        assert self.one_off is not None
        self.one_off(self, task)
        return {"tasks": [copy.deepcopy(task)], "failures": []}

    def _on_StopTask(self, parameters: Json) -> Json:
        task = next(t for t in self.tasks if t["taskArn"] == parameters["task"])
        task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
        return {"task": copy.deepcopy(task)}

    def _on_BatchGetImage(self, parameters: Json) -> Json:
        identifier = parameters["imageIds"][0]
        version = identifier.get("imageTag") or identifier.get("imageDigest")
        name = f"{parameters['repositoryName']}:{version}"
        if self.images is None or name in self.images:
            return {"images": [{"imageId": identifier, "imageManifest": "{}"}], "failures": []}
        return {"images": [], "failures": [{"imageId": identifier, "failureCode": "ImageNotFound"}]}

    def _on_DescribePullThroughCacheRules(self, parameters: Json) -> Json:
        known = [{"ecrRepositoryPrefix": prefix} for prefix in self.caches]
        at = int(parameters.get("nextToken", 0))  # a page holds one
        page: Json = {"pullThroughCacheRules": known[at : at + 1]}
        return page if at + 1 >= len(known) else {**page, "nextToken": str(at + 1)}

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

    # --- clients ----------------------------------------------------------------------------

    def client(self, name: str = "ecs") -> Any:
        """A real botocore client whose requests end here."""
        return client_of(name, self.answer)

    def answer(self, operation: str, body: bytes | str) -> tuple[int, bytes]:
        """HTTP status and body of one call."""
        if operation == "DescribeTargetHealth":
            return self._answer_of_balancer(operation, body)
        try:
            return 200, json.dumps(self.handle(operation, json.loads(body or "{}"))).encode()
        except Fault as fault:
            error = {"__type": fault.code, "message": fault.message}
            return fault.status, json.dumps(error).encode()

    def _answer_of_balancer(self, operation: str, body: bytes | str) -> tuple[int, bytes]:
        """The same in the words of Elastic Load Balancing: a form is asked, XML is answered."""
        text = body.decode() if isinstance(body, bytes) else body
        form = {name: values[0] for name, values in parse_qs(text).items()}
        try:
            targets = self.handle(operation, form)["targets"]
        except Fault as fault:
            said = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
            xml = f"<ErrorResponse><Error>{said}</Error></ErrorResponse>"
            return fault.status, xml.encode()
        members = "".join(
            f"<member><Target><Id>{t['id']}</Id><Port>{t['port']}</Port></Target>"
            f"<TargetHealth><State>{t['state']}</State></TargetHealth></member>"
            for t in targets
        )
        inner = f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"
        xml = (
            f"<DescribeTargetHealthResponse><DescribeTargetHealthResult>{inner}"
            "</DescribeTargetHealthResult></DescribeTargetHealthResponse>"
        )
        return 200, xml.encode()


def client_of(name: str, answer: Callable[[str, bytes | str], tuple[int, bytes]]) -> Any:
    """A real botocore client whose requests `answer` (operation, body) → (status, body) gets."""

    def send(request: Any, **_ignored: Any) -> AWSResponse:
        operation = _operation_of(request)
        status, body = answer(operation, request.body)
        return AWSResponse(request.url, status, {}, _Body(body))

    client = _client(name)
    event = f"before-send.{client.meta.service_model.service_id.hyphenize()}"
    for handler in ("scripted", HANDLER):  # of who had it before
        client.meta.events.unregister(event, unique_id=handler)
    client.meta.events.register_first(event, send, unique_id="scripted")
    return client


def _operation_of(request: Any) -> str:
    """What a request asks for: by its header, or (Elastic Load Balancing) by its form."""
    target = request.headers.get("X-Amz-Target")
    if target is None:
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        return parse_qs(body)["Action"][0]
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2]


class _Body:
    """What botocore reads a response's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_ignored: Any) -> Iterator[bytes]:
        yield self._content

    def read(self, *_ignored: Any) -> bytes:
        return self._content


@cache
def _client(name: str) -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "a-secret-that-must-never-be-shown")
    config = Config(retries={"total_max_attempts": 1})
    return session.create_client(name, region_name=REGION, config=config)


@contextmanager
def serve(scripted: ScriptedEcs) -> Iterator[str]:
    """`scripted` behind a port of 127.0.0.1; its endpoint URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16  # head and body in one packet: two wait 40 ms for an acknowledgement

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = (self.headers.get("X-Amz-Target") or "").rpartition(".")[2]
            status, answer = scripted.answer(operation, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_ignored: Any) -> None:
            """Nothing: the calls are kept in `scripted.calls`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def digest_of(number: str) -> str:
    """The digest that deployment `number` runs."""
    return "sha256:" + f"{int(number):064x}"


def timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# --- behaviours -------------------------------------------------------------------------------


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
