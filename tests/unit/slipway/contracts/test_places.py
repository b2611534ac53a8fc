"""Places of builders: who has one, when it is free, and that no two take the same."""

from __future__ import annotations

import pytest

from slipway.contracts.table import Table
from slipway.contracts.table.builders import BuilderRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.places import Place
from tests.simulation.dynamodb import FakeDynamoDB

FIRST = Place(number=0)


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "t")


def asks(table: Table, name: str, *places: Place, now: float = 1.0) -> BuilderRow | None:
    return table.builders.ask(table.builders.get(name), now, places=places)


def place(table: Table, number: int = 0) -> Place:
    return next(one for one in table.builders.with_places()[1] if one.number == number)


def test_of_two_that_take_the_same_place_one_has_it(table: Table) -> None:
    taken = asks(table, "shop", FIRST)
    assert taken is not None
    assert taken.place == 0
    assert asks(table, "blog", FIRST) is None
    assert table.builders.get("blog").generation == 0
    assert [row.pipeline for row in table.builders.all()] == ["shop"]


def test_who_loses_one_place_takes_the_next(table: Table) -> None:
    asks(table, "shop", FIRST)
    row = asks(table, "blog", FIRST, Place(number=1))
    assert row is not None
    assert (row.generation, row.place) == (1, 1)
    assert table.builders.get("blog") == row


def test_who_is_asked_for_already_takes_none_and_tries_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = table.builders.get("shop")
    assert table.builders.ask(before, 1.0, places=[FIRST]) is not None
    tried, transact = [], table.store.transact
    monkeypatch.setattr(table.store, "transact", lambda writes: tried.append(1) or transact(writes))
    assert table.builders.ask(before, 2.0, places=[Place(number=1), Place(number=2)]) is None
    assert len(tried) == 1
    assert [one.number for one in table.builders.with_places()[1]] == [0]


def test_an_ask_whose_answer_was_lost_is_found_to_be_ones_own(table: Table) -> None:
    before = table.builders.get("shop")
    first = table.builders.ask(before, 1.0, places=[FIRST])
    assert table.builders.ask(before, 1.0, places=[FIRST, Place(number=1)]) == first


def test_a_place_is_free_once_its_builder_is_over(table: Table) -> None:
    row = asks(table, "shop", FIRST)
    assert row is not None
    rows, (seen,) = table.builders.with_places()
    assert not seen.is_free(rows)
    table.builders.end(row, "FAILED", 2.0)
    rows, (seen,) = table.builders.with_places()
    assert seen.is_free(rows)
    assert asks(table, "blog", seen) is not None


def test_a_row_that_is_older_than_the_place_says_nothing() -> None:
    """A decision may have read it before the place was taken."""
    taken = Place(number=0, pipeline="shop", generation=2)
    assert not taken.is_free({})
    assert not taken.is_free({"shop": BuilderRow(pipeline="shop", generation=1, state="ended")})
    assert taken.is_free({"shop": BuilderRow(pipeline="shop", generation=3, state="started")})


def test_who_goes_on_after_all_keeps_its_place_from_who_saw_it_free(table: Table) -> None:
    asks(table, "shop", FIRST)
    table.builders.say_done("shop", 1, 2.0)
    seen = place(table)
    assert table.builders.go_on("shop", 1)
    assert asks(table, "blog", seen) is None


def test_who_has_lost_its_place_does_not_go_on(table: Table) -> None:
    asks(table, "shop", FIRST)
    table.builders.say_done("shop", 1, 2.0)
    assert asks(table, "blog", place(table)) is not None
    assert not table.builders.go_on("shop", 1)
    assert table.builders.get("shop").state == "done"


def test_a_builder_of_an_earlier_version_has_no_place_and_goes_on(table: Table) -> None:
    assert table.builders.ask(table.builders.get("shop"), 1.0) is not None
    table.builders.say_done("shop", 1, 2.0)
    assert table.builders.go_on("shop", 1)


def test_a_builder_that_is_over_is_forgotten_with_its_place(table: Table) -> None:
    row = asks(table, "shop", FIRST)
    assert row is not None
    assert not table.builders.forget(row)
    asks(table, "shop", FIRST)
    table.builders.end(row, "FAILED", 2.0)
    assert table.builders.forget(table.builders.get("shop"))
    assert table.builders.with_places() == ({}, ())


def test_a_place_that_another_has_by_now_is_not_forgotten(table: Table) -> None:
    row = asks(table, "shop", FIRST)
    assert row is not None
    table.builders.end(row, "FAILED", 2.0)
    asks(table, "blog", place(table))
    table.builders.forget(table.builders.get("shop"))
    assert place(table).pipeline == "blog"


def test_a_host_row_is_heard_only_of_the_very_builder() -> None:
    row = BuilderRow(pipeline="shop", generation=3, state="started", asked_at=100.0)
    heard = HostRow(host_id=row.host_id, boot="3", heartbeat_at=101.0)
    assert row.is_heard(heard)
    assert not row.is_heard(HostRow(host_id=row.host_id, boot="2", heartbeat_at=101.0))
    assert not row.is_heard(HostRow(host_id=row.host_id, boot="3", heartbeat_at=99.0))
