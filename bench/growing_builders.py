"""The same day of pushes with builds of CodeBuild: alone, and beside four hosts.

Production's `decide` says when one is started; a build begins some seconds later, takes what waits
of its pipeline, hands its rollout over and ends. Beside it the same with builders without end that
begin at once: nothing can be sooner.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from bench.growth import CALL_DOLLARS, PIPELINES, Growth, Outcome, pushes_of_a_day
from bench.report import Bound, Section
from lambdas.decide.situation import Action, IdleNotice, Snapshot, StartBuilder
from slipway.contracts.installation import BuildersSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.builders import BuilderRow
from slipway.cost.engines import START_SECONDS
from slipway.cost.prices import Prices

Engine = tuple[str, BuildersSettings, int, float]
"""Its name, its builders and hosts, and the seconds until a builder has begun."""
UNLIMITED = PIPELINES
"""A pipeline has one builder at most."""
ENGINES: tuple[Engine, ...] = (
    ("instant", BuildersSettings(when="codeBuild", limit=UNLIMITED), 0, 0.0),
    ("codeBuild", BuildersSettings(when="codeBuild", limit=UNLIMITED), 0, START_SECONDS),
    ("codeBuild, limit 100", BuildersSettings(when="codeBuild", limit=100), 0, START_SECONDS),
    (
        "overflow, 4 hosts",
        BuildersSettings(when="overflow", limit=UNLIMITED),
        4,
        START_SECONDS,
    ),
)
SLOTS = 2
BOUNDS = (("codeBuild", 1.15, 0.5), ("codeBuild", 1.15, 0.99), ("overflow, 4 hosts", 2.0, 0.99))
"""How much longer a push may take than with builders that begin at once, by share of the pushes."""


@dataclass
class Built(Outcome):
    """`minutes`: of CodeBuild, as it bills them; `most`: builds at the same time; `a_minute`:
    starts in the fullest minute.
    """

    minutes: int = 0
    started: int = 0
    most: int = 0
    a_minute: int = 0

    @property
    def dollars(self) -> float:
        hosts = super().dollars if self.hosts else self.calls * CALL_DOLLARS
        return hosts + self.minutes * Prices().codebuild_minute


class BuiltGrowth(Growth):
    """Growth with builders; `provisioned`: seconds until one has begun."""

    def __init__(
        self,
        engine: BuildersSettings,
        hosts: int,
        pushes: Sequence[tuple[float, str]],
        provisioned: float,
    ) -> None:
        super().__init__(hosts, SLOTS, pushes)
        self.outcome: Built = Built(hosts, SLOTS)
        self._engine = engine
        self._provisioned = provisioned
        self._builders: dict[str, BuilderRow] = {}
        self._live: set[str] = set()
        self._configured = frozenset(pipeline for _, pipeline in pushes)
        self._starts: Counter[int] = Counter()

    def run(self) -> Built:
        super().run()
        self.outcome.a_minute = max(self._starts.values(), default=0)
        return self.outcome

    def _asked(self, now: float, _pipeline: str) -> None:
        """As the starter: it decides at each push. (Where that changes nothing it is left out.)"""
        self._look_for_work(now)
        asleep = any(machine.ec2_state == "stopped" for machine in self._machines)
        if asleep or self._is_overdue(now):
            self._decide(now)

    def _is_overdue(self, now: float) -> bool:
        """Whether work has waited so long that a builder is started for it."""
        patience = self._engine.overflow_after if self._engine.when == "overflow" else 0.0
        at_work = frozenset().union(*(machine.pipelines for machine in self._machines))
        idle = self._wants.keys() - self._live - self._rollouts.keys() - at_work
        return any(now - self._wants[name].pushed_at >= patience for name in idle)

    def _snapshot(self, now: float, notice: IdleNotice | None) -> Snapshot:
        seen = super()._snapshot(now, notice)
        return replace(
            seen, engine=self._engine, builders=self._builders, configured=self._configured
        )

    def _act(self, now: float, action: Action) -> None:
        if not isinstance(action, StartBuilder):
            super()._act(now, action)
            return
        pipeline, generation = action.builder.pipeline, action.builder.generation + 1
        self._builders[pipeline] = BuilderRow(
            pipeline=pipeline, generation=generation, state="started", asked_at=now
        )
        self._live.add(pipeline)
        self.outcome.started += 1
        self.outcome.most = max(self.outcome.most, len(self._live))
        self._starts[int(now // 60)] += 1
        self._at(now + self._provisioned, "begun", pipeline)

    def _on_begun(self, now: float, pipeline: str) -> None:
        """What waits is taken; nothing, where a host has it by now or a rollout is under way."""
        elsewhere = any(pipeline in machine.pipelines for machine in self._machines)
        if pipeline not in self._waiting or pipeline in self._rollouts or elsewhere:
            self._on_over(now, pipeline)
            return
        requests = self._taken(pipeline)
        self._at(now + self._build_seconds(), "handed", requests)

    def _on_handed(self, now: float, requests: list[BuildRequest]) -> None:
        self._hand_over(now, requests)
        self._on_over(now, requests[0].pipeline)

    def _on_over(self, now: float, pipeline: str) -> None:
        """CodeBuild bills from the submission on, by the started minute."""
        row = self._builders[pipeline]
        self._builders[pipeline] = replace(row, state="done")
        self._live.discard(pipeline)
        self.outcome.minutes += math.ceil((now - row.asked_at) / 60)
        if len(self._live) >= self._engine.limit - 1:
            self._decide(now)

    def _look_for_work(self, now: float) -> None:
        """A host leaves what a builder is at."""
        hidden = {name: self._waiting.pop(name) for name in self._live & self._waiting.keys()}
        super()._look_for_work(now)
        self._waiting |= hidden


def _day(engine: Engine) -> Built:
    _name, settings, hosts, wait = engine
    return BuiltGrowth(settings, hosts, pushes_of_a_day(), wait).run()


def section() -> Section:
    """All engines, each held against builders that begin at once."""
    made = Section(
        title="Growth with builds of CodeBuild",
        about=(
            "The day above. `instant`: builders without end that begin at once. Else a build"
            f" begins {START_SECONDS:.0f} s after it is asked for (taken, not measured)."
            " A build ends when"
            " its rollout is handed over, so a pipeline's next push needs the next one."
            " `At once`: builds at the same time, the quota that CodeBuild must grant"
            " ('Concurrently running builds'). Minutes are CodeBuild's, each begun one counted."
        ),
        columns=(
            "engine", "age p50 min", "age p99 min", "p50 to instant", "p99 to instant", "builds",
            "started", "at once", "starts in a minute", "CodeBuild minutes", "AWS calls", "$ a day",
        ),
    )  # fmt: skip
    with ProcessPoolExecutor() as pool:  # each day takes minutes
        outcomes = dict(zip((name for name, *_ in ENGINES), pool.map(_day, ENGINES), strict=True))
    instant = outcomes["instant"]
    for name, one in outcomes.items():
        ratios = [one.age(share) / instant.age(share) for share in (0.5, 0.99)]
        made.rows.append(
            (name, one.age(0.5) / 60, one.age(0.99) / 60, *ratios, one.builds, one.started,
             one.most, one.a_minute, one.minutes, int(one.calls), one.dollars)
        )  # fmt: skip
    for name, allowed, share in BOUNDS:
        what = f"growth, {name}: age p{share:.0%}, to instant builders".replace("%", "")
        made.bounds.append(Bound(what, allowed, outcomes[name].age(share) / instant.age(share)))
    quota = outcomes["codeBuild"].most
    made.remarks.append(
        f"Without a limit the account must grant {quota} builds at the same time. What is beyond"
        " its quota CodeBuild queues, five times as many ('Builds in AWS CodeBuild'), and refuses"
        " the rest, which the next decision asks for again. AWS publishes no rate for StartBuild:"
        f" the fullest minute has {outcomes['codeBuild'].a_minute} of them."
    )
    return made
