"""Pushes to a pipeline with `paths`: what concerns others ends in its fetch, nothing else does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import Target
from slipway.contracts.sentences import runs_now, what_happened
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.build_agent.fakes import A, B, C
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request

DOCS = "d" * 40
PATHS = ("web/**",)


@pytest.fixture
def here(aws: Any) -> World:
    """A pipeline with paths; DOCS lays out under them what A does, B and C something else."""
    web = make_pipeline(paths=PATHS)
    world = World(aws, make_installation(pipelines=(web, make_pipeline("api"))))
    world.source.contents = {A: "1", DOCS: "1", B: "2", C: "3"}
    return world


def push(world: World, tip: str, number: int, **changes: Any) -> DeploymentRow:
    """A push of `tip` that a worker deals with; its deployment."""
    world.source.tip = tip
    world.clock.pass_by(1)
    request = make_request(number, **changes)
    world.send(request)
    world.worker().step()
    found = world.table.requests.deployments_of([request.request_id])
    row = world.table.deployments.get(found[request.request_id])
    assert row is not None
    return row


def test_a_push_that_touches_none_of_the_paths_is_unchanged(here: World) -> None:
    # GIVEN A runs
    first = push(here, A, 1)
    # WHEN
    row = push(here, DOCS, 2)
    # THEN it has its one outcome, by which lists tell it, and it is settled
    assert (row.status, row.stage) == ("unchanged", "fetch")
    assert row.result is not None and row.result.untouched_since == A
    assert here.outcome(make_request(2)) == "unchanged"
    assert here.table.wants.all() == [] and here.queued() == (0, 0)
    assert here.table.locks.get("web").holder == ""
    # AND nothing was built or rolled out, and what runs is what ran
    assert here.images.built == [A] and len(here.services.plans) == 1
    assert (here.row.running_commit, here.row.running_deployment) == (A, first.deployment_id)
    # AND the drift check counts the tip as handled
    assert (here.row.handled_tip, here.row.untouched_tip) == (DOCS, DOCS)
    # AND people read why
    assert what_happened(row.result) == f"commit {DOCS[:8]} touches none of the pipeline's paths"
    assert runs_now(row.result) == (
        f"web:2 still runs: nothing of them has changed since commit {A[:8]}."
    )


def test_it_is_published_for_nobody_to_be_told(here: World) -> None:
    push(here, A, 1)
    push(here, DOCS, 2)
    silent = [published["MessageAttributes"].get("silent") for published in here.topic.published]
    assert silent == [None, {"DataType": "String", "StringValue": "yes"}]
    # BUT where people asked for it
    told = replace(here.installation.pipeline("web"), notify_untouched=True)
    here.installation = replace(here.installation, pipelines=(told,))
    here.source.contents["e" * 40] = "1"
    push(here, "e" * 40, 3)
    assert "silent" not in here.topic.published[-1]["MessageAttributes"]


def test_a_push_after_one_that_failed_is_compared_with_what_runs(here: World) -> None:
    # GIVEN A runs, and B, which touches the paths, has failed
    push(here, A, 1)

    def fail() -> None:
        raise DeploymentFailed("exit code 1", stage="build")

    here.images.on_build = fail
    assert push(here, B, 2).status == "failed"
    here.images.on_build = lambda: None
    # WHEN the next push touches others' paths alone
    here.source.contents["e" * 40] = "2"
    # THEN it is deployed: it brings what B has changed
    assert push(here, "e" * 40, 3).status == "succeeded"


def test_who_heard_of_a_failure_hears_that_it_was_taken_back(here: World) -> None:
    push(here, A, 1)

    def fail() -> None:
        raise DeploymentFailed("exit code 1", stage="build")

    here.images.on_build = fail
    push(here, B, 2)
    assert here.row.failures == 1
    # WHEN the push after it takes back what it did
    row = push(here, DOCS, 3)
    # THEN that is told, though nobody asked for such notices
    assert row.result is not None and row.result.failures_before == 1
    assert what_happened(row.result).endswith("paths, after 1 failed deployment")
    assert "silent" not in here.topic.published[-1]["MessageAttributes"]
    assert here.row.failures == 0


def test_the_first_push_is_built(here: World) -> None:
    assert push(here, DOCS, 1).status == "succeeded"
    assert here.source.compared == []


def test_a_commit_that_runs_and_is_gone_is_no_ground(here: World) -> None:
    push(here, A, 1)
    del here.source.contents[A]
    assert push(here, DOCS, 2).status == "succeeded"
    assert here.source.compared == [(A, DOCS)]


def test_a_service_that_runs_something_else_is_given_the_tip(here: World) -> None:
    push(here, A, 1)
    # GIVEN somebody has changed the service beside Slipway
    here.services.revision = 1
    row = push(here, DOCS, 2)
    assert row.status == "succeeded" and here.source.compared == []


def test_what_is_not_known_to_run_is_built(here: World) -> None:
    push(here, A, 1)
    here.table.pipelines.change("web", running_commit=None)
    assert push(here, DOCS, 2).status == "succeeded"


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "redeploy"},
        {"reason": "redeploy", "force_rebuild": True},
        {"reason": "redeploy", "target": Target(kind="commit", commit_id=DOCS)},
    ],
)
def test_what_an_operator_asks_for_is_never_filtered(here: World, changes: dict[str, Any]) -> None:
    push(here, A, 1)
    assert push(here, DOCS, 2, **changes).status == "succeeded"
    assert here.images.built == [A, DOCS]


def test_the_drift_checks_request_is_filtered(here: World) -> None:
    push(here, A, 1)
    assert push(here, DOCS, 2, reason="drift").status == "unchanged"


def test_a_push_of_others_leaves_a_rollback_standing(here: World) -> None:
    # GIVEN A, then B, then back to A
    first, _ = push(here, A, 1), push(here, B, 2)
    target = Target(kind="deployment", deployment_id=first.deployment_id)
    push(here, B, 3, reason="rollback", target=target)
    assert here.row.running_commit == A
    # WHEN a push concerns others
    here.source.contents["e" * 40] = "2"
    row = push(here, "e" * 40, 4)
    # THEN what was rolled back stays away, and the rollback stands
    assert (row.status, here.row.rolled_back_to) == ("unchanged", first.deployment_id)
    assert row.result is not None and row.result.untouched_since == B
    # BUT a push that touches the paths ends it
    assert push(here, C, 5).status == "succeeded"
    assert (here.row.running_commit, here.row.rolled_back_to) == (C, None)


def test_a_push_takes_not_the_place_of_what_an_operator_asked_for(here: World) -> None:
    # GIVEN a redeploy that waits, and a push of others behind it
    push(here, A, 1)
    here.source.tip = DOCS
    redeploy, later = make_request(2, reason="redeploy", force_rebuild=True), make_request(3)
    here.send(redeploy, later)
    # WHEN a worker has both
    worker = here.worker()
    worker.step()
    here.clock.pass_by(60)
    here.redeliver(later)
    worker.step()
    # THEN the redeploy is deployed, and the push comes after it
    assert here.outcome(redeploy) == "succeeded"
    assert here.images.built == [A, DOCS]
    assert here.outcome(later) == "joined"


def test_what_an_operator_asks_for_is_not_left_to_a_push_under_way(here: World) -> None:
    # GIVEN another worker has the pipeline's lock
    here.table.locks.take("web", "i-2/boot/1.1", here.clock.now(), ttl=330)
    redeploy = make_request(2, reason="redeploy")
    here.send(redeploy)
    here.worker().step()
    # THEN its request comes again by itself; a push would have been joined to the other's run
    assert here.table.locks.get("web").again is None
    assert here.outcome(redeploy) is None


def test_a_push_that_comes_meanwhile_is_compared_instead(here: World) -> None:
    push(here, A, 1)

    def another() -> None:
        here.source.on_fetch = lambda: None
        here.source.tip = B
        here.table.wants.note(make_request(9, commit_id=B), here.clock.now())

    here.source.on_fetch = another
    assert push(here, DOCS, 2).status == "succeeded"
    assert here.images.built == [A, B]


def test_other_pipelines_are_not_compared(here: World) -> None:
    request = make_request(7, pipeline="api", request_id="f" * 32)
    here.send(request)
    here.worker().step()
    assert here.outcome(request) == "succeeded" and here.source.compared == []
