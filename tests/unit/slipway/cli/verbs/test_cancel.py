"""`cancel`: what is ended, how it is recorded, and what is said where nothing can be."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest

from slipway.cli.aws.cancelling import (
    Begins,
    Elsewhere,
    Found,
    LeftOver,
    UnderWay,
    Waits,
    cancelled,
    cancelled_row,
    to_cancel,
)
from slipway.contracts.messages import BuildRequest, FollowMessage, Target
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import NEVER, LockRow, held_by
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from tests.unit.slipway.cli.rollouts import Followed, calls
from tests.unit.slipway.cli.world import NOW, World

PUSHED = BuildRequest(
    request_id="a" * 32, pipeline="shop", commit_id="b" * 40, pushed_by="ada", pushed_at=NOW - 9,
    reason="push",
)  # fmt: skip
WANT = Want(
    pipeline="shop", request_id=PUSHED.request_id, pushed_at=NOW, noted_at=NOW,
    body=PUSHED.to_json(),
)  # fmt: skip
OPEN = DeploymentRow(
    deployment_id="shop-20261118110600-000001", pipeline="shop", request_id=PUSHED.request_id,
    reason="push", started_at=NOW - 60,
)  # fmt: skip
ENDED = replace(OPEN, status="succeeded", ended_at=NOW - 30)
LEFT_BEHIND = replace(OPEN, request_id="f" * 32, pushed_by="ada", pushed_at=NOW - 70)
HANDED_OVER = replace(LEFT_BEHIND, rollout="{}")
FREE = LockRow(pipeline="shop")
BY_HOST = LockRow(pipeline="shop", holder="i-1/boot", expires_at=NOW + 300, taken_at=NOW - 61)
BY_NEXT = replace(BY_HOST, taken_at=NOW - 1)
BY_HAND = replace(BY_HOST, holder="cli:eve@laptop:7")
LOST = replace(BY_HOST, expires_at=NOW - 1)
BY_ROLLOUT = replace(BY_HOST, holder=held_by(OPEN.deployment_id), expires_at=NEVER)


@pytest.mark.parametrize(
    ("lock", "newest", "wants", "found"),
    [
        (FREE, [], [], None),
        (FREE, [ENDED], [], None),
        (FREE, [ENDED], [WANT], Waits((WANT,))),
        (BY_HOST, [OPEN], [WANT], UnderWay(OPEN.deployment_id)),
        (BY_ROLLOUT, [OPEN], [WANT], UnderWay(OPEN.deployment_id)),
        (BY_HAND, [ENDED], [], Elsewhere(BY_HAND.holder)),
        (BY_HAND, [ENDED], [WANT], Waits((WANT,))),
        (BY_HOST, [ENDED], [], None),
        (BY_NEXT, [ENDED], [], Begins()),
        (BY_NEXT, [], [], Begins()),
        (LOST, [OPEN], [WANT], UnderWay(OPEN.deployment_id)),
        (LOST, [LEFT_BEHIND], [], LeftOver((LEFT_BEHIND,))),
        (FREE, [LEFT_BEHIND], [WANT], LeftOver((LEFT_BEHIND,))),
        (BY_HAND, [LEFT_BEHIND], [WANT], Elsewhere(BY_HAND.holder)),
        (FREE, [HANDED_OVER], [WANT], Waits((WANT,))),
    ],
    ids=[
        "never deployed",
        "all is over",
        "a push waits",
        "an agent is at work",
        "a rollout is followed",
        "somebody deploys by hand",
        "a push waits for who deploys by hand",
        "the lock outlives what it was for by a moment",
        "an agent has just begun",
        "an agent has just begun the first",
        "a host died, its request comes again",
        "a host died, its request never comes again",
        "a push waits that has the want of one before it",
        "the same, while somebody deploys by hand",
        "a push waits behind what was handed over",
    ],
)
def test_what_there_is_to_cancel(
    lock: LockRow, newest: list[DeploymentRow], wants: list[Want], found: Found | None
) -> None:
    assert to_cancel(lock, newest, wants, NOW) == found


# --- a rollout that is followed
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ("cancelled", 0, "was cancelled\n"),
        ("rolled_back", 0, "was cancelled in the rollout and rolled back\n"),
        ("succeeded", 1, "is live\n"),
        ("failed", 1, "failed in the rollout\n"),
    ],
)
def test_a_followed_rollout_is_ended_by_its_follower(
    world: World, status: str, code: int, says: str
) -> None:
    # GIVEN a rollout that the follower ends a look later
    rollout = Followed(world)
    world.clock.then(lambda: None)
    world.clock.then(lambda: rollout.end(status))
    # WHEN
    result = world.run("cancel", "shop")
    # THEN it is asked by row and by message, waited for, and told as any outcome
    assert result.exit_code == code, result.output
    assert calls(world) == [FollowMessage(deployment_id=rollout.deployment_id)]
    assert rollout.row.cancelled_by
    assert says in result.output
    # AND the lock bears no note that would interrupt who comes next
    assert world.table.locks.get("shop").takeover is None


def test_who_does_not_wait_is_told_how_to_follow(world: World) -> None:
    rollout = Followed(world)

    result = world.run("cancel", "shop", "--no-wait", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"pipeline": "shop", "cancelling": rollout.deployment_id}
    assert "slipway watch shop" in world.run("cancel", "shop", "--no-wait").output


def test_a_cancel_that_nobody_answers_ends_with_its_timeout(world: World) -> None:
    Followed(world)

    result = world.run("cancel", "shop", "--timeout", "30")

    assert result.exit_code == 3
    assert "it is not over after 30 s; `slipway watch shop` follows it further" in result.stderr
    assert "slipway cancel" not in result.stderr


# --- what an agent builds
def test_an_agent_at_work_is_interrupted(world: World) -> None:
    # GIVEN a build under way
    row = world.begin("shop", 1, started_at=NOW - 10)
    world.table.locks.take("shop", "i-1/boot", NOW - 10, ttl=600)
    world.clock.then(lambda: None)
    world.clock.then(lambda: world.end(row, "cancelled", at=world.clock.now()) and None)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN the row says who cancelled it, and the lock's holder is asked to give way
    assert result.exit_code == 0, result.output
    noted = world.table.deployments.get(row.deployment_id)
    assert noted is not None
    assert noted.cancelled_by
    assert world.table.locks.get("shop").takeover == f"cancel:{noted.deployment_id}"
    # AND there is no rollout that anybody were to look at
    assert calls(world) == []


def test_one_that_has_just_begun_is_waited_for(world: World) -> None:
    # GIVEN an agent that has the lock, and writes its row a moment later
    world.table.locks.take("shop", "i-1/boot", NOW, ttl=600)

    def begin() -> None:
        row = world.begin("shop", 1, started_at=NOW + 1)
        world.clock.then(lambda: world.end(row, "cancelled", at=NOW + 2) and None)

    world.clock.then(begin)
    # WHEN, THEN
    assert world.run("cancel", "shop").exit_code == 0


def test_one_that_ends_before_it_is_asked_leaves_nothing_to_cancel(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a deployment that ends between the look and the asking
    rollout = Followed(world)
    ask = type(world.table.following).ask_cancel

    def late(self: object, deployment_id: str, by: str) -> bool:
        rollout.end("succeeded")
        return ask(self, deployment_id, by)  # type: ignore[arg-type]

    monkeypatch.setattr("slipway.contracts.table.following.Following.ask_cancel", late)
    # WHEN, THEN
    result = world.run("cancel", "shop")
    assert result.exit_code == 2
    assert "nothing is under way, and nothing waits" in result.stderr


# --- what waits
def wait_for_a_host(world: World, *requests: BuildRequest) -> None:
    for request in requests or (PUSHED,):
        assert world.table.wants.note(request, NOW)


def test_a_push_that_waits_is_recorded_as_cancelled_and_to_be_told(world: World) -> None:
    # GIVEN a push for which nothing has begun
    wait_for_a_host(world)
    world.table.pipelines.change("shop", ahead_tip="b" * 40, ahead_since=NOW)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN it has an outcome like any other
    assert result.exit_code == 0, result.output
    assert "shop: commit bbbbbbbb was cancelled\n" in result.output
    (row,) = world.table.deployments.newest("shop", 5)
    assert row.result is not None
    assert (row.status, row.result.status, row.ended_at) == ("cancelled", "cancelled", NOW)
    assert row.cancelled_by == row.result.cancelled_by
    assert (row.result.cause or "").startswith("cancelled by ")
    # AND what comes for it finds it settled
    settled = world.table.requests.settled([PUSHED.request_id])[PUSHED.request_id]
    assert (settled.outcome, settled.deployment_id) == ("cancelled", row.deployment_id)
    assert world.table.wants.all() == []
    assert not world.table.wants.note(PUSHED, NOW + 1)
    # AND the follower is called to tell people
    assert world.table.locks.get("shop").untold == row.deployment_id
    assert calls(world) == [FollowMessage(deployment_id=row.deployment_id)]
    # AND the drift check does not ask for that tip once more
    pipeline = world.table.pipelines.get("shop")
    assert (pipeline.handled_tip, pipeline.ahead_tip) == ("b" * 40, None)
    # AND history has it as no failure
    assert "cancelled" in world.run("history", "shop").output
    assert json.loads(world.run("history", "--failed", "--json").stdout) == []


def test_what_waits_in_a_pipeline_that_is_not_meant_stays(world: World) -> None:
    wait_for_a_host(world, replace(PUSHED, pipeline="api"))

    result = world.run("cancel", "shop")

    assert result.exit_code == 2
    assert "pipeline 'shop': nothing is under way, and nothing waits" in result.stderr
    assert len(world.table.wants.all()) == 1


def test_a_waiting_rollback_names_what_it_would_have_run(world: World) -> None:
    target = Target(kind="deployment", deployment_id="shop-20261118110600-000001")
    request = replace(PUSHED, reason="rollback", target=target)
    row = cancelled_row(request, PipelineRow(pipeline="shop", failures=2), "eve", NOW)
    assert (row.commit and row.commit.id, row.reason) == ("b" * 40, "rollback")
    assert row.result is not None
    assert row.result.failures_before == 2


def test_while_an_earlier_outcome_is_to_be_told_the_next_one_waits(world: World) -> None:
    # GIVEN a lock that remembers what is to be told, until the follower has told it
    rollout = Followed(world)
    rollout.end("succeeded")
    wait_for_a_host(world)
    world.clock.then(lambda: None)
    world.clock.then(lambda: world.table.locks.told("shop", rollout.deployment_id) and None)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN neither is forgotten
    assert result.exit_code == 0, result.output
    assert world.clock.waits == 2
    assert world.table.locks.get("shop").untold != rollout.deployment_id


def test_what_a_newer_push_left_behind_ends_with_it(world: World) -> None:
    # GIVEN a deployment that nobody takes up again: a newer push that waits has its want
    row = world.begin("shop", 1, started_at=NOW, request_id="f" * 32)
    wait_for_a_host(world)

    def tells() -> None:
        untold = world.table.locks.get("shop").untold
        assert untold == row.deployment_id
        world.table.locks.told("shop", untold)

    world.clock.then(tells)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN both are over
    assert result.exit_code == 0, result.output
    ended = world.table.deployments.newest("shop", 5)
    assert [each.status for each in ended] == ["cancelled", "cancelled"]
    assert len({each.cancelled_by for each in ended} - {None}) == 1
    settled = world.table.requests.settled(["f" * 32, PUSHED.request_id])
    assert {one.outcome for one in settled.values()} == {"cancelled"}
    assert len(settled) == 2


def test_what_was_left_behind_with_a_settled_request_ends_all_the_same(world: World) -> None:
    # GIVEN a request that another host dropped in favour of the newer one, unaware of its row
    row = world.begin("shop", 1, started_at=NOW, request_id="f" * 32)
    settled = Settled(
        request_id=row.request_id, outcome="superseded", pipeline="shop", settled_at=NOW
    )
    world.table.requests.settle_once(settled, kept=60)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN
    assert result.exit_code == 0, result.output
    assert world.table.deployments.newest("shop", 1)[0].status == "cancelled"
    assert world.table.requests.settled([row.request_id])[row.request_id] == settled
    # AND its commit is not asked for by the drift check
    assert world.table.pipelines.get("shop").handled_tip == row.commit.id


def test_what_was_ended_is_said_though_the_rest_could_not_be(world: World) -> None:
    # GIVEN a push that waits behind one whose end nobody tells
    row = world.begin("shop", 1, started_at=NOW, request_id="f" * 32)
    wait_for_a_host(world)
    # WHEN
    result = world.run("cancel", "shop", "--timeout", "4")
    # THEN
    assert result.exit_code == 3
    assert "nothing more could be cancelled within 4.0 s" in result.stderr
    assert row.deployment_id in result.stderr


def test_what_was_left_behind_is_not_ended_once_a_host_has_the_lock(world: World) -> None:
    # GIVEN
    row = world.begin("shop", 1, started_at=NOW, request_id="f" * 32)
    request = replace(PUSHED, request_id=row.request_id)
    over = cancelled(row, request, PipelineRow(pipeline="shop"), "eve", NOW)
    world.table.locks.take("shop", "i-1/boot", NOW, ttl=600)
    # WHEN
    assert over.result is not None
    ended = world.table.unbegun.end_left_behind(over.result, changes={}, settled_kept=60)
    # THEN
    assert not ended
    assert world.table.requests.settled([row.request_id]) == {}


def test_a_host_that_takes_the_request_meanwhile_is_asked_instead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a host that begins between the look and the transaction
    wait_for_a_host(world)
    end = type(world.table.unbegun).end
    begun: list[DeploymentRow] = []

    def late(self: object, want: Want, *values: object, **named: object) -> bool:
        world.table.locks.take("shop", "i-1/boot", NOW, ttl=600)
        row = world.begin("shop", 1, started_at=NOW, request_id=want.request_id)
        begun.append(row)
        world.table.requests.point(want.request_id, row.deployment_id, NOW, kept=86400)
        return end(self, want, *values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("slipway.contracts.table.unbegun.Unbegun.end", late)
    world.clock.then(lambda: None)
    world.clock.then(lambda: world.end(begun[0], "cancelled", at=world.clock.now()) and None)
    # WHEN
    result = world.run("cancel", "shop")
    # THEN the deployment that it began is cancelled, and there is no other
    assert result.exit_code == 0, result.output
    (row,) = world.table.deployments.newest("shop", 5)
    assert row.deployment_id == begun[0].deployment_id
    assert row.cancelled_by


# --- what cannot be cancelled, and who does not wait for it
def test_what_somebody_deploys_by_hand_is_ended_there(world: World) -> None:
    world.table.locks.take("shop", "cli:eve@laptop:7", NOW, ttl=600)

    result = world.run("cancel", "shop")

    assert result.exit_code == 2
    assert "is deployed by cli:eve@laptop:7: end it there" in result.stderr
    assert world.table.locks.get("shop").takeover is None


@pytest.mark.usefixtures("heard_signals")
def test_who_leaves_is_told_that_the_cancel_stands(world: World) -> None:
    # GIVEN somebody who does not wait for the end
    rollout = Followed(world)
    world.clock.then(lambda: os.kill(os.getpid(), signal.SIGINT))
    # WHEN
    result = world.run("cancel", "shop")
    # THEN
    assert result.exit_code == 130, result.output
    says = "interrupted: the cancel stands: `slipway watch shop` follows it\n"
    assert says in result.stderr
    assert rollout.row.cancelled_by
