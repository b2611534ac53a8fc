"""Builders that are stopped, and what is left of pipelines that are configured no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.decide.unconfigured import PATIENCE
from lambdas.reconciler.handler import reconcile
from lambdas.starter.handler import start
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import BuildersSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.requests import Settled
from tests.unit.lambdas.world import (
    DEAD,
    START,
    World,
    error,
    event,
    installation,
    pipeline,
    request,
    sns_event,
)

TICK = event("schedule")
HOST = "codebuild:shop"


@pytest.fixture
def world() -> World:
    return World(hosts=(), builders=BuildersSettings(when="codeBuild"))


def begun(world: World) -> None:
    """A builder of shop that is heard, and at work."""
    start(sns_event(request().to_json()), world.services)
    assert world.table.hosts.arrive(HOST, "1", world.now)
    assert world.table.hosts.begin_work(HOST, "1", world.now)


# --- stopped


def test_a_silent_builder_is_stopped_and_another_follows_once_codebuild_says_so(
    world: World,
) -> None:
    begun(world)
    world.now += 601
    reconcile(TICK, world.services)
    assert world.codebuild.stopped == ["slipway-builder:1"]
    # THEN until CodeBuild says that it is over nobody else begins
    assert world.codebuild.tokens == ["shop-1"]
    assert [notice.alert.kind for notice in world.sns.notices if notice.alert] == ["builder_silent"]
    reconcile(TICK, world.services)
    assert world.codebuild.tokens == ["shop-1", "shop-2"]
    # AND the next one arrives at once
    assert world.table.hosts.arrive(HOST, "2", world.now)


def test_a_builder_that_is_heard_in_that_moment_is_not_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world)
    world.now += 601
    claim = world.table.hosts.claim_broken

    def heard_first(*seen: Any, **how: Any) -> bool:
        world.table.hosts.heartbeat(HOST, "1", world.now)
        return claim(*seen, **how)

    monkeypatch.setattr(world.table.hosts, "claim_broken", heard_first)
    reconcile(TICK, world.services)
    assert world.codebuild.stopped == []


def test_one_that_is_heard_after_the_claim_begins_nothing(world: World) -> None:
    begun(world)
    world.now += 601
    reconcile(TICK, world.services)
    assert not world.table.hosts.begin_work(HOST, "1", world.now)


def test_a_stop_that_is_refused_is_sent_again(world: World) -> None:
    begun(world)
    world.now += 601
    world.codebuild.problem = error("ThrottlingException")
    with pytest.raises(WorldFailed):
        reconcile(TICK, world.services)
    world.codebuild.problem = None
    world.now += 300
    reconcile(TICK, world.services)
    assert world.codebuild.stopped == ["slipway-builder:1"]


def test_one_that_waits_for_its_machine_is_not_stopped_for_hours(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    world.now += 7 * 3600
    reconcile(TICK, world.services)
    assert world.codebuild.stopped == []


def test_one_that_has_a_machine_and_is_never_heard_is_stopped(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    world.codebuild.machines["slipway-builder:1"] = world.now + 40
    world.now += 641
    reconcile(TICK, world.services)
    assert world.codebuild.stopped == ["slipway-builder:1"]


def test_the_starter_stops_nobody(world: World) -> None:
    begun(world)
    world.now += 601
    start(sns_event(request(START + 1).to_json()), world.services)
    assert world.codebuild.stopped == []


def test_where_no_builder_is_live_no_host_row_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(world)
    world.table.builders.say_done("shop", 1, world.now)
    world.table.wants.clear([request()])
    monkeypatch.setattr(world.table.hosts, "all", lambda: pytest.fail("it was read"))
    reconcile(TICK, world.services)


# --- configured no more


def unconfigure(world: World) -> None:
    """Shop goes, blog is there."""
    settings = world.services.installation
    world.services = replace(
        world.services,
        installation=replace(settings, pipelines=installation(pipeline("blog")).pipelines),
    )
    world.codecommit.tips["main"] = "a" * 40


def left(world: World, asked: BuildRequest) -> None:
    """Its row and its want, of a builder that is gone; the pipeline is configured no more."""
    world.note(asked)
    world.table.pending.add(asked, world.now)
    row = world.table.builders.ask(world.table.builders.get("shop"), world.now)
    assert row is not None
    world.table.hosts.arrive(HOST, "1", world.now)
    world.table.builders.end(row, "FAILED", world.now)
    unconfigure(world)
    world.now += PATIENCE + 1


def test_what_waits_becomes_a_dead_letter_and_has_an_outcome(world: World) -> None:
    left(world, request())
    reconcile(TICK, world.services)
    assert world.sqs.sent == [(DEAD, request().to_json())]
    (settled,) = world.table.requests.settled([request().request_id]).values()
    assert settled.outcome == "gave_up"
    assert (world.table.pending.all(), world.table.wants.all()) == ([], [])
    # AND then the builder is forgotten, and nothing more happens
    reconcile(TICK, world.services)
    assert (world.table.builders.all(), world.table.hosts.all()) == ([], [])
    reconcile(TICK, world.services)
    assert len(world.sqs.sent) == 1
    assert world.sns.requests == []


def test_nothing_is_lost_where_the_dead_letter_cannot_be_kept(world: World) -> None:
    left(world, request())
    world.sqs.silence = error("ThrottlingException")
    with pytest.raises(WorldFailed):
        reconcile(TICK, world.services)
    assert len(world.table.pending.all()) == 1
    assert world.table.requests.settled([request().request_id]) == {}


def test_a_request_that_has_its_outcome_is_no_dead_letter(world: World) -> None:
    left(world, request())
    done = Settled(
        request_id=request().request_id, outcome="succeeded", pipeline="shop", settled_at=START
    )
    world.table.requests.settle_once(done, kept=9e9)
    reconcile(TICK, world.services)
    assert world.sqs.sent == []
    assert world.table.pending.all() == []


def deployment(world: World, asked: BuildRequest, number: int) -> str:
    """One that was begun for the request, and that nobody takes up again."""
    name = f"shop-20270115080000-{number:06x}"
    world.table.requests.point(asked.request_id, name, world.now, kept=9e9)
    row = DeploymentRow(
        deployment_id=name, pipeline="shop", request_id=asked.request_id, reason="push",
        pushed_by="ada", pushed_at=asked.pushed_at, started_at=world.now,
    )  # fmt: skip
    world.table.deployments.start(row, kept=9e9)
    return name


def test_what_was_begun_ends_so_and_the_follower_tells_of_it_one_at_a_time(world: World) -> None:
    # GIVEN a push and an older one, whose want the newer one has taken
    older, newer = request(START - 60), request()
    first, second = deployment(world, older, 1), deployment(world, newer, 2)
    left(world, newer)
    # WHEN
    reconcile(TICK, world.services)
    # THEN the older one has ended first
    rows = world.table.deployments.get_many([first, second])
    assert (rows[first].status, rows[second].status) == ("gave_up", None)
    assert world.table.locks.get("shop").untold == first
    assert "configured no more" in str(rows[first].result and rows[first].result.cause)
    # AND nothing more until that is told
    reconcile(TICK, world.services)
    assert world.table.deployments.get_many([second])[second].status is None
    assert world.table.pending.all()
    world.table.locks.told("shop", first)
    reconcile(TICK, world.services)
    assert world.table.locks.get("shop").untold == second
    ids = [older.request_id, newer.request_id]
    assert {one.outcome for one in world.table.requests.settled(ids).values()} == {"gave_up"}
    assert world.table.pending.all() == []
    assert [queue for queue, _ in world.sqs.sent].count(DEAD) == 2
