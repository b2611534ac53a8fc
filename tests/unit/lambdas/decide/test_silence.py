"""Which builders are stopped, and that nobody is stopped who only waits."""

from __future__ import annotations

import pytest

from lambdas.decide.situation import AGENT_FIRST, EndAlert, RaiseAlert, StopBuilder
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.hosts import HostRow
from tests.unit.lambdas.decide.situations import LIMITS, chosen
from tests.unit.lambdas.decide.test_building import ONLY, builder
from tests.unit.lambdas.world import START

STILL = LIMITS.no_progress + AGENT_FIRST * LIMITS.heartbeat


def told(*, heartbeat: float = 10, progress: float = 10, boot: str = "3") -> dict:
    """The host row of shop's builder: what it did so many seconds ago."""
    row = HostRow(
        host_id="codebuild:shop", boot=boot, state="busy", heartbeat_at=START - heartbeat,
        progress_at=START - progress,
    )  # fmt: skip
    return {row.host_id: row}


def stops(**values: object) -> list[StopBuilder]:
    old = builder(asked_at=START - 20_000)
    return chosen(StopBuilder, **{"engine": ONLY, "builders": old, **values})


def test_a_builder_without_a_heartbeat_is_stopped() -> None:
    assert stops(builder_hosts=told(heartbeat=LIMITS.no_heartbeat)) == []
    (stop,) = stops(builder_hosts=told(heartbeat=LIMITS.no_heartbeat + 1))
    assert (stop.builder.build_id, stop.unchanged) == ("project:shop", "heartbeat_at")
    assert stop.why == "no heartbeat for 10 min 1 s"


def test_a_builder_without_progress_is_stopped_after_its_agent_had_time() -> None:
    assert stops(builder_hosts=told(progress=STILL)) == []
    (stop,) = stops(builder_hosts=told(progress=STILL + 1))
    assert stop.unchanged == "progress_at"


def test_a_builder_that_gets_on_is_not() -> None:
    assert stops(builder_hosts=told()) == []


def test_one_that_waits_for_its_machine_is_never_stopped() -> None:
    """Hours in CodeBuild's queue, and the host row is of the one before."""
    assert stops() == []
    assert stops(builder_hosts=told(boot="2", heartbeat=9000, progress=9000)) == []


def test_one_that_has_a_machine_and_is_never_heard_is_stopped() -> None:
    before = told(boot="2", heartbeat=9000, progress=9000)
    soon = {"shop": START - LIMITS.no_heartbeat}
    late = {"shop": START - LIMITS.no_heartbeat - 1}
    assert stops(builder_hosts=before, machines=soon) == []
    (stop,) = stops(builder_hosts=before, machines=late)
    assert stop.seen.boot == "2"
    assert len(stops(machines=late)) == 1


def test_a_host_row_from_long_ago_is_not_this_builders() -> None:
    """Generations may begin anew, where a row was deleted."""
    new = builder(asked_at=START - 20)
    silent = told(heartbeat=9000, progress=9000)
    assert stops(builders=new, builder_hosts=silent) == []


@pytest.mark.parametrize("state", ["none", "asked", "done", "ended"])
def test_who_has_no_build_or_is_done_is_not_stopped(state: str) -> None:
    silent = told(heartbeat=9000, progress=9000)
    gone = builder(state=state, asked_at=START - 20_000)
    assert stops(builders=gone, builder_hosts=silent) == []


def test_what_codebuild_calls_over_is_not_stopped() -> None:
    assert stops(builder_hosts=told(heartbeat=9000), build_ends={"shop": "FAULT"}) == []


def test_people_are_told_of_a_silent_builder_once_and_of_its_end() -> None:
    silent = {
        "engine": ONLY,
        "builders": builder(asked_at=START - 20_000),
        "builder_hosts": told(heartbeat=700),
    }
    (alert,) = chosen(RaiseAlert, **silent)
    assert (alert.kind, alert.subject) == ("builder_silent", "shop")
    assert alert.why == "no heartbeat for 11 min 40 s; its build is stopped"
    raised = (AlertRow(kind="builder_silent", subject="shop", raised_at=START - 5),)
    assert chosen(RaiseAlert, alerts=raised, **silent) == []
    assert chosen(EndAlert, alerts=raised, **silent) == []
    (over,) = chosen(EndAlert, alerts=raised, **{**silent, "builders": builder(state="ended")})
    assert over.alert.subject == "shop"
