"""CodeBuild in the simulation: builds that start late, die, and are told of; and their agents."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from build_agent.host.identity import HostIdentity
from build_agent.queue.inbox import Inbox
from build_agent.queue.pending_inbox import PendingInbox
from build_agent.telling.logs import Log
from build_agent.telling.shift import Shift
from lambdas.decide.situation import AGENT_FIRST
from slipway.contracts.table import Table
from slipway.contracts.table.builders import builder_host
from tests.aws.answers import AwsFake
from tests.aws.builds import build_told, phases_told
from tests.simulation.agent import DEAD, Agent
from tests.simulation.aws import Instance, refusal
from tests.simulation.clockwork import Killed
from tests.simulation.deploying import Images, Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

TOKEN_LIVES = 300.0
"""Seconds for which CodeBuild knows the token of a StartBuild."""
KINDS = (
    "builds refused",
    "build starts late",
    "build never starts",
    "build hangs first",
    "build freezes",
    "build killed",
    "build event lost",
    "build event late",
    "build event twice",
)
"""Faults that only builds of CodeBuild have."""
STOPPED_BY = 780.0
"""Seconds after its limit by which a builder that is silent, or stands still, is stopped: the
schedule comes twice, and the stop is claimed and sent.
"""


class Machine(Instance):
    """A builder's: its generation is its boot."""

    @property
    def boot(self) -> str:
        return str(self.boots)


@dataclass
class Build:
    """One build; `agent` once it has begun, `machine_since` once it has a machine."""

    build_id: str
    pipeline: str
    generation: int
    token: str
    asked_at: float
    status: str = "IN_PROGRESS"
    agent: BuilderAgent | None = None
    machine_since: float | None = None
    variables: list[dict[str, str]] = field(default_factory=list)


class BuilderAgent(Agent):
    """The agent of one build: it receives pending rows, and ends when nothing is left."""

    def __init__(self, world: World, build: Build) -> None:
        self.build = build
        instance = Machine(builder_host(build.pipeline), boots=build.generation)
        super().__init__(world, instance)

    def _inbox(self, table: Table) -> Inbox:
        world = self.world
        self._pending = PendingInbox(
            self.caller.client("sqs", world.sqs),
            table,
            pipeline=self.build.pipeline,
            generation=self.build.generation,
            dead_letters_url=DEAD,
            visibility=world.installation.limits.visibility,
            now=world.clockwork.now,
            pause=lambda seconds: None,
        )
        return self._pending

    def _shift(self, table: Table, identity: HostIdentity) -> Shift:
        return Shift(
            pipeline=self.build.pipeline,
            generation=self.build.generation,
            build_id=self.build.build_id,
            host=identity,
            table=table,
            left=self._pending,
            clock=self.world.clockwork,
            log=Log(),
            stop=self.stop,
            slots=1,
        )

    def _images(self) -> Images:
        return Images(self.world, dies=self._dies)

    def _dies(self) -> None:
        """What it builds takes its container with it."""
        self.world.codebuild.end(self.build, "FAILED")
        raise Killed

    def _leave(self) -> None:
        super()._leave()
        self.world.codebuild.end(self.build, "SUCCEEDED")


