"""1,000 pipelines and 100,000 pushes a day on 1, 4 and 16 hosts, with one build slot and with two,
in simulated time.

What wakes and stops a host is production's `decide`, what is superseded is production's `Kept`;
around them stand only queues, boots, builds and rollouts with durations. One simulated day of
pushes, then until all is deployed.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.cost import BURST, GAP
from bench.report import Section, shown
from build_agent.queue.inbox import Delivery
from build_agent.queue.supersede import Kept
from lambdas.decide.decision import decide
from lambdas.decide.situation import Action, Host, IdleNotice, Snapshot, StartHost, StopIdle
from slipway.contracts.installation import Limits
from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.table.hosts import HostRow, HostRun, HostState
from slipway.contracts.table.locks import NEVER, LockRow, held_by
from slipway.contracts.table.wants import Want
from slipway.contracts.wording import counted
from slipway.cost.model import BOOT_SECONDS, Setup

DAY = 86_400.0
PIPELINES, PUSHES = 1_000, 100_000
HOSTS, SLOTS = (1, 4, 16), (1, 2)
INSTANCE = "c7g.large"
"""Hosts that build all day would use up a burstable one's credits."""
RECONCILE = 300.0
LIMITS = Limits()
BUILD_MEDIAN, BUILD_SIGMA, BUILD_LONGEST = 120.0, 0.8, 1_800.0
"""Log-normal, as build times are: median 2 minutes, one in ten over 5.6, at most 30."""
FETCH_AND_PUSH, ROLLOUT = 20.0, 40.0
"""Seconds of a deployment beside its build: with a build slot, and after it, when no host is needed
and the pipeline's next push waits.
"""
CALLS_A_PUSH, CALLS_A_DEPLOYMENT = 10.25, 60.0
"""Trigger 1, starter 9, agent a quarter; a deployment's rows, leases, ECR and ECS."""
CALL_DOLLARS = 0.6e-6
"""The dearest of what is called often: a DynamoDB write, on demand."""


@dataclass
class Machine:
    """A host as EC2 and its row have it."""

    row: HostRow
    ec2_state: str = "stopped"
    launched_at: float = 0.0

    @property
    def pipelines(self) -> frozenset[str]:
        return frozenset(run.pipeline for run in self.row.runs)

    def begin(self, pipeline: str, now: float) -> None:
        run = HostRun(run=1, pipeline=pipeline, stage="build", progress_at=now)
        self._runs((*self.row.runs, run), now, "busy")

    def end(self, pipeline: str, now: float) -> None:
        runs = tuple(run for run in self.row.runs if run.pipeline != pipeline)
        self._runs(runs, now, "busy" if runs else "idle")

    def _runs(self, runs: tuple[HostRun, ...], now: float, state: HostState) -> None:
        """As begin_work, heartbeat and say_idle write the row."""
        row = replace(self.row, runs=runs, state=state, progress_at=now)
        if not runs:
            row = replace(row, idle_number=row.idle_number + 1, idle_since=now)
        self.row = row

    def view(self) -> Host:
        return Host(row=self.row, ec2_state=self.ec2_state, launched_at=self.launched_at)


@dataclass
class Outcome:
    """What one run showed. Ages in seconds: from a push to the end of the deployment it is in."""

    hosts: int
    slots: int
    ages: list[float] = field(default_factory=list)
    builds: int = 0
    superseded: int = 0
    host_hours: float = 0.0
    starts: int = 0
    decisions: int = 0

    @property
    def calls(self) -> float:
        pushes = self.builds + self.superseded
        return pushes * CALLS_A_PUSH + self.builds * CALLS_A_DEPLOYMENT

    @property
    def saved(self) -> float:
        """The share of pushes that needed no build of their own."""
        return self.superseded / (self.superseded + self.builds)

    @property
    def dollars(self) -> float:
        return self.host_hours * Setup(instance=INSTANCE).hourly + self.calls * CALL_DOLLARS

    def age(self, share: float) -> float:
        return sorted(self.ages)[min(len(self.ages) - 1, math.ceil(share * len(self.ages)) - 1)]


