"""A world that fails a rollout that is followed: counted, given up on, told; nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import Limits
from slipway.contracts.messages import FollowMessage
from slipway.following.follower import Follower, Held
from slipway.rollout import RolloutPlan, Timeouts
from tests import scripted_ecs as ecs
from tests.aws.answers import instead
from tests.aws.wire import Fault
from tests.scripted_ecs import IMAGE, ScriptedEcs, denied
from tests.unit.slipway.following import three_ways
from tests.unit.slipway.following.three_ways import DEPLOYMENT, INSTALLATION, Chain
from tests.unit.slipway.rollout import stepwise

BROKEN = Fault("ServerException", "broken", status=500)


@pytest.fixture(autouse=True)
def _limits_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that outlasts the tries of one call."""
    monkeypatch.setattr(three_ways, "INSTALLATION", replace(INSTALLATION, limits=Limits()))


def chain_of(behaviour: Any = ecs.never_steady) -> Chain:
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=60)
    )
    return Chain(stepwise.World(plan, ScriptedEcs(behaviour=behaviour)))


@pytest.mark.parametrize("operation", ["RegisterTaskDefinition", "UpdateService"])
@pytest.mark.parametrize("fault", [BROKEN, denied("ecs:any")], ids=["broken", "denied"])
def test_a_change_that_fails_each_time_is_given_up_on(operation: str, fault: Fault) -> None:
    # GIVEN a change that AWS does not take, while every look succeeds
    chain = chain_of()
    chain.world.ecs.faults[operation] = fault
    # WHEN
    chain.by_follower()
    # THEN it is given up on as often as an agent would, told, and kept; the pipeline is free
    (told,) = chain.said.told
    attempts = Limits().max_attempts
    assert (told.status, len(chain.said.dead)) == ("gave_up", 1)
    assert f"after {attempts} failed attempts" in (told.cause or "")
    assert chain.table.locks.get("web").holder == ""


def test_looks_that_fail_now_and_then_are_not_added_up() -> None:
    # GIVEN a rollout that takes its time, and an ECS that fails each third look
    chain = chain_of(ecs.becomes_healthy(50.0))
    looks = iter(range(10**6))
    handle = chain.world.ecs.handle

    def now_and_then(operation: str, parameters: Any) -> Any:
        is_look = operation == "DescribeServices" and "UpdateService" in chain.made()
        if is_look and next(looks) % 3 == 0:
            raise denied("ecs:DescribeServices")
        return handle(operation, parameters)

    chain.world.ecs.handle = now_and_then  # type: ignore[method-assign]
    # WHEN, THEN
    chain.by_follower(every=0.5)
    assert [told.status for told in chain.said.told] == ["succeeded"]


def test_what_comes_during_the_pause_counts_no_further_attempt() -> None:
    # GIVEN a rollout whose change failed
    chain = chain_of()
    chain.world.ecs.faults["UpdateService"] = denied("ecs:UpdateService")
    chain.hand_over().let_go()
    _step(chain, chain.queue.pop()[1])
    due = chain.row.next_look
    # WHEN events call for a look again and again before its time
    for _ in range(20):
        _step(chain, FollowMessage(deployment_id=DEPLOYMENT))
    # THEN it is neither given up on nor put off for longer
    assert chain.row.ended_at is None
    assert chain.row.next_look == due


def test_a_follow_message_that_could_not_be_sent_ends_no_rollout() -> None:
    # GIVEN a queue that takes nothing at the hand-over
    chain = chain_of(ecs.becomes_healthy(2.0))
    send = chain._send

    def refused(_message: FollowMessage, _delay: float) -> None:
        chain._send = send  # type: ignore[method-assign]
        raise WorldFailed("SQS does not answer")

    chain._send = refused  # type: ignore[method-assign]
    # WHEN it is handed over, THEN who did follows it all the same
    row = chain.by_agent()
    assert (row.status, len(chain.said.told)) == ("succeeded", 1)


def test_a_takeover_that_comes_after_the_end_changes_no_outcome() -> None:
    # GIVEN a rollout that has succeeded, whose outcome could not be recorded
    chain = chain_of(ecs.becomes_healthy(2.0))
    held = chain.hand_over()
    finish = chain.table.deployments.finish

    def unanswered(*_arguments: Any, **_values: Any) -> bool:
        raise WorldFailed("the table does not answer")

    chain.table.deployments.finish = unanswered  # type: ignore[method-assign]
    while held.followed.under_way is not None:
        _pass(chain, held)
        held.go_on()
    chain.table.deployments.finish = finish  # type: ignore[method-assign]
    # WHEN a rollback asks it to give way
    rollback = replace(three_ways.REQUEST, request_id="4" * 32, reason="rollback")
    assert chain.table.locks.ask_takeover(rollback, chain.now)
    _pass(chain, held)
    chain.world.ecs.clock.sleep(20.0)
    held.go_on()
    # THEN what happened is told
    assert [told.status for told in chain.said.told] == ["succeeded"]


@pytest.mark.parametrize(
    "ends",
    [denied("dynamodb:UpdateItem"), stepwise.Killed()],
    ids=["refused", "died"],
)
def test_what_the_service_is_given_is_known_though_its_telling_failed(ends: BaseException) -> None:
    # GIVEN a table that refuses the stage in which the service is changed, or a death just then
    chain = chain_of(ecs.becomes_healthy(2.0))
    enter_stage, failures = chain.table.deployments.enter_stage, [ends]

    def once(deployment_id: str, stage: str, now: float) -> bool:
        if stage == "update" and failures:
            raise failures.pop()
        return enter_stage(deployment_id, stage, now)

    chain.table.deployments.enter_stage = once  # type: ignore[method-assign]
    # WHEN it is gone on with from what is saved
    row = chain.by_follower()
    # THEN the row names what ran and what runs: `earlier.py` and the invariants rest on it
    assert (row.status, failures) == ("succeeded", [])
    assert row.result is not None
    assert row.task_definition_before is not None
    assert row.task_definition_before.endswith(row.result.task_definition_before or "?")
    assert row.task_definition_after is not None
    assert row.task_definition_after.endswith(row.result.task_definition_after or "?")


def test_a_claim_whose_answer_was_lost_within_the_client_is_ours() -> None:
    # GIVEN a client that repeats a write whose answer it did not get
    chain = chain_of(ecs.becomes_healthy(2.0))
    chain.hand_over().let_go()
    update = chain.table.store.client.update_item

    def twice(**request: Any) -> Any:
        if "claimed_by = :by" in request["UpdateExpression"]:
            update(**request)
        return update(**request)

    instead(chain.table.store.client, "update_item", twice)
    # WHEN, THEN
    held = Follower(chain.parts()).take_up(FollowMessage(deployment_id=DEPLOYMENT))
    assert held is not None


def _step(chain: Chain, message: FollowMessage) -> None:
    held = Follower(chain.parts()).take_up(message)
    assert held is not None
    held.look_now()
    held.go_on()
    held.let_go()


def _pass(chain: Chain, held: Held) -> None:
    held.keep()
    chain.world.ecs.clock.sleep(max(0.1, held.next_look - chain.now))
