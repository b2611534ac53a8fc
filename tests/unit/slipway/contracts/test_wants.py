"""Want rows: what stands, and what a late message does not change."""

from __future__ import annotations

import pytest

from slipway.contracts.codec import encode
from slipway.contracts.table import Table
from slipway.contracts.table.wants import PARTITION
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.lambdas.world import START, request


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "slipway-deployments")


def builder(table: Table) -> bool:
    (want,) = table.wants.all()
    return want.builder


def test_a_want_says_whether_a_builder_is_needed(table):
    assert table.wants.note(request(), START, builder=False)
    assert not builder(table)
    # AND when the follower has found no image, the request comes again, for a builder
    assert table.wants.note(request(), START + 1, builder=True)
    assert builder(table)


def test_a_late_message_does_not_take_the_builder_back(table):
    assert table.wants.note(request(), START, builder=True)
    assert not table.wants.note(request(), START + 1, builder=False)
    assert builder(table)


def test_a_newer_request_says_anew(table):
    assert table.wants.note(request(START), START, builder=True)
    assert table.wants.note(request(START + 1), START + 1, builder=False)
    assert not builder(table)
    assert not table.wants.note(request(START - 1), START + 2, builder=False)


def test_a_row_of_an_earlier_version_needs_a_builder(table):
    table.wants.note(request(), START)
    (want,) = table.wants.all()
    old = {name: value for name, value in encode(want).items() if name != "builder"}
    table.store.put({"pk": PARTITION, "sk": "shop", **old})
    assert builder(table)
    assert not table.wants.note(request(), START + 1, builder=False)
    assert builder(table)
