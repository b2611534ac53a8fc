"""What a section of the measurements says: tables, and the bounds it must hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Bound:
    """`measured` must not be above `bound` (or not below it, if `at_least`)."""

    name: str
    bound: float
    measured: float
    at_least: bool = False
    why_not: str = ""

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured >= self.bound
        return self.measured <= self.bound


@dataclass
class Section:
    """One subject: a title, what was compared and how, its table, its bounds, further remarks.

    `part`: which part of the measurements it came from.
    """

    title: str
    about: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    part: str = ""


def shown(value: Any) -> str:
    """A cell: figures rounded to what is worth reading."""
    if isinstance(value, float):
        if value and abs(value) < 0.01:
            return f"{value:.4f}"
        return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The lines of a table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(shown(v) for v in row) + " |" for row in rows]


def bound_rows(sections: Sequence[Section]) -> list[tuple[str, str, str, str]]:
    """Each bound: what, how much is allowed, what was measured, whether it is met."""
    return [
        (
            bound.name,
            ("≥ " if bound.at_least else "≤ ") + shown(bound.bound),
            shown(bound.measured),
            "met" if bound.met else f"**not met** {bound.why_not}".strip(),
        )
        for section in sections
        for bound in section.bounds
    ]


def to_markdown(sections: Sequence[Section], machine: dict[str, str]) -> str:
    """docs/benchmarks.md as a text."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Every figure is a median of several runs, taken in",
        "turns with what stands beside it, on one machine in one run. Ratios carry over to other",
        "machines better than seconds do.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        "## Bounds",
        "",
        *markdown_table(("what", "bound", "measured", ""), bound_rows(sections)),
    ]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.about, ""]
        lines += markdown_table(section.columns, section.rows)
        for remark in section.remarks:
            lines += ["", remark]
        for plot in section.plots:
            lines += ["", f"![{section.title}]({plot})"]
    return "\n".join(lines) + "\n"


def to_results(sections: Sequence[Section], machine: dict[str, str]) -> dict[str, Any]:
    """What was measured, for `bench/results.json`."""
    return {
        "machine": machine,
        "bounds": [
            {**asdict(bound), "met": bound.met} for section in sections for bound in section.bounds
        ],
        "sections": [asdict(section) for section in sections],
    }


def earlier(path: Path) -> tuple[list[Section], dict[str, str]]:
    """The sections of the report that stands, and the machine that it names."""
    results = json.loads(path.read_text(encoding="utf-8"))
    names = {one.name for one in fields(Bound)}
    sections = []
    for values in results["sections"]:
        bounds = [Bound(**{k: v for k, v in b.items() if k in names}) for b in values["bounds"]]
        sections.append(Section(**{**values, "bounds": bounds}))
    return sections, results["machine"]


def with_measured_again(
    sections: Sequence[Section], again: Sequence[Section], order: Sequence[str]
) -> list[Section]:
    """`sections` with those parts replaced that were measured `again`, in the report's order."""
    parts = {section.part for section in again}
    kept = [section for section in sections if section.part not in parts]
    return sorted([*kept, *again], key=lambda section: order.index(section.part))


def write(path: Path, results: dict[str, Any]) -> None:
    """Write results as JSON."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
