"""Many more histories than a test run has time for; goes on where it ended.

    python -m tests.simulation.soak --histories 200000    # so many more, from the last seed on
    python -m tests.simulation.soak --seconds 600 --jobs 2
    python -m tests.simulation.soak --seed 1046           # one history, in words
    python -m tests.simulation.soak --builders            # of CodeBuild's builds, or of both
    python -m tests.simulation.soak --paths               # with pushes that concern others
    python -m tests.simulation.soak --services            # of two services in each pipeline
    python -m tests.simulation.soak --without-drift    # every push is heard of, none is found late
    python -m tests.simulation.soak --model               # the exhaustive model, larger worlds

What was seen so far is kept in `.local/soak.json` (`--state`), also when Ctrl-C ends it. Exit code
1: a promise was broken.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.simulation.drawn import (
    Plan,
    built_plan_of,
    filtered_plan_of,
    plan_of,
    several_plan_of,
    undrifted_plan_of,
)
from tests.simulation.explore import explore
from tests.simulation.history import run
from tests.simulation.model import Bounds, Model

CHUNK = 100
"""Histories that a process runs at once, and after which what was seen is saved."""
LARGEST = 1_500_000
"""States of a world that are explored at most (about 2 KB each)."""
WORLDS = (
    Bounds(pushes=2, lost=0, doubled=0, crashes=0),
    Bounds(pushes=2, lost=1, doubled=0, crashes=0),
    Bounds(pushes=3, lost=0, doubled=0, crashes=0, at_once=1),
    Bounds(pushes=2, lost=0, doubled=0, crashes=1, at_once=1),
    Bounds(pushes=1, lost=1, doubled=1, crashes=0),
    Bounds(pushes=1, hosts=2, lost=1, doubled=0, crashes=0, at_once=1, copies=1),
    Bounds(pushes=1, hosts=2, lost=0, doubled=0, crashes=0, at_once=1),
    Bounds(pushes=1, lost=0, doubled=0, crashes=1, at_once=1),
    Bounds(pushes=1, lost=0, doubled=0, crashes=0, hangs=1, at_once=1),
    Bounds(pushes=2, lost=1, doubled=1, crashes=0, at_once=1),
    Bounds(pushes=3, lost=1, doubled=0, crashes=0, at_once=1),
    Bounds(pushes=1, lost=0, doubled=0, crashes=0, rollbacks=1, at_once=1, copies=1),
    Bounds(pushes=1, lost=0, doubled=0, crashes=1, rollbacks=1, held=True, at_once=1, copies=1),
    Bounds(pushes=1, lost=0, doubled=1, crashes=0, rollbacks=1, held=True, at_once=1, copies=1),
    Bounds(pushes=1, lost=0, doubled=0, crashes=0, rollbacks=2, held=True, at_once=1, copies=1),
    Bounds(pushes=2, lost=0, doubled=0, crashes=0, rollbacks=1, held=True, at_once=1, copies=1),
    Bounds(pushes=2, lost=0, doubled=0, crashes=0, cancels=1, at_once=1, copies=1),
    Bounds(pushes=2, lost=0, doubled=0, crashes=0, cancels=2, held=True, at_once=1, copies=1),
)


@dataclass
class Seen:
    """What runs add up to. `seconds`: of processors; `states`: of the protocol, those reached."""

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

    def add(self, more: Seen) -> None:
        """What a chunk from `next_seed` on has seen."""
        self.next_seed = more.next_seed
        self.histories += more.histories
        self.seconds += more.seconds
        self.faults += more.faults
        self.states += more.states
        self.violations += more.violations

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


def soak(
    seen: Seen,
    path: Path,
    *,
    histories: int,
    seconds: float,
    jobs: int,
    plan: Callable[[int], Plan] = plan_of,
) -> None:
    """Run on from the last seed until so many histories or seconds are over."""
    began = time.monotonic()
    # Chunks come back in the order of their seeds: what is saved has no gaps.
    with multiprocessing.Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        run_part = partial(run_chunk, plan=plan)
        for part in pool.imap(run_part, chunks(seen.next_seed, histories)):
            for violation in part.violations:
                print(violation["told"], flush=True)
            seen.add(part)
            seen.save(path)
            if time.monotonic() - began > seconds:
                break


def chunks(first: int, histories: int) -> Iterator[range]:
    """So many seeds from `first` on, a chunk each."""
    seeds = range(first, first + histories)
    return (seeds[i : i + CHUNK] for i in range(0, histories, CHUNK))


def run_chunk(seeds: range, plan: Callable[[int], Plan] = plan_of) -> Seen:
    """These histories; what they have seen."""
    seen = Seen(next_seed=seeds.stop, histories=len(seeds))
    began = time.process_time()
    gc.disable()  # a chunk's garbage is small; looking for it all the time is not
    for seed in seeds:
        outcome = run(plan(seed))
        seen.faults += outcome.faults
        seen.states.update(outcome.seen)
        if outcome.violation:
            seen.violations.append(
                {"seed": seed, "violation": outcome.violation, "told": outcome.told()}
            )
    gc.collect()
    seen.seconds = time.process_time() - began
    return seen


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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, help="one history, in words")
    parser.add_argument("--builders", action="store_true", help="histories with CodeBuild")
    parser.add_argument("--paths", action="store_true", help="histories with pushes to others")
    parser.add_argument("--services", action="store_true", help="histories with two services")
    parser.add_argument("--without-drift", action="store_true", help="no push is found late")
    parser.add_argument("--model", action="store_true", help="the exhaustive model")
    options = parser.parse_args(arguments)
    if options.model:
        return 0 if model() else 1
    chosen = (options.services, several_plan_of), (options.paths, filtered_plan_of)
    chosen += (options.builders, built_plan_of), (options.without_drift, undrifted_plan_of)
    chosen += ((True, plan_of),)
    plan = next(each for is_chosen, each in chosen if is_chosen)
    if options.seed is not None:
        outcome = run(plan(options.seed))
        print(outcome.told())
        return 1 if outcome.violation else 0
    seen = Seen.load(options.state)
    if options.first is not None:
        seen.next_seed = options.first
    try:
        soak(
            seen,
            options.state,
            histories=options.histories,
            seconds=options.seconds,
            jobs=options.jobs,
            plan=plan,
        )
    except KeyboardInterrupt:
        print("interrupted; what was seen so far is saved")
    print(seen.told())
    return 1 if seen.violations else 0


if __name__ == "__main__":
    sys.exit(main())
