"""The table in memory answers as moto's DynamoDB does, for every move of `slipway.contracts.table`.

The simulation stands on the fake; a random walk over all moves on both shows that they agree.
"""

from __future__ import annotations

import random
from dataclasses import replace

import boto3
import pytest
from moto import mock_aws

from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult, request_id_of
from slipway.contracts.table import Table
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.builders import BuilderRow
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.locks import Lock, LockRow
from slipway.contracts.table.pending import PendingRow
from slipway.contracts.table.places import Place
from slipway.contracts.table.requests import Settled
from tests.simulation.dynamodb import FakeDynamoDB, compiled_condition

ATTRIBUTES = ("pk", "sk")


@pytest.fixture
def tables():
    with mock_aws():
        client = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        client.create_table(
            TableName="t",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in ATTRIBUTES],
            BillingMode="PAY_PER_REQUEST",
        )
        yield Table(client, "t"), Table(FakeDynamoDB(), "t")


def request(dice: random.Random) -> BuildRequest:
    at = float(dice.randint(1, 3))
    return BuildRequest(
        request_id=request_id_of("event", "shop", str(at)),
        pipeline="shop",
        pushed_by="ada",
        pushed_at=at,
        reason="push",
    )


def host_moves(dice: random.Random) -> list:
    host, boot, now = "i-1", dice.choice(["b1", "b2"]), float(dice.randint(1, 9))
    number, beat = dice.randint(0, 3), float(dice.randint(1, 9))
    seen = HostRow(host_id=host, boot=boot, arrived_at=beat, heartbeat_at=beat)
    runs = [
        HostRun(run=run, pipeline=f"p{run}", stage="build", progress_at=beat, slots=int(run > 1))
        for run in range(1, 1 + number)
    ]
    return [
        lambda t: t.hosts.arrive(host, boot, now, slots=1 + number),
        lambda t: t.hosts.begin_work(host, boot, now),
        lambda t: t.hosts.heartbeat(host, boot, now, runs=runs),
        lambda t: t.hosts.say_idle(host, boot, now),
        lambda t: t.hosts.claim_stop(host, boot, number, now, claim=2),
        lambda t: t.hosts.claim_broken(seen, now, claim=2, unchanged="heartbeat_at"),
        lambda t: t.hosts.stop_sent(host, boot),
        lambda t: t.hosts.take_back_claim(host, boot),
        lambda t: t.hosts.note_start(seen, now, silent_boots=number, next_start_at=now),
        lambda t: t.hosts.hold(host, "ada"),
        lambda t: t.hosts.release(host),
        lambda t: t.hosts.all(),
    ]


def lock_moves(dice: random.Random) -> list:
    holder = dice.choice(["a/1/p.1", "a/1/p.2", "a/1/q.1", "b/1/p.1"])
    now = float(dice.randint(1, 9))
    lock = Lock("shop", holder, dice.randint(1, 4))
    row = LockRow(pipeline="shop", fence=lock.fence, again=holder)
    return [
        lambda t: t.locks.take("shop", holder, now, ttl=3),
        lambda t: t.locks.renew(lock, now, ttl=3),
        lambda t: t.locks.ask_again("shop", holder, now),
        lambda t: t.locks.ask_takeover(request(dice), now),
        lambda t: t.locks.interrupt("shop", "shop-20261118110640-0a1b2c", now),
        lambda t: t.locks.told("shop", "shop-20261120170531-abcdef"),
        lambda t: t.locks.take_again(lock, holder),
        lambda t: t.locks.release(lock),
        lambda t: t.locks.abandon(lock),
        lambda t: t.locks.take_orphaned_again(row, now),
        lambda t: t.locks.all(),
    ]


