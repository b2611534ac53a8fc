"""Gap closed: a queue answers the slower the more it holds, which SQS does not.

Every receive looks at every message, and every deletion copies them all, for each of ten entries.
What is answered stays the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from ministack.services import sqs

from local.emulator.extension.private import need, wrap

Data = dict[str, Any]
EXPIRY_EVERY = 1.0
"""Seconds between two looks for messages past their retention, which lasts a minute at least."""


def collecting(collect: Callable[[Data, int, int], list[Data]]) -> Any:
    """A receive that looks no further than the messages it brings."""

    def first_visible(queue: Data, most: int, visibility: int) -> list[Data]:
        if queue["is_fifo"]:
            return collect(queue, most, visibility)
        for message in queue["messages"]:
            if "receipt_handle" not in message:  # what other services put there
                sqs._ensure_msg_fields(message)
        now = time.time()
        visible = (m for m in queue["messages"] if m["visible_at"] <= now)
        return collect({**queue, "messages": list(islice(visible, most))}, most, visibility)

    return first_visible


def expiring(expire: Callable[[Data], None]) -> Any:
    """`expire`, for each queue at most once in a while."""
    looked: dict[int, float] = {}

    def seldom(queue: Data) -> None:
        now = time.monotonic()
        if now - looked.get(id(queue), -EXPIRY_EVERY) >= EXPIRY_EVERY:
            looked[id(queue)] = now
            expire(queue)

    return seldom


def delete_batch(data: Data, queue_url: str) -> Data:
    """DeleteMessageBatch in one pass over the queue."""
    queue = sqs._get_q(data.get("QueueUrl", queue_url), "sqs:DeleteMessage")
    entries = data.get("Entries", [])
    sqs._validate_batch_entries(entries, "DeleteMessageBatchRequestEntry")
    wanted = {entry["ReceiptHandle"] for entry in entries if entry.get("ReceiptHandle")}
    gone = {m["receipt_handle"] for m in queue["messages"] if m["receipt_handle"] in wanted}
    queue["messages"] = [m for m in queue["messages"] if m["receipt_handle"] not in gone]
    answer: Data = {"Successful": [], "Failed": []}
    for entry in entries:
        name = {"Id": entry.get("Id", "")}
        if entry.get("ReceiptHandle") in gone:
            answer["Successful"].append(name)
        else:
            answer["Failed"].append({**name, **_UNKNOWN_HANDLE})
    return answer


_UNKNOWN_HANDLE = {
    "Code": "ReceiptHandleIsInvalid",
    "Message": "The input receipt handle is invalid.",
    "SenderFault": True,
}


def install() -> None:
    """Put these in the place of what looks at every message."""
    for name in ("_get_q", "_validate_batch_entries", "_ensure_msg_fields"):
        need(sqs, name)
    wrap(sqs, "_collect_msgs", collecting)
    wrap(sqs, "_expire_retained", expiring)
    need(sqs, "_HANDLERS")["DeleteMessageBatch"] = delete_batch
