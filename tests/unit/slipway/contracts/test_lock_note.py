"""The note `again` on a pipeline lock: whose it is when it is taken."""

from __future__ import annotations

from slipway.contracts.table import Table
from tests.simulation.dynamodb import FakeDynamoDB

NOW = 1_800_000_000.0


def test_a_note_that_took_the_place_of_the_one_that_was_read_stays():
    # GIVEN a holder that has read one push's note, and a later push that has left its own since
    locks = Table(FakeDynamoDB(), "slipway-deployments").locks
    lock = locks.take("shop", "i-1/boot-1/p1.1", NOW, ttl=60)
    assert lock is not None
    assert locks.ask_again("shop", "first", NOW, pushed_at=1.0)
    assert locks.ask_again("shop", "second", NOW, pushed_at=2.0)
    # THEN it takes the one that it has read, or none
    assert not locks.take_again(lock, "first")
    assert locks.get("shop").again == "second"
    assert locks.take_again(lock, "second")
    assert not locks.take_again(lock, "second")
    assert locks.get("shop").again is None
