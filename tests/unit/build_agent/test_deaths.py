"""Builds that end while they work on a request: counted of that request, and of no other."""

from __future__ import annotations

import pytest

from build_agent.queue.inbox import Message
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.build_agent.test_shift import Builder, begun, request
from tests.unit.build_agent.world import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "t")


def works_on(table: Table, asked: BuildRequest, generation: int) -> str:
    """The builder of that generation has begun the request's deployment, or taken it up."""
    name = f"shop-20270115080000-{int(asked.pushed_at):06x}"
    table.requests.point(asked.request_id, name, 1.0, kept=9e9)
    row = DeploymentRow(
        deployment_id=name, pipeline="shop", request_id=asked.request_id, reason="push",
        host_id="codebuild:shop", boot=str(generation), started_at=1.0,
    )  # fmt: skip
    if not table.deployments.start(row, kept=9e9):
        table.deployments.take_up(name, host_id=row.host_id, boot=row.boot, fence=0)
    return name


def dies(table: Table, clock: FakeClock, generation: int) -> None:
    table.builders.end(table.builders.get("shop"), "FAILED", clock.now())
    assert table.builders.get("shop").generation == generation


def deaths(messages: list[Message]) -> dict[float, int]:
    """By the requests' pushes."""
    return {BuildRequest.from_json(m.body).pushed_at: m.deaths for m in messages}


def test_each_builder_that_ends_at_work_on_it_counts(table: Table, clock: FakeClock) -> None:
    table.pending.add(request(1), clock.now())
    for generation in range(1, 4):
        builder = begun(table, clock)
        assert deaths(builder.inbox.receive(0)) == {1.0: generation - 1}
        works_on(table, request(1), generation)
        dies(table, clock, generation)


def test_what_it_held_beside_that_has_killed_nobody(table: Table, clock: FakeClock) -> None:
    for number in (1, 2):
        table.pending.add(request(number), clock.now())
    begun(table, clock).inbox.receive(0)
    works_on(table, request(1), 1)
    dies(table, clock, 1)
    assert deaths(begun(table, clock).inbox.receive(0)) == {1.0: 1, 2.0: 0}


def test_what_a_builder_gave_back_before_it_ended_does_not_count(
    table: Table, clock: FakeClock
) -> None:
    """For a pause, a lock that was taken, the world's failure, or because it was told to stop."""
    table.pending.add(request(1), clock.now())
    builder = begun(table, clock)
    works_on(table, request(1), 1)
    builder.inbox.give_back(builder.inbox.receive(0))
    dies(table, clock, 1)
    assert deaths(begun(table, clock).inbox.receive(0)) == {1.0: 0}


def test_nor_does_a_builder_that_ended_before_it_began_anything(
    table: Table, clock: FakeClock
) -> None:
    """Nor one that received it, and whose predecessor had died at work on it."""
    table.pending.add(request(1), clock.now())
    begun(table, clock).inbox.receive(0)
    works_on(table, request(1), 1)
    dies(table, clock, 1)
    assert deaths(begun(table, clock).inbox.receive(0)) == {1.0: 1}
    dies(table, clock, 2)
    assert deaths(begun(table, clock).inbox.receive(0)) == {1.0: 1}


def test_nor_does_a_lease_that_one_builder_lost_and_took_again(
    table: Table, clock: FakeClock
) -> None:
    table.pending.add(request(1), clock.now())
    builder: Builder = begun(table, clock)
    builder.inbox.receive(0)
    works_on(table, request(1), 1)
    clock.pass_by(361)
    assert deaths(builder.inbox.receive(0)) == {1.0: 0}


def test_nor_does_a_deployment_that_has_ended(table: Table, clock: FakeClock) -> None:
    """Only its telling was lost."""
    table.pending.add(request(1), clock.now())
    begun(table, clock).inbox.receive(0)
    name = works_on(table, request(1), 1)
    table.deployments.note(name, ended_at=5.0)
    dies(table, clock, 1)
    assert deaths(begun(table, clock).inbox.receive(0)) == {1.0: 0}
