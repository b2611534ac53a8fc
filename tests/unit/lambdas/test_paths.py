"""Pushes that the follower compares before a build of CodeBuild is started for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.follower.world import World
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Commit
from slipway.contracts.table.locks import held_by
from tests.unit.lambdas.test_unbuilt import EARLIER, A, B, Here, request_of, rollback
from tests.unit.slipway.rollout.running import V6

LIVE = f"sha256:{'6' * 64}"


class Comparing(Here):
    """A follower that CodeCommit compares for, as `differ` says; `compared`: which commits."""

    differ: bool | None = None

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[tuple[str, str]] = []

    def world(self) -> World:
        return replace(super().world(), touched=self.touched)

    def touched(self, _pipeline: PipelineSettings, old: str, new: str) -> bool | None:
        self.compared.append((old, new))
        return self.differ


def compared(*, differ: bool | None = False) -> Comparing:
    """B runs, the branch is at A; `differ`: whether the pipeline's paths do."""
    here = Comparing()
    here.pipeline = replace(here.pipeline, paths=("web/**",))
    here.ran(V6)
    here.differ = differ
    definition = here.scripted.definitions[here.scripted.primary["taskDefinition"]]
    image = definition["containerDefinitions"][0]["image"]
    repository = image.partition("@")[0].rpartition(":")[0]
    definition["containerDefinitions"][0]["image"] = f"{repository}@{LIVE}"
    here.table.pipelines.change(
        "web", running_commit=B, running_deployment=EARLIER, running_digest=LIVE
    )
    return here


@pytest.mark.parametrize("reason", ["push", "drift"])
def test_what_touches_none_of_the_paths_ends_here(reason: str) -> None:
    here = compared()
    request = request_of(reason)
    here.hears(request)
    # THEN it has its outcome: no builder was asked for, nothing rolled out
    row = here.row()
    assert (row.status, row.stage) == ("unchanged", "fetch")
    assert row.result is not None and row.result.untouched_since == B
    assert (here.asked, here.compared, here.chain.queue) == ([], [(B, A)], [])
    assert here.table.requests.settled([request.request_id])[request.request_id].outcome == (
        "unchanged"
    )
    assert (here.table.wants.all(), here.table.locks.get("web").holder) == ([], "")
    known = here.table.pipelines.get("web")
    assert (known.handled_tip, known.untouched_tip, known.running_commit) == (A, A, B)


@pytest.mark.parametrize("differ", [True, None])
def test_what_touches_them_or_may_is_the_builders(differ: bool | None) -> None:
    here = compared(differ=differ)
    here.built(A)  # a push is not rolled out from here, though its image is in ECR
    request = request_of("push")
    here.hears(request)
    assert here.asked == [(request, True)]
    assert [want.builder for want in here.table.wants.all()] == [True]
    assert here.row().deployment_id == EARLIER


def test_where_the_dev_account_is_silent_it_is_the_builders() -> None:
    here = compared()
    here.branch = None
    here.hears(request_of("push"))
    assert here.asked[0][1] is True and here.compared == []


@pytest.mark.parametrize("changes", [{"reason": "redeploy"}, {"reason": "rollback"}])
def test_an_operators_request_is_not_compared(changes: dict[str, Any]) -> None:
    here = compared()
    here.built(A)
    here.hears(rollback() if changes["reason"] == "rollback" else request_of("redeploy"))
    assert here.compared == []
    assert here.table.locks.get("web").is_followed


def test_a_service_that_runs_something_else_is_given_the_tip() -> None:
    here = compared()
    here.table.pipelines.change("web", running_digest=f"sha256:{'5' * 64}")
    here.hears(request_of("push"))
    assert here.asked[0][1] is True and here.compared == []


@pytest.mark.parametrize("holder", [held_by(EARLIER), "i-1/boot/1.1"])
def test_a_push_waits_where_a_builder_finds_it(holder: str) -> None:
    # GIVEN another deployment is built, or rolled out
    here = compared()
    assert here.table.locks.take("web", holder, here.scripted.clock.now(), ttl=1e12) is not None
    request = request_of("push")
    here.hears(request)
    assert (here.asked, here.back) == ([(request, True)], [])
    assert here.row().deployment_id == EARLIER
    # AND so in a pause
    here.table.pipelines.change("web", paused=True)
    here.hears(request)
    assert here.asked == [(request, True)] * 2


def test_what_was_compared_with_must_still_run_under_the_lock() -> None:
    here = compared()
    compare = here.touched

    def meanwhile(*arguments: Any) -> bool | None:
        before = here.table.pipelines.get("web").running_commit
        here.table.pipelines.change("web", running_commit="c" * 40 if before == B else B)
        return compare(*arguments)

    here.touched = meanwhile  # type: ignore[method-assign]
    request = request_of("push")
    here.hears(request)
    assert here.row().deployment_id == EARLIER
    assert (here.asked, here.back) == ([(request, True)], [])
    # AND what may be in ECR is looked at anew
    drift = request_of("drift", 2)
    here.hears(drift)
    assert [asked for asked, _ in here.back] == [drift]


def test_one_push_is_told_of_once() -> None:
    here = compared()
    here.hears(request_of("push"))
    here.hears(request_of("push", 2))
    assert [told.status for told in here.chain.said.told] == ["unchanged", "superseded"]


def test_a_commit_is_named_as_an_earlier_deployment_told_of_it() -> None:
    here = compared()
    here.hears(request_of("push"))
    result = here.row().result
    assert result is not None and result.commit == Commit(id=A)
