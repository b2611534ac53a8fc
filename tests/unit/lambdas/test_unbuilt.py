"""Requests for what is in ECR already: begun by the follower, with every build host asleep."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambdas.follower import unbuilt
from lambdas.follower.handler import follow
from lambdas.follower.unbuilt import GIVES_WAY
from lambdas.follower.world import BUDGET, World
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult, FollowMessage, Target
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.backoff import PAUSED_DELAY
from slipway.following.build_key import build_tag
from slipway.following.record import Recorder
from slipway.following.service import Running, running_now
from slipway.rollout import RolloutPlan
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE as RUNS
from tests.scripted_ecs import ScriptedEcs
from tests.unit.slipway.following.three_ways import IMAGE, INSTALLATION, PIPELINE, Chain
from tests.unit.slipway.rollout import stepwise
from tests.unit.slipway.rollout.running import V6, V7

A, B = "a" * 40, "b" * 40
DIGEST = f"sha256:{'9' * 64}"
EARLIER = "web-19690101000000-000001"


@dataclass
class Ecr:
    """Which tags name which digests, and what is kept."""

    tags: dict[str, str] = field(default_factory=dict)
    fails: Exception | None = None

    def digest(self, image: Any, tag: str) -> str | None:
        if self.fails is not None:
            raise self.fails
        return self.tags.get(tag)

    def keep(self, image: Any, digest: str, pipeline: str, *, sink: Any) -> None:
        self.tags[f"running.{pipeline}"] = digest


class Here:
    """A pipeline's service in ECS, and a follower."""

    def __init__(self, behaviour: Any = None) -> None:
        self.scripted = ScriptedEcs(behaviour=behaviour or ecs.becomes_healthy(2.0))
        self.chain = Chain(
            stepwise.World(RolloutPlan(cluster="prod", service="web"), self.scripted)
        )
        self.ecr = Ecr()
        self.branch: str | None = A
        self.asked: list[tuple[BuildRequest, bool | None]] = []
        self.back: list[tuple[BuildRequest, float]] = []
        self.pipeline = replace(
            PIPELINE, images=(replace(IMAGE, repository_uri=RUNS, containers=("web",)),)
        )

    @property
    def table(self) -> Any:
        return self.chain.table

    def world(self) -> World:
        said: Any = self.chain.said
        installation = replace(INSTALLATION, pipelines=(self.pipeline,))
        parts = self.chain.parts()
        registry: Any = self.ecr
        ending = replace(parts.ending, installation=installation, registry=registry)
        parts = replace(parts, installation=installation, ending=ending)
        recorder = Recorder(
            self.table, installation=installation, host=None, closer=said, clock=self.scripted.clock
        )

        def running(pipeline: PipelineSettings) -> Running:
            return running_now(self.scripted.client(), pipeline, self.scripted.clock)

        return World(
            until=self.scripted.clock.now() + BUDGET, touched=lambda *_: None,
            installation=installation, table=self.table, parts=parts, recorder=recorder,
            registry=registry, running=running, tip=lambda _pipeline: self.branch,
            publish=lambda request, builder: self.asked.append((request, builder)),
            again=lambda request, delay: self.back.append((request, delay)),
        )  # fmt: skip

    def hears(self, request: BuildRequest) -> None:
        """As starter and topic do: the want first, then the message, then what it leads to."""
        self.table.wants.note(request, self.scripted.clock.now(), builder=False)
        self.receives(request)

    def receives(self, message: BuildRequest | FollowMessage) -> None:
        """The message alone, as the follow queue delivers it."""
        follow({"Records": [{"body": message.to_json()}]}, self.world())

    def goes_on(self) -> None:
        """The chain's messages, until none is left."""
        for _ in range(500):
            if not self.chain.queue:
                return
            due, message = min(self.chain.queue, key=lambda entry: entry[0])
            self.chain.queue.remove((due, message))
            self.scripted.clock.sleep(max(0.0, due - self.scripted.clock.now()))
            self.receives(message)

    def row(self) -> DeploymentRow:
        found: DeploymentRow = self.table.deployments.newest("web", 1)[0]
        return found

    def built(self, commit: str) -> None:
        self.ecr.tags[build_tag(self.pipeline.images[0], commit)] = DIGEST

    def ran(self, definition: str) -> None:
        """An earlier deployment made `definition` run."""
        row = DeploymentRow(
            deployment_id=EARLIER, pipeline="web", request_id="e" * 32, reason="push",
            started_at=1.0, commit=Commit(id=B, subject="An earlier one"), images={"app": DIGEST},
        )  # fmt: skip
        self.table.deployments.start(row, kept=1e9)
        self.table.deployments.note(EARLIER, task_definition_after=definition)
        result = DeploymentResult(
            deployment_id=EARLIER, pipeline="web", status="succeeded", stage="close", reason="push",
            request_id="e" * 32, commit=row.commit, started_at=1.0, ended_at=2.0,
            image_digest=DIGEST, now_running="web:6",
        )  # fmt: skip
        assert self.table.deployments.finish(result)
        self.table.deployments.announced(EARLIER, 3.0)


