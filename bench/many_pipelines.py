"""Pushes to ten pipelines of one host: with two build slots, with one, and the agent's memory."""

from __future__ import annotations

import os
import secrets
import signal
import statistics
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench.at_once import Live, agent_of, host_of, push_all, until_built, until_live, with_slots
from bench.local_run import LocalRun, local_run
from bench.measure import peak_mb
from bench.report import Bound, Section
from local.demo import await_sleep
from local.emulator.settings import HEALTH_INTERVAL
from local.plan import Options
from local.sample_repository import SAMPLE
from local.waiting import wait_for
from tests.e2e.processes import running

PIPELINES = 10
SLOTS = 2
GRACE = 20
"""Seconds until a new container is healthy."""
START_PERIOD = 25
LOOKS = 5.0
"""Seconds between two health checks of a container, ECS's shortest (`HealthCheck`, its API
reference)."""
ROUNDS = 3
FEW = 5
AWAKE = 3_600
"""Seconds that the host waits for work: its boot is no part of what ten pipelines are measured by.
"""
MB = 1 << 20
LOAD = "Load of the machine before and after: {:.1f} and {:.1f}, on {} processors."


def sections(work: Path, *, pipelines: int = PIPELINES) -> list[Section]:
    """`pipelines`: how many of them are pushed to at once; five more quickly than ten."""
    before = os.getloadavg()[0]
    few = _few(work)
    options = Options(
        pipelines=pipelines,
        builds=SLOTS,
        idle_period=AWAKE,
        start_period=START_PERIOD,
        health_interval=LOOKS,
    )
    with local_run(work, options) as run:
        names = list(run.state.pipelines)
        alone = _alone(run, names[:ROUNDS])
        two = until_live(push_all(run, names, "slow", after=GRACE))
        with_slots(run, 1)
        one = until_live(push_all(run, names, "slow", after=GRACE))
        memory = _memory(run, names)
    cores = len(os.sched_getaffinity(0))
    load = LOAD.format(before, os.getloadavg()[0], cores)
    return [_section(alone, two, one, load), few, memory]


def _alone(run: LocalRun, names: Sequence[str]) -> list[Live]:
    """One after the other: each is alone while it builds, and nobody builds while it rolls out."""
    pushes = []
    for name in names:
        (push,) = push_all(run, [name], "slow", after=GRACE)
        until_built(push)
        pushes.append(push)
    return until_live(pushes)


def _section(alone: Sequence[Live], two: Sequence[Live], one: Sequence[Live], load: str) -> Section:
    count = len(two)
    build = statistics.median(live.build for live in alone)
    rollout = statistics.median(live.rollout for live in alone)
    whole = {slots: count * build / slots + rollout for slots in (1, SLOTS)}
    made = Section(
        title=f"One push that {_word(count)} pipelines deploy",
        about=(
            f"The local run. Its pipelines have a repository each, so {count} are pushed to at the"
            " same moment; each builds its own image. A build waits 6 s, as for packages. A new"
            f" container is healthy after {GRACE} s, and is looked at every {LOOKS:.0f} s. `Alone`:"
            f" the median of {len(alone)}, measured in the same run; nobody else builds then."
            " Before there were slots a host had one build and waited its rollout out; the row"
            " `one slot` waits for no rollout, so that it is better than it was then: by the"
            " figures of one alone that would be"
            f" {count * (build + rollout):.0f} s. Seconds since the push."
        ),
        columns=("", "build, s", "rollout, s", "first live, s", "last live, s", "× what it needs"),
        rows=[("alone", build, rollout, "", build + rollout, 1.0)],
        remarks=[load],
    )
    for slots, seen in ((SLOTS, two), (1, one)):
        last = seen[-1].live
        took = [statistics.median(getattr(live, of) for live in seen) for of in _PARTS]
        what = f"{count} pipelines, {'two slots' if slots == SLOTS else 'one slot'}"
        made.rows.append((what, *took, seen[0].live, last, last / whole[slots]))
    word = _word(count)
    name = f"{word} pipelines: last live / ({word} builds in two slots + one rollout)"
    made.bounds = [Bound(name, 1.15, two[-1].live / whole[SLOTS])]
    return made


