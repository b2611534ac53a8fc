"""What is said of a build host and of what waits for one: runs, slots, and who has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.cli.aws.hosts import Host, at_work, statuses
from slipway.cli.aws.waiting import Work, slot_waited_for, work_of
from slipway.contracts.installation import Limits
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.wants import Want
from tests.unit.slipway.cli.world import NOW, settings

LIMITS = Limits()


def run(pipeline: str, stage: str = "build", *, builds: bool = True) -> HostRun:
    return HostRun(run=1, pipeline=pipeline, stage=stage, progress_at=NOW, slots=int(builds))


def busy(*runs: HostRun, slots: int = 1, host_id: str = "i-1") -> HostRow:
    return HostRow(
        host_id=host_id, boot="b", state="busy", slots=slots, runs=runs,
        heartbeat_at=NOW, arrived_at=NOW - 60, progress_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "begun", "says"),
    [
        (busy(run("shop")), {"shop": NOW - 120}, "builds shop (build, 2 min); no slot free"),
        (
            busy(run("shop"), run("blog", "fetch"), slots=3),
            {"shop": NOW - 120},
            "builds shop (build, 2 min) and blog (fetch); 1 slot free",
        ),
        (
            busy(run("shop"), run("api", "received", builds=False), slots=3),
            {},
            "builds shop (build), is at api (received); 2 slots free",
        ),
        (
            busy(*(run(name) for name in ("shop", "blog", "api")), slots=3),
            {},
            "builds shop (build), blog (build) and api (build); no slot free",
        ),
        (busy(slots=2), {}, "at work; 2 slots free"),
    ],
)
def test_what_a_busy_host_does(row: HostRow, begun: dict[str, float], says: str) -> None:
    assert at_work(row, begun, NOW) == says


def test_runs_of_an_earlier_boot_are_not_told() -> None:
    # GIVEN a host that boots, its row of the boot in which it lost its power
    row = replace(busy(run("shop"), slots=2), heartbeat_at=NOW - 900)
    booting = Host(host_id="i-1", name="one", state="running", launched_at=NOW - 20, row=row)
    # WHEN, THEN what it can do is known, and it does nothing yet
    (told,) = statuses([booting], Work(), LIMITS, NOW)
    assert (told.why, told.slots, told.runs) == ("boots", 2, ())
    # AND a host that never told has none
    (new,) = statuses([replace(booting, row=HostRow(host_id="i-1"))], Work(), LIMITS, NOW)
    assert new.slots is None


FULL = busy(run("shop"), run("blog"), slots=2)


@pytest.mark.parametrize(
    ("hosts", "count", "says"),
    [
        ([FULL], 1, "a free build slot (2 of 2 taken: shop, blog)"),
        ([FULL, busy(run("api"), host_id="i-2")], 2,
         "a free build slot (3 of 3 taken: shop, blog, api)"),
        # a slot is free, or another host can be woken: it is that host that is waited for
        ([replace(FULL, slots=3)], 1, ""),
        ([busy(run("shop"), run("api", builds=False), slots=2)], 1, ""),
        ([FULL], 2, ""),
        ([FULL, replace(busy(host_id="i-2"), state="stopping")], 2, ""),
        ([FULL, HostRow(host_id="i-2", held=True)], 2,
         "a free build slot (2 of 2 taken: shop, blog)"),
        ([replace(FULL, heartbeat_at=NOW - 601)], 1, ""),
        ([], 1, ""),
    ],
)  # fmt: skip
def test_what_waits_for_a_slot_says_who_has_them(
    hosts: list[HostRow], count: int, says: str
) -> None:
    assert slot_waited_for(hosts, count, LIMITS, NOW) == says


def test_what_comes_for_a_pipeline_that_has_a_run_waits_for_no_host() -> None:
    # GIVEN requests for shop, which a host has a run of, and for api
    def want(name: str) -> Want:
        request = BuildRequest(
            request_id="a" * 32, pipeline=name, pushed_by="ada", pushed_at=NOW, reason="push"
        )
        return Want(
            pipeline=name, request_id=request.request_id, pushed_at=NOW, noted_at=NOW,
            body=request.to_json(),
        )  # fmt: skip

    awake = Host(
        host_id="i-1", name="one", state="running", launched_at=NOW - 90, row=busy(run("shop"))
    )
    lock = LockRow(
        pipeline="shop", holder="i-1/b/p.1", fence=1, taken_at=NOW - 30, expires_at=NOW + 60
    )
    # WHEN
    there = work_of(
        [want("shop"), want("api")], {}, locks=[lock], hosts=[awake],
        installation=settings("shop", "api"), now=NOW,
    )  # fmt: skip
    # THEN
    assert there == Work(waiting=("api",), begun={"shop": NOW - 30})
