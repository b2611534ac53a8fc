"""Back to the version before, and on again, while every build host sleeps: when it is live."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.local_run import PIPELINE, local_run
from bench.report import Bound, Section
from local.waiting import wait_for
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.chain import Chain
from tests.e2e.story import SLIPWAY, Story

ROUNDS = 5
LIVE_SECONDS = 10.0
PATIENCE = 120.0
BACK, ON = "rollback", "redeploy"


@dataclass(frozen=True)
class Way:
    """One `slipway rollback` or `redeploy`. Seconds since the command began, by what happened;

    `starts`: hosts that were started meanwhile.
    """

    moments: dict[str, float]
    starts: int

    @property
    def live(self) -> float:
        """Until the version answers and the command has said so."""
        return max(self.moments["answers over HTTP"], self.moments["command ended"])


def sections(work: Path) -> list[Section]:
    """Both ways, in turns, in a local run whose hosts are asleep."""
    with local_run(work) as run:
        chain, first = Chain(run.workplace.directory), _tip(Chain(run.workplace.directory))
        second = run.push().commit_id
        run.ended(commit=second)
        ways: dict[str, list[Way]] = {BACK: [], ON: []}
        for _ in range(ROUNDS):
            ways[BACK].append(_go(chain, BACK, first))
            ways[ON].append(_go(chain, ON, second))
    return [_section(ways)]


def _tip(chain: Chain) -> str:
    """The commit that answers."""
    return wait_for("an answer of the service", chain.serves, seconds=PATIENCE)


def _go(chain: Chain, verb: str, wanted: str) -> Way:
    """The command with all hosts asleep, until `wanted` answers and the command has ended."""
    chain.until_asleep()
    launched, began = chain.launches(), time.time()
    answered, ended = 0.0, 0.0
    with subprocess.Popen(
        [str(SLIPWAY), verb, PIPELINE],
        env=Story(chain.directory, PIPELINE).environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:

        def through() -> bool:
            nonlocal answered, ended
            ended = ended or (time.time() if command.poll() is not None else 0.0)
            answered = answered or (time.time() if chain.serves() == wanted else 0.0)
            return bool(answered and ended)

        try:
            wait_for(f"the end of slipway {verb}", through, seconds=PATIENCE, poll=0.03)
        finally:
            command.kill()
        said = command.stdout.read() if command.stdout else ""
    if command.returncode:
        raise RuntimeError(f"slipway {verb} ended with exit code {command.returncode}: {said}")
    at = {**_recorded(chain.deployments(PIPELINE)[0], verb), "answers over HTTP": answered}
    moments = {name: when - began for name, when in {**at, "command ended": ended}.items()}
    starts = sum(one != other for one, other in zip(launched, chain.launches(), strict=True))
    return Way(moments, starts + sum(state != "stopped" for state in chain.host_states()))


def _recorded(row: DeploymentRow, verb: str) -> dict[str, float]:
    """What its row says, seconds since the epoch; RuntimeError if it is not the verb's."""
    if (row.reason, row.status, row.ended_at is None) != (verb, "succeeded", False):
        raise RuntimeError(f"slipway {verb} did not make the newest deployment: {row}")
    return {
        "deployment begun": row.started_at,
        **{f"stage {stage}": at for stage, at in row.stages.items() if stage != "received"},
        "outcome recorded": row.ended_at or 0.0,
    }


def _section(ways: dict[str, list[Way]]) -> Section:
    made = Section(
        title="Rollback with all hosts asleep",
        about=(
            "The local run, every build host stopped: `slipway rollback` goes back to the version"
            f" before, `slipway redeploy` on again to the tip, {ROUNDS} times in turns. The"
            " follower does both. Seconds since the command began, medians. `Live`: the version"
            " answers over HTTP and the command has ended with exit code 0. A Lambda's cold start"
            " in AWS is not in it."
        ),
        columns=("", "rollback, s", "redeploy, s"),
    )
    names = dict.fromkeys(name for some in ways.values() for one in some for name in one.moments)
    rows = [(name, *(_middle(some, name) for some in ways.values())) for name in names]
    made.rows += sorted(rows, key=lambda row: max(cell for cell in row[1:] if cell != ""))
    slowest = {verb: max(one.live for one in some) for verb, some in ways.items()}
    starts = {verb: sum(one.starts for one in some) for verb, some in ways.items()}
    middles = {verb: statistics.median(one.live for one in some) for verb, some in ways.items()}
    made.rows += [
        ("**live**", middles[BACK], middles[ON]),
        ("live, the slowest", slowest[BACK], slowest[ON]),
        ("hosts started, in all", starts[BACK], starts[ON]),
    ]
    about = "with all hosts asleep"
    made.bounds = [
        *(
            Bound(f"{verb} {about}: to live, s, slowest", LIVE_SECONDS, slowest[verb])
            for verb in ways
        ),
        *(Bound(f"{verb} {about}: hosts started", 0.0, float(starts[verb])) for verb in ways),
    ]
    return made


def _middle(ways: Sequence[Way], name: str) -> float | str:
    """The median of those that had such a moment; an empty cell if none had."""
    times = [one.moments[name] for one in ways if name in one.moments]
    return statistics.median(times) if times else ""
