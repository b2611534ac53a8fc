"""What is no request is a dead letter and a notice; the agent goes on."""

from __future__ import annotations

import json
import uuid

import pytest

from slipway.contracts.messages import TIP, BuildRequest
from tests.e2e.chain import Chain


def request(pipeline: str) -> str:
    return BuildRequest(
        request_id=uuid.uuid4().hex,
        pipeline=pipeline,
        target=TIP,
        pushed_by="a test",
        pushed_at=0.0,
        reason="push",
    ).to_json()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("not JSON", "this is not JSON {"),
        ("unknown schema", json.dumps({**json.loads(request("sample")), "schema": 99})),
        ("unknown pipeline", request("nobody-knows-it")),
    ],
)
def test_poison_becomes_a_dead_letter_and_a_notice(chain: Chain, kind: str, body: str) -> None:
    # GIVEN a message on the build queue that is no request
    since = chain.push(f"before {kind}")
    chain.prod("sqs").send_message(QueueUrl=chain.state.queue_url, MessageBody=body)

    # WHEN somebody pushes as well
    pushed = chain.push(f"beside poison: {kind}")

    # THEN the push is deployed, the poison is kept, and a notice says so
    chain.until("the push beside it", lambda: chain.serves() == pushed.commit_id)
    letters: list[str] = []
    chain.until("the dead letter", lambda: letters.extend(chain.dead_letters()) or letters)
    assert letters == [body]
    chain.until(
        "the notice about it", lambda: chain.notices("dead letter", since=since.began_at) or
        chain.notices("Dead letter", since=since.began_at),
    )  # fmt: skip
    chain.until("an empty queue", lambda: chain.depth(chain.names.build_queue) == 0)
