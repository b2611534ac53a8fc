"""Hosts are woken for build slots: as few as give each waiting pipeline one, and never more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.decide.situation import Host, LeaveHost, StartHost
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want
from tests.unit.lambdas.decide.situations import (
    asleep,
    at_work,
    chosen,
    host,
    locked,
    run,
    started,
    want,
)
from tests.unit.lambdas.world import HOST, OTHER, START

SPARE = asleep(OTHER)
"""Another host that could be started, with one slot."""


def booting(host_id: str = HOST, **row: object) -> Host:
    """A host on its way up; its row is of the boot before."""
    return host("pending", host_id, up=5, heartbeat_at=START - 900, **row)


def wants(count: int) -> tuple[Want, ...]:
    return tuple(want(f"p{number}") for number in range(count))


@pytest.mark.parametrize(
    ("awake", "waiting", "expected"),
    [
        (host(slots=2), 2, []),
        (host(slots=2), 3, [OTHER]),
        (at_work(run(), slots=2), 1, []),
        (at_work(run(), slots=2), 2, [OTHER]),
        (at_work(run(), run("blog"), slots=2), 1, [OTHER]),
        (at_work(replace(run(), slots=2), slots=2), 1, [OTHER]),
        (at_work(run(), run("blog", "rollout", builds=False), slots=2), 1, []),
        (booting(slots=2), 2, []),
        (booting(slots=2), 3, [OTHER]),
        (booting(), 2, [OTHER]),
        # what an earlier boot was at takes no slot of this one
        (booting(slots=2, state="busy", runs=(run(), run("blog"))), 2, []),
        # begun, and not told of yet: what it took waits still, or is locked
        (host(slots=2, state="busy"), 2, []),
        # it will be stopped, and its free slot with it
        (at_work(run(still=9000), slots=2), 1, [OTHER]),
        (host(up=9000, heartbeat_at=START - 9000, slots=2), 1, [OTHER]),
        (host(state="stopping", claim_expires=START + 60, slots=2), 1, [OTHER]),
    ],
)
def test_a_host_is_woken_where_no_awake_one_has_a_free_slot(awake, waiting, expected):
    assert started(awake, SPARE, wants=wants(waiting)) == expected


def test_a_pipeline_that_has_a_run_needs_no_slot():
    full = at_work(run("p0"), run("p1", "rollout", builds=False), slots=1)
    assert started(full, SPARE, wants=wants(2)) == []
    assert started(full, SPARE, wants=wants(3)) == [OTHER]


def test_a_host_with_more_runs_than_slots_takes_none_of_another_s():
    # as where an agent has come back with fewer slots
    crowded = at_work(run(), run("blog"), slots=1)
    assert started(crowded, host(host_id=OTHER), asleep("i-2"), wants=wants(1)) == []


def test_a_held_host_that_stands_still_keeps_no_pipeline_from_another():
    still = at_work(run(still=9000), held=True)
    assert started(still, SPARE, wants=(want(),)) == [OTHER]


def test_a_run_that_no_heartbeat_has_told_of_takes_a_slot_by_its_lock():
    # GIVEN a host with a slot for shop alone, which it has locked a moment ago
    begun, lock = host(state="busy"), locked(holder=f"{HOST}/boot-1/a.1")
    # THEN blog finds no slot there
    assert started(begun, SPARE, wants=(want(), want("blog")), locks=lock) == [OTHER]
    # AND a lock of a run that was told of takes no second one, nor does one that has expired
    told = at_work(run(), slots=2)
    assert started(told, SPARE, wants=(want("blog"),), locks=lock) == []
    over = locked(holder=f"{HOST}/boot-1/a.1", expires_at=START)
    assert started(host(), SPARE, wants=(want(),), locks=over) == []


def test_a_rollout_that_is_followed_takes_no_slot():
    followed = locked(holder="deployment:shop-1", expires_at=9e9)
    assert started(host(), SPARE, wants=(want("blog"),), locks=followed) == []


def test_paused_and_followed_pipelines_need_no_slot():
    paused = {"p0": PipelineRow(pipeline="p0", paused=True)}
    followed = locked("p1", holder="deployment:p1-1", expires_at=9e9)
    assert started(SPARE, wants=wants(2), pipelines=paused, locks=followed) == []


def test_the_host_with_the_most_slots_is_woken_first():
    many = asleep("i-0cccccccccccccccc", slots=4)
    assert started(SPARE, many, wants=wants(3)) == ["i-0cccccccccccccccc"]
    assert started(SPARE, many, wants=wants(5)) == ["i-0cccccccccccccccc", OTHER]
    (start,) = chosen(StartHost, SPARE, many, wants=wants(1))
    assert start.others == (SPARE,)


def test_who_cannot_be_started_is_told_of_only_where_slots_are_missing():
    held = asleep(held=True)
    assert chosen(LeaveHost, held, asleep(OTHER, slots=2), wants=wants(2)) == []
    assert len(chosen(LeaveHost, held, asleep(OTHER, slots=2), wants=wants(3))) == 1


# --- in general


@dataclass(frozen=True)
class Fleet:
    """Hosts, and how many build slots the awake ones have free, by how they were made."""

    hosts: tuple[Host, ...]
    free: int
    busy_with: tuple[str, ...]


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Up to five hosts, asleep, booting, idle or at work, with one to four slots each."""
    hosts, free, busy_with = [], 0, []
    for number in range(draw(st.integers(0, 5))):
        name, slots = f"i-{number}", draw(st.integers(1, 4))
        match draw(st.sampled_from(["asleep", "held", "booting", "idle", "busy", "silent"])):
            case "asleep":
                hosts.append(asleep(name, slots=slots))
            case "held":
                hosts.append(asleep(name, slots=slots, held=True))
            case "booting":
                hosts.append(booting(name, slots=slots))
                free += slots
            case "idle":
                hosts.append(host(host_id=name, slots=slots))
                free += slots
            case "silent":
                hosts.append(host(host_id=name, slots=slots, up=9000, heartbeat_at=START - 9000))
            case "busy":
                building = draw(st.integers(0, slots))
                other = draw(st.integers(0 if building else 1, 2))
                runs = [run(f"{name}-{n}") for n in range(building)]
                runs += [run(f"{name}-r{n}", builds=False) for n in range(other)]
                hosts.append(at_work(*runs, host_id=name, slots=slots))
                free += slots - building
                busy_with += [each.pipeline for each in runs]
    return Fleet(tuple(hosts), free, tuple(busy_with))


def fewest(startable: list[Host], slots: int) -> int:
    """How many hosts it takes, by trying every choice of them; all, if even they are too few."""
    for size in range(len(startable)):
        if any(
            sum(h.row.slots for h in choice) >= slots for choice in combinations(startable, size)
        ):
            return size
    return len(startable)


@given(fleet=fleets(), waiting=st.integers(0, 12), again=st.integers(0, 3))
def test_the_fewest_hosts_are_woken_whose_slots_are_enough(fleet, waiting, again):
    # GIVEN pipelines that wait, and some more that have a run already
    there = wants(waiting) + tuple(want(name) for name in fleet.busy_with[:again])
    startable = [h for h in fleet.hosts if h.ec2_state == "stopped" and not h.row.held]
    # WHEN it is decided, THEN each one that waits finds a slot, if there is one to wake
    woken = started(*fleet.hosts, wants=there)
    assert len(woken) == len(set(woken)) == fewest(startable, waiting - fleet.free)
    assert set(woken) <= {h.host_id for h in startable}
    slots = sum(h.row.slots for h in startable if h.host_id in woken)
    assert fleet.free + slots >= waiting or len(woken) == len(startable)