def request_of(reason: Any, number: int = 1, **changes: Any) -> BuildRequest:
    values: dict[str, Any] = {
        "request_id": f"{number:032x}", "pipeline": "web", "pushed_by": "ada", "pushed_at": 9.0,
        "reason": reason,
    }  # fmt: skip
    return BuildRequest(**{**values, **changes})


def rollback(number: int = 1, **changes: Any) -> BuildRequest:
    target = Target(kind="deployment", deployment_id=EARLIER)
    return request_of("rollback", number, target=target, **changes)


def test_a_rollback_needs_no_host() -> None:
    here = Here()
    here.ran(V6)
    request = rollback()
    # WHEN
    here.hears(request)
    here.goes_on()
    # THEN what ran before runs, told, by nobody's host, and it stands
    (told,) = here.chain.said.told
    assert (told.status, told.now_running, told.commit and told.commit.id) == (
        "succeeded", "web:6", B,
    )  # fmt: skip
    assert (here.row().host_id, here.scripted.live) == ("", "web:6")
    assert here.table.pipelines.get("web").rolled_back_to == EARLIER
    assert here.ecr.tags["running.web"] == DIGEST
    assert here.asked == []
    assert (here.table.wants.all(), here.table.locks.get("web").holder) == ([], "")
    settled = here.table.requests.settled([request.request_id])[request.request_id]
    assert (settled.outcome, settled.deployment_id) == ("handed_over", here.row().deployment_id)


def test_a_rollback_to_what_never_ran_is_refused_and_told() -> None:
    here = Here()
    here.hears(rollback())
    (told,) = here.chain.said.told
    assert (told.status, told.cause) == ("failed", f"pipeline web has no deployment {EARLIER}")
    assert here.chain.made() == []
    assert (here.table.wants.all(), here.table.locks.get("web").holder) == ([], "")


@pytest.mark.parametrize("reason", ["redeploy", "drift"])
def test_a_commit_whose_image_is_in_ecr_is_rolled_out_without_a_build(reason: str) -> None:
    here = Here()
    here.built(A)
    here.hears(request_of(reason))
    here.goes_on()
    (told,) = here.chain.said.told
    assert (told.status, told.image_digest) == ("succeeded", DIGEST)
    assert here.table.pipelines.get("web").handled_tip == A
    definition = here.scripted.definitions[here.scripted.primary["taskDefinition"]]
    assert definition["containerDefinitions"][0]["image"] == f"{RUNS}@{DIGEST}"


def test_a_commit_that_must_be_built_is_the_build_hosts() -> None:
    here = Here()
    here.built(B)
    request = request_of("redeploy")
    here.hears(request)
    # THEN it is published for a builder; nothing was begun, and its want stands
    assert here.asked == [(request, True)]
    assert [want.builder for want in here.table.wants.all()] == [True]
    assert here.table.deployments.newest("web", 1) == []
    assert [want.request_id for want in here.table.wants.all()] == [request.request_id]
    # AND so where the dev account does not answer which commit it is
    here.branch = None
    here.hears(request_of("redeploy", 2))
    assert here.asked[-1][1] is True


def test_what_runs_already_is_unchanged() -> None:
    here = Here()
    here.built(A)
    here.hears(request_of("redeploy"))
    here.goes_on()
    here.scripted.clock.sleep(600.0)
    # WHEN it is asked for once more
    here.hears(request_of("redeploy", 2))
    # THEN
    assert [told.status for told in here.chain.said.told] == ["succeeded", "unchanged"]
    assert here.chain.queue == []


def test_a_rollback_takes_over_what_is_followed() -> None:
    # GIVEN a redeploy whose rollout goes on
    here = Here(ecs.never_steady)
    here.ran(V6)
    here.built(A)
    here.hears(request_of("redeploy"))
    assert here.table.locks.get("web").is_followed
    # WHEN
    here.scripted.clock.sleep(3.0)
    here.hears(rollback(2))
    # THEN that is superseded, and the rollback is under way at once
    newest, older, _earlier = here.table.deployments.newest("web", 3)
    assert (older.status, newest.reason, newest.is_followed) == ("superseded", "rollback", True)


def test_what_waits_comes_again_though_its_message_was_not_sent_at_once() -> None:
    # GIVEN a pipeline that is locked, and a queue that does not take the first message
    here = Here()
    here.built(A)
    here.table.locks.take("web", "i-1/boot/p.1", here.scripted.clock.now(), ttl=330)
    request, refused = request_of("redeploy"), list[BuildRequest]()

    def refuses_once(asked: BuildRequest, delay: float) -> None:
        if not refused:
            refused.append(asked)
            raise WorldFailed("SQS does not answer")
        here.back.append((asked, delay))

    # WHEN
    here.table.wants.note(request, here.scripted.clock.now(), builder=False)
    message = {"Records": [{"body": request.to_json()}]}
    follow(message, replace(here.world(), again=refuses_once))
    # THEN one is sent after all, though the first was noted as on its way
    assert [asked for asked, _ in here.back] == [request]


