"""Which requests are kept: the newest tip, whatever the order of arrival, and every named one."""

from __future__ import annotations

import itertools

from build_agent.queue.inbox import Delivery, Message
from build_agent.queue.supersede import Kept, is_newer
from slipway.contracts.messages import BuildRequest, Target
from tests.unit.build_agent.fakes import A
from tests.unit.build_agent.world import make_request


def delivery(request: BuildRequest, receipt: str = "r") -> Delivery:
    return Delivery(request, [Message("m", receipt, "")])


def test_the_newest_is_kept_in_every_order() -> None:
    requests = [make_request(n) for n in range(4)]
    for order in itertools.permutations(requests):
        kept = Kept()
        dropped = [d for r in order if (d := kept.take(delivery(r)))]
        assert kept.tip is not None and kept.tip.request == requests[-1]
        assert {d.request_id for d in dropped} == {r.request_id for r in requests[:-1]}


def test_pushes_of_the_same_time_are_told_apart_by_id_by_everybody_alike() -> None:
    one, other = make_request(1, pushed_at=5.0), make_request(2, pushed_at=5.0)
    assert is_newer(one, other) != is_newer(other, one)
    assert not is_newer(one, one)


def test_another_delivery_of_the_kept_request_is_held_beside_it() -> None:
    kept = Kept()
    kept.take(delivery(make_request(1), "r1"))
    assert kept.take(delivery(make_request(1), "r2")) is None
    assert kept.tip is not None and [m.receipt for m in kept.tip.messages] == ["r1", "r2"]


def test_named_targets_neither_supersede_nor_are_superseded() -> None:
    kept = Kept()
    named = make_request(1, target=Target(kind="commit", commit_id=A))
    later = make_request(3, target=Target(kind="commit", commit_id=A))
    for request in (later, make_request(2), named, named):
        assert kept.take(delivery(request)) is None
    assert [d.request.pushed_at for d in kept.in_order()] == [
        named.pushed_at,
        make_request(2).pushed_at,
        later.pushed_at,
    ]
    assert len(kept.named[named.request_id].messages) == 2


def test_a_tip_request_comes_after_a_newer_rollback_and_other_named_targets_do_not() -> None:
    # GIVEN an operator's rollback that takes over a tip request, and an older redeploy
    kept = Kept()
    redeploy = make_request(1, target=Target(kind="commit", commit_id=A), reason="redeploy")
    tip = make_request(2)
    deployment = Target(kind="deployment", deployment_id="shop-20260101120000-aaaaaa")
    rollback = make_request(3, target=deployment, reason="rollback")
    newer = make_request(4, target=Target(kind="commit", commit_id=A), reason="redeploy")
    for request in (newer, tip, rollback, redeploy):
        kept.take(delivery(request))

    # WHEN, THEN the rollback need not wait for what it replaces
    assert [d.request for d in kept.in_order()] == [redeploy, rollback, tip, newer]
