"""Rows and messages that did not change are read once: reading takes a quarter of the time.

The table in memory never changes an item in place, and nobody changes what was read from one (rows
are frozen): the same item is the same row. So are messages: the same text is the same message.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from slipway.contracts import messages
from slipway.contracts.codec import decode
from slipway.contracts.table import (
    alerts,
    builders,
    deployments,
    hosts,
    locks,
    pending,
    pipelines,
    requests,
    store,
    wants,
)

READERS = (alerts, builders, deployments, hosts, locks, pending, pipelines, requests, wants)


@contextlib.contextmanager
def rows() -> Iterator[None]:
    """Inside, an item is turned into values only once, and those into a row."""
    values: dict[int, tuple[Any, dict[str, Any]]] = {}
    found: dict[tuple[type, int], tuple[Any, Any]] = {}
    read_item = store.from_item

    def from_item(item: Any) -> dict[str, Any]:
        known = values.get(id(item))
        if known is None:  # the item is kept, too, so that its id stays its own
            known = values[id(item)] = (item, read_item(item))
        return known[1]

    def read_row(cls: Any, data: Any, *, strict: bool) -> Any:
        known = found.get((cls, id(data)))
        if known is None:
            known = found[cls, id(data)] = (data, decode(cls, data, strict=strict))
        return known[1]

    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(store, "from_item", from_item))
        from_json = functools.cache(messages._from_json)
        stack.enter_context(patch.object(messages, "_from_json", from_json))
        for module in READERS:
            stack.enter_context(patch.object(module, "decode", read_row))
        yield
