"""Many more histories than a test run has time for; goes on where it ended.

    python -m tests.simulation.soak --histories 200000    # so many more, from the last seed on
    python -m tests.simulation.soak --seconds 600
    python -m tests.simulation.soak --seed 1046           # one history, in words
    python -m tests.simulation.soak --model               # the exhaustive model, larger worlds

What was seen so far is kept in `.local/soak.json` (`--state`). Exit code 1: a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.explore import explore
from tests.simulation.history import plan_of, run
from tests.simulation.model import Bounds, Model

SAVE_EVERY = 500
LARGEST = 1_500_000
"""States of a world that are explored at most (about 2 KB each)."""
WORLDS = (
    Bounds(pushes=2, lost=0, doubled=0, crashes=0),
    Bounds(pushes=2, lost=1, doubled=0, crashes=0),
    Bounds(pushes=3, lost=0, doubled=0, crashes=0, at_once=1),
    Bounds(pushes=2, lost=0, doubled=0, crashes=1, at_once=1),
    Bounds(pushes=1, lost=1, doubled=1, crashes=0),
    Bounds(pushes=1, hosts=2, lost=1, doubled=0, crashes=0, at_once=1),
    Bounds(pushes=2, lost=1, doubled=1, crashes=0, at_once=1),
    Bounds(pushes=3, lost=1, doubled=0, crashes=0, at_once=1),
)


@dataclass
class Seen:
    """What all runs so far add up to. `states`: states of the protocol that were reached."""

    next_seed: int = 0
    histories: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    violations: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Seen:
        if not path.exists():
            return cls()
        values = json.loads(path.read_text())
        values["faults"] = Counter(values["faults"])
        values["states"] = Counter(values["states"])
        return cls(**values)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(vars(self), indent=1, sort_keys=True))
        new.replace(path)

    def told(self) -> str:
        rate = self.histories / self.seconds if self.seconds else 0.0
        lines = [
            f"{self.histories} histories, {len(self.violations)} with a broken promise;"
            f" {rate:.0f} a second and core",
            f"faults: {sum(self.faults.values())}",
            *(f"  {kind}: {number}" for kind, number in self.faults.most_common()),
            f"states of the protocol: {len(self.states)}",
            *(f"  {state}: {number}" for state, number in self.states.most_common()),
        ]
        return "\n".join(lines)


def soak(seen: Seen, path: Path, *, histories: int, seconds: float) -> None:
    """Run on from the last seed until so many histories or seconds are over."""
    began = last = time.monotonic()
    for number in range(1, histories + 1):
        outcome = run(plan_of(seen.next_seed))
        if outcome.violation:
            print(outcome.told(), flush=True)
            seen.violations.append({"seed": seen.next_seed, "violation": outcome.violation})
        seen.next_seed += 1
        seen.histories += 1
        seen.faults += outcome.faults
        seen.states.update(outcome.seen)
        now = time.monotonic()
        seen.seconds, last = seen.seconds + now - last, now
        if number % SAVE_EVERY == 0:
            seen.save(path)
        if now - began > seconds:
            break
    seen.save(path)


def model() -> bool:
    """Explore larger worlds than the tests do; whether all is fine."""
    fine = True
    for bounds in WORLDS:
        findings = explore(Model(bounds), bounds, limit=LARGEST)
        print(
            f"{bounds}\n  {findings.states} states, {findings.steps} steps, {findings.rests} rests,"
            f" {findings.stuck_states} stuck, {findings.seconds:.0f} s"
            f"{'' if findings.complete else ' (not complete)'}",
            flush=True,
        )
        for line in findings.violation or findings.stuck:
            print("  " + line)
        fine = fine and not findings.violation and not findings.stuck
    return fine


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak")
    parser.add_argument("--histories", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--state", type=Path, default=Path(".local/soak.json"))
    parser.add_argument("--from", dest="first", type=int, help="begin at this seed")
    parser.add_argument("--seed", type=int, help="one history, in words")
    parser.add_argument("--model", action="store_true", help="the exhaustive model")
    options = parser.parse_args(arguments)
    if options.model:
        return 0 if model() else 1
    if options.seed is not None:
        outcome = run(plan_of(options.seed))
        print(outcome.told())
        return 1 if outcome.violation else 0
    seen = Seen.load(options.state)
    if options.first is not None:
        seen.next_seed = options.first
    soak(seen, options.state, histories=options.histories, seconds=options.seconds)
    print(seen.told())
    return 1 if seen.violations else 0


if __name__ == "__main__":
    sys.exit(main())
