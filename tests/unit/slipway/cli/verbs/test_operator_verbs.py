"""`pause`/`resume` and `hold`/`release`: the rows they write, and what they set going."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.contracts.messages import BuildRequest
from tests.unit.slipway.cli.aws.agents import bodies, published
from tests.unit.slipway.cli.world import NOW, World


def request(pipeline: str) -> BuildRequest:
    return BuildRequest(
        request_id="a" * 32, pipeline=pipeline, pushed_by="ada", pushed_at=NOW, reason="push"
    )


def test_pause_notes_the_pipeline_and_by_whom(world: World) -> None:
    result = world.run("pause", "shop")

    row = world.table.pipelines.get("shop")
    assert result.exit_code == 0, result.output
    assert row.paused
    assert row.paused_by


def test_resume_ends_the_pause_and_says_what_waits_again(world: World) -> None:
    # GIVEN a paused pipeline with a request that waits, and another pipeline's request
    world.run("pause", "shop")
    world.table.wants.note(request("shop"), NOW)
    world.table.wants.note(request("api"), NOW)

    # WHEN
    result = world.run("resume", "shop")

    # THEN the row is free, and only its own request is published, under its own id
    row = world.table.pipelines.get("shop")
    assert result.exit_code == 0, result.output
    assert (row.paused, row.paused_by) == (False, None)
    assert [(r.pipeline, r.request_id) for r in published(world)] == [("shop", "a" * 32)]


@pytest.mark.parametrize("builder", [True, False])
def test_what_waits_is_heard_by_whom_its_want_says(world: World, builder: bool) -> None:
    # GIVEN what needs a builder, or what the follower is to look at first
    world.run("pause", "shop")
    world.table.wants.note(request("shop"), NOW, builder=builder)
    # WHEN, THEN
    world.run("resume", "shop")
    heard = world.names.build_queue if builder else world.names.follow_queue
    assert len(bodies(world, heard)) == 1
    assert published(world) == []  # received once


def test_hold_and_release_mark_the_only_host(world: World) -> None:
    # GIVEN one host
    host = world.add_host()

    # WHEN it is held, THEN its row says so and by whom
    assert world.run("hold").exit_code == 0
    row = world.table.hosts.get(host)
    assert row and row.held and row.held_by

    # AND WHEN it is released, THEN it says that too
    assert world.run("release").exit_code == 0
    row = world.table.hosts.get(host)
    assert row and not row.held and row.held_by is None


def test_a_release_of_a_sleeping_host_wakes_it_for_what_waits(world: World) -> None:
    # GIVEN a held host that is stopped, and work
    host = world.add_host()
    world.client("ec2").stop_instances(InstanceIds=[host])
    world.run("hold", host)
    world.table.wants.note(request("shop"), NOW)
    world.table.wants.note(request("api"), NOW, builder=False)

    # WHEN, THEN what needs no host is not said again
    world.run("release", host)
    assert [r.pipeline for r in published(world)] == ["shop"]


def test_a_host_is_named_by_id_name_or_number(world: World) -> None:
    world.installation = replace(world.installation, host_count=2)
    world.path.write_text(world.installation.to_json(), encoding="utf-8")
    first, second = world.add_host(1), world.add_host(2)

    for name in (second, "slipway-host-2", "2"):
        assert world.run("hold", name).exit_code == 0
        row = world.table.hosts.get(second)
        assert row and row.held
        world.run("release", name)
    assert world.table.hosts.get(first) is None
    for wrong in ((), ("i-unknown",), ("3",)):
        result = world.run("hold", *wrong)
        assert result.exit_code == 2
        assert "slipway-host-1" in result.output
