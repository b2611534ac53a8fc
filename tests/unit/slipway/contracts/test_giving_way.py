"""Who gives way to whom: what the lock's holder works on, and who asks for its place."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.contracts.messages import BuildRequest, Target
from slipway.contracts.table import Table
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.requests import Settled
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.build_agent.world import START, make_request

BACK: dict[str, Any] = {
    "reason": "rollback",
    "target": Target(kind="deployment", deployment_id="web-20261120080000-abcdef"),
}
PUSH, ROLLBACK = make_request(5), make_request(6, **BACK)
EARLIER = START - 1


def asked_by(request: BuildRequest) -> LockRow:
    return LockRow(
        pipeline="web",
        takeover=request.request_id,
        takeover_at=request.pushed_at,
        takeover_reason=request.reason,
    )


@pytest.mark.parametrize(
    ("holder", "asker", "gives_way"),
    [
        (PUSH, make_request(7), True),
        (PUSH, make_request(4), False),
        (PUSH, make_request(4, pushed_at=PUSH.pushed_at), False),
        (PUSH, PUSH, False),
        (PUSH, ROLLBACK, True),
        (PUSH, make_request(4, **BACK, pushed_at=EARLIER), True),
        (ROLLBACK, make_request(7, **BACK), True),
        (ROLLBACK, make_request(4, **BACK, pushed_at=EARLIER), False),
        (ROLLBACK, ROLLBACK, False),
        (ROLLBACK, make_request(7), True),
        (ROLLBACK, make_request(4), False),
    ],
    ids=[
        "a newer push",
        "an older push",
        "a push of the same moment",
        "itself",
        "a rollback",
        "a rollback, by a clock that is late",
        "a newer rollback",
        "an older rollback",
        "a rollback itself, delivered twice",
        "a push after the rollback",
        "a push from before the rollback",
    ],
)
def test_a_holder_gives_way_to_what_is_newer(
    holder: BuildRequest, asker: BuildRequest, gives_way: bool
) -> None:
    assert asked_by(asker).gives_way(holder) is gives_way


def test_who_asked_by_an_earlier_version_is_given_way() -> None:
    assert LockRow(pipeline="web", takeover="a" * 32).gives_way(PUSH)


def test_a_cancel_takes_nothing_over() -> None:
    cancelled = LockRow(pipeline="web", takeover="cancel:web-20261118110640-0a1b2c")
    assert cancelled.cancelled == "web-20261118110640-0a1b2c"
    assert not cancelled.gives_way(PUSH)
    assert cancelled.ends("web-20261118110640-0a1b2c")
    assert not cancelled.ends("web-20261118110640-ffffff")
    assert not cancelled.ends(None)


def test_a_cancel_of_an_earlier_version_s_command_line_names_no_deployment() -> None:
    cancelled = LockRow(pipeline="web", takeover="cancel:arn:aws:iam::222222222222:user/eve")
    assert cancelled.ends("web-20261118110640-0a1b2c")
    assert not cancelled.ends(None)
    assert not cancelled.gives_way(PUSH)


def test_nobody_asks() -> None:
    free = LockRow(pipeline="web")
    assert (free.cancelled, free.gives_way(PUSH)) == (None, False)


# --- to whom that is to come still


@pytest.mark.parametrize("is_over", [False, True])
def test_nothing_gives_way_to_what_has_its_outcome(is_over: bool) -> None:
    """A rollback that was cancelled while it waited has left its note, and never comes."""
    table = Table(FakeDynamoDB(), "t")
    if is_over:
        over = Settled(
            request_id=ROLLBACK.request_id, outcome="cancelled", pipeline="web", settled_at=START
        )
        table.requests.settle([over], kept=9)
    assert table.locks.is_to_give_way(asked_by(ROLLBACK), PUSH) is not is_over
    assert not table.locks.is_to_give_way(asked_by(ROLLBACK), ROLLBACK)


def test_without_a_note_nothing_is_looked_up() -> None:
    """Each look of a run and of a follower asks this."""
    table = Table(FakeDynamoDB(), "t")
    table.locks._store = None  # type: ignore[assignment]
    assert not table.locks.is_to_give_way(LockRow(pipeline="web"), PUSH)
    cancelled = LockRow(pipeline="web", takeover="cancel:web-1")
    assert not table.locks.is_to_give_way(cancelled, PUSH)
