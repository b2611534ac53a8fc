"""All of Slipway in one simulated world: real Lambdas, real agents, everything else a fake."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from lambdas.notifier.delivery import Delivery
from lambdas.notifier.handler import World as NotifierWorld
from lambdas.notifier.handler import notify
from lambdas.reconciler.handler import EC2_EVENT, reconcile
from lambdas.shared import observability
from lambdas.shared.services import Services as LambdaServices
from lambdas.starter.handler import start
from lambdas.stopper.handler import stop
from lambdas.trigger.handler import publish_pushes
from slipway.contracts.installation import ImageSettings, Installation, PipelineSettings
from slipway.contracts.messages import BuildRequest, Target, request_id_of
from slipway.contracts.table import Table
from slipway.contracts.table.pipelines import NO_TIP
from tests.aws.answers import AwsFake
from tests.simulation import deploying
from tests.simulation.agent import BUILD, DEAD, Agent
from tests.simulation.aws import EC2, SNS, SQS, Caller, Instance, Queue, refusal
from tests.simulation.clockwork import Clockwork, Killed
from tests.simulation.deploying import Repository, Service, Slack, Violation
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.weather import Weather

START = 1_800_000_000.0
TICK = 300.0
LAMBDA_TIMEOUT = 60.0
LOOKS_AGAIN = 30.0
"""Seconds from an agent's look at a pause to the fetch that follows it, slow calls included."""
RETRIES = (60.0, 120.0)
"""Seconds until an asynchronous invocation that failed is tried again (Lambda's own rule)."""
NOTICES = "notices"
NAMES = ("shop", "blog", "wiki")
HOSTS = ("i-1", "i-2", "i-3")

logging.getLogger("slipway").disabled = True
observability.logger.setLevel("CRITICAL")


def _no_metric(**_values: Any) -> None:
    """Metrics are not what is simulated."""


def make_installation(pipelines: int, hosts: int) -> Installation:
    return Installation(
        name="slipway",
        region="us-east-1",
        dev_region="us-east-1",
        dev_account="111111111111",
        prod_account="222222222222",
        host_count=hosts,
        pipelines=tuple(_pipeline(name) for name in NAMES[:pipelines]),
    )


def _pipeline(name: str) -> PipelineSettings:
    return PipelineSettings(
        name=name,
        repository=name,
        branch="main",
        git_url=f"https://git.example/{name}",
        source_role_arn="arn:aws:iam::111111111111:role/slipway-source",
        tip_role_arn="arn:aws:iam::111111111111:role/slipway-tip",
        images=(ImageSettings(repository=name, repository_uri=f"registry.example/{name}"),),
        cluster="prod",
        service=name,
    )