def test_a_rollback_asks_a_build_to_give_way_and_comes_again() -> None:
    here = Here()
    here.ran(V6)
    here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
    request = rollback()
    here.hears(request)
    assert here.table.locks.get("web").takeover == request.request_id
    assert here.back == [(request, unbuilt.GIVES_WAY)]
    # BUT a redeploy waits for its end
    here.built(A)
    other = request_of("redeploy", 2)
    here.hears(other)
    assert here.back[1:] == [(other, unbuilt.LOCKED)]


def test_a_redeploy_waits_for_the_end_of_what_is_followed() -> None:
    here = Here(ecs.never_steady)
    here.built(A)
    here.built(B)
    here.hears(request_of("redeploy"))
    here.branch = B
    waiting = request_of("redeploy", 2)
    here.hears(waiting)
    # THEN its want is published at the end; a newer push may have taken that one's place by then
    assert [want.request_id for want in here.table.wants.all()] == [waiting.request_id]
    assert (here.back, here.asked) == ([(waiting, PAUSED_DELAY)], [])


def test_a_paused_pipeline_s_request_waits() -> None:
    here = Here()
    here.ran(V6)
    here.table.pipelines.change("web", paused=True)
    here.hears(rollback())
    assert len(here.table.wants.all()) == 1
    assert here.table.deployments.newest("web", 9)[0].deployment_id == EARLIER


def test_a_resumed_rollback_does_not_wait_for_the_message_of_the_pause() -> None:
    # GIVEN a rollback that came in a pause, and a build under way when that has ended
    here = Here()
    here.ran(V6)
    request = rollback()
    here.table.pipelines.change("web", paused=True)
    here.hears(request)
    here.table.pipelines.change("web", paused=False)
    here.table.locks.take("web", "i-1/boot/1", here.scripted.clock.now(), ttl=600)
    here.scripted.clock.sleep(1.0)
    # WHEN it is published again
    here.receives(request)
    # THEN it looks again when the build gives way
    assert here.back[1:] == [(request, GIVES_WAY)]


def test_a_paused_pipeline_s_request_comes_again_by_one_message() -> None:
    # GIVEN its want may be another's by the time the pipeline is resumed
    here = Here()
    here.ran(V6)
    here.table.pipelines.change("web", paused=True)
    request = rollback()
    # WHEN it is delivered twice
    here.hears(request)
    here.scripted.clock.sleep(1.0)
    here.receives(request)
    # THEN
    assert here.back == [(request, PAUSED_DELAY)]


def test_a_drift_that_would_undo_a_rollback_is_superseded() -> None:
    here = Here()
    here.built(A)
    here.table.pipelines.change("web", rolled_back_to=EARLIER, rolled_back_at=5.0)
    request = request_of("drift")
    here.hears(request)
    settled = here.table.requests.settled([request.request_id])
    assert settled[request.request_id].outcome == "superseded"
    assert (here.table.wants.all(), here.chain.made()) == ([], [])


def test_a_settled_request_is_only_forgotten() -> None:
    here = Here()
    here.ran(V6)
    request = rollback()
    here.hears(request)
    here.goes_on()
    made = here.chain.made()
    here.receives(request)
    assert (here.chain.made(), len(here.chain.said.told)) == (made, 1)


def test_what_the_world_fails_is_tried_again_and_given_up_on() -> None:
    here = Here()
    here.ecr.fails = WorldFailed("ECR does not answer")
    request = request_of("redeploy")
    limit = INSTALLATION.limits.max_attempts
    for _ in range(limit - 1):
        here.hears(request)
    assert [delay for _, delay in here.back][:2] == [15, 30]
    assert here.chain.said.told == []
    # WHEN it fails once more
    here.hears(request)
    # THEN it is given up, told, and kept as a dead letter
    (told,) = here.chain.said.told
    assert (told.status, len(here.chain.said.dead)) == ("gave_up", 1)
    assert "ECR does not answer" in (told.cause or "")
    assert (here.table.wants.all(), here.table.locks.get("web").holder) == ([], "")


def test_a_pipeline_that_is_not_configured_is_refused() -> None:
    here = Here()
    with pytest.raises(InvalidMessage, match="not configured"):
        unbuilt.begin(request_of("redeploy", pipeline="other"), here.world())


def test_the_follower_s_own_messages_are_no_requests() -> None:
    here = Here()
    here.receives(FollowMessage(deployment_id=EARLIER, step=1))
    assert here.chain.made() == []
    assert V7.endswith("web:7")
