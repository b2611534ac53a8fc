"""Pending rows and builder rows: what a move does, and who loses a race."""

from __future__ import annotations

import pytest

from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.builders import BuilderRow
from slipway.contracts.table.pending import PendingRow
from tests.simulation.dynamodb import FakeDynamoDB

REQUEST = BuildRequest(
    request_id="a" * 32, pipeline="shop", pushed_by="ada", pushed_at=1.0, reason="push"
)


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "t")


def held(table: Table, generation: int, now: float, lease: float = 60) -> PendingRow:
    (row,) = table.pending.of("shop")
    mine = table.pending.receive(row, generation, now, lease=lease)
    assert mine is not None
    return mine


# --- pending rows


def test_a_request_has_one_row_however_often_it_comes(table: Table) -> None:
    assert table.pending.add(REQUEST, 10.0)
    assert not table.pending.add(REQUEST, 20.0)
    (row,) = table.pending.all()
    assert (row.since, row.visible_at, BuildRequest.from_json(row.body)) == (10.0, 10.0, REQUEST)


def test_only_the_rows_of_the_pipeline_are_received(table: Table) -> None:
    """`shop` is no beginning of `shop2`, as far as rows go."""
    other = BuildRequest(
        request_id="b" * 32, pipeline="shop2", pushed_by="ada", pushed_at=1.0, reason="push"
    )
    table.pending.add(REQUEST, 1.0)
    table.pending.add(other, 1.0)
    assert [row.pipeline for row in table.pending.of("shop")] == ["shop"]


