"""Gap closed: `StartMessageMoveTask` is missing, so dead letters cannot be sent back."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ministack.core.concurrency import esm_wake
from ministack.core.responses import get_account_id, get_region
from ministack.services import sqs

from local.emulator.extension.private import need

Data = dict[str, Any]


class MoveTasks:
    """Message move tasks; each is done as soon as it is started."""

    def __init__(self) -> None:
        self._tasks: list[Data] = []

    def start(self, data: Data, _queue_url: str) -> Data:
        """StartMessageMoveTask: every message back to the queue it came from, or to a given one."""
        source_arn = data.get("SourceArn") or ""
        source = sqs._queue_by_arn(source_arn)
        if source is None:
            raise sqs._Err("ResourceNotFoundException", "The resource does not exist.")
        fallback = data.get("DestinationArn") or _queue_with_dead_letters(source_arn)
        if fallback is None:
            raise sqs._Err(
                "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."
            )
        moved = 0
        for message in list(source["messages"]):
            origin = (message.get("sys") or {}).get("DeadLetterQueueSourceArn")
            target = sqs._queue_by_arn(data.get("DestinationArn") or origin or fallback)
            if target is not None:
                source["messages"].remove(message)
                target["messages"].append(_fresh(message))
                moved += 1
        esm_wake.set()
        handle = str(uuid.uuid4())
        self._tasks.append(
            {
                "TaskHandle": handle,
                "Status": "COMPLETED",
                "SourceArn": source_arn,
                "DestinationArn": data.get("DestinationArn"),
                "ApproximateNumberOfMessagesMoved": moved,
                "ApproximateNumberOfMessagesToMove": moved,
                "StartedTimestamp": int(time.time() * 1000),
            }
        )
        return {"TaskHandle": handle}

    def list(self, data: Data, _queue_url: str) -> Data:
        """ListMessageMoveTasks: the newest first, at most `MaxResults` (1)."""
        source = data.get("SourceArn")
        found = [task for task in reversed(self._tasks) if task["SourceArn"] == source]
        shown = found[: int(data.get("MaxResults") or 1)]
        return {"Results": [{key: task[key] for key in task if task[key]} for task in shown]}


def _fresh(message: Data) -> Data:
    now = time.time()
    known = {
        name: value
        for name, value in (message.get("sys") or {}).items()
        if name != "DeadLetterQueueSourceArn"
    }
    return {
        **message,
        "receive_count": 0,
        "receipt_handle": None,
        "first_receive_at": None,
        "visible_at": now,
        "sys": known,
    }


def _queue_with_dead_letters(dead_letters_arn: str) -> str | None:
    for (account, region, _url), queue in sqs._queues.all_items():
        policy = json.loads(queue["attributes"].get("RedrivePolicy") or "{}")
        here = (account, region) == (get_account_id(), get_region())
        if here and policy.get("deadLetterTargetArn") == dead_letters_arn:
            return str(queue["attributes"]["QueueArn"])
    return None


def install() -> None:
    """Add the two actions."""
    for name in ("_queue_by_arn", "_queues", "_Err"):
        need(sqs, name)
    tasks = MoveTasks()
    handlers = need(sqs, "_HANDLERS")
    handlers["StartMessageMoveTask"] = tasks.start
    handlers["ListMessageMoveTasks"] = tasks.list