class World:
    """`words` is what has happened, in words; `without`: guards of the world that are out.

    `empty`: the branches are not there yet, and that was seen. `no_dev`: neither is the dev stack.
    """

    def __init__(
        self,
        seed: int,
        *,
        pipelines: int,
        hosts: int,
        faults: frozenset[str],
        calm_after: float,
        client: Callable[[], FakeDynamoDB] = FakeDynamoDB,
        without: frozenset[str] = frozenset(),
        empty: bool = False,
    ) -> None:
        observability.metrics.add_metric = _no_metric  # type: ignore[method-assign]
        self.dice = random.Random(seed)
        self.clockwork = Clockwork(START)
        self.weather = Weather(faults, self.dice, START + calm_after, self.clockwork.now)
        self.without = without
        self.installation = make_installation(pipelines, hosts)
        self.hosts = HOSTS[:hosts]
        self.words: list[tuple[float, str]] = []
        self.dynamodb = client()
        self.table = Table(self.dynamodb, "t")
        self.queues = {
            name: Queue(self.clockwork, self.dice, self.weather) for name in (BUILD, DEAD, NOTICES)
        }
        self.queues[BUILD].wake = self._message_visible
        self.sqs = SQS(self.queues)
        self.sns = SNS(self._published)
        self.ec2 = EC2(self.clockwork, self.dice, self.weather, self.hosts, self._state_changed)
        self.ec2.before_stop = self._before_stop
        self.ec2.before_start = self._not_held
        names = [p.name for p in self.installation.pipelines]
        self.repositories = {name: Repository() for name in names}
        self.services = {name: Service(name, f"registry.example/{name}") for name in names}
        self.idle_notices: list[str] = []
        self.updated = {name: {1} for name in names}
        self.rollbacks: set[tuple[str, int]] = set()
        self.ecr: dict[tuple[str, str], str] = {}
        self.kept: dict[str, str] = {}
        self.slack = Slack(self.clockwork, self.weather)
        self.agents: dict[str, Agent] = {}
        self.builds = 0
        self.invocations = 0
        self.seen: set[str] = set()
        self.failed_invocations = 0
        self.accepted: dict[str, BuildRequest] = {}
        self.queued: set[str] = set()
        self.started: set[str] = set()
        self.under_way = 0
        self.stopped_at = dict.fromkeys(self.hosts, START)
        self.held_since: dict[str, float] = {}
        self.paused_since: dict[str, float] = {}
        self.resumed_at: dict[str, float] = {}
        self.awake_seconds = 0.0
        self.asleep_with_work = 0.0
        self.long_builds = deploying.LONG_BUILDS
        self.git_is_back_at = 0.0
        self._running_since: dict[str, float] = {}
        self._commits = 0
        self._delivery = self._make_delivery()
        self.no_dev = False
        for name, repository in self.repositories.items():
            repository.made = not empty
            self.table.pipelines.change(name, baseline_tip=NO_TIP if empty else repository.tip)
        self._tick(START)

    def say(self, text: str) -> None:
        self.words.append((self.clockwork.time - START, text))

    # --- Lambdas

    def invoke(self, name: str, body: Callable[[Caller], None], tried: int = 0) -> None:
        """An asynchronous invocation: it may crash, be slow, be lost; it is tried three times."""
        if tried == 0 and self.weather.happens("Lambda is lost", 0.1):
            self.say(f"{name}: lost")
            return
        self.invocations += 1
        self.under_way += 1
        caller = Caller(name, self.weather, self.clockwork)
        if self.weather.happens("Lambda crashes", 0.15):
            caller.calls_left = self.dice.randint(0, 12)
        ended: list[bool] = []

        def run() -> None:
            try:
                body(caller)
            except Killed:
                self.say(f"{name}: crashes")
            except Violation:
                raise
            except Exception as error:  # noqa: BLE001 - Lambda catches all, and tries again
                self.say(f"{name}: raises {str(error)[:60]}")
            else:
                ended.append(True)
            over()

        def over() -> None:
            if caller.dead and len(ended) > 1:
                return
            self.under_way -= 1
            if not ended and tried < len(RETRIES) and "retries" not in self.without:
                self.under_way += 1
                self.clockwork.after(RETRIES[tried], again)
            elif not ended:
                self.failed_invocations += 1

        def again() -> None:
            self.under_way -= 1
            self.invoke(name, body, tried + 1)

        if "call slow" in self.weather.kinds and not self.weather.over:
            fiber = self.clockwork.spawn(run)
            if not fiber.done:
                self.clockwork.after(LAMBDA_TIMEOUT, lambda: setattr(caller, "dead", True))
        else:
            run()

    def lambda_services(self, caller: Caller) -> LambdaServices:
        return LambdaServices(
            installation=self.installation,
            now=self.clockwork.now,
            sns=caller.client("sns", self.sns),
            table=Table(caller.client("dynamodb", self.dynamodb), "t"),
            ec2=caller.client("ec2", self.ec2),
            sqs=caller.client("sqs", self.sqs),
            codecommit_as=lambda pipeline: caller.client("codecommit", _CodeCommit(self)),
            hosts=self.hosts,
            queue_url=BUILD,
        )

    def _tick(self, at: float) -> None:
        self.check_asleep()
        if "schedule" not in self.without and not self.weather.happens("schedule skipped", 0.3):
            event: dict[str, Any] = {"detail-type": "Scheduled Event", "detail": {}}
            self.invoke("reconciler", lambda c: reconcile(event, self.lambda_services(c)))
        self.clockwork.at(at + TICK, lambda: self._tick(at + TICK))

    # --- topics

    def _published(self, topic: str, text: str, attributes: dict[str, str]) -> None:
        if topic == "request":
            request = BuildRequest.from_json(text)
            self.accepted.setdefault(request.request_id, request)
            if self._deliver("to the queue", lambda: self.queues[BUILD].put(text)):
                self.queued.add(request.request_id)
            self._deliver("to the starter", lambda: self._start(text, request.request_id))
        elif attributes["kind"] == "idle":
            self.idle_notices.append(text)
            self._deliver("to the stopper", lambda: self._stop(text))
        else:
            self._deliver("to the notices queue", lambda: self._notify(text), may_be_lost=False)

    def _deliver(
        self, where: str, deliver: Callable[[], None], *, may_be_lost: bool = True
    ) -> bool:
        """At least once, in any order; or never, for a target that failed for long: False.

        (What SNS gives up on lies in the subscription's own dead-letter queue then.)
        """
        if may_be_lost and self.weather.happens("delivery lost", 0.08):
            self.say(f"a delivery {where} is lost")
            return False
        times = 2 if self.weather.happens("delivery twice", 0.15) else 1
        for _ in range(times):
            delay = self.dice.uniform(0.05, 0.5)
            if self.weather.happens("delivery late", 0.15):
                delay = self.dice.uniform(10, 1500)
            self.under_way += 1
            self.clockwork.after(delay, lambda: self._arrived(deliver))
        return True

    def _arrived(self, deliver: Callable[[], None]) -> None:
        self.under_way -= 1
        deliver()

    def _start(self, text: str, request_id: str) -> None:
        event = {"Records": [{"Sns": {"Message": text}}]}

        def body(caller: Caller) -> None:
            start(event, self.lambda_services(caller))
            self.started.add(request_id)

        self.invoke("starter", body)

    def _stop(self, text: str) -> None:
        event = {"Records": [{"Sns": {"Message": text}}]}
        self.invoke("stopper", lambda c: stop(event, self.lambda_services(c)))

    # --- notices

    def _make_delivery(self) -> Delivery:
        return Delivery(
            installation=self.installation,
            notices=self.table.notices,
            webhooks=SimpleNamespace(  # type: ignore[arg-type]
                url=lambda parameter: "https://slack.example"
            ),
            post=self.slack.post,
            clock=self.clockwork.now,
            sleep=lambda seconds: None,
        )

    def _notify(self, text: str, receives: int = 1) -> None:
        """The notices queue: a record that fails comes back when its visibility says so."""
        self.under_way += 1
        notice_id = json.loads(text)["notice_id"]
        pauses: list[float] = []
        caller = Caller("notifier", self.weather, self.clockwork)
        if self.weather.happens("Lambda crashes", 0.1):
            caller.calls_left = self.dice.randint(0, 3)
        self._delivery._notices = Table(caller.client("dynamodb", self.dynamodb), "t").notices
        sqs = _NoticesQueue(pauses)
        record = {
            "body": text,
            "messageId": "1",
            "receiptHandle": "1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:222222222222:slipway-notices",
            "attributes": {"ApproximateReceiveCount": str(receives)},
        }
        self.slack.about = notice_id
        before = self.slack.posted.get(notice_id, 0)
        done = False
        try:
            answer = notify({"Records": [record]}, NotifierWorld(self._delivery, sqs), lambda: 50.0)
            done = not answer["batchItemFailures"]
        except Killed:
            pass
        if not done and self.slack.posted.get(notice_id, 0) > before:
            self.slack.excused.add(notice_id)
        self.under_way -= 1
        if not done:
            pause = max(pauses[-1] if pauses else 300.0, 1.0)
            self.under_way += 1
            self.clockwork.after(pause, lambda: self._notify_again(text, receives + 1))

    def _notify_again(self, text: str, receives: int) -> None:
        self.under_way -= 1
        self._notify(text, receives)

    # --- hosts

    def _state_changed(self, instance: Instance) -> None:
        self.say(f"{instance.host_id} is {instance.state}")
        self._note_state(instance)
        host, agent = instance.host_id, self.agents.get(instance.host_id)
        if instance.state == "pending":
            self._count_sleep(host)
        if instance.state == "running":
            self._running_since[host] = self.clockwork.time
            self._boot(instance)
        elif instance.state == "stopping" and agent is not None:
            agent.terminate()
        elif instance.state == "stopped":
            self.awake_seconds += self.clockwork.time - self._running_since.pop(
                host, self.clockwork.time
            )
            self.stopped_at[host] = self.clockwork.time
            if agent is not None:
                agent.kill()
            if "stopped event" not in self.without:
                self._event(host)

    def _note_state(self, instance: Instance) -> None:
        """Which states of the protocol were reached: EC2's, the row's, and whether work waits."""
        row = self.table.hosts.get(instance.host_id)
        known = "no row" if row is None or not row.boot else row.state
        if row is not None and row.boot and row.boot != instance.boot:
            known += " (earlier boot)"
        work = "work" if self.table.wants.all() else "no work"
        self.seen.add(f"{instance.state}, {known}, {work}")

    def _count_sleep(self, starting: str) -> None:
        """How long work has waited for this start while every host was stopped."""
        if any(i.state != "stopped" for h, i in self.ec2.instances.items() if h != starting):
            return
        wants = self.table.wants.all()
        if wants:
            since = max([min(w.noted_at for w in wants), *self.stopped_at.values()])
            self.asleep_with_work += self.clockwork.time - since

    def _event(self, host: str) -> None:
        """EventBridge tells of the stop: perhaps late, twice, or never."""
        if self.weather.happens("event lost", 0.2):
            self.say(f"the event of {host} is lost")
            return
        detail = {"instance-id": host, "state": "stopped"}
        event = {"detail-type": EC2_EVENT, "detail": detail}
        for _ in range(2 if self.weather.happens("event twice", 0.2) else 1):
            self.under_way += 1
            self.clockwork.after(
                self.dice.uniform(0.2, 3),
                lambda: self._arrived(
                    lambda: self.invoke(
                        "reconciler", lambda c: reconcile(event, self.lambda_services(c))
                    )
                ),
            )

    def _boot(self, instance: Instance) -> None:
        if self.weather.happens("silent boot", 0.2):
            self.say(f"{instance.host_id} boots, and no agent comes")
            return
        slow = self.weather.happens("slow boot", 0.15)
        delay = self.dice.uniform(200, 900) if slow else self.dice.uniform(10, 40)
        boot = instance.boot
        self.clockwork.after(delay, lambda: self.start_agent(instance, boot))

    def start_agent(self, instance: Instance, boot: str) -> None:
        """A new process on the host, if it still runs in that boot."""
        if (instance.state, instance.boot) != ("running", boot):
            return
        agent = self.agents[instance.host_id] = Agent(self, instance)
        agent.wake(self.clockwork.time)
        agent.beat_in(0.0)

    def kill_agent(self, host: str) -> None:
        """kill -9 of the process; systemd starts another one."""
        agent = self.agents.get(host)
        if agent is None or agent.dead:
            return
        self.say(f"the agent on {host} is killed")
        agent.kill()
        instance, boot = agent.instance, agent.boot
        self.clockwork.after(5, lambda: self.start_agent(instance, boot))

    def _before_stop(self, instance: Instance) -> None:
        agent = self.agents.get(instance.host_id)
        if agent is not None and agent.boot == instance.boot and self._is_at_work(agent):
            raise Violation(f"{instance.host_id} is stopped while it works")
        self._not_held(instance)

    def _not_held(self, instance: Instance) -> None:
        """A host that an operator holds is neither stopped nor started by a later decision."""
        since = self.held_since.get(instance.host_id, self.clockwork.time)
        if self.clockwork.time - since > LAMBDA_TIMEOUT:
            raise Violation(f"{instance.host_id} is {instance.state} and held, and is not left so")

    def not_paused(self, pipeline: str) -> None:
        """No deployment begins of a pipeline that is paused."""
        since = self.paused_since.get(pipeline, self.clockwork.time)
        if self.clockwork.time - since > LOOKS_AGAIN:
            raise Violation(f"{pipeline} is paused, and is deployed")

    def _is_at_work(self, agent: Agent) -> bool:
        """And gets on with it, as far as anybody can tell."""
        broken = agent.frozen or agent.stuck or self._is_silent(agent)
        return agent.working and not broken

    def _is_silent(self, agent: Agent) -> bool:
        """No heartbeat came through for so long that rule 4 may stop it."""
        row = self.table.hosts.get(agent.instance.host_id)
        limit = self.installation.limits.no_heartbeat
        return row is not None and self.clockwork.time - row.heartbeat_at > limit

    def _message_visible(self, at: float) -> None:
        for agent in self.agents.values():
            agent.wake(at + self.dice.uniform(0.1, 1))

    # --- what people do

    def push(self, pipeline: str, kind: str) -> None:
        """`kind`: good, bad fetch, build or rollout, or back (to the commit before, by force)."""
        repository = self.repositories[pipeline]
        if kind == "back" and len(repository.tips) > 2:
            commit = repository.tips[-2]
        else:
            self._commits += 1
            commit = f"{self._commits:040x}"
        if kind in ("fetch", "build", "rollout"):
            repository.bad[commit] = kind
        repository.move(commit, self.clockwork.time)
        version = len(repository.tips) - 1
        self.say(f"push {version} to {pipeline} ({kind}): {commit[-4:]}")
        event = {
            "Records": [
                {
                    "codecommit": {"references": [{"commit": commit, "ref": "refs/heads/main"}]},
                    "eventId": f"{pipeline}-{version}",
                    "eventSourceARN": f"arn:aws:codecommit:us-east-1:111111111111:{pipeline}",
                    "eventTime": None,
                    "userIdentityARN": "arn:aws:iam::111111111111:user/ada",
                }
            ]
        }
        at = self.clockwork.time
        self.invoke(
            "trigger",
            lambda c: publish_pushes(event, self.installation, caller_sns(c, self), now=at),
        )

    def rollback(self, pipeline: str) -> None:
        """An operator goes back to the deployment before the newest that succeeded."""
        rows = self.table.deployments.newest(pipeline, 20)
        good = [r for r in rows if r.status == "succeeded" and r.task_definition_after]
        if len(good) < 2:
            return
        earlier = good[1]
        revision = int(str(earlier.task_definition_after).rpartition(":")[2])
        self.rollbacks.add((pipeline, revision))
        self.say(f"an operator rolls {pipeline} back to {earlier.deployment_id}")
        request = BuildRequest(
            request_id=request_id_of("rollback", pipeline, str(self.clockwork.time)),
            pipeline=pipeline,
            target=Target(kind="deployment", deployment_id=earlier.deployment_id),
            pushed_by="operator",
            pushed_at=self.clockwork.time,
            reason="rollback",
        )
        self.table.wants.note(request, self.clockwork.time)
        self._published("request", request.to_json(), {"kind": "request"})

    def duplicate(self) -> None:
        """An old request comes again, long after it was settled."""
        settled = [r for r in self.accepted.values() if self.table.requests.settled([r.request_id])]
        if settled:
            request = self.dice.choice(settled)
            self.say(f"an old request of {request.pipeline} comes again")
            self.weather.happened["old duplicate"] += 1
            self._published("request", request.to_json(), {"kind": "request"})

    def old_notice(self) -> None:
        """An idle notice comes again, whatever has become of its host since."""
        if self.idle_notices:
            self._stop(self.dice.choice(self.idle_notices[-3:]))

    # --- rest

    @property
    def at_rest(self) -> bool:
        return (
            not self.under_way
            and not self.queues[BUILD].messages
            and all(i.state == "stopped" for i in self.ec2.instances.values())
            and not self.table.wants.all()
            and not any(lock.again for lock in self.table.locks.all())
        )

    def check_asleep(self) -> None:
        """Work that waits finds a host within one period of the schedule, once faults are over."""
        calm = self.weather.until + 2 * TICK
        if self.clockwork.time < calm or "asleep" in self.without:
            return
        if any(i.state != "stopped" for i in self.ec2.instances.values()):
            return
        rows = {r.host_id: r for r in self.table.hosts.all()}
        free = [
            h
            for h in self.hosts
            if h not in rows
            or (not rows[h].held and rows[h].next_start_at <= self.clockwork.time - TICK)
        ]
        paused = {p.pipeline for p in self.table.pipelines.all().values() if p.paused}
        before = self.clockwork.time - TICK - 60
        waiting = [
            w.pipeline
            for w in self.table.wants.all()
            if w.pipeline not in paused
            and max(w.noted_at, self.resumed_at.get(w.pipeline, 0.0)) < before
        ]
        asleep = self.clockwork.time - max(self.stopped_at.values())
        if free and waiting and asleep > TICK + 60:
            raise Violation(f"every host sleeps while {waiting[0]} waits")


def calm_world(client: Callable[[], FakeDynamoDB] = FakeDynamoDB, **values: Any) -> World:
    """One pipeline, one host and no faults, unless `values` say so."""
    given = {"pipelines": 1, "hosts": 1, "faults": frozenset(), "calm_after": 0.0, **values}
    return World(1, client=client, **given)


def caller_sns(caller: Caller, world: World) -> Any:
    return caller.client("sns", world.sns)


class _NoticesQueue(AwsFake, service="sqs"):
    """Keeps for how long a notice is put aside."""

    meta = SimpleNamespace(endpoint_url="https://sqs.example")

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        self._pauses.append(VisibilityTimeout)
        return {}


class _CodeCommit(AwsFake, service="codecommit"):
    def __init__(self, world: World) -> None:
        self._world = world

    def get_branch(self, *, repositoryName: str, branchName: str) -> dict[str, Any]:
        if self._world.no_dev or self._world.weather.happens("dev side is silent", 0.5):
            raise refusal("AccessDeniedException")
        repository = self._world.repositories[repositoryName]
        if not repository.made:
            raise refusal("BranchDoesNotExistException")
        return {"branch": {"commitId": repository.tip}}


__all__ = ["START", "Violation", "World", "calm_world"]
