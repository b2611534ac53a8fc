"""The follower: what comes on its queue or as an event, and what it leaves to others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambdas.follower.events import deployments_of
from lambdas.follower.handler import LOOKS_AGAIN, follow
from lambdas.follower.world import BUDGET, InvocationClock, World
from slipway.contracts.deployed_to import CodeDeploySettings, ServiceSettings
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.installation import Limits
from slipway.contracts.messages import FollowMessage
from slipway.contracts.table.deployments import FOLLOWER
from slipway.following.follower import FollowerParts
from slipway.rollout import RolloutPlan, Timeouts
from slipway.rollout.clock import NotNow
from tests import scripted_ecs as ecs
from tests.places import EVENTS
from tests.scripted_ecs import IMAGE, ScriptedEcs
from tests.unit.slipway.following.three_ways import DEPLOYMENT, INSTALLATION, REQUEST, Chain
from tests.unit.slipway.rollout import stepwise

SERVICE = "arn:aws:ecs:us-east-1:222222222222:service/prod/web"


def chain_of(behaviour: Any = None) -> Chain:
    """A rollout that was handed over, whose agent is gone; nothing of it is done yet."""
    scripted = ScriptedEcs(behaviour=behaviour or ecs.becomes_healthy(20.0))
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=600)
    )
    chain = Chain(stepwise.World(plan, scripted))
    chain.hand_over().let_go()
    return chain


def here(chain: Chain) -> World:
    nothing: Any = None
    return World(
        until=chain.now + BUDGET,
        installation=INSTALLATION, table=chain.table, parts=chain.parts(), recorder=nothing,
        registry=nothing, running=nothing, tip=nothing, touched=nothing, publish=nothing,
        again=nothing,
    )  # fmt: skip


def from_queue(message: FollowMessage) -> dict[str, Any]:
    return {"Records": [{"eventSource": "aws:sqs", "body": message.to_json()}]}


def event_of(service: str = SERVICE) -> dict[str, Any]:
    detail = {"eventName": "SERVICE_DEPLOYMENT_COMPLETED", "deploymentId": "ecs-svc/1"}
    return {
        "source": "aws.ecs", "detail-type": "ECS Deployment State Change",
        "resources": [service], "detail": detail,
    }  # fmt: skip


def due(chain: Chain) -> FollowMessage:
    """The one message of the chain that is on the queue."""
    live = [m for _, m in chain.queue if m.step == chain.row.step]
    chain.queue.clear()
    return live[-1]


def test_a_step_goes_as_far_as_it_can_and_leaves_the_rest_to_one_message() -> None:
    chain = chain_of()
    # WHEN
    follow(from_queue(due(chain)), here(chain))
    # THEN the service was updated, nobody holds the step, and one message comes later
    assert chain.made() == ["RegisterTaskDefinition", "UpdateService"]
    row = chain.row
    assert (row.claimed_by, row.stage, row.followed_by(chain.now)) == (None, "wait", FOLLOWER)
    ((at, message),) = chain.queue
    assert message == FollowMessage(deployment_id=DEPLOYMENT, step=row.step)
    assert row.next_look == at == chain.now + INSTALLATION.limits.follow_first


def test_an_event_looks_at_once_and_the_message_of_the_step_before_is_over() -> None:
    # GIVEN a rollout that waits, and a message that will look at it again
    chain = chain_of(ecs.becomes_healthy(2.0))
    follow(from_queue(due(chain)), here(chain))
    ((_, later),) = chain.queue
    # WHEN ECS tells that it is over before that
    chain.queue.clear()
    chain.world.ecs.clock.sleep(3.0)
    follow(event_of(), here(chain))
    # THEN it is told, and the later message finds nothing to do
    assert [result.status for result in chain.said.told] == ["succeeded"]
    calls = chain.calls
    follow(from_queue(later), here(chain))
    follow(event_of(), here(chain))
    assert (chain.calls, len(chain.said.told)) == (calls, 1)


def test_a_step_that_somebody_takes_is_left_to_them_and_its_message_comes_again() -> None:
    # GIVEN a step that another process has claimed
    chain = chain_of()
    message = due(chain)
    row, now = chain.row, chain.now
    claim = chain.table.following.claim(DEPLOYMENT, row.step, "host i-1/boot", now, ttl=330)
    assert claim is not None
    assert chain.row.followed_by(now) == "host i-1"
    # WHEN its message comes, and an event, THEN nothing is done, and the message comes once more
    follow(from_queue(message), here(chain))
    follow(event_of(), here(chain))
    assert chain.calls == 0
    assert chain.queue == [(now + 331, message)]
    # AND once the claim has ended it is taken, though it names the step before
    chain.world.ecs.clock.sleep(331)
    follow(from_queue(message), here(chain))
    assert chain.made() == ["RegisterTaskDefinition", "UpdateService"]


def test_an_event_during_another_call_s_step_is_looked_at_after_it() -> None:
    # GIVEN a follower that has looked, and ECS is done before it lets go
    chain = chain_of(ecs.becomes_healthy(2.0))
    follow(from_queue(due(chain)), here(chain))
    row = chain.row
    claim = chain.table.following.claim(DEPLOYMENT, row.step, f"{FOLLOWER}/7", chain.now, ttl=330)
    assert claim is not None
    chain.queue.clear()
    chain.world.ecs.clock.sleep(3.0)
    # WHEN ECS tells of it
    follow(event_of(), here(chain))
    # THEN it is looked at soon: by one message, whatever comes of that
    now = FollowMessage(deployment_id=DEPLOYMENT)
    assert chain.queue == [(chain.now + LOOKS_AGAIN, now)]
    follow(from_queue(now), here(chain))
    assert len(chain.queue) == 1
    assert chain.table.following.release(claim, row.rollout or "", next_look=chain.now + 60)
    follow(from_queue(now), here(chain))
    assert [result.status for result in chain.said.told] == ["succeeded"]
    # AND an event of what is over leads to nothing
    chain.queue.clear()
    follow(event_of(), here(chain))
    assert chain.queue == []


def test_a_step_that_the_table_fails_is_given_back_at_once() -> None:
    # GIVEN a table that does not answer once the step is claimed
    chain = chain_of()
    message, answers = due(chain), chain.table.locks.get
    failures = iter([WorldFailed("the table does not answer")])

    def once(pipeline: str) -> Any:
        for failure in failures:
            raise failure
        return answers(pipeline)

    chain.table.locks.get = once  # type: ignore[method-assign]
    # WHEN the step is taken, THEN it fails as a call, and is free for the message that comes next
    with pytest.raises(WorldFailed):
        follow(from_queue(message), here(chain))
    assert (chain.row.claimed_by, chain.row.ended_at) == (None, None)
    ((at, again),) = chain.queue
    assert at <= chain.now + INSTALLATION.limits.follow_first
    follow(from_queue(again), here(chain))
    assert chain.made() == ["RegisterTaskDefinition", "UpdateService"]


def test_a_claim_that_cannot_be_given_back_hides_no_failure() -> None:
    # GIVEN a table that does not answer, and a queue that takes nothing
    chain = chain_of()
    message = due(chain)

    def refused(*_: Any) -> Any:
        raise WorldFailed("the table does not answer")

    def full(*_: Any) -> None:
        raise OSError("the queue takes nothing")

    world = here(chain)
    world = replace(world, parts=replace(world.parts, send=full))
    chain.table.locks.get = refused  # type: ignore[method-assign]
    # WHEN, THEN
    with pytest.raises(WorldFailed, match="table"):
        follow(from_queue(message), world)


def test_who_lost_its_claim_changes_nothing_more() -> None:
    # GIVEN a follower that stood still until its claim had ended, and another one after it
    chain = chain_of()
    first = here(chain).follower.take_up(due(chain))
    assert first is not None
    chain.world.ecs.clock.sleep(INSTALLATION.limits.lock_ttl + 1)
    second = here(chain).follower.take_up(FollowMessage(deployment_id=DEPLOYMENT))
    assert second is not None
    # WHEN it goes on
    with pytest.raises(Exception, match="claim on the rollout was lost"):
        first.go_on()
    # THEN nothing was changed by it, and the other one goes on
    assert chain.made() == []
    second.go_on()
    assert chain.made() == ["RegisterTaskDefinition", "UpdateService"]


def test_a_state_of_an_unknown_version_is_left_as_it_is_and_told() -> None:
    chain = chain_of()
    newer = json.dumps({**json.loads(chain.row.rollout or ""), "version": 99})
    chain.table.deployments.note(DEPLOYMENT, rollout=newer)
    before = chain.row
    # WHEN
    follow(from_queue(due(chain)), here(chain))
    # THEN nothing was claimed or changed, and an alert stands
    assert chain.row == before
    (alert,) = chain.table.alerts.all()
    assert (alert.kind, alert.subject) == ("not_followed", DEPLOYMENT)
    assert "version" in alert.text


def test_an_outcome_whose_recorder_died_is_told_by_the_next_message() -> None:
    # GIVEN an outcome that was recorded, and nothing after that
    chain = chain_of(ecs.becomes_healthy(2.0))
    message = due(chain)

    def lost(_result: Any) -> None:
        raise OSError("the topic does not answer")

    chain.said.deployment = lost  # type: ignore[method-assign]
    follow(from_queue(message), here(chain))
    chain.world.ecs.clock.sleep(5.0)
    follow(event_of(), here(chain))
    assert chain.row.status == "succeeded"
    assert chain.table.locks.get("web").untold == DEPLOYMENT
    # WHEN it is looked at again
    told: list[Any] = []
    chain.said.deployment = told.append  # type: ignore[method-assign]
    follow(from_queue(FollowMessage(deployment_id=DEPLOYMENT)), here(chain))
    # THEN
    assert len(told) == 1
    assert chain.table.locks.get("web").untold is None


def test_a_takeover_ends_it_as_superseded_and_what_waited_is_asked_for() -> None:
    # GIVEN a rollout under way, a push that waits for it, and one that has joined it
    chain = chain_of()
    follow(from_queue(due(chain)), here(chain))
    push = replace(REQUEST, request_id="2" * 32, pushed_at=9.0)
    chain.table.wants.note(push, chain.now)
    assert chain.table.locks.ask_again("web", "3" * 32, chain.now, by="bob", pushed_at=8.0)
    # WHEN an operator's rollback asks it to give way
    rollback = replace(REQUEST, request_id="4" * 32, pushed_at=REQUEST.pushed_at + 1)
    assert chain.table.locks.ask_takeover(rollback, chain.now)
    follow(from_queue(FollowMessage(deployment_id=DEPLOYMENT)), here(chain))
    # THEN it is superseded, the lock is free, and the waiting push is asked for once more
    row = chain.row
    assert (row.status, row.result and row.result.task_definition_after) == ("superseded", "web:8")
    lock = chain.table.locks.get("web")
    assert (lock.holder, lock.again, lock.takeover) == ("", None, None)
    assert [request.request_id for request in chain.said.published] == [push.request_id]


def test_a_rollout_gives_way_to_no_second_delivery_of_its_own_request() -> None:
    # GIVEN a rollout under way
    chain = chain_of()
    follow(from_queue(due(chain)), here(chain))
    # WHEN its request, delivered twice, asks for its place
    assert chain.table.locks.ask_takeover(REQUEST, chain.now)
    follow(from_queue(FollowMessage(deployment_id=DEPLOYMENT)), here(chain))
    # THEN it goes on
    assert (chain.row.status, chain.table.locks.get("web").deployment) == (None, DEPLOYMENT)


EVENTS_OF_A_ROLLOUT = sorted(
    path.name for kind in ("ecs_*", "codedeploy_*") for path in EVENTS.glob(f"{kind}.json")
)


@pytest.mark.parametrize("name", EVENTS_OF_A_ROLLOUT)
@pytest.mark.parametrize(("cluster", "service", "group"), [
    ("shop-cluster", "shop-service", "shop-production"),
    ("shop-cluster", "shop-service-2", "shop-staging"),
    ("shop-cluster-2", "shop-service", "shop"),
])  # fmt: skip
def test_an_event_concerns_the_pipelines_of_its_service_or_group(
    name: str, cluster: str, service: str, group: str
) -> None:
    # GIVEN a pipeline, and an event as AWS's documents show it
    deploys = CodeDeploySettings(application="shop", group=group)
    pipeline = replace(
        INSTALLATION.pipelines[0], cluster=cluster, service=service, code_deploy=deploys
    )
    installation = replace(INSTALLATION, pipelines=(pipeline,))
    event = json.loads((EVENTS / name).read_text())
    # WHEN, THEN
    found = deployments_of(event, installation, chain_of().table)
    assert found == ((DEPLOYMENT,) if group == "shop-production" else ())


def test_an_event_of_any_service_of_a_pipeline_concerns_it() -> None:
    services = tuple(ServiceSettings(cluster="prod", service=name) for name in ("web", "worker"))
    pipeline = replace(INSTALLATION.pipelines[0], services=services)
    installation = replace(INSTALLATION, pipelines=(pipeline,))
    for name, found in (("web", (DEPLOYMENT,)), ("worker", (DEPLOYMENT,)), ("other", ())):
        event = event_of(f"arn:aws:ecs:us-east-1:222222222222:service/prod/{name}")
        assert deployments_of(event, installation, chain_of().table) == found


def test_a_service_s_old_arn_has_no_cluster() -> None:
    installation, table = INSTALLATION, chain_of().table
    old = event_of("arn:aws:ecs:us-east-1:222222222222:service/web")
    assert deployments_of(old, installation, table) == (DEPLOYMENT,)
    assert deployments_of({"source": "aws.ecs"}, installation, table) == ()


@pytest.mark.parametrize("body", ["", "{", "[]", '{"deployment_id": 7}', '{"a": 1}'])
def test_what_is_no_message_of_ours_is_refused(body: str) -> None:
    chain = chain_of()
    with pytest.raises(InvalidMessage):
        follow({"Records": [{"body": body}]}, here(chain))


@pytest.mark.parametrize(("seconds", "made"), [
    (0.1, ["RegisterTaskDefinition", "UpdateService"]), (BUDGET, ["RegisterTaskDefinition"]),
])  # fmt: skip
def test_no_step_is_begun_after_an_invocation_s_time(seconds: float, made: list[str]) -> None:
    # GIVEN an ECS that takes so long for each change
    chain = chain_of()
    handle = chain.world.ecs.handle

    def slow(operation: str, parameters: Any) -> Any:
        answer = handle(operation, parameters)
        if operation in stepwise.CHANGES:
            chain.world.ecs.clock.sleep(seconds)
        return answer

    chain.world.ecs.handle = slow  # type: ignore[method-assign]
    # WHEN, THEN
    world = here(chain)
    world = replace(world, parts=with_long_claims(world.parts))
    follow(from_queue(due(chain)), world)
    assert chain.made() == made
    assert (chain.row.claimed_by, len(chain.queue)) == (None, 1)


def with_long_claims(parts: FollowerParts) -> FollowerParts:
    return replace(parts, installation=replace(parts.installation, limits=Limits()))


def test_an_invocation_never_sleeps() -> None:
    with pytest.raises(NotNow):
        InvocationClock().sleep(1.0)