def work_moves(dice: random.Random) -> list:
    made, now = request(dice), float(dice.randint(1, 9))
    settled = Settled(
        request_id=made.request_id, outcome="succeeded", pipeline="shop", settled_at=now
    )
    alert = AlertRow(kind="alarm", subject="x", raised_at=now)
    deployment = "shop-20261120170531-abcdef"
    row = DeploymentRow(
        deployment_id=deployment,
        pipeline="shop",
        request_id=made.request_id,
        reason="push",
    )
    over = DeploymentRow(
        deployment_id=f"shop-20261120170532-{int(now):06x}",
        pipeline="shop",
        request_id=made.request_id,
        reason="push",
        status="cancelled",
        ended_at=now,
    )
    left = DeploymentResult(
        deployment_id=deployment,
        pipeline="shop",
        status="cancelled",
        stage="received",
        reason="push",
        settles=1,
        request_id=made.request_id,
        commit=None,
        pushed_by="ada",
        pushed_at=now,
        started_at=now,
        ended_at=now,
    )
    return [
        lambda t: t.wants.note(made, now),
        lambda t: t.wants.all(),
        lambda t: [t.wants.touch(w, now) for w in t.wants.all()],
        lambda t: t.wants.clear([made]),
        lambda t: [
            t.unbegun.end(
                w,
                over,
                changes={"handled_tip": "a" * 40, "ahead_tip": None},
                settled_kept=9,
                deployments_kept=9,
            )
            for w in t.wants.all()
        ],
        lambda t: t.unbegun.end_left_behind(left, changes={"failures": 1}, settled_kept=9),
        lambda t: t.unbegun.end_left_behind(left, changes={}, settled_kept=None),
        lambda t: t.requests.settle_once(settled, kept=9),
        lambda t: t.requests.join(settled, kept=9),
        lambda t: t.requests.point(made.request_id, deployment, now, kept=9),
        lambda t: sorted(t.requests.settled([made.request_id])),
        lambda t: t.requests.count_attempt(made.request_id, now, kept=9),
        lambda t: t.pipelines.change("shop", handled_tip="a" * 40, ahead_tip=None, failures=2),
        lambda t: t.pipelines.all(),
        lambda t: t.alerts.raise_once("alarm", "x", now, text="so"),
        lambda t: t.alerts.said(alert, now),
        lambda t: t.alerts.end(alert, now),
        lambda t: t.alerts.forget(alert),
        lambda t: t.alerts.all(),
        lambda t: t.deployments.start(row, kept=9),
        lambda t: t.deployments.enter_stage(deployment, "build", now),
        lambda t: t.deployments.note(deployment, commit=Commit(id="a" * 40), detail="x"),
        lambda t: t.deployments.newest("shop", 1),
        lambda t: t.notices.claim("n", now, ttl=2),
        lambda t: t.notices.give_back("n"),
        lambda t: t.notices.mark_posted("n", now) if dice.random() < 0.2 else None,
    ]


def builder_moves(dice: random.Random) -> list:
    now, generation = float(dice.randint(1, 9)), dice.randint(0, 2)
    asked, pipeline = request(dice), dice.choice(["shop", "shop2"])
    pending = PendingRow(
        pipeline="shop", request_id=asked.request_id, body=asked.to_json(), since=now,
        visible_at=now, held_by=dice.randint(0, 2), receives=dice.randint(0, 2),
    )  # fmt: skip
    seen = BuilderRow(pipeline=pipeline, generation=generation)
    placed = replace(seen, place=dice.randint(0, 1))
    places = [
        Place(number=0),
        Place(number=0, pipeline=pipeline, generation=generation),
        Place(number=1),
    ][dice.randint(0, 1) :]
    return [
        lambda t: t.pending.add(asked, now),
        lambda t: t.pending.show(asked, now),
        lambda t: t.pending.receive(pending, generation, now, lease=5),
        lambda t: t.pending.extend(pending, now + 5),
        lambda t: t.pending.give_back(pending, now + 2),
        lambda t: t.pending.delete(pending) if dice.random() < 0.3 else None,
        lambda t: t.pending.of("shop"),
        lambda t: t.pending.all(),
        lambda t: t.pending.receive(pending, generation, now, lease=5, died=True),
        lambda t: t.builders.ask(seen, now),
        lambda t: t.builders.ask(seen, now, places=places),
        lambda t: t.builders.with_places(),
        lambda t: t.builders.forget(placed) if dice.random() < 0.3 else None,
        lambda t: t.builders.refuse(seen, now),
        lambda t: t.builders.start(pipeline, generation, f"project:{generation}"),
        lambda t: t.builders.say_done(pipeline, generation, now),
        lambda t: t.builders.go_on(pipeline, generation),
        lambda t: t.builders.end(seen, "FAILED", now) if dice.random() < 0.5 else None,
        lambda t: t.builders.get(pipeline),
        lambda t: t.builders.all(),
    ]


@pytest.mark.parametrize("moves", [host_moves, lock_moves, work_moves, builder_moves])
def test_a_random_walk_over_the_moves_answers_alike(tables, moves):
    real, fake = tables
    dice = random.Random(7)
    trail: list[str] = []
    for step in range(400):
        state = dice.getstate()
        offered = moves(dice)
        chosen = dice.randrange(len(offered))
        answers = []
        for table in (real, fake):
            dice.setstate(state)
            answers.append(moves(dice)[chosen](table))
        trail.append(f"{step}: move {chosen} → {answers[0]}")
        assert answers[0] == answers[1], "\n".join(trail[-5:])
        if dice.random() < 0.02:
            for partition in list(fake.store.client.rows):
                for key in list(fake.store.client.rows[partition]):
                    real.store.delete(partition, key)
                    fake.store.delete(partition, key)


def test_an_expression_that_the_fake_cannot_read_is_an_error():
    with pytest.raises((ValueError, KeyError)):
        compiled_condition("contains(a, :b) OR size(a) > :c")