class CodeBuild(AwsFake, service="codebuild"):
    """One project. What it tells EventBridge comes late, twice, or never."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)
        self.builds: dict[str, Build] = {}
        self.started = 0

    # --- the API

    def start_build(
        self,
        *,
        projectName: str,
        idempotencyToken: str,
        environmentVariablesOverride: list[dict[str, str]],
    ) -> dict[str, Any]:
        world, now = self._world, self._world.clockwork.time
        for build in self.builds.values():
            known = "token" not in world.without and now - build.asked_at < TOKEN_LIVES
            if known and build.token == idempotencyToken:
                return {"build": {"id": build.build_id}}
        if world.weather.happens("builds refused", 0.4):
            raise refusal("AccountLimitExceededException")
        given = {each["name"]: each["value"] for each in environmentVariablesOverride}
        build = Build(
            f"{projectName}:{next(self._numbers)}", given["SLIPWAY_PIPELINE"],
            int(given["SLIPWAY_GENERATION"]), idempotencyToken, now,
            variables=environmentVariablesOverride,
        )  # fmt: skip
        self.builds[build.build_id] = build
        self._within_the_limit()
        self.started += 1
        world.say(f"{build.build_id} is asked for {build.pipeline}")
        self._provision(build)
        return {"build": {"id": build.build_id}}

    def batch_get_builds(self, *, ids: list[str]) -> dict[str, Any]:
        found = [self.builds[name] for name in ids if name in self.builds]
        return {
            "builds": [
                build_told(
                    build.build_id,
                    build.variables,
                    buildStatus=build.status,
                    phases=phases_told(build.machine_since),
                )
                for build in found
            ],
            "buildsNotFound": [name for name in ids if name not in self.builds],
        }

    def list_builds_for_project(self, *, projectName: str, sortOrder: str) -> dict[str, Any]:
        return {"ids": list(reversed(self.builds))}

    def stop_build(self, *, id: str) -> dict[str, Any]:
        build, world = self.builds[id], self._world
        if build.status == "IN_PROGRESS":
            self._may_be_stopped(build)
            world.say(f"{id} is told to stop")
            world.weather.happened["build stopped"] += 1
            self.end(build, "STOPPED")
        return {"build": build_told(id, build.variables, buildStatus=build.status)}

    # --- what must not be

    def _within_the_limit(self) -> None:
        """Of one more build: no more rows are live than the limit allows. (A build that is over
        counts no more, whether or not that could be noted.)
        """
        over = {name for name, build in self.builds.items() if build.status != "IN_PROGRESS"}
        rows = self._world.table.builders.all()
        live = [row.pipeline for row in rows if row.is_live and row.build_id not in over]
        if len(live) > self._world.installation.builders.limit:
            raise Violation(f"{len(live)} builders are live, more than the limit: {live}")

    def _may_be_stopped(self, build: Build) -> None:
        """Nobody stops a build that waits, nor one whose builder gets on. (One that was frozen may
        go on in the moment in which it is stopped.)
        """
        now, agent = self._world.clockwork.time, build.agent
        if build.machine_since is None:
            raise Violation(f"{build.build_id} is stopped while it waits for its machine")
        frozen = agent is None or now - agent.frozen_until < STOPPED_BY
        if not frozen and not agent.worker_hangs and agent.heard_at > now - STOPPED_BY:
            raise Violation(f"{build.build_id} is stopped while its builder gets on")

    def check_silent(self) -> None:
        """Who is silent, or stands still, is stopped soon, once faults are over. (But a build that
        has said that it is done keeps nobody, whatever becomes of it.)
        """
        world, limits = self._world, self._world.installation.limits
        still = limits.no_progress + AGENT_FIRST * limits.heartbeat + STOPPED_BY
        for build in self.live:
            agent, since = build.agent, build.machine_since
            row = world.table.builders.get(build.pipeline)
            if since is None or not row.is_live or row.generation != build.generation:
                continue
            silent_since = max(agent.heard_at if agent else since, world.weather.until)
            if world.clockwork.time - silent_since > limits.no_heartbeat + STOPPED_BY:
                raise Violation(f"{build.build_id} is silent, and keeps {build.pipeline}")
            if agent is not None and agent.worker_hangs:
                hung_since = max(agent.hung_at, world.weather.until)
                if world.clockwork.time - hung_since > still:
                    raise Violation(f"{build.build_id} stands still, and keeps {build.pipeline}")

    # --- what becomes of a build

    def _provision(self, build: Build) -> None:
        world = self._world
        wait = world.dice.uniform(5, 40)
        if world.weather.happens("build starts late", 0.2):
            wait = world.dice.uniform(200, 1500)
        if world.weather.happens("build never starts", 0.1):
            world.after(wait, lambda: self.end(build, "FAULT"))
            return
        world.after(wait, lambda: self._begin(build))

    def _begin(self, build: Build) -> None:
        if build.status != "IN_PROGRESS":
            return
        world = self._world
        build.machine_since = world.clockwork.time
        timeout = world.installation.builders.timeout
        world.clockwork.after(timeout, lambda: self.end(build, "TIMED_OUT"))
        if world.installation.find(build.pipeline) is None:
            self.end(build, "FAILED")
        elif not world.weather.happens("build hangs first", 0.1):
            self._go(build)

    def _go(self, build: Build) -> None:
        """Its agent is there."""
        world = self._world
        agent = build.agent = BuilderAgent(world, build)
        world.agents[agent.instance.host_id] = agent
        agent.wake(world.clockwork.time)
        agent.beat_in(0.0)
        if world.weather.happens("build freezes", 0.15):
            wait = world.dice.uniform(0, 200)
            world.clockwork.after(wait, lambda: agent.freeze(world.dice.choice((650.0, 1e9))))
        if world.weather.happens("build killed", 0.2):
            world.clockwork.after(world.dice.uniform(0, 300), lambda: self.end(build, "FAULT"))

    def kill(self, pipeline: str) -> None:
        """Somebody stops the pipeline's build, or CodeBuild loses it."""
        for build in self.live:
            if build.pipeline == pipeline:
                self.end(build, "STOPPED")

    def end(self, build: Build, status: str) -> None:
        """The build is over; EventBridge tells of it."""
        if build.status != "IN_PROGRESS":
            return
        world = self._world
        build.status = status
        world.say(f"{build.build_id} of {build.pipeline} is {status}")
        if build.agent is not None and not build.agent.dead:
            build.agent.kill()
        if "build event" in world.without or world.weather.happens("build event lost", 0.2):
            return
        for _ in range(2 if world.weather.happens("build event twice", 0.2) else 1):
            wait = world.dice.uniform(0.2, 3)
            if world.weather.happens("build event late", 0.2):
                wait = world.dice.uniform(30, 900)
            world.after(wait, lambda: world.functions.build_ended(build.build_id, status))

    @property
    def live(self) -> list[Build]:
        return [build for build in self.builds.values() if build.status == "IN_PROGRESS"]
