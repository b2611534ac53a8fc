"""All of Slipway in one simulated world: real Lambdas, real agents, everything else a fake."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
from collections.abc import Callable
from typing import Any

from lambdas.shared import observability
from slipway.contracts.installation import BuildersSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.pipelines import NO_TIP
from tests.simulation import deploying
from tests.simulation.agent import BUILD, DEAD, Agent
from tests.simulation.aws import EC2, SNS, SQS, Queue
from tests.simulation.builders import CodeBuild
from tests.simulation.clockwork import Clockwork
from tests.simulation.deploying import Repository, Service, Slack, Violation
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.following import Following
from tests.simulation.functions import Functions
from tests.simulation.hosts import Hosts
from tests.simulation.installation import make_installation
from tests.simulation.notices import Notices
from tests.simulation.people import People
from tests.simulation.scheduled import Families
from tests.simulation.weather import REPEATED_FROM, Weather

START = 1_800_000_000.0
TICK = 300.0
LOOKS_AGAIN = 30.0
"""Seconds from an agent's look at a pause to the fetch that follows it, slow calls included."""
NOTICES = "notices"
HOSTS = ("i-1", "i-2", "i-3")

logging.getLogger("slipway").disabled = True
observability.logger.setLevel("CRITICAL")


def _no_metric(**_values: Any) -> None:
    """Metrics are not what is simulated."""


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
        slots: int = 1,
        stale: bool = False,
        paths: bool = False,
        builders: BuildersSettings = BuildersSettings(),  # noqa: B008 - frozen
        services: int = 1,
        together: bool = False,
        takes_over: bool = False,
        scheduled: bool = False,
        proofs: bool = False,
    ) -> None:
        observability.metrics.add_metric = _no_metric  # type: ignore[method-assign]
        self.dice = random.Random(seed)
        self.clockwork = Clockwork(START)
        repeats = random.Random(f"repeats {seed}") if seed >= REPEATED_FROM else None
        self.weather = Weather(
            faults, self.dice, START + calm_after, self.clockwork.now, repeats=repeats
        )
        self.without = without
        self.takes_over = takes_over
        self.tasks: dict[str, float] = {}
        self.installation = make_installation(
            pipelines,
            hosts,
            slots,
            stale=stale,
            builders=builders,
            paths=paths,
            services=services,
            together=together,
            takes_over=takes_over,
            scheduled=scheduled,
            proofs=proofs,
        )
        self.hosts = HOSTS[:hosts]
        self.words: list[tuple[float, str]] = []
        self.functions, self.people = Functions(self), People(self)
        self.life = Hosts(self)
        self.dynamodb = client()
        self.table = Table(self.dynamodb, "t")
        follow = self.installation.names.follow_queue
        self.queues = {
            name: Queue(self.clockwork, self.dice, self.weather)
            for name in (BUILD, DEAD, NOTICES, follow)
        }
        self.following = Following(self)
        self.follow_queue = self.queues[follow]
        self.codebuild = CodeBuild(self)
        self.queues[BUILD].wake = self._message_visible
        self.queues[BUILD].before_delete = self._may_be_deleted
        self.follow_queue.wake = self.following.visible
        self.sqs = SQS(self.queues)
        self.sns = SNS(self.published)
        self.ec2 = EC2(self.clockwork, self.dice, self.weather, self.hosts, self.life.state_changed)
        self.ec2.before_stop = self.life.before_stop
        self.ec2.before_start = self.life.before_start
        names = [p.name for p in self.installation.pipelines]
        self.repositories = {name: Repository() for name in names}
        self.services = {
            one.service: Service(one.name, f"registry.example/{one.name}", one.service)
            for pipeline in self.installation.pipelines
            for one in pipeline.per_service
        }
        self.families = {
            p.name: Families(p.name, f"registry.example/{p.name}")
            for p in self.installation.pipelines
            if p.has_companions
        }
        self.idle_notices: list[str] = []
        self.updated = {name: {1} for name in self.services}
        self.live: dict[str, list[tuple[float, int]]] = {name: [] for name in names}
        self.fetched: dict[str, dict[str, int]] = {name: {} for name in names}
        self.cancelled: dict[str, float] = {}
        self.kill_at_update: set[str] = set()
        self.rollbacks: set[tuple[str, int]] = set()
        self.ecr: dict[tuple[str, str], str] = {}
        self.kept: dict[str, str] = {}
        self.slack = Slack(self.clockwork, self.weather)
        self.notices = Notices(self)
        self.agents: dict[str, Agent] = {}
        self.builds = 0
        self.invocations = 0
        self.seen: set[str] = set()
        self.failed_invocations = 0
        self.accepted: dict[str, BuildRequest] = {}
        self.queued: set[str] = set()
        self.for_builders: set[str] = set()
        self.started: set[str] = set()
        self.under_way = 0
        self.stopped_at = dict.fromkeys(self.hosts, START)
        self.held_since: dict[str, float] = {}
        self.paused_since: dict[str, float] = {}
        self.resumed_at: dict[str, float] = {}
        self.full_at = START
        self.awake_seconds = 0.0
        self.asleep_with_work = 0.0
        self.long_builds = deploying.LONG_BUILDS
        self.git_is_back_at = 0.0
        self.unconfigured: set[str] = set()
        self.no_dev = False
        for name, repository in self.repositories.items():
            repository.made = not empty
            self.table.pipelines.change(name, baseline_tip=NO_TIP if empty else repository.tip)
        self._tick(START)

    def say(self, text: str) -> None:
        self.words.append((self.clockwork.time - START, text))

    def _tick(self, at: float) -> None:
        self.check_asleep()
        self.codebuild.check_silent()
        if "schedule" not in self.without and not self.weather.happens("schedule skipped", 0.3):
            self.functions.tick()
        self.clockwork.at(at + TICK, lambda: self._tick(at + TICK))

    def unconfigure(self, pipeline: str) -> None:
        """The pipeline is taken out of the configuration: whoever begins from now on knows it no
        more.
        """
        kept = tuple(p for p in self.installation.pipelines if p.name != pipeline)
        self.installation = dataclasses.replace(self.installation, pipelines=kept)
        self.unconfigured.add(pipeline)
        self.say(f"{pipeline} is configured no more")

    # --- topics

    def published(self, topic: str, text: str, attributes: dict[str, str]) -> None:
        if topic == "request":
            request = BuildRequest.from_json(text)
            self.accepted.setdefault(request.request_id, request)
            builder = attributes.get("builder") != "no"
            queue = self.queues[BUILD] if builder else self.follow_queue
            if builder and request.request_id not in self.for_builders:
                self.for_builders.add(request.request_id)
                self.queued.discard(request.request_id)
            if self._deliver("to its queue", lambda: queue.put(text)):
                self.queued.add(request.request_id)
            self._deliver("to the starter", lambda: self.functions.start(request, attributes))
        elif attributes["kind"] == "idle":
            self.idle_notices.append(text)
            self._deliver("to the stopper", lambda: self.functions.stop(text))
        else:
            notify = self.notices.notify
            self._deliver("to the notices queue", lambda: notify(text), may_be_lost=False)

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
            self.after(delay, deliver)
        return True

    def after(self, delay: float, arrives: Callable[[], None]) -> None:
        """Something is under way for `delay` seconds."""
        self.under_way += 1
        self.clockwork.after(delay, lambda: self._arrived(arrives))

    def _arrived(self, arrives: Callable[[], None]) -> None:
        self.under_way -= 1
        arrives()

    def not_paused(self, pipeline: str) -> None:
        """No deployment begins of a pipeline that is paused."""
        since = self.paused_since.get(pipeline, self.clockwork.time)
        if self.clockwork.time - since > LOOKS_AGAIN:
            raise Violation(f"{pipeline} is paused, and is deployed")

    def _may_be_deleted(self, body: str) -> None:
        """A request goes once it has its outcome, or a row that owns its rollout."""
        request = BuildRequest.from_json(body)
        owned = {row.request_id for row in self.table.pending.all()}
        if request.pipeline in self.unconfigured:  # it may be a dead letter now
            dead = [message.body for message in self.queues[DEAD].messages.values()]
            owned |= {BuildRequest.from_json(body).request_id for body in dead}
        if request.request_id in owned or self.table.requests.settled([request.request_id]):
            return
        raise Violation(f"a request of {request.pipeline} is deleted, and nobody owns it")

    def _message_visible(self, at: float) -> None:
        for agent in self.agents.values():
            agent.wake(at + self.dice.uniform(0.1, 1))

    # --- ECS

    def begin_rollout(self, service: Service, target: int, *, by: str) -> None:
        """UpdateService was taken: the deployment goes on by itself, well or back."""
        service.token += 1
        service.begun[service.token] = (target, by)
        service.goes_back = False
        self.updated[service.name].add(target)
        kind = "rollout" if service.name == service.pipeline else "worker"
        bad = self.repositories[service.pipeline].bad.get(service.commit_of(target)) == kind
        self._on_its_way(service, target, service.proven if bad else target)
        if service.pipeline in self.kill_at_update:
            self.kill_at_update.discard(service.pipeline)
            self.life.kill_who_follows(service.pipeline)

    def take_back(self, service: Service, before: int) -> None:
        """StopServiceDeployment was taken: what ran before comes again."""
        service.goes_back = True
        self._on_its_way(service, before, before)

    def _on_its_way(self, service: Service, target: int, then: int) -> None:
        service.changes += 1
        change = service.changes
        service.primary, service.steady = target, False

        def end() -> None:
            if service.changes == change:
                service.proven = service.primary = then
                service.steady = True
                if service.name == service.pipeline:
                    live = (self.clockwork.time, service.versions[then])
                    self.live[service.pipeline].append(live)
                self.following.event(service.name)

        self.clockwork.after(self.dice.uniform(20, 120), end)

    # --- rest

    @property
    def at_rest(self) -> bool:
        return (
            not self.under_way
            and not self.queues[BUILD].messages
            and not [m for m in self.follow_queue.messages.values() if not self._is_nobodys(m.body)]
            and all(i.state == "stopped" for i in self.ec2.instances.values())
            and not self.table.wants.all()
            and not self.table.pending.all()
            and not {row.pipeline for row in self.table.builders.all()} & self.unconfigured
            and not self.codebuild.live
            and not any(
                lock.again or lock.untold or lock.is_followed for lock in self.table.locks.all()
            )
            and not any(
                row.ahead_tip and row.pipeline not in self.unconfigured
                for row in self.table.pipelines.all().values()
            )
        )

    def _is_nobodys(self, body: str) -> bool:
        """A request that the follower will never know: SQS makes a dead letter of it in the end."""
        pipeline = json.loads(body).get("pipeline")
        return pipeline in self.unconfigured

    def check_asleep(self) -> None:
        """Work that waits finds a host within one period of the schedule, once faults are over."""
        calm = self.weather.until + 2 * TICK
        if self.clockwork.time < calm or "asleep" in self.without:
            return
        if any(i.state != "stopped" for i in self.ec2.instances.values()):
            return
        if not self.hosts:
            self._check_built()
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
        followed = {lock.pipeline for lock in self.table.locks.all() if lock.is_followed}
        followed |= {build.pipeline for build in self.codebuild.live}
        waiting = [
            w.pipeline
            for w in self.table.wants.all()
            if w.builder
            and w.pipeline not in self.unconfigured
            and w.pipeline not in paused | followed
            and max(w.noted_at, self.resumed_at.get(w.pipeline, 0.0)) < before
        ]
        asleep = self.clockwork.time - max(self.stopped_at.values())
        if free and waiting and asleep > TICK + 60:
            raise Violation(f"every host sleeps while {waiting[0]} waits")

    def _check_built(self) -> None:
        """The same of a pipeline without a host: a build is there for it, or nothing waits.

        But where as many builds are there as may be, one that hangs keeps others until its timeout.
        """
        if len(self.codebuild.live) >= self.installation.builders.limit:
            self.full_at = self.clockwork.time
            return
        paused = {p.pipeline for p in self.table.pipelines.all().values() if p.paused}
        taken = {
            lock.pipeline for lock in self.table.locks.all() if lock.taken(self.clockwork.time)
        }
        at_it = {build.pipeline for build in self.codebuild.live}
        rows = self.table.builders.all()
        at_it |= {row.pipeline for row in rows if row.next_at > self.clockwork.time - TICK - 60}
        before = self.clockwork.time - 2 * TICK - 60
        later = {row.request_id: row.visible_at for row in self.table.pending.all()}
        for want in self.table.wants.all():
            since = max(
                want.noted_at,
                self.full_at,
                self.resumed_at.get(want.pipeline, 0.0),
                later.get(want.request_id, 0.0),
            )
            idle = paused | taken | at_it | self.unconfigured
            if not want.builder or want.pipeline in idle or since >= before:
                continue
            raise Violation(f"nothing builds {want.pipeline}, which waits")


def calm_world(client: Callable[[], FakeDynamoDB] = FakeDynamoDB, **values: Any) -> World:
    """One pipeline, one host and no faults, unless `values` say so."""
    given = {"pipelines": 1, "hosts": 1, "faults": frozenset(), "calm_after": 0.0, **values}
    return World(1, client=client, **given)


__all__ = ["START", "Violation", "World", "calm_world"]