class Growth:
    """One run: events in order of time, each handled as production's parts would."""

    def __init__(
        self, hosts: int, slots: int, pushes: Sequence[tuple[float, str]], seed: int = 7
    ) -> None:
        self._noise = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
        self._machines = [Machine(HostRow(host_id=f"i-{n}", slots=slots)) for n in range(hosts)]
        self._waiting: dict[str, list[BuildRequest]] = {}
        self._wants: dict[str, Want] = {}
        self._rollouts: dict[str, LockRow] = {}
        self._serial = itertools.count()
        self._events: list[tuple[float, int, str, Any]] = []
        self._left = len(pushes)
        self.outcome = Outcome(hosts, slots)
        for at, pipeline in pushes:
            self._at(at, "push", pipeline)
        self._at(0.0, "reconcile", None)

    def run(self) -> Outcome:
        while self._events:
            now, _, kind, what = heapq.heappop(self._events)
            getattr(self, f"_on_{kind}")(now, what)
        return self.outcome

    def _at(self, time: float, kind: str, what: Any) -> None:
        heapq.heappush(self._events, (time, next(self._serial), kind, what))

    # --- what happens

    def _on_push(self, now: float, pipeline: str) -> None:
        self._left -= 1
        request = BuildRequest(
            request_id=request_id_of(str(self._left), pipeline, ""), pipeline=pipeline,
            pushed_by="dev", pushed_at=now, reason="push",
        )  # fmt: skip
        self._waiting.setdefault(pipeline, []).append(request)
        self._wants[pipeline] = Want(
            pipeline=pipeline, request_id=request.request_id, pushed_at=now, noted_at=now, body="{}"
        )
        self._asked(now, pipeline)

    def _asked(self, now: float, _pipeline: str) -> None:
        self._look_for_work(now)
        if any(machine.ec2_state == "stopped" for machine in self._machines):
            self._decide(now)

    def _on_booted(self, now: float, machine: Machine) -> None:
        boot = str(machine.launched_at)
        machine.ec2_state = "running"
        machine.row = HostRow(
            host_id=machine.row.host_id, slots=machine.row.slots, boot=boot, heartbeat_at=now,
            idle_since=now, progress_at=now, arrived_at=now,
        )  # fmt: skip
        self._at(now + LIMITS.idle_period, "idle", (machine, boot, 0))
        self._look_for_work(now)

    def _on_built(self, now: float, built: tuple[Machine, list[BuildRequest]]) -> None:
        """The hand-over: the slot is free."""
        machine, requests = built
        self._hand_over(now, requests)
        machine.end(requests[0].pipeline, now)
        self._look_for_work(now)
        if not machine.row.runs:
            number = machine.row.idle_number
            self._at(now + LIMITS.idle_period, "idle", (machine, machine.row.boot, number))

    def _hand_over(self, now: float, requests: list[BuildRequest]) -> None:
        """The deployment has the lock, the want is cleared."""
        pipeline = requests[0].pipeline
        want = self._wants.get(pipeline)
        if want is not None and want.request_id in {r.request_id for r in requests}:
            del self._wants[pipeline]
        self._rollouts[pipeline] = LockRow(
            pipeline=pipeline, holder=held_by(pipeline), fence=1, expires_at=NEVER
        )
        self._at(now + ROLLOUT, "live", requests)

    def _on_live(self, now: float, requests: list[BuildRequest]) -> None:
        """What came meanwhile is asked for now."""
        self.outcome.ages += [now - request.pushed_at for request in requests]
        del self._rollouts[requests[0].pipeline]
        if requests[0].pipeline in self._waiting:
            self._asked(now, requests[0].pipeline)

    def _on_idle(self, now: float, said: tuple[Machine, str, int]) -> None:
        machine, boot, number = said
        row = machine.row
        if (row.boot, row.state, row.idle_number) != (boot, "idle", number):
            return
        notice = IdleNotice(host_id=machine.row.host_id, boot=boot, idle_number=number)
        self._decide(now, notice)
        if machine.ec2_state == "running":
            self._at(now + LIMITS.idle_period, "idle", said)

    def _on_reconcile(self, now: float, _what: None) -> None:
        for machine in self._machines:
            if machine.ec2_state == "running":
                machine.row = replace(machine.row, heartbeat_at=now, progress_at=now)
        self._decide(now)
        if self._left or self._waiting or any(m.ec2_state != "stopped" for m in self._machines):
            self._at(now + RECONCILE, "reconcile", None)

    # --- what production decides

    def _decide(self, now: float, notice: IdleNotice | None = None) -> None:
        self.outcome.decisions += 1
        for action in decide(self._snapshot(now, notice)):
            self._act(now, action)

    def _snapshot(self, now: float, notice: IdleNotice | None) -> Snapshot:
        return Snapshot(
            now=now, limits=LIMITS, notice=notice, wants=tuple(self._wants.values()),
            hosts=tuple(machine.view() for machine in self._machines),
            locks=dict(self._rollouts),
        )  # fmt: skip

    def _act(self, now: float, action: Action) -> None:
        if isinstance(action, StartHost):
            self._start(now, action.host.host_id)
        elif isinstance(action, StopIdle):
            self._stop(now, action.notice.host_id)

    def _start(self, now: float, host_id: str) -> None:
        machine = self._machine(host_id)
        machine.ec2_state, machine.launched_at = "pending", now
        self.outcome.starts += 1
        self._at(now + BOOT_SECONDS, "booted", machine)

    def _stop(self, now: float, host_id: str) -> None:
        machine = self._machine(host_id)
        machine.ec2_state = "stopped"
        self.outcome.host_hours += (now - machine.launched_at) / 3600

    def _machine(self, host_id: str) -> Machine:
        return next(m for m in self._machines if m.row.host_id == host_id)

    def _look_for_work(self, now: float) -> None:
        """A free slot takes the pipeline that waits longest, with all its requests."""
        awake = [machine for machine in self._machines if machine.ec2_state == "running"]
        while machine := next((m for m in awake if m.row.free_slots), None):
            taken = self._rollouts.keys() | frozenset().union(*(m.pipelines for m in awake))
            free = (name for name in self._waiting if name not in taken)
            pipeline = min(free, key=lambda n: self._waiting[n][0].pushed_at, default=None)
            if pipeline is None:
                return
            self._work(now, machine, pipeline)

    def _work(self, now: float, machine: Machine, pipeline: str) -> None:
        requests = self._taken(pipeline)
        machine.begin(pipeline, now)
        self._at(now + self._build_seconds(), "built", (machine, requests))

    def _taken(self, pipeline: str) -> list[BuildRequest]:
        """All that waits of the pipeline; the newest takes the others' place."""
        requests = self._waiting.pop(pipeline)
        kept = Kept()
        dropped = sum(kept.take(Delivery(r, [])) is not None for r in requests)
        self.outcome.superseded += dropped
        self.outcome.builds += len(kept.all)
        return requests

    def _build_seconds(self) -> float:
        build = self._noise.lognormvariate(math.log(BUILD_MEDIAN), BUILD_SIGMA)
        return FETCH_AND_PUSH + min(BUILD_LONGEST, build)


