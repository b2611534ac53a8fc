"""Configurations with one value changed."""

from __future__ import annotations

import copy
from typing import Any

REMOVED = object()


def changed(data: Any, path: str, value: Any) -> Any:
    """A copy of `data` with the value at `path` (`a.0.b`) replaced, or taken out (REMOVED)."""
    made = copy.deepcopy(data)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = made
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else place[parent]
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return made
