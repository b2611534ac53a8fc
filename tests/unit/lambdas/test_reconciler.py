"""What got lost is found again; what stands is said once, and its end too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.reconciler.handler import reconcile
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.messages import DeploymentResult, FollowMessage
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.requests import Settled
from tests.unit.lambdas.world import HOST, START, World, error, event, request

ASKER = "1" * 32
DEPLOYMENT = "shop-20270115080000-0a1b2c"
TICK, STOPPED = event("schedule"), event("ec2_stopped")


def tick(world: World, *, after: float = 0) -> None:
    world.now += after
    reconcile(TICK, world.services)


def test_work_that_came_while_the_host_stopped_starts_it_again(world):
    # GIVEN a want, and an EC2 whose answers lag behind its own event
    world.note(request())
    world.ec2.instances[HOST] = ("stopping", START - 600)
    # WHEN the schedule fires, THEN nothing; WHEN the event comes, THEN the host starts
    tick(world)
    assert world.ec2.started == []
    reconcile(STOPPED, world.services)
    assert world.ec2.started == [HOST]


def test_an_event_of_a_foreign_host_is_skipped(world):
    world.note(request())
    foreign = {**STOPPED, "detail": {"instance-id": "i-0ffffffffffffffff", "state": "stopped"}}
    reconcile(foreign, world.services)
    assert world.ec2.started == []


def test_an_event_without_a_host_is_refused(world):
    with pytest.raises(InvalidMessage, match="instance-id"):
        reconcile({**STOPPED, "detail": "?"}, world.services)


def test_a_want_without_its_request_is_published_again_every_fifteen_minutes(world):
    world.note(request())
    tick(world, after=900)
    assert world.sns.requests == []
    tick(world, after=1)
    tick(world, after=900)
    assert world.sns.requests == [request()]
    tick(world, after=1)
    assert world.sns.requests == [request(), request()]


def test_a_want_that_needs_no_builder_is_published_again_for_the_follower(world):
    world.table.wants.note(request(), world.now, builder=False)
    tick(world, after=901)
    (call,) = world.sns.published
    assert call["MessageAttributes"]["builder"]["StringValue"] == "no"


def test_a_drifted_tip_is_asked_of_the_follower_first(world):
    # GIVEN a branch that has moved without a request
    world.table.pipelines.change("shop", handled_tip="b" * 40)
    for _ in range(2):
        tick(world, after=301)
    # THEN it is asked for where no host is woken
    (call,) = world.sns.published
    assert world.sns.requests[0].reason == "drift"
    assert call["MessageAttributes"]["builder"]["StringValue"] == "no"
    assert [want.builder for want in world.table.wants.all()] == [False]
    assert world.ec2.started == []


def handed_over(world: World, **values: object) -> None:
    """The pipeline's lock is a deployment's, whose row is as `values` say."""
    lock = world.table.locks.take("shop", f"{HOST}/boot-1", world.now, ttl=330)
    assert lock is not None
    begun = DeploymentRow(
        deployment_id=DEPLOYMENT, pipeline="shop", request_id=request().request_id,
        reason="push", started_at=world.now,
    )  # fmt: skip
    assert world.table.deployments.start(begun, kept=9000)
    owned = replace(
        begun, rollout="{}", claimed_by="host i-1", claimed_until=world.now + 330,
        next_look=world.now + 60,
    )  # fmt: skip
    settled = Settled(
        request_id=begun.request_id, outcome="handed_over", pipeline="shop", settled_at=world.now
    )
    assert world.table.following.hand_over(owned, lock=lock, settled=settled, kept=9000)


def followed_up(world: World) -> list[FollowMessage]:
    assert all(queue.endswith("-follow") for queue, _body in world.sqs.sent)
    return [FollowMessage.from_json(body) for _queue, body in world.sqs.sent]


def test_a_rollout_that_nobody_follows_any_more_is_followed_up(world):
    # GIVEN a rollout whose host died, and whose messages were all lost
    handed_over(world)
    tick(world, after=329)
    assert followed_up(world) == []
    # WHEN its claim has lapsed, THEN the follower is told to look, and no host is started
    tick(world, after=1)
    assert followed_up(world) == [FollowMessage(deployment_id=DEPLOYMENT)]
    assert world.ec2.started == []


def test_an_outcome_that_was_not_told_is_followed_up(world):
    # GIVEN an outcome that was recorded, and whoever was to tell it died
    handed_over(world)
    lock = world.table.locks.get("shop")
    result = DeploymentResult(
        deployment_id=DEPLOYMENT, pipeline="shop", status="succeeded", stage="close",
        reason="push", request_id=request().request_id, started_at=world.now,
        ended_at=world.now + 9,
    )  # fmt: skip
    assert world.table.deployments.finish(
        result,
        {"handled_tip": "a" * 40},
        lock=Lock("shop", lock.holder, lock.fence),
        claim=Claim(DEPLOYMENT, "host i-1", 1),
    )
    tick(world, after=10)
    assert followed_up(world) == [FollowMessage(deployment_id=DEPLOYMENT)]
    # AND once all is told, no more
    world.table.locks.told("shop", DEPLOYMENT)
    tick(world, after=300)
    assert len(followed_up(world)) == 1


def test_an_outcome_between_two_reads_is_no_drift(world):
    # GIVEN a tip that was asked for, and is rolled out
    world.table.pipelines.change(
        "shop", handled_tip="b" * 40, ahead_tip="a" * 40, ahead_since=world.now - 900
    )
    handed_over(world)
    rows = world.table.locks.all

    def look_then_record():
        found = rows()
        world.table.pipelines.change("shop", handled_tip="a" * 40)
        return [replace(row, holder="", expires_at=0) for row in found]

    # WHEN its outcome is recorded while the reconciler reads, THEN the tip is not asked for
    world.table.locks.all = look_then_record
    tick(world)
    assert world.sns.requests == []


def test_a_silent_host_is_stopped_alerted_and_after_three_boots_left_for_an_hour(world):
    world.note(request())
    for _ in range(3):
        # GIVEN a host that boots and is never heard
        world.ec2.instances[HOST] = ("stopped", START)
        tick(world)
        world.ec2.instances[HOST] = ("running", world.now)
        tick(world, after=601)
    # THEN it was started and stopped three times, and it was said once
    assert (len(world.ec2.started), len(world.ec2.stopped)) == (3, 3)
    assert [n.alert.kind for n in world.sns.notices] == ["no_heartbeat"]
    # AND it is started again only an hour after the third start
    world.ec2.instances[HOST] = ("stopped", START)
    tick(world, after=2000)
    assert len(world.ec2.started) == 3
    tick(world, after=1600)
    assert len(world.ec2.started) == 4


def test_a_silent_host_that_is_heard_again_meanwhile_is_not_stopped(world):
    # GIVEN a host that was silent when the row was read, and is heard before the claim
    world.boot(busy=True)
    world.now += 601
    rows = world.table.hosts.all

    def look_then_beat():
        found = rows()
        world.table.hosts.heartbeat(HOST, "boot-1", world.now)
        return found

    world.table.hosts.all = look_then_beat
    tick(world)
    assert world.ec2.stopped == []


def test_an_alert_is_said_although_the_first_publish_fails(world):
    # GIVEN a silent host and a topic that fails once
    world.ec2.instances[HOST] = ("running", START - 900)
    world.sns.failures = [error("InternalError", 500)]
    with pytest.raises(Exception, match="InternalError"):
        tick(world)
    # WHEN the invocation is repeated, THEN it is said, once
    tick(world)
    tick(world)
    assert [n.alert.kind for n in world.sns.notices] == ["no_heartbeat"]


def test_an_alert_published_but_not_marked_is_published_under_the_same_id(world):
    # GIVEN a crash between publishing and marking
    world.ec2.instances[HOST] = ("running", START - 900)
    mark = world.table.alerts.said
    world.table.alerts.said = lambda row, now: False
    tick(world)
    world.table.alerts.said = mark
    tick(world)
    # THEN both have one id, which the notifier posts once
    first, second = world.sns.notices
    assert first.notice_id == second.notice_id


def test_the_end_of_an_alert_is_said_too(world):
    world.ec2.instances[HOST] = ("running", START - 900)
    tick(world)
    world.boot()
    tick(world)
    tick(world)
    assert [n.alert.recovered for n in world.sns.notices] == [False, True]
    assert world.table.alerts.all() == []


def test_an_orphaned_again_becomes_a_want_and_a_request(world):
    # GIVEN a holder that died with a note `again` on its lock
    locks = world.table.locks
    locks.take("shop", "i-dead/boot", START, ttl=120)
    locks.ask_again("shop", ASKER, START, by="grace", pushed_at=START)
    tick(world, after=119)
    assert world.sns.requests == []
    # WHEN the lock has expired
    tick(world, after=1)
    # THEN the tip is asked for, once, and a host wakes for it
    tick(world, after=1)
    (asked,) = world.sns.requests
    assert (asked.pushed_by, asked.is_tip) == ("grace", True)
    assert [w.request for w in world.table.wants.all()] == [asked]
    assert locks.get("shop").again is None
    assert HOST in world.ec2.started


def test_an_again_whose_publish_fails_is_not_forgotten(world):
    locks = world.table.locks
    locks.take("shop", "i-dead/boot", START, ttl=120)
    locks.ask_again("shop", ASKER, START, by="grace", pushed_at=START)
    world.sns.failures = [error("InternalError", 500)]
    with pytest.raises(WorldFailed):
        tick(world, after=121)
    assert locks.get("shop").again == ASKER
    assert world.table.wants.all()


def test_a_push_whose_trigger_never_fired_is_found(world):
    # GIVEN a branch seen at A, and a push of B that nobody heard of
    tick(world)
    world.codecommit.tips["main"] = "b" * 40
    # WHEN the drift check comes round twice, five minutes apart
    tick(world, after=900)
    assert world.sns.requests == []
    tick(world, after=300)
    # THEN it is asked for, once
    tick(world, after=300)
    (asked,) = world.sns.requests
    assert (asked.reason, asked.commit_id) == ("drift", "b" * 40)


def test_a_paused_pipeline_is_not_checked(world):
    world.table.pipelines.change("shop", paused=True)
    tick(world)
    assert world.table.pipelines.get("shop").checked_at is None


def test_a_dev_side_that_does_not_answer_is_said_once_and_its_return_too(world):
    tick(world)
    world.codecommit.problem = error("AccessDenied", 403)
    tick(world, after=900)
    tick(world, after=900)
    world.codecommit.problem = None
    tick(world, after=900)
    said = [(n.alert.kind, n.alert.subject, n.alert.recovered) for n in world.sns.notices]
    assert said == [("drift_skipped", "shop", False), ("drift_skipped", "shop", True)]


def test_a_dev_side_that_is_not_there_yet_is_not_said(world):
    # GIVEN prod's stack without dev's: its role may not be assumed, as there is none
    world.codecommit.problem = error("AccessDenied", 403)
    tick(world)
    tick(world, after=900)
    # WHEN dev's stack comes, and its repository is empty
    world.codecommit.problem = error("BranchDoesNotExistException")
    tick(world, after=900)
    # THEN nothing is said, and the first commit is ahead of that
    assert world.sns.notices == []
    world.codecommit.problem = None
    tick(world, after=900)
    tick(world, after=300)
    assert [r.reason for r in world.sns.requests] == ["drift"]


def test_a_host_that_ec2_stops_before_it_is_heard_is_said_with_ec2s_reason(world):
    # GIVEN a starter that may not use the key of the host's disk
    world.ec2.instances[HOST] = ("stopped", START - 60)
    world.ec2.reasons[HOST] = "Client.InternalError: Client error on launch"
    reconcile(STOPPED, world.services)
    # THEN that is said once, and over only when the host is heard
    world.ec2.instances[HOST] = ("pending", world.now)
    tick(world)
    (said,) = world.sns.notices
    assert (said.alert.kind, said.alert.subject) == ("start_failed", HOST)
    assert "Client.InternalError: Client error on launch" in said.alert.text
    world.boot()
    tick(world)
    assert [n.alert.recovered for n in world.sns.notices] == [False, True]


def test_one_action_that_fails_keeps_none_of_the_others(world):
    # GIVEN a want whose host cannot be started, and a tip to note
    world.note(request())
    world.ec2.start_failures[HOST] = error("UnauthorizedOperation", 403)
    with pytest.raises(WorldFailed, match="UnauthorizedOperation"):
        tick(world)
    assert world.table.pipelines.get("shop").baseline_tip == "a" * 40
