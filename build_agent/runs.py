"""The runs under way on this host: begun within its build slots, each pipeline in one of them.

A run whose rollout was handed over is under way no more: what comes for its pipeline then is a new
run's, whatever the old one still does. The same goes for one that hangs on its way to its work, or
from there: the keeper looks at work alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from build_agent.host.slots import RunSlots, Slots
from build_agent.host.tasks import Spawn, Task
from build_agent.queue.supersede import Kept
from build_agent.run import Run, RunParts
from slipway.following.backoff import delay_after

ASIDE = 120.0
"""Seconds that a run may take before its work begins, and after its end: some calls of AWS's."""
FIRST_STEPS = 10.0
"""Seconds that a stop waits for a run which takes the first steps of its rollout."""
LOOK = 1.0


@dataclass
class _Begun:
    run: Run
    slots: RunSlots
    seen_at: float
    """When it was at its work, or began."""
    handed_over: bool = False
    task: Task | None = None


class Runs:
    """Begins runs and knows those that have not ended.

    `worked`: called before a run ends or is handed over; `news`: after its end, and when a slot is
    free.
    """

    def __init__(
        self,
        parts: RunParts,
        *,
        slots: Slots,
        spawn: Spawn,
        jitter: Callable[[], float],
        worked: Callable[[], None],
        news: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._slots = slots
        self._spawn = spawn
        self._jitter = jitter
        self._worked = worked
        self._news = news
        self._mutex = threading.Lock()
        self._begun: dict[int, _Begun] = {}
        self._count = 0
        self._failures = 0

    def __bool__(self) -> bool:
        return bool(self.pipelines)

    @property
    def all_ended(self) -> bool:
        """Whether none is left, not even one that was handed over."""
        return not self._begun

    @property
    def room(self) -> int:
        """Build slots that are free."""
        return self._slots.free

    @property
    def pipelines(self) -> Collection[str]:
        """Those whose work is under way here."""
        with self._mutex:
            under_way = [begun for begun in self._begun.values() if not begun.handed_over]
        return {begun.run.pipeline for begun in under_way}

    @property
    def hands_over(self) -> bool:
        """Whether one that was handed over has not ended: it takes its rollout's first steps."""
        with self._mutex:
            return any(begun.handed_over for begun in self._begun.values())

    def begin(self, pipeline: str, kept: Kept) -> bool:
        """Work on what is held of the pipeline; False if that needs a slot and none is free."""
        slots = RunSlots(self._slots)
        if kept.builds and not slots.take():
            return False
        self._count += 1
        number = self._count
        run = Run(
            self._parts, number, pipeline, kept,
            slots=slots, handed_over=lambda: self._handed_over(number),
        )  # fmt: skip
        self._parts.keeper.assign(kept.messages, number)
        with self._mutex:
            begun = self._begun[number] = _Begun(run, slots, self._parts.clock.now())
        begun.task = self._spawn(f"run-{number}", lambda: self._go(run))
        return True

    def tidy(self) -> None:
        """What was given up, or hangs beside its work, counts no more: its slot is free."""
        now, at_work = self._parts.clock.now(), {work.run for work in self._parts.keeper.works}
        with self._mutex:
            all_begun = list(self._begun.values())
        for begun in all_begun:
            run = begun.run
            if run.number in at_work:
                begun.seen_at = now
            given_up = run.work is not None and run.work.given_up
            if given_up or now - begun.seen_at > ASIDE:
                self._parts.keeper.let_go(self._parts.keeper.held_by(run.number))
                self._forget(run.number)

    def join(self) -> None:
        """Wait until all have ended; not for ever for the first steps of what was handed over."""
        with self._mutex:
            all_begun = list(self._begun.values())
        for begun in all_begun:
            waited = 0.0
            while begun.task is not None and begun.task.is_alive() and waited < FIRST_STEPS:
                begun.task.join(LOOK)
                waited += LOOK if begun.handed_over else 0.0

    def _go(self, run: Run) -> None:
        delay = 0
        try:
            run.go()
            self._failures = 0
        except Exception as error:  # noqa: BLE001 - the others go on, whatever this one met
            self._failures += 1
            delay = min(60, delay_after(self._failures, self._jitter()))
            self._parts.log.error("a run failed", trace=True, error=str(error), again_in=delay)
        finally:
            self._end(run, delay)

    def _end(self, run: Run, delay: int) -> None:
        parts = self._parts
        try:
            parts.settler.give_back(parts.keeper.held_by(run.number), delay)
        except Exception as error:  # noqa: BLE001 - their leases end by themselves
            parts.log.warning("requests were not given back", error=str(error))
        self._worked()
        self._forget(run.number)
        self._news()

    def _forget(self, number: int) -> None:
        self._free_slots(number)
        with self._mutex:
            self._begun.pop(number, None)

    def _handed_over(self, number: int) -> None:
        """The deployment's row owns the run's work from here on."""
        self._worked()
        with self._mutex:
            begun = self._begun.get(number)
            if begun is not None:
                begun.handed_over = True
        self._free_slots(number)

    def _free_slots(self, number: int) -> None:
        with self._mutex:
            begun = self._begun.get(number)
        if begun is not None and begun.slots.let_go():
            self._news()
