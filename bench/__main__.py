"""`make bench`: measure, print, and write bench/results.json and docs/benchmarks.md."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown

from bench import (
    answering,
    booting,
    build_slots,
    cold_start,
    cost,
    deploy_step,
    draining,
    fetching,
    growing_builders,
    growth,
    idling,
    many_pipelines,
    noticing,
    peers,
    pushing,
    rolling_back,
    untouched,
)
from bench.report import (
    Section,
    bound_rows,
    earlier,
    markdown_table,
    to_markdown,
    to_results,
    with_measured_again,
    write,
)

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "bench" / "work"
IMAGES = ROOT / "docs" / "images"
RESULTS = ROOT / "bench" / "results.json"


def parts() -> dict[str, Callable[[], list[Section]]]:
    """What can be measured, by name, in the order of the report."""
    return {
        "deploy": lambda: [deploy_step.section(peers.environment(WORK))],
        "notice": lambda: [noticing.section(peers.environment(WORK))],
        "push": lambda: pushing.sections(WORK),
        "rollback": lambda: rolling_back.sections(WORK),
        "boot": lambda: booting.sections(WORK),
        "slots": lambda: [build_slots.section(WORK)],
        "many": lambda: many_pipelines.sections(WORK),
        "drain": lambda: [draining.section()],
        "cold": lambda: [cold_start.section()],
        "fetch": lambda: [fetching.section(WORK)],
        "paths": lambda: [untouched.section(WORK)],
        "idle": lambda: [idling.section()],
        "answer": lambda: [answering.section()],
        "cost": cost.sections,
        "growth": lambda: [growth.section(IMAGES), growing_builders.section()],
    }


def machine() -> dict[str, str]:
    """What the figures were taken on; nothing that names this very machine."""
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {_cores()} cores, {_memory_gb()} GB",
        "system": f"{platform.system()} {platform.release()}, {git.stdout.strip()}",
        "Python": platform.python_version(),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("boto3", "ministack")),
        "peers": ", ".join(peers.PEERS),
    }


def _cores() -> int:
    return len(Path("/proc/cpuinfo").read_text(encoding="utf-8").split("processor\t:")) - 1


def _memory_gb() -> int:
    first = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()[0]
    return round(int(first.split()[1]) / 1e6)


def report(sections: list[Section], about: dict[str, str], *, again: tuple[str, ...]) -> None:
    """Write the report; with `again`, those parts of the one that stands."""
    if again:
        standing, whole = earlier(RESULTS)
        sections = with_measured_again(standing, sections, list(parts()))
        about = {**whole, "measured again": measured_again(whole, again, about["date"])}
    write(RESULTS, to_results(sections, about))
    (ROOT / "docs" / "benchmarks.md").write_text(to_markdown(sections, about), encoding="utf-8")


def measured_again(whole: dict[str, str], again: Sequence[str], date: str) -> str:
    """What was measured since the `whole`, each part on the same day once."""
    said = [*whole.get("measured again", "").split("; "), f"{', '.join(again)} ({date})"]
    return "; ".join(dict.fromkeys(filter(None, said)))


@click.command()
@click.argument("names", nargs=-1)
@click.option("--write", "write_some", is_flag=True, help="Put NAMES into the report that stands.")
def main(names: tuple[str, ...], write_some: bool) -> None:
    """Measure all parts and write the report, or only NAMES."""
    known = parts()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"there is no part {unknown[0]!r}; there are: {', '.join(known)}")
    WORK.mkdir(parents=True, exist_ok=True)
    console, sections, began = Console(width=150), [], time.monotonic()
    for name in names or known:
        console.print(f"{time.monotonic() - began:6.0f} s  {name} …")
        measured = known[name]()
        for one in measured:
            one.part = name
        for one in measured:
            text = [f"## {one.title}", "", *markdown_table(one.columns, one.rows)]
            console.print(Markdown("\n".join(text)))
        sections += measured
    bounds = markdown_table(("what", "bound", "measured", ""), bound_rows(sections))
    console.print(Markdown("\n".join(["## Bounds", "", *bounds])))
    if not names or write_some:
        took = f"{(time.monotonic() - began) / 60:.0f} minutes"
        report(sections, {**machine(), "took": took}, again=names)
    sys.exit(0)


if __name__ == "__main__":
    main()
