"""What is begun without a builder, while the world fails, changes, or does things twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambdas.follower import unbuilt
from lambdas.follower.world import BUDGET
from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import Commit, DeploymentResult, Target
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.follower import Held
from tests import scripted_ecs as ecs
from tests.unit.lambdas.test_unbuilt import V6, A, B, Here, request_of, rollback


class Trouble(Here):
    """A follower whose looks at the service call `first`."""

    first: Any = staticmethod(lambda: None)

    def world(self) -> Any:
        whole = super().world()

        def running(pipeline: Any) -> Any:
            self.first()
            return whole.running(pipeline)

        return replace(whole, running=running)


def fails() -> None:
    raise WorldFailed("ECS does not answer")


def test_a_failed_attempt_comes_again_once_and_after_its_delay() -> None:
    # GIVEN two requests of a pipeline, and an ECS that does not answer
    here = Trouble()
    here.first = fails
    here.built(A)
    named = Target(kind="commit", commit_id=B)
    here.table.wants.note(request_of("redeploy", 7, target=named), 1.0, builder=False)
    request = request_of("redeploy")
    # WHEN one is tried
    here.hears(request)
    # THEN it comes again after a while, and nothing is published at once: each attempt would be two
    assert here.back == [(request, 15)]
    assert here.chain.said.published == []
    assert here.table.locks.get("web").holder == ""


def test_a_tip_that_cannot_run_is_dealt_with() -> None:
    # GIVEN a drifted tip, for a service that has no such container
    here = Here()
    here.built(A)
    image = replace(here.pipeline.images[0], containers=("elsewhere",))
    here.pipeline = replace(here.pipeline, images=(image,))
    here.built(A)
    # WHEN
    here.hears(request_of("drift", commit_id=A))
    # THEN it is told with its commit, and the drift check need not ask for it again
    (told,) = here.chain.said.told
    assert (told.status, told.commit and told.commit.id) == ("failed", A)
    assert here.table.pipelines.get("web").handled_tip == A


def test_a_tip_that_stays_unrun_behind_a_rollback_is_dealt_with() -> None:
    here = Here()
    here.built(A)
    here.table.pipelines.change(
        "web", rolled_back_to="web-1", rolled_back_at=5.0, handled_tip=B, ahead_tip=A,
        ahead_since=1.0,
    )  # fmt: skip
    here.hears(request_of("drift", commit_id=A))
    row = here.table.pipelines.get("web")
    assert (row.handled_tip, row.ahead_tip, row.ahead_since) == (A, None, None)


def test_a_rollback_that_ends_meanwhile_is_not_undone() -> None:
    # GIVEN a drift whose look into ECR takes long, while an operator's rollback ends
    here = Here()
    here.built(A)
    digest = here.ecr.digest

    def slow(image: Any, tag: str) -> str | None:
        here.table.pipelines.change("web", rolled_back_to="web-1", rolled_back_at=50.0)
        return digest(image, tag)

    here.ecr.digest = slow  # type: ignore[method-assign]
    request = request_of("drift", commit_id=A)
    here.hears(request)
    # THEN
    settled = here.table.requests.settled([request.request_id])
    assert settled[request.request_id].outcome == "superseded"
    assert (here.chain.made(), here.table.locks.get("web").holder) == ([], "")


def test_an_attempt_that_a_rollback_came_after_ends_with_its_request() -> None:
    # GIVEN a drift that was begun, and whose attempt failed
    here = Trouble()
    here.first = fails
    here.built(A)
    request = request_of("drift", commit_id=A)
    here.hears(request)
    assert here.row().status is None
    # WHEN a rollback stands by the time it comes again
    here.table.pipelines.change("web", rolled_back_to="web-1", rolled_back_at=50.0)
    here.hears(request)
    # THEN its deployment has an end, too
    assert here.row().status == "superseded"
    assert here.table.wants.all() == []


def test_a_push_that_was_told_of_is_not_rolled_out_again() -> None:
    # GIVEN a tip whose deployment failed, was told and taken back; and a drift of the same tip
    here = Here()
    here.built(A)
    failed = DeploymentResult(
        deployment_id="web-19690101000000-000002", pipeline="web", status="rolled_back",
        stage="wait", reason="push", request_id="d" * 32, commit=Commit(id=A), started_at=10.0,
        ended_at=20.0, now_running="web:7", task_definition_after="web:8",
    )  # fmt: skip
    row = DeploymentRow(
        deployment_id=failed.deployment_id, pipeline="web", request_id="d" * 32, reason="push",
        started_at=10.0, commit=failed.commit,
    )  # fmt: skip
    here.table.deployments.start(row, kept=1e9)
    assert here.table.deployments.finish(failed, {"handled_tip": A})
    # WHEN
    here.hears(request_of("drift", commit_id=A))
    # THEN one push has one notice
    assert (here.row().status, here.chain.made()) == ("superseded", [])
    assert here.row().result.told_by == failed.deployment_id  # type: ignore[union-attr]
    # BUT an operator who asks for it has it tried again
    here.hears(request_of("redeploy", 2))
    assert here.chain.made() != []


def test_who_lost_the_lock_to_another_is_not_forgotten() -> None:
    # GIVEN a request whose pipeline's lock is lost while it is looked up
    here = Trouble()
    here.built(A)

    def lose() -> None:
        lock = here.table.locks.get("web")
        here.table.locks.take("web", lock.holder, here.scripted.clock.now(), ttl=330)

    here.first = lose
    request = request_of("redeploy")
    here.hears(request)
    # THEN it comes again: who has the lock may be at another request
    assert here.back == [(request, unbuilt.LOCKED)]
    assert here.chain.made() == []


def test_a_request_that_comes_before_its_want_waits_with_a_want() -> None:
    # GIVEN a rollout under way, and a request that the starter has not heard yet
    here = Here(ecs.never_steady)
    here.built(A)
    here.built(B)
    here.hears(request_of("redeploy"))
    here.branch = B
    waiting = request_of("redeploy", 2)
    # WHEN
    here.receives(waiting)
    # THEN its want stands, so that the end of the rollout publishes it
    assert [(w.request_id, w.builder) for w in here.table.wants.all()] == [
        (waiting.request_id, False)
    ]


def test_a_rollout_that_ends_before_the_want_is_noted_loses_nobody() -> None:
    # GIVEN a request that meets a rollout, which ends before its want stands
    here = Here(ecs.never_steady)
    here.built(A)
    here.hears(request_of("redeploy"))
    note = here.table.wants.note

    def ends_first(*arguments: Any, **values: Any) -> bool:
        row = here.table.locks.get("web")
        here.table.store.put(
            {"pk": "LOCK", "sk": "web", "pipeline": "web", "fence": row.fence, "holder": ""}
        )
        return bool(note(*arguments, **values))

    here.table.wants.note = ends_first
    waiting = request_of("redeploy", 2)
    here.receives(waiting)
    assert here.back == [(waiting, unbuilt.LOCKED)]


@pytest.mark.parametrize("again", [False, True])
def test_a_message_that_comes_twice_begins_once(again: bool) -> None:
    # GIVEN a rollback whose message comes a second time while the first is at it
    here = Here()
    here.ran(V6)
    request = rollback()
    if again:
        note = here.table.deployments.start

        def twice(*arguments: Any, **values: Any) -> bool:
            here.table.deployments.start = note
            here.receives(request)
            return bool(note(*arguments, **values))

        here.table.deployments.start = twice
    here.hears(request)
    here.goes_on()
    while here.back:
        here.receives(here.back.pop()[0])
        here.goes_on()
    assert here.chain.made().count("UpdateService") == 1
    assert [told.status for told in here.chain.said.told] == ["succeeded"]
    assert here.table.wants.all() == []


def test_a_branch_that_moves_while_its_images_are_looked_for_is_looked_up_again() -> None:
    # GIVEN a tip whose image is in ECR, and a push that is deployed before the lock is ours
    here = Here()
    here.built(A)
    tips = iter([A, B])
    world = replace(here.world(), tip=lambda _pipeline: next(tips))
    request = request_of("redeploy")
    # WHEN
    assert unbuilt.begin(request, world) is None
    # THEN the older tip replaces nothing: the request comes again
    assert here.chain.made() == []
    assert here.back == [(request, unbuilt.MOVED)]
    assert here.table.locks.get("web").holder == ""


def test_a_request_that_waits_has_one_message_on_its_way() -> None:
    # GIVEN a rollback that waits for a build to give way
    here = Here()
    here.ran(V6)
    here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
    request = rollback()
    here.hears(request)
    # WHEN it is delivered a second time, THEN no second message is sent
    here.scripted.clock.sleep(0.1)
    here.receives(request)
    assert here.back == [(request, unbuilt.GIVES_WAY)]
    # AND the one that was sent brings the next
    here.scripted.clock.sleep(unbuilt.GIVES_WAY)
    here.receives(request)
    assert here.back == [(request, unbuilt.GIVES_WAY)] * 2


def test_a_redeploy_that_waits_for_a_build_has_one_message_on_its_way() -> None:
    # GIVEN an agent that builds, and a redeploy of what is built
    here = Here()
    here.built(A)
    here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
    request = request_of("redeploy")
    here.hears(request)
    # WHEN it is delivered twice more, THEN still one message is on its way
    for _ in range(2):
        here.scripted.clock.sleep(0.1)
        here.receives(request)
    assert here.back == [(request, unbuilt.LOCKED)]


def test_a_message_comes_again_although_nobody_has_noted_its_want() -> None:
    here = Here()
    here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
    request = rollback()
    here.receives(request)
    assert here.back == [(request, unbuilt.GIVES_WAY)]


def test_a_want_that_is_noted_meanwhile_keeps_nobody_waiting() -> None:
    # GIVEN a starter that notes the rollback's want while the follower looks
    here = Here()
    here.ran(V6)
    here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
    request = rollback()
    here.table.wants.note(request, here.scripted.clock.now() + 0.5, builder=False)
    # WHEN its message comes, THEN another does
    here.receives(request)
    assert here.back == [(request, unbuilt.GIVES_WAY)]


def test_a_rollback_over_what_this_code_cannot_follow_waits_and_is_told_of() -> None:
    # GIVEN a rollout under way whose state a newer release has written
    here = Here()
    here.ran(V6)
    here.built(A)
    here.hears(request_of("redeploy", 7))
    under_way = here.row()
    newer = json.dumps({**json.loads(under_way.rollout or ""), "version": 99})
    here.table.deployments.note(under_way.deployment_id, rollout=newer)
    # WHEN a rollback comes, again and again
    request = rollback(pushed_at=here.scripted.clock.now())
    here.hears(request)
    for _ in range(20):
        here.scripted.clock.sleep(40.0)
        here.receives(request)
    # THEN it was no failed attempt: the request waits, and one alert stands
    assert {delay for _, delay in here.back} == {unbuilt.LOCKED}
    assert len(here.back) == 21
    assert here.table.requests.settled([request.request_id]) == {}
    assert here.chain.said.dead == []
    (alert,) = here.table.alerts.all()
    assert (alert.kind, alert.subject) == ("not_followed", under_way.deployment_id)


def test_what_gives_way_and_what_follows_share_one_invocation_s_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN a rollout under way
    here = Here(ecs.never_steady)
    here.ran(V6)
    here.built(A)
    here.hears(request_of("redeploy"))
    here.scripted.clock.sleep(3.0)
    asked: list[float | None] = []
    go_on = Held.go_on

    def noted(held: Held, *, until: float | None = None) -> None:
        asked.append(until)
        go_on(held, until=until)

    monkeypatch.setattr(Held, "go_on", noted)
    # WHEN a rollback takes its place, THEN
    ends = here.scripted.clock.now() + BUDGET
    here.hears(rollback(2))
    assert asked == [ends, ends]
