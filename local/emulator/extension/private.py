"""How the extension reaches into the pinned ministack: loudly, when a name is not there.

Everything patched here is private to ministack 1.5.33. A name that is gone must stop the emulator
at its start with a clear message, never change its behaviour in silence.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from slipway.contracts.errors import WorldFailed

SUPPORTED_VERSION = "1.5.33"


def check_version() -> None:
    """Raise `WorldFailed` unless the installed ministack is the pinned one."""
    installed = importlib.metadata.version("ministack")
    if installed != SUPPORTED_VERSION:
        raise WorldFailed(
            f"ministack {installed} is installed, the extension supports {SUPPORTED_VERSION} only: "
            f"pip install ministack=={SUPPORTED_VERSION}"
        )


def need(owner: Any, name: str) -> Any:
    """`owner.name`, or `WorldFailed` that names what is missing."""
    missing = object()
    found = getattr(owner, name, missing)
    if found is missing:
        raise WorldFailed(
            f"ministack {SUPPORTED_VERSION} should have {owner.__name__}.{name}, which the "
            "emulator's extension replaces; it is gone, so this installation cannot be used"
        )
    return found


def wrap(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put `wrapper(original)` in the place of `owner.name`."""
    setattr(owner, name, wrapper(need(owner, name)))


def replace(owner: Any, name: str, replacement: Any) -> None:
    """Put `replacement` in the place of `owner.name`, which must exist."""
    need(owner, name)
    setattr(owner, name, replacement)


def entry(owner: Any, table: str, key: str, replacement: Any) -> None:
    """Replace `owner.table[key]`, which must exist."""
    dispatch = need(owner, table)
    if key not in dispatch:
        raise WorldFailed(
            f"ministack {SUPPORTED_VERSION} should have {owner.__name__}.{table}[{key!r}], "
            "which the emulator's extension replaces; it is gone"
        )
    dispatch[key] = replacement
