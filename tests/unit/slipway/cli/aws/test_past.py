"""What is read of past deployments for a list: no older ones, and no more of each than is shown."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from slipway.cli.aws.past import LISTED, past
from tests.aws.answers import instead
from tests.unit.slipway.cli.world import NOW, World

DAY = 86_400.0


@pytest.fixture
def sent(world: World, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The items that DynamoDB sends, in order."""
    items: list[dict[str, Any]] = []
    query = world.table.store.client.query

    def watched(**request: Any) -> Any:
        answer = query(**request)
        items.extend(answer["Items"])
        return answer

    instead(world.table.store.client, "query", watched)
    return items


def test_a_row_is_as_it_was_written_but_for_its_result(
    world: World, sent: list[dict[str, Any]]
) -> None:
    row = world.table.deployments.get(world.deployed("shop", 1))

    (found,) = past(world.table, "shop")

    assert {name: getattr(found, name) for name in LISTED} == {
        name: getattr(row, name) for name in LISTED
    }
    assert found.result is None
    assert set(sent[0]) <= set(LISTED)


def test_a_whole_row_has_its_result(world: World) -> None:
    row = world.table.deployments.get(world.deployed("shop", 1))

    assert list(past(world.table, "shop", whole=True)) == [row]


def test_what_is_older_is_not_sent(world: World, sent: list[dict[str, Any]]) -> None:
    for days in range(1, 6):
        world.deployed("shop", days, started_at=NOW - days * DAY)

    found = list(past(world.table, "shop", start=NOW - 2.5 * DAY))

    assert [row.started_at for row in found] == [NOW - DAY, NOW - 2 * DAY]
    assert len(sent) == 2


def test_no_more_is_read_than_is_wanted(world: World, sent: list[dict[str, Any]]) -> None:
    for number in range(5):
        world.deployed("shop", number)

    assert len(list(islice(past(world.table, "shop", most=2), 2))) == 2
    assert len(sent) == 2


def test_only_the_wanted_outcomes_are_sent(world: World, sent: list[dict[str, Any]]) -> None:
    world.deployed("shop", 1, "failed")
    world.deployed("shop", 2)

    (found,) = past(world.table, "shop", statuses=("failed", "rolled_back"), most=1)

    assert found.status == "failed"
    assert len(sent) == 1


def test_further_pages_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.cli.aws.past.PAGE", 2)
    ids = [world.deployed("shop", number) for number in range(5)]

    assert [row.deployment_id for row in past(world.table, "shop")] == ids[::-1]
