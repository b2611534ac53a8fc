"""A queue that holds much answers what it answered before, only sooner."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services import sqs

from local.emulator.extension.sqs_speed import collecting, delete_batch, expiring

PLAIN_DELETE = sqs._act_delete_message_batch
HANDLES = ("r1", "r2", "r3", "unknown", "")


def message(number: int, waits: float, handle: str | None) -> dict[str, Any]:
    now = time.time()
    return {
        "id": str(number),
        "body": "b",
        "receipt_handle": handle,
        "sent_at": now,
        "visible_at": now + waits,
        "receive_count": 0,
    }


def queues() -> st.SearchStrategy[dict[str, Any]]:
    one = st.tuples(st.sampled_from((-9.0, 99.0)), st.sampled_from((None, "r1", "r2", "r3")))
    return st.lists(one, max_size=12).map(
        lambda ones: {
            "is_fifo": False,
            "attributes": {},
            "messages": [message(n, waits, handle) for n, (waits, handle) in enumerate(ones)],
        }
    )


@given(queue=queues(), most=st.integers(1, 10))
def test_a_receive_brings_the_same_messages(queue: dict[str, Any], most: int) -> None:
    other = deepcopy(queue)
    plain = sqs._collect_msgs(queue, most, 30)
    ours = collecting(sqs._collect_msgs)(other, most, 30)
    assert [m["id"] for m in ours] == [m["id"] for m in plain]
    assert all(m["receipt_handle"] and m["receive_count"] == 1 for m in ours)
    assert [m["id"] for m in other["messages"]] == [m["id"] for m in queue["messages"]]


@given(queue=queues(), handles=st.lists(st.sampled_from(HANDLES), min_size=1, max_size=10))
def test_a_batch_deletes_the_same_messages(queue: dict[str, Any], handles: list[str]) -> None:
    # A handle names one message: of two the plain way deletes both, the second entry then fails.
    entries = [{"Id": str(n), "ReceiptHandle": h} for n, h in enumerate(dict.fromkeys(handles))]
    other, answers = deepcopy(queue), []
    for delete, one in ((PLAIN_DELETE, queue), (delete_batch, other)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqs, "_get_q", lambda _url, _action, one=one: one)
            answers.append(delete({"Entries": entries}, "q"))
    assert answers[0] == answers[1]
    assert queue["messages"] == other["messages"]


def test_a_message_of_another_service_gets_what_it_lacks() -> None:
    queue = {"is_fifo": False, "attributes": {}, "messages": [{"id": "1", "body": "b"}]}
    (received,) = collecting(sqs._collect_msgs)(queue, 1, 30)
    assert received["receipt_handle"]


def test_expiry_is_looked_at_once_in_a_while() -> None:
    looks: list[int] = []
    expire = expiring(lambda queue: looks.append(id(queue)))
    one, other = {"messages": []}, {"messages": []}
    for queue in (one, one, other, other):
        expire(queue)
    assert looks == [id(one), id(other)]
