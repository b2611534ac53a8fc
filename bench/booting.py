"""How long a host that is a machine takes from power on to its first request, and to be off."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.local_run import LocalRun, local_run
from bench.report import Bound, Section
from local.hops import Watch
from local.machine.possible import obstacle
from local.plan import Options
from local.waiting import wait_for
from local.workplace import Workplace

FIRST_BOOTS = 3
LATER_BOOTS = 5
THROUGH_SECONDS = 240.0


@dataclass(frozen=True)
class Boot:
    """Seconds from EC2's `running` to the agent's arrival, and to the first request in its hands;

    from `stopping` to `stopped`.
    """

    arrived: float
    received: float
    off: float


def sections(work: Path) -> list[Section]:
    """Boots of a machine, with a new disk and with a kept one; why not, where none can run."""
    why_not = obstacle(Workplace(work))
    if why_not is not None:
        made = _section([], [])
        made.remarks = [f"Not measured: {why_not}."]
        return [made]
    with local_run(work, Options(machine=True)) as run:
        first = [_boot(run, new_disk=True) for _ in range(FIRST_BOOTS)]
        later = [_boot(run, new_disk=False) for _ in range(LATER_BOOTS)]
    return [_section(first, later)]


def _boot(run: LocalRun, *, new_disk: bool) -> Boot:
    """Push to a sleeping host, and see it boot, deploy and go to sleep."""
    run.await_sleep()
    if new_disk:
        for host in run.state.hosts:
            run.workplace.disk(host.instance_id).wipe()
    pushed = run.push()
    watch = Watch(run.sources, pushed)

    def through() -> bool:
        watch.look()
        return {"close", "host stopped"} <= watch.sight.hops.keys()

    wait_for("the host's sleep after the push", through, seconds=THROUGH_SECONDS, poll=0.05)
    at = {hop.name: hop.at for hop in watch.sight.ordered}
    deployment = run.ended(commit=pushed.commit_id)
    return Boot(
        arrived=at["agent"] - at["host running"],
        received=deployment.started_at - at["host running"],
        off=at["host stopped"] - at["host stopping"],
    )


def _section(first: Sequence[Boot], later: Sequence[Boot]) -> Section:
    def row(what: str, name: str) -> tuple[str, float | str, float | str]:
        middles = [
            statistics.median(getattr(boot, name) for boot in boots) if boots else ""
            for boots in (first, later)
        ]
        return what, middles[0], middles[1]

    made = Section(
        title="Boot of a machine",
        about=(
            "The local run with `--machine`: systemd-nspawn, cloud-init with the template's user"
            " data, the boot unit, the agent's archive, Docker. From EC2's `running`, which here is"
            " power on: firmware, kernel and the AMI's other services are not in it. The first boot"
            f" has a new disk (median of {FIRST_BOOTS}), a later one that of the boot before"
            f" (median of {LATER_BOOTS})."
        ),
        columns=("", "first boot, s", "later boot, s"),
        rows=[
            row("power on → agent arrived", "arrived"),
            row("power on → first request received", "received"),
            row("power button → off", "off"),
        ],
    )
    if first and later:
        ratio = made.rows[1][2] / made.rows[1][1]
        made.bounds = [Bound("later boot / first boot, to the first request", 0.9, ratio)]
    return made