def test_of_two_that_receive_a_row_one_has_it(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    (seen,) = table.pending.of("shop")
    assert table.pending.receive(seen, 1, 2.0, lease=60) is not None
    assert table.pending.receive(seen, 2, 2.0, lease=60) is None


def test_a_receive_whose_answer_was_lost_is_found_to_be_ones_own(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    (seen,) = table.pending.of("shop")
    first = table.pending.receive(seen, 1, 2.0, lease=60)
    assert table.pending.receive(seen, 1, 2.0, lease=60) == first


def test_what_a_builder_holds_is_not_free_for_it_and_is_for_the_next(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    row = held(table, 1, now=2.0)
    assert not row.is_free(1, 30.0)
    assert row.is_free(1, 62.0)
    assert row.is_free(2, 3.0)


def test_who_has_lost_a_row_moves_it_no_more(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    lost = held(table, 1, now=2.0)
    mine = held(table, 2, now=3.0)
    assert not table.pending.extend(lost, 100.0)
    assert not table.pending.give_back(lost, 5.0)
    assert not table.pending.delete(lost)
    assert table.pending.delete(mine)
    assert not table.pending.all()


def test_a_row_that_was_given_back_is_shown_and_one_that_is_held_is_not(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    assert table.pending.give_back(held(table, 1, now=2.0), 900.0)
    assert table.pending.show(REQUEST, 10.0)
    assert table.pending.of("shop")[0].visible_at == 10.0
    held(table, 1, now=11.0)
    assert not table.pending.show(REQUEST, 12.0)


def test_a_death_is_counted_with_the_receiving_that_finds_it(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    assert held(table, 1, now=2.0).deaths == 0
    (row,) = table.pending.of("shop")
    assert (row.left_behind(1), row.left_behind(2)) == (False, True)
    found = table.pending.receive(row, 2, 3.0, lease=60, died=True)
    assert found is not None
    assert found.deaths == table.pending.of("shop")[0].deaths == 1
    # AND of two that find it one has counted it
    assert table.pending.receive(row, 3, 3.0, lease=60, died=True) is None


def test_what_was_given_back_is_left_behind_by_nobody(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    table.pending.give_back(held(table, 1, now=2.0), 5.0)
    assert not table.pending.of("shop")[0].left_behind(2)


def test_a_row_of_an_earlier_version_has_no_deaths(table: Table) -> None:
    table.pending.add(REQUEST, 1.0)
    table.store.update("PENDING", f"shop#{'a' * 32}", "REMOVE deaths")
    assert held(table, 1, now=2.0).deaths == 0


# --- builder rows


def asked(table: Table, now: float = 1.0) -> BuilderRow:
    row = table.builders.ask(table.builders.get("shop"), now)
    assert row is not None
    return row


def test_ten_pushes_ask_for_one_build(table: Table) -> None:
    before = table.builders.get("shop")
    asks = [table.builders.ask(before, float(now)) for now in range(10)]
    assert [row.generation for row in asks if row is not None] == [1]


def test_an_ask_whose_answer_was_lost_is_found_to_be_ones_own(table: Table) -> None:
    before = table.builders.get("shop")
    assert table.builders.ask(before, 1.0) == table.builders.ask(before, 1.0)


def test_the_next_generation_is_asked_for_once_the_build_is_over(table: Table) -> None:
    first = asked(table)
    assert table.builders.start("shop", 1, "p:1")
    assert table.builders.ask(table.builders.get("shop"), 2.0) is None
    assert table.builders.end(first, "FAILED", 3.0)
    again = asked(table, 4.0)
    assert (again.generation, again.token, again.build_id) == (2, "shop-2", None)
    assert table.builders.get("shop").status is None


def test_a_refused_build_leaves_room_for_another_ask(table: Table) -> None:
    """Since when is told until one is started."""
    assert table.builders.refuse(asked(table), 5.0)
    assert table.builders.refuse(asked(table, 6.0), 7.0)
    assert table.builders.get("shop").refused_since == 5.0
    asked(table, 8.0)
    table.builders.start("shop", 3, "p:3")
    assert table.builders.get("shop").refused_since is None


def test_a_builder_says_done_and_goes_on_unless_another_is_asked_for(table: Table) -> None:
    asked(table)
    table.builders.start("shop", 1, "p:1")
    assert table.builders.say_done("shop", 1, 5.0)
    assert table.builders.go_on("shop", 1)
    assert table.builders.get("shop").is_live
    assert table.builders.say_done("shop", 1, 6.0)
    asked(table, 7.0)
    assert not table.builders.go_on("shop", 1)
    assert not table.builders.say_done("shop", 1, 8.0)


def test_what_codebuild_calls_over_says_nothing_more(table: Table) -> None:
    row = asked(table)
    table.builders.end(row, "TIMED_OUT", 5.0)
    assert not table.builders.start("shop", 1, "p:1")
    assert not table.builders.say_done("shop", 1, 6.0)
    assert (table.builders.get("shop").state, table.builders.get("shop").status) == (
        "ended", "TIMED_OUT",
    )  # fmt: skip


def test_an_earlier_build_does_not_move_the_row(table: Table) -> None:
    first = asked(table)
    table.builders.end(first, "FAILED", 2.0)
    asked(table, 3.0)
    assert not table.builders.start("shop", 1, "p:1")
    assert not table.builders.end(first, "FAILED", 4.0)


def test_the_token_is_short_enough_for_any_pipeline() -> None:
    long = BuilderRow(pipeline="p" * 80, generation=12)
    assert (len(long.token), long.token[-3:]) == (64, "-12")


# --- builds that end early


def fails(table: Table, now: float) -> None:
    """A build that CodeBuild ends before its builder has said that it is done."""
    table.builders.end(asked(table, now), "FAILED", now)


def test_builds_that_end_early_are_asked_for_ever_later(table: Table) -> None:
    """What fails at once must not fail for money all day."""
    pauses = []
    for number in range(8):
        now = 10_000.0 * (number + 1)
        fails(table, now)
        pauses.append(max(0.0, table.builders.get("shop").next_at - now))
    assert pauses == [0, 0, 300, 600, 1200, 2400, 3600, 3600]


def test_a_builder_that_has_done_its_work_begins_anew(table: Table) -> None:
    for number in range(4):
        fails(table, float(number))
    row = asked(table, 10.0)
    table.builders.start("shop", row.generation, "p:5")
    assert table.builders.get("shop").failures == 5
    table.builders.say_done("shop", row.generation, 20.0)
    assert (table.builders.get("shop").failures, table.builders.get("shop").next_at) == (0, 0.0)


def test_a_refusal_is_no_build_that_ends_early(table: Table) -> None:
    for number in range(5):
        table.builders.refuse(asked(table, float(number)), float(number))
    assert table.builders.get("shop").failures == 0


def test_of_two_builds_of_one_generation_the_first_has_the_row(table: Table) -> None:
    """The answer to StartBuild was lost, and CodeBuild had forgotten its token."""
    asked(table)
    assert table.builders.start("shop", 1, "p:1")
    assert table.builders.start("shop", 1, "p:1")
    assert not table.builders.start("shop", 1, "p:2")