def pushes_of_a_day(
    pipelines: int = PIPELINES, pushes: int = PUSHES, seed: int = 1
) -> list[tuple[float, str]]:
    """Bursts of pushes over a working day; few pipelines are busy, most are not (Zipf)."""
    noise = random.Random(seed)  # noqa: S311  (a simulation, not a secret)
    names = [f"p{number}" for number in range(pipelines)]
    weights = [1 / (rank + 10) for rank in range(pipelines)]
    made: list[tuple[float, str]] = []
    while len(made) < pushes:
        (pipeline,) = noise.choices(names, weights)
        at = noise.gauss(13.5, 3.0) % 24 * 3600
        for _ in range(1 + int(noise.expovariate(1 / (BURST - 1)))):
            made.append((at, pipeline))
            at += noise.expovariate(1 / GAP)
    return sorted(made[:pushes])


def section(images: Path) -> Section:
    """A thousand pipelines on 1, 4 and 16 hosts of one and two slots, with its two plots."""
    made = Section(
        title="Growth: 1,000 pipelines, 100,000 pushes a day",
        about=(
            "Simulated, with production's `decide` and superseding: bursts over a working day,"
            f" builds log-normal with a median of {BUILD_MEDIAN:.0f} s, {FETCH_AND_PUSH:.0f} s for"
            f" fetch and push, and a rollout of {ROLLOUT:.0f} s that needs no host. Of two builds"
            f" on a host ({INSTANCE}: two processors) each takes as long as alone. `Age` is from a"
            " push to the end of the deployment that holds it. AWS calls and dollars are computed"
            " from figures above and `bench/cost.py`."
        ),
        columns=(
            "hosts", "slots of each", "age p50 min", "age p99 min", "builds", "builds saved",
            "host hours", "starts", "AWS calls", "$ a day",
        ),
    )  # fmt: skip
    pushes = pushes_of_a_day()
    outcomes = [Growth(hosts, slots, pushes).run() for hosts in HOSTS for slots in SLOTS]
    for one in outcomes:
        made.rows.append(
            (one.hosts, one.slots, one.age(0.5) / 60, one.age(0.99) / 60, one.builds,
             f"{one.saved:.1%}", one.host_hours, one.starts, int(one.calls), one.dollars)
        )  # fmt: skip
    made.plots = [
        _plot_ages(outcomes, images / "growth-age.svg"),
        _plot_figures(outcomes, images / "growth.svg"),
    ]
    return made


