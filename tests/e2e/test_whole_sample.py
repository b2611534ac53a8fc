"""One push decides what runs: web, worker and the nightly task together, or none of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.plan import Options
from local.push import Pushed, push_release
from local.team import CLUSTER, NIGHTLY, SERVICES
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.chain import NO_DOCUMENTS, Chain, local_chain

pytestmark = pytest.mark.timeout(900)

LONG = 240.0
"""Seconds: two services in turn, and back, on a machine that is busy."""


@dataclass(frozen=True)
class Runs:
    """What one of the three runs: its task definition, and what stands in that."""

    definition: str
    image: str
    greeting: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(sample="whole", internal_endpoints=True, paths=NO_DOCUMENTS)
    with local_chain(tmp_path_factory.mktemp("whole"), options) as chain:
        # The web service answers first.
        chain.until("the end of the first deployment", lambda: _all_told(chain), LONG)
        yield chain


def push(whole: Chain, message: str, greeting: str, behaviour: str = "works") -> DeploymentRow:
    """The deployment of a push that changes image and variable, once it is announced."""
    pushed = push_release(whole.workplace, "sample", message, behaviour, greeting=greeting)
    row = whole.until_ended(pushed, LONG)
    whole.until("its notice", lambda: _notices(whole, pushed))
    return row


def test_one_push_changes_web_worker_and_the_nightly_task(whole: Chain) -> None:
    before = what_runs(whole)
    row = push(whole, "all of it", "good morning")
    after = what_runs(whole)
    assert row.status == "succeeded"
    assert all(after[name].definition != before[name].definition for name in after)
    assert {one.greeting for one in after.values()} == {"good morning"}
    assert len({one.image for one in after.values()}) == 1
    whole.until("the new greeting", lambda: whole.version().get("greeting") == "good morning")
    assert row.commit is not None
    assert whole.version()["commit"] == row.commit.id
    (notice,) = whole.notices("all of it")
    assert all(name in notice.text for name in (*SERVICES, NIGHTLY))


@pytest.mark.parametrize(
    ("behaviour", "status", "said"),
    [
        ("tests", "failed", "1 of 2"),
        ("smoke", "rolled_back", "smoke"),
        ("worker", "rolled_back", "worker"),
    ],
)
def test_what_fails_leaves_all_three_as_they_were(
    whole: Chain, behaviour: str, status: str, said: str
) -> None:
    before, served = what_runs(whole), whole.version()
    row = push(whole, f"broken: {behaviour}", f"from {behaviour}", behaviour)
    assert row.status == status
    assert what_runs(whole) == before
    whole.until("the version before", lambda: whole.version() == served)
    (notice,) = whole.notices(f"broken: {behaviour}")
    assert said in notice.text


def test_a_push_of_documents_alone_builds_nothing(whole: Chain) -> None:
    # What runs is the branch's tip: else the push concerns what failed before it, too.
    assert push(whole, "well again", "good evening").status == "succeeded"
    before = what_runs(whole)
    pushed = whole.push_document()
    row = whole.until("its outcome", lambda: _ended(whole, pushed), LONG)
    assert row.status == "unchanged"
    assert what_runs(whole) == before
    assert row.result is not None
    assert "build" not in row.result.timings
    assert not _notices(whole, pushed)


def what_runs(whole: Chain) -> dict[str, Runs]:
    """Of the services by ECS, of the nightly task by its rule."""
    ecs, events = whole.prod("ecs"), whole.prod("events")
    found = ecs.describe_services(cluster=CLUSTER, services=list(SERVICES))["services"]
    named = {one["serviceName"]: one["taskDefinition"] for one in found}
    (target,) = events.list_targets_by_rule(Rule=NIGHTLY)["Targets"]
    named[NIGHTLY] = target["EcsParameters"]["TaskDefinitionArn"]
    return {name: _runs(ecs, definition) for name, definition in named.items()}


def _runs(ecs: Any, definition: str) -> Runs:
    found = ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
    (container,) = found["containerDefinitions"]
    values = {one["name"]: one["value"] for one in container["environment"]}
    return Runs(definition, container["image"], values["GREETING"])


def _all_told(whole: Chain) -> bool:
    rows = whole.deployments()
    return bool(rows) and all(row.announced_at for row in rows)


def _ended(whole: Chain, pushed: Pushed) -> DeploymentRow | None:
    row = whole.deployment_of(pushed.commit_id)
    return row if row is not None and row.ended_at is not None else None


def _notices(whole: Chain, pushed: Pushed) -> list[Any]:
    return whole.notices(pushed.message, since=pushed.began_at)
