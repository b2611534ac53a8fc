"""What people see meanwhile: `slipway watch --json` as a process, and the page's panel."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.http import fetch
from tests.e2e.story import PATIENCE, SLIPWAY, Story

CARD = re.compile(r'<section class="card"><h4>(\S+) .*?</section>', re.DOTALL)
MARK = re.compile(r'<span class="mark \w+">([^<]*)</span>')


@dataclass
class Watch:
    """A `slipway watch --json` that is under way, and the file that it writes to."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it has told until now, in order."""
        whole = self.file.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def ended(self) -> int:
        """Its exit code, once it ends by itself."""
        return self.process.wait(timeout=PATIENCE)

    def most_at_once(self) -> set[str]:
        """The pipelines that it showed under way at the same time, where they were most."""
        most: set[str] = set()
        now: set[str] = set()
        for event in self.events:
            if "stage" in event:
                now.add(event["pipeline"])
            if "result" in event:
                now.discard(event["result"]["pipeline"])
            most = max(most, set(now), key=len)
        return most

    def outcomes(self) -> dict[str, str]:
        """Each pipeline's last outcome that it told."""
        ends = [event["result"] for event in self.events if "result" in event]
        return {result["pipeline"]: result["status"] for result in ends}


@contextmanager
def watching(story: Story, file: Path, *words: str) -> Iterator[Watch]:
    """`slipway watch --json` with `words`; nothing of it is left at the end."""
    command = [str(SLIPWAY), "watch", "--json", *words]
    with (
        file.open("wb") as out,
        subprocess.Popen(command, env=story.environment, stdout=out, stderr=out) as process,
    ):
        try:
            yield Watch(process, file)
        finally:
            process.kill()


def panel(slack_url: str) -> dict[str, list[str]]:
    """What the page's panel marks each pipeline with: `live`, `under way`, `wanted` and so on."""
    page = fetch(f"{slack_url}/") or ""
    return {card[1]: MARK.findall(card[0]) for card in CARD.finditer(page)}


def under_way(marks: dict[str, list[str]]) -> set[str]:
    """The pipelines that the panel shows as being deployed."""
    return {name for name, said in marks.items() if {"under way", "rolling out"} & set(said)}
