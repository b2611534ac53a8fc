"""What a run of tests comes to: by the container's exit code alone; reports only tell. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from build_agent.host.process import Sink
from build_agent.image.junit import Failed, Tally
from slipway.contracts.errors import WorldFailed
from slipway.contracts.wording import tidy

NAMES_TOLD = 5
_NOT_STARTED = (126, 127)
"""Exit codes of a command that cannot be run, or is not there (Docker CLI, `docker run`)."""
_KILLED = 137


@dataclass(frozen=True)
class Ran:
    """A container that has ended. `tail`: its last lines; `told`: what docker says besides.

    `late_after`: it was ended after so many seconds.
    """

    tail: tuple[str, ...]
    exit_code: int | None = None
    out_of_memory: int | None = None
    late_after: int | None = None
    told: tuple[str, ...] = ()

    @classmethod
    def of_state(cls, state: Mapping[str, Any], *, tail: tuple[str, ...], memory: int) -> Ran:
        """From docker's `State` of it; WorldFailed where the world ended it, or did not begin it.

        `memory`: its bound in MiB.
        """
        status, code = state.get("Status"), state.get("ExitCode")
        problem = tidy(str(state.get("Error") or ""))
        began = status == "exited" and not problem
        if not isinstance(code, int) or not (began or code in _NOT_STARTED):
            said = problem or (tail[-1][:300] if tail else f"it is {status}")
            raise WorldFailed(f"docker did not run the tests to their end: {said}")
        return cls(
            tail=tail,
            exit_code=code,
            out_of_memory=memory if state.get("OOMKilled") and code != 0 else None,
            told=(problem,) if problem else (),
        )

    @property
    def failure(self) -> str | None:
        """Why the tests have failed, as a sentence without its full stop; None: they passed."""
        if self.late_after is not None:
            return f"the tests did not end within {self.late_after} s"
        if self.exit_code == 0:
            return None
        if self.out_of_memory is not None:
            return f"the tests needed more than {self.out_of_memory} MiB of memory and were killed"
        if self.told:
            return f"the tests could not be started: {self.told[0]}"
        killed = " (killed, as where memory runs out)" if self.exit_code == _KILLED else ""
        return f"the tests ended with exit code {self.exit_code}{killed}"


@dataclass(frozen=True)
class Tested:
    """`summary`: what the reports count; None: there are none. `warnings`: what is not as one may
    think; `failure`: why the tests have failed, None: they passed; `tail`: their last lines.
    """

    __test__ = False  # no class of tests

    summary: str | None = None
    warnings: tuple[str, ...] = ()
    failure: str | None = None
    tail: tuple[str, ...] = ()


def of_run(ran: Ran, tally: Tally | None, sink: Sink) -> Tested:
    """The outcome; what the reports say of it is written to `sink`."""
    if tally is None:
        return Tested(failure=ran.failure, tail=ran.tail)
    for one in tally.failed:
        sink(f"failed: {one.name}: {one.message}" if one.message else f"failed: {one.name}")
    for note in tally.notes:
        sink(f"reports: {note}")
    summary = summary_of(tally)
    notes = [f"reports of the tests: {note}" for note in tally.notes]
    if ran.failure is not None and tally.failures:
        return Tested(None, tuple(notes), f"{ran.failure}: {summary}", ran.tail)
    if tally.failures:
        notes.insert(0, f"the tests ended with exit code 0, and their reports say {summary}")
    return Tested(summary, tuple(notes), ran.failure, ran.tail)


def summary_of(tally: Tally) -> str | None:
    """`2 of 418 failed: a, b`, or `416 passed, 2 skipped`; None where nothing was counted."""
    if not tally.reports:
        return None
    if not tally.failures:
        skipped = f", {tally.skipped} skipped" if tally.skipped else ""
        return f"{tally.tests - tally.skipped} passed{skipped}"
    names = [one.name for one in tally.failed[:NAMES_TOLD]]
    more = tally.failures - len(names)
    rest = f" and {more} more" if more else ""
    return f"{tally.failures} of {tally.tests} failed: {', '.join(names)}{rest}"


def read_tally(output: str, problem: str) -> Tally:
    """What the reading program printed; where it has failed, a tally that notes the `problem`."""
    try:
        values = json.loads(output)
        failed = [Failed(**one) for one in values.pop("failed")]
        return Tally(**values, failed=failed)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Tally(notes=[f"they could not be read: {tidy(problem, 200)}"])
