"""What `slipway status` and `watch` say where CodeBuild builds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.installation import BuildersSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.hosts import HostRun
from tests.unit.slipway.cli.world import NOW, World


@pytest.fixture
def built(world: World) -> World:
    """The installation without a host."""
    world.installation = replace(
        world.installation, host_count=0, builders=BuildersSettings(when="codeBuild")
    )
    world.path.write_text(world.installation.to_json(), encoding="utf-8")
    return world


def wanted(world: World) -> None:
    request = BuildRequest(
        request_id="a" * 32, pipeline="shop", pushed_by="ada", pushed_at=NOW, reason="push"
    )
    world.table.wants.note(request, NOW)


def asked(world: World, build_id: str = "") -> None:
    builders = world.table.builders
    row = builders.ask(builders.get("shop"), NOW - 20)
    assert row is not None
    if build_id:
        builders.start("shop", row.generation, build_id)


def refused(world: World) -> None:
    builders = world.table.builders
    row = builders.ask(builders.get("shop"), NOW - 20)
    assert row is not None
    builders.refuse(row, NOW - 20)


def shop(world: World) -> Any:
    answer = json.loads(world.run("status", "--json").stdout)
    return answer["pipelines"][0], answer["builders"]


def test_nothing_is_under_way(built: World) -> None:
    pipeline, builders = shop(built)
    assert (pipeline.get("waits_for"), builders) == (None, [])
    text = built.run("status").output
    assert "build  none under way" in text
    assert "host" not in text.replace("held by a host", "")


def test_a_build_that_is_asked_for_is_what_the_pipeline_waits_for(built: World) -> None:
    wanted(built)
    assert shop(built)[0]["waits_for"] == "a build to be started"
    asked(built, "slipway-builder:1")
    pipeline, builders = shop(built)
    said = "its build to begin (slipway-builder:1, asked for 20 s ago)"
    assert pipeline["waits_for"] == said
    assert builders == [{"pipeline": "shop", "build": "slipway-builder:1", "asked_at": NOW - 20}]
    text = built.run("status").output
    assert "build  shop (slipway-builder:1): not begun, asked for 20 s ago" in text


def test_a_build_at_work_says_its_stage(built: World) -> None:
    asked(built, "slipway-builder:1")
    run = HostRun(run=1, pipeline="shop", stage="build", progress_at=NOW)
    built.table.hosts.arrive("codebuild:shop", "1", NOW - 10)
    built.table.hosts.heartbeat("codebuild:shop", "1", NOW, runs=[run])
    assert shop(built)[1][0]["stage"] == "build"
    assert "(slipway-builder:1): build, asked for" in built.run("status").output


def test_a_full_account_is_told(built: World) -> None:
    wanted(built)
    refused(built)
    said = "a build: the account has as many at the same time as its quota allows"
    assert shop(built)[0]["waits_for"] == said


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        (lambda world: None, "waiting for a build to be started"),
        (asked, "waiting for its build to begin (no id yet, asked for 20 s ago)"),
        (refused, "waiting for a build: the account has as many at the same time as its quota"),
    ],
    ids=["wanted", "asked", "refused"],
)
def test_watch_says_what_of_codebuild_it_waits_for(built: World, arrange: Any, says: str) -> None:
    wanted(built)
    arrange(built)
    output = built.run("watch", "shop", "--timeout", "20").output
    assert f"shop: {says}" in output


def test_where_hosts_build_no_builder_is_looked_for(world: World) -> None:
    wanted(world)
    answer = json.loads(world.run("status", "--json").stdout)
    assert "builders" not in answer
    assert answer["pipelines"][0]["waits_for"] == "a host"


def test_with_overflow_a_builders_row_is_no_host(world: World) -> None:
    """Its runs take no slot of a host, and it is held by nobody."""
    overflow = replace(world.installation, builders=BuildersSettings(when="overflow"))
    world.path.write_text(overflow.to_json(), encoding="utf-8")
    world.installation = overflow
    wanted(world)
    run = HostRun(run=1, pipeline="api", stage="build", progress_at=NOW)
    world.table.hosts.arrive("codebuild:api", "1", NOW - 10)
    world.table.hosts.heartbeat("codebuild:api", "1", NOW, runs=[run])
    assert shop(world)[0]["waits_for"] == "a host"
