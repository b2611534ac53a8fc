"""Which step of the Dockerfile failed, or never ended, as docker's output names it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from slipway.contracts.wording import tidy

# docker's ways to name a failing step: BuildKit's summary, its progress, the classic builder
_STEP_SUMMARY = re.compile(r"^\s*> \[(?:[^\]]*?\s)?(\d+/\d+)\]\s+(.+?):?\s*$")
_STEP_PROGRESS = re.compile(r"^#(\d+) \[(?:[^\]]*?\s)?(\d+/\d+)\]\s+(.+?)\s*$")
_STEP_FAILED = re.compile(r"^#(\d+) ERROR\b")
_STEP_ENDED = re.compile(r"^#(\d+) (?:DONE|CACHED|ERROR|CANCELED)\b")
_STEP_CLASSIC = re.compile(r"^Step (\d+/\d+) : (.+?)\s*$")
_STEP_LINE = re.compile(r"^(?:\S*/)?\S*Dockerfile\S*:(\d+)\s*$")


def failed_step(log: Iterable[str]) -> str | None:
    """The Dockerfile step that failed, e.g. `3/4 RUN make (line 7)`, as docker's output names it.

    None where the log does not name one (a failure before or after the steps).
    """
    lines = [line[:4000] for line in log]
    step = _summary_step(lines) or _progress_step(lines) or _classic_step(lines)
    if step is None:
        return None
    numbers = [m[1] for line in lines if (m := _STEP_LINE.match(line))]
    return tidy(step, 200) + (f" (line {numbers[-1]})" if numbers else "")


def unfinished_step(log: Iterable[str]) -> str | None:
    """The Dockerfile step that BuildKit's progress shows begun last and not ended, or None."""
    begun: dict[str, str] = {}
    for line in log:
        if header := _STEP_PROGRESS.match(line[:4000]):
            begun.pop(header[1], None)
            begun[header[1]] = f"{header[2]} {header[3]}"
        elif ended := _STEP_ENDED.match(line):
            begun.pop(ended[1], None)
    return tidy(list(begun.values())[-1], 200) if begun else None


def _summary_step(lines: list[str]) -> str | None:
    found = [f"{m[1]} {m[2]}" for line in lines if (m := _STEP_SUMMARY.match(line))]
    return found[-1] if found else None


def _progress_step(lines: list[str]) -> str | None:
    steps = {m[1]: f"{m[2]} {m[3]}" for line in lines if (m := _STEP_PROGRESS.match(line))}
    failed = [m[1] for line in lines if (m := _STEP_FAILED.match(line)) and m[1] in steps]
    return steps[failed[-1]] if failed else None


def _classic_step(lines: list[str]) -> str | None:
    found = [f"{m[1]} {m[2]}" for line in lines if (m := _STEP_CLASSIC.match(line))]
    return found[-1] if found else None
