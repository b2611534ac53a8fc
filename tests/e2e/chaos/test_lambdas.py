"""kill -9 of a Lambda's process while it runs: the run is repeated, nothing is lost."""

from __future__ import annotations

import array
import fcntl
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from local.workplace import Workplace
from tests.e2e.chaos.slow_motion import emulator_of, workers_of
from tests.e2e.chaos.trial import Trial

KILLS = {"trigger": 1, "starter": 2, "notifier": 1, "stopper": 2, "reconciler": 2}
"""Lambda runs an event three times; the notifier's queue hands its notice out again."""
AT_WORK = 0.3
"""Seconds into a run at which it is killed: it waits for the answer to its first call then."""
LOOK_EVERY = 0.01

FUNCTIONS = {
    "trigger": "the push event is being turned into a request",
    "starter": "the host is being started",
    "notifier": "the notice is being posted",
    "stopper": "the host is being stopped",
    "reconciler": "the world is being looked at",
}


def _cases() -> list[object]:
    return [
        pytest.param(name, words, id=name, marks=() if name == "starter" else pytest.mark.chaos)
        for name, words in FUNCTIONS.items()
    ]


@pytest.mark.parametrize(("function", "words"), _cases())
def test_kill_a_lambda(trial: Trial, function: str, words: str) -> None:
    # GIVEN somebody who kills the function's process whenever it is at work
    workplace = trial.chain.workplace
    killer = Killer(workplace, function, KILLS[function])
    killer.start()
    try:
        # WHEN somebody pushes
        pushed = trial.push(f"{function} is killed")
        trial.chain.until("the kills", lambda: len(killer.killed) == killer.kills, 90)
        trial.say(f"kill -9 of λ {function} while {words}: processes {killer.killed}")
    finally:
        killer.stop()

    # THEN the function is run again, and it ends as if nothing had happened
    trial.ends_well(pushed)


class Killer(threading.Thread):
    """Kills the emulator's workers of one function: in the middle of a run, or as they start.

    Those that wait for a run are frozen first, so it is seen when one is given a run. Before it is
    let go the emulator is frozen in its place: the run comes to its first call and no further. What
    it asked for takes effect, and nobody is there for the answer.
    """

    def __init__(self, workplace: Workplace, function: str, kills: int) -> None:
        super().__init__(daemon=True)
        self.kills = kills
        self._workplace, self._function = workplace, function
        self._emulator = psutil.Process(emulator_of(workplace))
        self._frozen = {worker.pid: worker for worker in self._workers()}
        for worker in self._frozen.values():
            worker.suspend()
        self._enough = threading.Event()
        self.killed: list[int] = []

    def run(self) -> None:
        while len(self.killed) < self.kills and not self._enough.wait(LOOK_EVERY):
            for worker in self._workers():
                if len(self.killed) < self.kills:
                    with suppress(psutil.NoSuchProcess):
                        self._perhaps_kill(worker)
        self._let_go()

    def stop(self) -> None:
        self._enough.set()
        self.join(5)

    def _perhaps_kill(self, worker: psutil.Process) -> None:
        frozen = worker.pid in self._frozen
        if worker.pid in self.killed or (frozen and not is_given_a_run(worker.pid)):
            return
        self._emulator.suspend()
        try:
            if frozen:
                worker.resume()
                time.sleep(AT_WORK)
            worker.kill()
        finally:
            self._emulator.resume()
        self.killed.append(worker.pid)

    def _let_go(self) -> None:
        for worker in self._frozen.values():
            with suppress(psutil.NoSuchProcess):
                worker.resume()

    def _workers(self) -> list[psutil.Process]:
        return workers_of(self._workplace, self._function)


def is_given_a_run(pid: int) -> bool:
    """Whether the event of a run waits, unread, in the worker's standard input."""
    waiting = array.array("i", [0])
    with Path(f"/proc/{pid}/fd/0").open("rb", buffering=0) as pipe:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] > 0
