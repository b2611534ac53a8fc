"""The build queue's calls: in tens, in parallel, and what a body is."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_agent.host.parallel import Threads
from build_agent.queue.inbox import Inbox, Message
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import parse_request
from tests.aws.answers import AwsFake
from tests.unit.build_agent.world import make_request


class Calls(AwsFake, service="sqs"):
    """An SQS that counts; `failed` are receipts that it does not know."""

    def __init__(self, failed: tuple[str, ...] = (), code: str = "ReceiptHandleIsInvalid") -> None:
        self.sizes: list[int] = []
        self.failed = failed
        self.code = code
        self.members: list[dict[str, Any]] = []

    def _batch(self, **members: Any) -> Any:
        self.members.append(members)
        self.sizes.append(len(members["Entries"]))
        bad = [e for e in members["Entries"] if e["ReceiptHandle"] in self.failed]
        failed = [{"Id": e["Id"], "SenderFault": True, "Code": self.code} for e in bad]
        done = [{"Id": e["Id"]} for e in members["Entries"] if e not in bad]
        return {"Successful": done, "Failed": failed}

    delete_message_batch = change_message_visibility_batch = _batch

    def receive_message(self, **members: Any) -> Any:
        self.members.append(members)
        return {}


def inbox(sqs: Any, **options: Any) -> Inbox:
    return Inbox(sqs, queue_url="q", dead_letters_url="d", visibility=300, **options)


def messages(count: int) -> list[Message]:
    return [Message(str(n), f"r{n}", "") for n in range(count)]


@pytest.mark.parametrize("parallel", [None, Threads(4)])
def test_deletes_go_in_tens(parallel: Any) -> None:
    sqs = Calls()
    inbox(sqs, **({"parallel": parallel} if parallel else {})).delete(messages(25))
    assert sorted(sqs.sizes) == [5, 10, 10]


def test_nothing_to_delete_is_no_call() -> None:
    sqs = Calls()
    inbox(sqs).delete([])
    assert sqs.sizes == []


def test_lost_leases_are_told_other_failures_are_not_taken_for_them() -> None:
    assert inbox(Calls(("r3", "r12"))).extend(messages(15)) == {"r3", "r12"}
    assert inbox(Calls(("r3",), code="InternalError")).extend(messages(15)) == set()


def test_giving_back_makes_visible_at_once_or_later() -> None:
    sqs = Calls()
    inbox(sqs).give_back(messages(1))
    inbox(sqs).give_back(messages(1), 60)
    assert [m["Entries"][0]["VisibilityTimeout"] for m in sqs.members] == [0, 60]


@pytest.mark.parametrize(("wait", "asked"), [(0.0, 0), (7.9, 7), (60.0, 20), (-3.0, 0)])
def test_a_long_poll_is_whole_seconds_up_to_twenty(wait: float, asked: int) -> None:
    sqs = Calls()
    inbox(sqs).receive(wait)
    assert sqs.members[0]["WaitTimeSeconds"] == asked
    assert sqs.members[0]["MaxNumberOfMessages"] == 10


def test_a_full_receive_is_followed_by_several_at_once() -> None:
    sqs = Calls()
    inbox(sqs).receive_more(10)
    inbox(sqs).receive_more(3)
    assert len(sqs.members) == 10 + 1


def test_a_request_is_read_raw_or_in_an_envelope() -> None:
    request = make_request(1)
    envelope = json.dumps({"Type": "Notification", "Message": request.to_json(), "TopicArn": "t"})
    assert parse_request(request.to_json()) == parse_request(envelope) == request


ANY = st.none() | st.booleans() | st.floats() | st.text()
JSON = st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.text() | JSON.map(json.dumps))
def test_any_body_is_a_request_or_invalid(body: str) -> None:
    with contextlib.suppress(InvalidMessage):
        assert isinstance(parse_request(body), BuildRequest)


@given(st.sampled_from(["request_id", "pipeline", "target", "pushed_by", "pushed_at", "reason",
                        "schema", "force_rebuild", "commit_id"]),
       st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.booleans())  # fmt: skip
def test_a_request_with_any_member_replaced_is_a_request_or_invalid(name: str, value: Any) -> None:
    data = {**json.loads(make_request(1).to_json()), name: value}
    try:
        assert isinstance(parse_request(json.dumps(data)), BuildRequest)
    except InvalidMessage as error:
        assert str(error)