_PARTS = ("build", "rollout")
ONLY_WORK = (
    "beside a second of boot all is work: of five builds, and of the emulator, on two processors"
)


def _few(work: Path) -> Section:
    """Quick builds, a sleeping host, and the slots that this machine allows."""
    made = Section(
        title="Five pipelines on one host at once",
        about="",
        columns=("", "one alone, s", "the last of five, s", "× one alone"),
    )
    for looks, cases in (
        (LOOKS, (("healthy at once", 0, ""), (f"healthy after {GRACE} s", GRACE, ""))),
        (HEALTH_INTERVAL, (("healthy at once", 0, ONLY_WORK),)),
    ):
        options = Options(pipelines=FEW, start_period=START_PERIOD, health_interval=looks)
        with local_run(work, options) as run:
            made.about = _about_few(host_of(run).slots)
            for what, after, why_not in cases:
                _add(made, run, f"{what}, looked at every {looks:g} s", after, why_not)
    return made


def _about_few(slots: int) -> str:
    return (
        f"The local run, with the {slots} build slots that this machine allows and its one host"
        f" asleep: a push to one, then to five at the same moment; medians of {ROUNDS}, in turns."
        " The sample's build takes no second when it is alone, but nearly as much of processors,"
        f" of docker and of the emulator. ECS waits {LOOKS:g} s at least before each look at a"
        " container's health. The local run itself looks more often until a container is healthy,"
        " so that nobody waits. Then there is little but work: five pushes are five times the"
        " work, and this machine's processors are its bound."
    )


def _add(made: Section, run: LocalRun, what: str, after: int, why_not: str) -> None:
    one, last = _one_and_five(run, list(run.state.pipelines), after)
    made.rows.append((what, one, last, last / one))
    name = f"five pipelines at once, {what}: last live / one alone"
    made.bounds.append(Bound(name, 1.6, last / one, why_not=why_not))


def _one_and_five(run: LocalRun, names: Sequence[str], after: int) -> tuple[float, float]:
    """Seconds until a push alone is live, and until the last of five is: medians."""
    alone, last_live = [], []
    for _ in range(ROUNDS):
        alone.append(_last_live(run, names[:1], after))
        last_live.append(_last_live(run, names, after))
    return statistics.median(alone), statistics.median(last_live)


def _last_live(run: LocalRun, names: Sequence[str], after: int) -> float:
    await_sleep(run.state)
    return until_live(push_all(run, names, after=after))[-1].live


def _memory(run: LocalRun, names: Sequence[str]) -> Section:
    """The agent with a run for each of `names`, all in their builds."""
    with_slots(run, len(names))
    process = psutil.Process(agent_of(run))
    idle = process.memory_info().rss / MB
    nap = ("/bin/busybox", "sleep", str(100_000 + secrets.randbelow(800_000)))
    usual = (SAMPLE / "check.sh").read_text(encoding="utf-8")
    check = usual.replace("$bb sleep 6", f"{' '.join(nap)} || true")
    pushes = push_all(run, names, "slow", files={"check.sh": check})
    wait_for("a build in each slot", lambda: len(running(*nap)) >= len(names), seconds=120)
    wait_for("all runs in its row", lambda: len(host_of(run).runs) == len(names), seconds=30)
    at_work = process.memory_info().rss / MB
    for sleep in running(*nap):
        os.kill(sleep, signal.SIGKILL)
    until_live(pushes)
    most = peak_mb(process.pid)
    count = _word(len(names))
    return Section(
        title="The agent's memory with several runs",
        about=(
            f"In the same run, an agent with {len(names)} build slots: right after its start, while"
            f" all {len(names)} builds are under way, and the most that it ever was, pushes and"
            " hand-overs of all included."
        ),
        columns=("", "MB"),
        rows=[
            ("resident after its start", idle),
            (f"resident with {count} runs under way", at_work),
            ("most it ever was", most),
        ],
        bounds=[Bound(f"{count} pipelines: the agent's memory with {count} runs, MB", 120.0, most)],
    )


def _word(count: int) -> str:
    return {5: "five", 10: "ten"}.get(count, str(count))
