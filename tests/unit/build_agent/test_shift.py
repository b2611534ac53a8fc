"""A builder's shift: it receives its pipeline's rows, and ends when nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Stop
from build_agent.queue.pending_inbox import PendingInbox
from build_agent.telling.logs import Log
from build_agent.telling.shift import ANOTHER, PATIENCE, Shift
from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.table import Table
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.build_agent.world import FakeClock

LEASE = 360


class Builder:
    """One build's inbox and shift, of generation `number`, on a table that others use as well."""

    def __init__(self, table: Table, clock: FakeClock, number: int) -> None:
        self.stop = Stop()
        self.waited: list[float] = []
        self.inbox = PendingInbox(
            None, table, pipeline="shop", generation=number, dead_letters_url="dead",
            visibility=LEASE, now=clock.now, pause=self.waited.append,
        )  # fmt: skip
        self.shift = Shift(
            pipeline="shop", generation=number, build_id=f"project:{number}",
            host=HostIdentity("codebuild:shop", str(number), "us-east-1"), table=table,
            left=self.inbox, clock=clock, log=Log(), stop=self.stop, slots=2,
        )  # fmt: skip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "t")


def begun(table: Table, clock: FakeClock) -> Builder:
    """A build that was asked for, and whose agent has arrived."""
    row = table.builders.ask(table.builders.get("shop"), clock.now())
    assert row is not None
    builder = Builder(table, clock, row.generation)
    assert builder.shift.arrive()
    return builder


def request(number: int, pipeline: str = "shop") -> BuildRequest:
    return BuildRequest(
        request_id=request_id_of(f"event-{number}", pipeline, ""), pipeline=pipeline,
        pushed_by="ada", pushed_at=float(number), reason="push",
    )  # fmt: skip


# --- the inbox


def test_rows_are_received_oldest_first_and_held(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    for number in (1, 2):
        table.pending.add(request(number), clock.now() + number)
        clock.pass_by(5)
    received = builder.inbox.receive(0)
    assert [BuildRequest.from_json(m.body) for m in received] == [request(1), request(2)]
    assert builder.inbox.receive(0) == []
    assert builder.waited == []


def test_a_receive_with_nothing_there_waits_once(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    assert builder.inbox.receive(20) == []
    assert len(builder.waited) == 1


def test_a_lost_lease_is_told(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    table.pending.add(request(1), clock.now())
    (mine,) = builder.inbox.receive(0)
    assert builder.inbox.extend([mine]) == set()
    clock.pass_by(LEASE + 1)
    (again,) = builder.inbox.receive(0)
    assert builder.inbox.extend([mine, again]) == {mine.receipt}
    builder.inbox.delete([mine])
    assert table.pending.all()
    builder.inbox.delete([again])
    assert not table.pending.all()


def test_what_is_given_back_comes_again_after_its_delay(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    table.pending.add(request(1), clock.now())
    builder.inbox.give_back(builder.inbox.receive(0), 30)
    assert builder.inbox.receive(0) == []
    clock.pass_by(31)
    assert len(builder.inbox.receive(0)) == 1


def test_only_wants_of_the_pipeline_that_need_a_builder_become_rows(
    table: Table, clock: FakeClock
) -> None:
    table.wants.note(request(1), 1.0)
    table.wants.note(request(2, "blog"), 1.0)
    builder = begun(table, clock)
    assert [row.pipeline for row in table.pending.all()] == ["shop"]
    assert not builder.inbox.take_wants()


def test_a_want_that_only_the_follower_looks_after_is_not_taken(
    table: Table, clock: FakeClock
) -> None:
    table.wants.note(request(1), 1.0, builder=False)
    begun(table, clock)
    assert not table.pending.all()


# --- the shift


def test_it_ends_when_nothing_is_left(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    assert builder.shift.rest()
    assert builder.stop.requested
    assert table.builders.get("shop").state == "done"


def test_it_waits_for_what_comes_back_soon_and_not_for_what_comes_late(
    table: Table, clock: FakeClock
) -> None:
    builder = begun(table, clock)
    table.pending.add(request(1), clock.now())
    (message,) = builder.inbox.receive(0)
    builder.inbox.give_back([message], int(PATIENCE) - 1)
    assert builder.shift.rest()
    assert not builder.stop.requested
    (row,) = table.pending.all()
    table.pending.give_back(row, clock.now() + PATIENCE + 1)
    builder.shift.rest()
    assert builder.stop.requested


def after_done(table: Table, happens: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let something happen right after the builder has said that it is done."""
    say_done = table.builders.say_done

    def and_then(*arguments: Any) -> bool:
        done = say_done(*arguments)
        happens()
        return done

    monkeypatch.setattr(table.builders, "say_done", and_then)


def test_a_push_that_comes_while_it_says_done_is_not_left(
    table: Table, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its starter has looked at the row before, and saw somebody at work."""
    builder = begun(table, clock)
    after_done(table, lambda: table.wants.note(request(1), clock.now()), monkeypatch)
    builder.shift.rest()
    assert not builder.stop.requested
    assert table.builders.get("shop").state == "started"
    assert len(builder.inbox.receive(0)) == 1


def test_where_another_build_is_asked_for_meanwhile_it_ends(
    table: Table, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = begun(table, clock)

    def asked() -> None:
        table.wants.note(request(1), clock.now())
        assert table.builders.ask(table.builders.get("shop"), clock.now()) is not None

    after_done(table, asked, monkeypatch)
    builder.shift.rest()
    assert builder.stop.requested
    assert table.builders.get("shop").generation == 2


def test_a_build_that_is_not_the_rows_has_nothing_to_do(table: Table, clock: FakeClock) -> None:
    """One that CodeBuild started late, after its generation was given up."""
    row = table.builders.ask(table.builders.get("shop"), clock.now())
    assert row is not None
    table.builders.end(row, "FAULT", clock.now())
    begun(table, clock)
    late = Builder(table, clock, 1)
    assert not late.shift.arrive()
    assert late.stop.requested
    assert late.stop.reason == ANOTHER


def test_who_is_replaced_begins_no_work(table: Table, clock: FakeClock) -> None:
    builder = begun(table, clock)
    table.builders.end(table.builders.get("shop"), "STOPPED", clock.now())
    begun(table, clock)
    assert not builder.shift.begin_work()
    assert builder.stop.reason == ANOTHER


def test_it_does_not_wait_out_a_rollout(table: Table, clock: FakeClock) -> None:
    """Its minutes would be paid: what waits for its end is published then."""
    builder = begun(table, clock)
    table.pending.add(request(1), clock.now())
    builder.inbox.give_back(builder.inbox.receive(0), 30)
    table.locks.take("shop", "deployment:shop-1", clock.now(), ttl=1e9)
    builder.shift.rest()
    assert builder.stop.requested
