"""A deployment that another worker has taken up: who had it before says nothing more of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from slipway.contracts.errors import Interrupted
from slipway.contracts.messages import BuildRequest, Commit
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.following.record import Recorder
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.slipway.following.three_ways import INSTALLATION

REQUEST = BuildRequest(
    request_id="a" * 32, pipeline="web", pushed_by="ada", pushed_at=1.0, reason="push"
)
OLDER, NEWER = Commit(id="1" * 40), Commit(id="2" * 40)


@dataclass
class Host:
    host_id: str
    boot: str = "boot-1"


class Clock:
    def now(self) -> float:
        return 100.0


@pytest.fixture
def table() -> Table:
    return Table(FakeDynamoDB(), "t")


def taken_by(table: Table, host: str, *, fence: int) -> tuple[Recorder, DeploymentRow]:
    """A worker of that host, and the deployment as it begins under a lock of that fence."""
    recorder = Recorder(
        table, installation=INSTALLATION, host=Host(host), closer=None, clock=Clock()
    )
    row = recorder.begin(REQUEST, Lock("web", f"{host}/boot-1/p.1", fence))
    assert row is not None
    return recorder, row


def now_there(table: Table, row: DeploymentRow) -> DeploymentRow:
    found = table.deployments.get(row.deployment_id)
    assert found is not None
    return found


def test_who_was_frozen_meanwhile_does_not_name_another_commit(table: Table) -> None:
    """Its commit would stand in the history of a rollout of another one."""
    frozen, before = taken_by(table, "i-1", fence=1)
    other, row = taken_by(table, "i-2", fence=2)
    other.note(row, commit=OLDER)
    frozen.note(before, commit=NEWER, images={"web": "sha256:newer"})
    frozen.enter(before, "push")
    after = now_there(table, row)
    assert (after.commit, after.images, after.stage) == (OLDER, {}, "received")


def test_who_takes_it_up_works_on_it_in_its_own_name(table: Table) -> None:
    _, before = taken_by(table, "i-1", fence=1)
    other, row = taken_by(table, "i-2", fence=2)
    other.enter(row, "fetch")
    after = now_there(table, before)
    assert (row.deployment_id, after.stage) == (before.deployment_id, "fetch")
    assert (after.host_id, after.fence, row.host_id, row.fence) == ("i-2", 2, "i-2", 2)


def test_a_later_holder_of_the_lock_keeps_it(table: Table) -> None:
    """An agent that was frozen before it began finds the deployment at work."""
    taken_by(table, "i-2", fence=2)
    with pytest.raises(Interrupted, match="another works on the deployment"):
        taken_by(table, "i-1", fence=1)


def test_the_same_holder_begins_again(table: Table) -> None:
    _, first = taken_by(table, "i-1", fence=1)
    _, again = taken_by(table, "i-1", fence=1)
    assert again.deployment_id == first.deployment_id
