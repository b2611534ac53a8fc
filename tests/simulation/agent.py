"""One host's agent in the simulation: the real worker and keeper, in a process that can die."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from build_agent.host.identity import HostIdentity
from build_agent.host.slots import Slots
from build_agent.host.stop import Stop
from build_agent.host.tasks import Task
from build_agent.means import Means
from build_agent.queue.inbox import Inbox
from build_agent.queue.lease import Keeper
from build_agent.telling.logs import Log
from build_agent.telling.shift import Shift
from build_agent.worker import Worker, WorkerParts
from slipway.contracts.table import Table
from slipway.following.backoff import delay_after
from slipway.following.closing import Closer
from slipway.following.record import Recorder
from tests.simulation import deploying
from tests.simulation.aws import Caller, Instance
from tests.simulation.clockwork import LOOK, Clockwork, Fiber
from tests.simulation.deploying import Violation
from tests.simulation.following import parts_of
from tests.unit.build_agent.fakes import FakeTests

if TYPE_CHECKING:
    from tests.simulation.world import World

PROCESSES = itertools.count(1)
BUILD, DEAD = "build", "dead letters"
"""The queues that the agent is given."""


class Agent:
    """The agent's process on one host, in one boot; started again, it is a new one."""

    def __init__(self, world: World, instance: Instance) -> None:
        self.world = world
        self.instance = instance
        self.boot = instance.boot
        self.caller = Caller(instance.host_id, world.weather, world.clockwork)
        self.stop = Stop()
        self.failures = 0
        self.next_at = float("inf")
        self.beat_at = float("inf")
        self.fiber: Fiber | None = None
        self.runs: list[Fiber] = []
        self.news = False
        self.worker_hangs = False
        self.hung_at = self.heard_at = world.clockwork.time
        self.frozen_until = 0.0
        self.keeper, self.worker = self._assemble()

    def _assemble(self) -> tuple[Keeper, Worker]:
        world, caller = self.world, self.caller
        identity = HostIdentity(
            self.instance.host_id, self.boot, "us-east-1", f"p{next(PROCESSES)}"
        )
        table = Table(caller.client("dynamodb", world.dynamodb), "t")
        log = Log()
        inbox = self._inbox(table)
        keeper = Keeper(
            inbox=inbox,
            table=table,
            host=identity,
            installation=world.installation,
            clock=world.clockwork,
            log=log,
            stop=self.stop,
        )
        closer = Closer(
            caller.client("sns", world.sns), world.installation, identity, world.clockwork
        )
        recorder = Recorder(
            table,
            installation=world.installation,
            host=identity,
            closer=closer,
            clock=world.clockwork,
        )
        services = deploying.Services(world)
        means = Means(
            source=deploying.Source(world),
            images=self._images(),
            services=services,
            tests=FakeTests(),
            disk=deploying.Disk(),
            recorder=recorder,
            keeper=keeper,
            clock=world.clockwork,
            parallel=self._together,
        )
        parts = WorkerParts(
            installation=world.installation,
            host=identity,
            table=table,
            inbox=inbox,
            closer=closer,
            keeper=keeper,
            recorder=recorder,
            means=means,
            clock=world.clockwork,
            log=log,
            stop=self.stop,
            slots=Slots(world.installation.builds or 1),
            shift=self._shift(table, identity),
            spawn=self._spawn,
            jitter=world.dice.random,
            following=parts_of(
                world,
                caller,
                f"host {identity.name}",
                self.freeze,
                host=identity,
                seen=services.seen,
            ),
        )
        return keeper, Worker(parts)

    def _images(self) -> deploying.Images:
        return deploying.Images(self.world)

    def _inbox(self, table: Table) -> Inbox:
        return Inbox(
            self.caller.client("sqs", self.world.sqs),
            queue_url=BUILD,
            dead_letters_url=DEAD,
            visibility=self.world.installation.limits.visibility,
            parallel=self._together,
        )

    def _shift(self, table: Table, identity: HostIdentity) -> Shift | None:
        """A builder's; a host has none."""

    def _together(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        """What the agent's threads do, their calls in an order that chance gives."""
        return self.world.clockwork.together(functions, lambda: self.world.dice.uniform(0, 0.3))

    @property
    def dead(self) -> bool:
        return self.caller.dead

    @property
    def frozen(self) -> bool:
        return self.frozen_until > self.world.clockwork.time

    @property
    def working(self) -> bool:
        """It is at a deployment (and would go on with it)."""
        return not self.dead and bool(self.keeper.works) and not self.stop.requested

    def freeze(self, seconds: float) -> None:
        """The process stands still (SIGSTOP, a disk that hangs), heartbeat and all."""
        self.frozen_until = max(self.frozen_until, self.world.clockwork.time + seconds)
        for fiber in self._fibers():
            fiber.freeze(self.frozen_until)

    def hang(self) -> None:
        """One run, or the worker itself, does not get on, for ever; the rest does."""
        hung = self.world.dice.choice([None, *self.runs])
        if hung is None:
            self.worker_hangs, self.hung_at = True, self.world.clockwork.time
        else:
            hung.freeze(float("inf"))

    @property
    def stuck(self) -> bool:
        """Without progress for so long that rule 4 may stop the host."""
        works, limit = self.keeper.works, self.world.installation.limits.no_progress
        now = self.world.clockwork.time
        return bool(works) and all(now - work.progress_at > limit for work in works)

    def wake(self, at: float) -> None:
        """Take the next step at `at`, unless one is due before or under way."""
        if self.dead or self.fiber is not None or at >= self.next_at:
            return
        self.next_at = at
        self.world.clockwork.at(at, lambda: self._due(at))

    def _due(self, at: float) -> None:
        if self.dead or self.fiber is not None or at != self.next_at:
            return
        self.next_at = float("inf")
        if self.worker_hangs:
            return
        if self.frozen:
            self.wake(self.frozen_until)
            return
        self.fiber = Fiber(self._step)
        self.beat_in(30.0)
        self.world.clockwork.adopt(self.fiber)

    def _step(self) -> None:
        pause = 60.0
        try:
            done = self.worker.step()
            self.failures = 0
            busy = 10.0 if self.worker._runs and not self.news else 0.1
            pause = {"idle": self.world.dice.uniform(40, 100), "waiting": 5.0, "worked": busy}[done]
            pause = min(pause, self._until_next_look())
            self.news = False
        except Violation:
            raise
        except Exception:  # noqa: BLE001 - as Worker.run does
            self.failures += 1
            pause = min(60, delay_after(self.failures, 1.0))
        if self.stop.requested:
            self._leave()
            return
        self.fiber = None
        self.wake(self.world.clockwork.time + pause)
        queue = self.world.queues[BUILD]
        coming = [m.visible_at for m in queue.messages.values()]
        if coming and pause > 1:
            soonest = max(min(coming), self.world.clockwork.time)
            self.wake(soonest + self.world.dice.uniform(0.1, 1))

    def _until_next_look(self) -> float:
        """Seconds until the next step of what it follows; it looks at the queue in between."""
        rollouts = self.worker._rollouts
        due = rollouts.next_look - self.world.clockwork.time
        return min(10.0, max(0.1, due)) if rollouts else float("inf")

    def beat_in(self, seconds: float) -> None:
        """Every 30 s at work, as in life; an idle host only says that it lives: more rarely."""
        at = self.world.clockwork.time + seconds
        if self.dead or at >= self.beat_at:
            return
        self.beat_at = at
        self.world.clockwork.at(at, lambda: self._beat(at))

    def _beat(self, at: float) -> None:
        if self.dead or at != self.beat_at:
            return
        self.beat_at = float("inf")
        if not self.frozen:
            self.heard_at = self.world.clockwork.time
            self.keeper.beat()
        self.beat_in(30.0 if self.keeper.works else 120.0)

    def terminate(self) -> None:
        """SIGTERM: what is held is given back; SIGKILL after the grace time."""
        if self.dead:
            return
        self.worker.request_stop("SIGTERM")
        if self.fiber is None:
            self.fiber = Fiber(self._leave)
            self.world.clockwork.adopt(self.fiber)
        self.world.clockwork.after(20, self.kill)

    def _leave(self) -> None:
        """What `Worker.run` does once it was told to stop, and no step is under way."""
        self.worker._runs.join()
        if "let go" not in self.world.without:
            self.worker._rollouts.let_go()
        self.fiber = None
        self.kill()

    def kill(self) -> None:
        self.caller.dead = True
        fibers, self.fiber = self._fibers(), None
        for fiber in fibers:
            if fiber is not self.world.clockwork.current:
                self.world.clockwork.kill(fiber)

    # --- runs

    def _fibers(self) -> list[Fiber]:
        return [*([self.fiber] if self.fiber is not None else []), *self.runs]

    def _spawn(self, _name: str, body: Callable[[], None]) -> Task:
        """As a thread of the agent's: its calls come in an order that chance gives."""

        def go() -> None:
            self.world.clockwork.sleep(self.world.dice.uniform(0, 0.3))
            try:
                body()
            finally:
                self.runs.remove(fiber)
                self.news = True
                self.wake(self.world.clockwork.time)

        fiber = Fiber(go)
        self.runs.append(fiber)
        self.world.clockwork.adopt(fiber)
        return _Joined(self.world.clockwork, fiber)


@dataclass
class _Joined:
    clockwork: Clockwork
    fiber: Fiber

    def is_alive(self) -> bool:
        return not self.fiber.done

    def join(self, timeout: float | None = None) -> None:
        end = float("inf") if timeout is None else self.clockwork.time + timeout
        while not self.fiber.done and self.clockwork.time < end:
            self.clockwork.sleep(LOOK)
