"""Builds of CodeBuild are started once, found again, ended; messages become rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.decide.codebuild import FULL
from lambdas.reconciler.handler import reconcile
from lambdas.starter.handler import start
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.installation import BuildersSettings
from slipway.contracts.table.requests import Settled
from tests.unit.lambdas.world import DEAD, START, World, error, event, pipeline, request, sns_event

TICK, STOPPED = event("schedule"), event("codebuild_stopped")


@pytest.fixture
def world() -> World:
    return World(hosts=(), builders=BuildersSettings(when="codeBuild"))


# --- started


def test_a_push_starts_a_build_of_its_pipeline(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    row = world.table.builders.get("shop")
    assert (row.generation, row.state, row.build_id) == (1, "started", "slipway-builder:1")
    _, variables = world.codebuild.builds["slipway-builder:1"]
    assert variables == {"SLIPWAY_PIPELINE": "shop", "SLIPWAY_GENERATION": "1"}


def test_ten_pushes_start_one_build(world: World) -> None:
    for number in range(10):
        start(sns_event(request(START + number).to_json()), world.services)
    assert world.codebuild.tokens == ["shop-1"]


def test_a_refusal_is_ordinary_and_is_asked_again(world: World) -> None:
    world.codebuild.problem = error(FULL)
    start(sns_event(request().to_json()), world.services)
    assert world.table.builders.get("shop").refused_since == START
    world.codebuild.problem = None
    reconcile(TICK, world.services)
    assert world.codebuild.tokens == ["shop-2"]
    assert world.table.builders.get("shop").refused_since is None


def test_a_start_that_is_throttled_is_tried_again_by_the_next_decision(world: World) -> None:
    world.codebuild.problem = error("ThrottlingException")
    with pytest.raises(WorldFailed):
        start(sns_event(request().to_json()), world.services)
    row = world.table.builders.get("shop")
    assert (row.is_live, row.refused_since, row.failures) == (False, None, 0)
    world.codebuild.problem = None
    start(sns_event(request().to_json()), world.services)
    assert world.codebuild.tokens == ["shop-2"]


def test_another_failure_is_the_worlds_and_the_build_is_looked_for(world: World) -> None:
    world.codebuild.problem = error("InternalFailure", 500)
    with pytest.raises(WorldFailed):
        start(sns_event(request().to_json()), world.services)
    world.codebuild.problem = None
    world.now += 61
    reconcile(TICK, world.services)
    assert world.codebuild.tokens == ["shop-1"]
    assert world.table.builders.get("shop").state == "started"


def test_a_build_whose_start_has_no_answer_is_found_by_its_variables(world: World) -> None:
    """CodeBuild has forgotten the token by then: the same one would start another."""
    world.note(request())
    row = world.table.builders.ask(world.table.builders.get("shop"), world.now)
    assert row is not None
    variables = {"SLIPWAY_PIPELINE": "shop", "SLIPWAY_GENERATION": "1"}
    world.codebuild.builds["slipway-builder:9"] = ("IN_PROGRESS", variables)
    other = {"SLIPWAY_PIPELINE": "blog", "SLIPWAY_GENERATION": "1"}
    world.codebuild.builds["slipway-builder:8"] = ("IN_PROGRESS", other)
    world.now += 300
    reconcile(TICK, world.services)
    assert world.table.builders.get("shop").build_id == "slipway-builder:9"
    assert world.codebuild.tokens == []


# --- over


def test_the_event_of_a_build_that_is_over_starts_the_next(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    arn = STOPPED["detail"]["build-id"].partition(":build/")[0]
    detail = {**STOPPED["detail"], "build-id": f"{arn}:build/slipway-builder:1"}
    reconcile({**STOPPED, "detail": detail}, world.services)  # CodeBuild's answers lag behind
    assert world.codebuild.tokens == ["shop-1", "shop-2"]


def test_a_build_that_is_over_is_seen_by_the_schedule_without_its_event(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    world.codebuild.builds["slipway-builder:1"] = ("TIMED_OUT", {})
    reconcile(TICK, world.services)
    assert world.codebuild.tokens == ["shop-1", "shop-2"]


def test_a_build_that_codebuild_does_not_know_is_over(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    world.codebuild.builds.clear()
    reconcile(TICK, world.services)
    assert world.table.builders.get("shop").generation == 2


def test_an_event_of_a_build_under_way_changes_nothing(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    detail = {**STOPPED["detail"], "build-status": "IN_PROGRESS"}
    reconcile({**STOPPED, "detail": detail}, world.services)
    assert world.table.builders.get("shop").state == "started"


def test_an_event_without_a_build_is_refused(world: World) -> None:
    with pytest.raises(InvalidMessage, match=r"detail\.build-id"):
        reconcile({**STOPPED, "detail": {"build-status": "FAILED"}}, world.services)


# --- received: the starter writes a request's row, the reconciler drains the queue


def test_the_starter_writes_the_row_that_the_builder_works_from(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    (row,) = world.table.pending.all()
    assert (row.pipeline, row.since) == ("shop", START)
    assert row.body == request().to_json()


def test_what_the_follower_looks_at_first_gets_no_row(world: World) -> None:
    start(sns_event(request().to_json(), builder="no"), world.services)
    assert not world.table.pending.all()


def test_where_hosts_take_requests_nobody_else_does() -> None:
    world = World(builders=BuildersSettings(when="overflow"))
    world.sqs.put(request().to_json())
    start(sns_event(request().to_json()), world.services)
    reconcile(TICK, world.services)
    assert not world.table.pending.all()
    assert len(world.sqs.messages) == 1


def test_what_lies_in_the_queue_becomes_rows_and_a_build_is_started(world: World) -> None:
    for number in range(25):
        world.sqs.put(request(START + number).to_json())
    reconcile(TICK, world.services)
    assert len(world.table.pending.all()) == 25
    assert world.codebuild.tokens == ["shop-1"]
    assert not world.sqs.messages


def test_a_body_that_is_no_request_of_ours_is_a_dead_letter(world: World) -> None:
    foreign = request(name="other").to_json()
    for body in ("not JSON", foreign, request().to_json()):
        world.sqs.put(body)
    reconcile(TICK, world.services)
    assert world.sqs.sent == [(DEAD, "not JSON"), (DEAD, foreign)]
    assert len(world.table.pending.all()) == 1
    assert not world.sqs.messages


def test_a_row_that_cannot_be_written_brings_its_message_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = world.table.pending.add

    def fails(asked: Any, now: float) -> bool:
        if asked.pushed_at == START:
            raise error("ThrottlingException")
        return add(asked, now)

    monkeypatch.setattr(world.table.pending, "add", fails)
    for at in (START, START + 1):
        world.sqs.put(request(at).to_json())
    reconcile(TICK, world.services)
    assert list(world.sqs.messages.values()) == [request().to_json()]


def test_a_queue_that_does_not_answer_keeps_nothing_else_from_being_done(world: World) -> None:
    world.note(request())
    world.sqs.silence = error("ServiceUnavailable")
    reconcile(TICK, world.services)
    assert world.codebuild.tokens == ["shop-1"]


def test_where_no_build_can_be_started_the_row_stands(world: World) -> None:
    world.codebuild.problem = error("ThrottlingException")
    with pytest.raises(WorldFailed):
        start(sns_event(request().to_json()), world.services)
    assert len(world.table.pending.all()) == 1


def test_a_settled_request_gets_no_row(world: World) -> None:
    done = Settled(
        request_id=request().request_id, outcome="succeeded", pipeline="shop", settled_at=START
    )
    world.table.requests.settle([done], kept=9)
    world.sqs.put(request().to_json())
    start(sns_event(request().to_json()), world.services)
    reconcile(TICK, world.services)
    assert not world.table.pending.all()
    assert not world.sqs.messages
    assert world.codebuild.tokens == []


def test_a_request_that_is_sent_again_is_shown_at_once_and_not_by_its_copy_in_the_queue(
    world: World,
) -> None:
    """As `resume` sends it, after a builder gave it back for the time of a pause."""
    start(sns_event(request().to_json()), world.services)
    (row,) = world.table.pending.all()
    mine = world.table.pending.receive(row, 1, world.now, lease=60)
    assert mine is not None
    later = world.now + 900
    world.table.pending.give_back(mine, later)
    world.sqs.put(request().to_json())
    reconcile(TICK, world.services)
    assert world.table.pending.all()[0].visible_at == later
    start(sns_event(request().to_json()), world.services)
    assert world.table.pending.all()[0].visible_at == world.now


def test_the_envelope_of_sns_is_read_as_well(world: World) -> None:
    world.sqs.put(json.dumps({"Type": "Notification", "Message": request().to_json()}))
    reconcile(TICK, world.services)
    assert len(world.table.pending.all()) == 1


def test_one_builder_for_each_pipeline() -> None:
    world = World(
        pipeline(), pipeline("blog"), hosts=(), builders=BuildersSettings(when="codeBuild")
    )
    start(sns_event(request().to_json(), request(name="blog").to_json()), world.services)
    assert sorted(world.codebuild.tokens) == ["blog-1", "shop-1"]


def test_a_codebuild_that_does_not_answer_keeps_nothing_else_from_being_done(world: World) -> None:
    start(sns_event(request().to_json()), world.services)
    world.codebuild.silence = error("ThrottlingException")
    reconcile(TICK, world.services)
    assert world.table.builders.get("shop").state == "started"