def _plot_ages(outcomes: Sequence[Outcome], path: Path) -> str:
    """The share of pushes deployed within so many minutes."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for one in outcomes:
        ages = sorted(age / 60 for age in one.ages)
        every = max(1, len(ages) // 500)
        shares = [(n + 1) / len(ages) for n in range(len(ages))]
        axes.plot(ages[::every], shares[::every], label=_hosts(one))
    axes.set(xscale="log", xlabel="minutes from push to deployed", ylabel="share of pushes")
    axes.grid(alpha=0.3)
    axes.legend()
    return _saved(figure, path)


def _plot_figures(outcomes: Sequence[Outcome], path: Path) -> str:
    """A plot for each figure of the table, by number of hosts."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    names = [f"{one.hosts} × {one.slots}" for one in outcomes]
    plots: dict[str, list[float]] = {
        "age p50, hours": [one.age(0.5) / 3600 for one in outcomes],
        "age p99, hours": [one.age(0.99) / 3600 for one in outcomes],
        "builds saved by superseding, %": [100 * one.saved for one in outcomes],
        "host hours": [one.host_hours for one in outcomes],
        "AWS calls, millions": [one.calls / 1e6 for one in outcomes],
        "$ a day": [one.dollars for one in outcomes],
    }
    for axes, (title, values) in zip(figure.subplots(2, 3).flat, plots.items(), strict=True):
        bars = axes.bar(names, values)
        axes.bar_label(bars, fmt=shown, padding=2)
        axes.set_title(title, fontsize=10)
        axes.margins(y=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    return _saved(figure, path)


def _hosts(one: Outcome) -> str:
    """`4 hosts × 2`: each with two slots."""
    return f"{counted(one.hosts, 'host')} × {one.slots}"


def _saved(figure: Figure, path: Path) -> str:
    """The path as docs/ names it. The same figures make the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "slipway"}):
        figure.savefig(path, metadata={"Date": None})
    return f"{path.parent.name}/{path.name}"
