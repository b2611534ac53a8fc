"""What this host knows of the build cache in ECR, kept beside its mirrors.

It is worth nothing but time: where it is lost or wrong, a build asks ECR for more than it needs, or
the cache is written once more.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from build_agent.image.steps import Step

MOST = 500
"""Records that are kept: the latest. A host has a few for each image that it builds."""


@dataclass(frozen=True)
class Record:
    """What is known of one tag. `digest`: what it named when this host wrote it or built from it.

    `varies`: from this step on the image differs from commit to commit; None: not known yet.
    `text`: the hash of the Dockerfile for which that holds. `owed`: it was to be written, and could
    not be. `image`: the id of the image that was built last, while docker's cache is known to be
    whole.
    """

    digest: str | None = None
    varies: Step | None = None
    text: str = ""
    owed: bool = False
    image: str | None = None


@dataclass
class Records:
    """Records by an image's name with its tag; safe for several runs at once."""

    path: Path
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _all: dict[str, Record] | None = None

    def get(self, name: str) -> Record:
        """What is known of `name`; an empty record for nothing."""
        with self._mutex:
            return self._loaded().get(name, Record())

    def note(self, name: str, **changes: Any) -> None:
        """Set members of a record, on the disk, too; a disk that takes nothing is no trouble."""
        with self._mutex:
            records = self._loaded()
            records[name] = replace(records.pop(name, Record()), **changes)
            self._save(records)

    def forget_images(self) -> None:
        """Docker's cache was pruned: what this host has of it is not known any more."""
        with self._mutex:
            records = self._loaded()
            for name, record in records.items():
                records[name] = replace(record, image=None)
            self._save(records)

    def _loaded(self) -> dict[str, Record]:
        if self._all is None:
            self._all = _read(self.path)
        return self._all

    def _save(self, records: dict[str, Record]) -> None:
        for name in list(records)[:-MOST]:
            del records[name]
        text = json.dumps({name: vars(record) for name, record in records.items()})
        new = self.path.with_suffix(".new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self.path)
        except OSError:
            return


def _read(path: Path) -> dict[str, Record]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): _record(value) for name, value in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _record(value: Mapping[str, Any]) -> Record:
    varies = value.get("varies")
    return Record(**{**value, "varies": (int(varies[0]), int(varies[1])) if varies else None})
