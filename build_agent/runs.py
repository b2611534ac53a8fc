"""The runs under way on this host: begun within its build slots, each pipeline in one of them.

A run whose rollout was handed over is under way no more: what comes for its pipeline then is a new
run's, whatever the old one still does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from build_agent.host.slots import Slots
from build_agent.host.tasks import Spawn, Task
from build_agent.queue.supersede import Kept
from build_agent.run import Run, RunParts
from slipway.following.backoff import delay_after

FIRST_STEPS = 10.0
"""Seconds that a stop waits for a run which takes the first steps of its rollout."""


@dataclass
class _Begun:
    run: Run
    builds: bool
    handed_over: bool = False
    task: Task | None = None


class Runs:
    """Begins runs and knows those that have not ended.

    `freed`: called when a slot is free again, which may be before the run's end; `ended`: after
    each run.
    """

    def __init__(
        self,
        parts: RunParts,
        *,
        slots: Slots,
        spawn: Spawn,
        jitter: Callable[[], float],
        freed: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._slots = slots
        self._spawn = spawn
        self._jitter = jitter
        self._freed = freed
        self._ended = ended
        self._mutex = threading.Lock()
        self._begun: dict[int, _Begun] = {}
        self._count = 0
        self._failures = 0

    def __bool__(self) -> bool:
        return bool(self.pipelines)

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

    def begin(self, pipeline: str, kept: Kept) -> bool:
        """Work on what is held of the pipeline; False if that needs a slot and none is free."""
        builds = kept.builds
        if builds and not self._slots.take():
            return False
        self._count += 1
        number = self._count
        run = Run(self._parts, number, pipeline, kept, lambda: self._handed_over(number))
        self._parts.keeper.assign(kept.messages, number)
        with self._mutex:
            begun = self._begun[number] = _Begun(run, builds)
        begun.task = self._spawn(f"run-{number}", lambda: self._go(run))
        return True

    def tidy(self) -> None:
        """What was given up counts no more: its slot is free."""
        with self._mutex:
            runs = [begun.run for begun in self._begun.values()]
        for run in runs:
            if run.work is not None and run.work.given_up:
                self._forget(run.number)

    def join(self) -> None:
        """Wait until all have ended; not for ever for the first steps of what was handed over."""
        with self._mutex:
            runs = list(self._begun.values())
        for begun in runs:
            if begun.task is not None:
                begun.task.join(FIRST_STEPS if begun.handed_over else None)

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
        self._forget(run.number)
        self._ended()

    def _forget(self, number: int) -> None:
        self._free_slot(number)
        with self._mutex:
            self._begun.pop(number, None)

    def _handed_over(self, number: int) -> None:
        """The deployment's row owns the run's work from here on."""
        with self._mutex:
            begun = self._begun.get(number)
            if begun is not None:
                begun.handed_over = True
        self._free_slot(number)

    def _free_slot(self, number: int) -> None:
        with self._mutex:
            begun = self._begun.get(number)
            had_one = begun is not None and begun.builds
            if begun is not None:
                begun.builds = False
        if had_one:
            self._slots.give_back()
            self._freed()
