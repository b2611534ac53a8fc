"""Cases that chance makes too rarely; each holds, and breaks without the guards that it is for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from slipway.contracts.table import Table
from slipway.contracts.table.alerts import Alerts
from slipway.contracts.table.hosts import Hosts
from tests.aws.answers import instead
from tests.simulation.agent import Agent
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.guards import Guard
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import START, Violation, World, calm_world

Client = Callable[[], FakeDynamoDB]


def passed(world: World, seconds: float) -> World:
    world.clockwork.run_until(world.clockwork.time + seconds)
    return world


def rested(world: World, seconds: float = 20_000.0) -> None:
    assert passed(world, seconds).at_rest
    check_at_rest(world)


def at_work(world: World) -> Agent:
    (agent,) = [agent for agent in world.agents.values() if agent.working]
    return agent


def stands_still_before(agent: Agent, owner: Any, name: str, seconds: float) -> None:
    """The process stands still for so long when it next calls that method."""
    method = getattr(owner, name)

    def later(*arguments: Any, **named: Any) -> Any:
        setattr(owner, name, method)
        agent.freeze(seconds)
        agent.world.clockwork.sleep(0.0)
        return method(*arguments, **named)

    setattr(owner, name, later)


# --- the scenarios


def an_outcome_that_is_recorded_late_changes_nothing(client: Client) -> None:
    # GIVEN a failed build whose agent stands still before it records it, on a host that is held
    world = calm_world(client, hosts=2)
    world.long_builds = 0.0
    world.people.push("shop", "build")
    agent = at_work(passed(world, 60))
    world.table.hosts.hold(agent.instance.host_id, "ada")
    stands_still_before(agent, agent.worker._runs._parts.recorder, "finish", 1500)
    # WHEN another host deploys a newer push meanwhile, THEN that is what is known
    world.people.push("shop", "good")
    passed(world, 1750)
    assert world.services["shop"].commit == world.repositories["shop"].tip
    assert world.table.pipelines.get("shop").failures == 0
    world.table.hosts.release(agent.instance.host_id)
    rested(world)


def a_silent_host_that_is_held_keeps_no_other_from_its_work(client: Client) -> None:
    # GIVEN a host that stands still at a deployment, and an operator who keeps it to look at it
    world = calm_world(client, hosts=2)
    world.people.push("shop", "good")
    agent = at_work(passed(world, 60))
    agent.freeze(1e9)
    world.table.hosts.hold(agent.instance.host_id, "ada")
    # THEN another host has deployed it within the hour
    passed(world, 3600)
    assert world.services["shop"].commit == world.repositories["shop"].tip


def an_outage_of_ten_minutes_is_waited_out(client: Client) -> None:
    world = calm_world(client)
    world.git_is_back_at = START + 600
    world.people.push("shop", "good")
    rested(world)
    assert [row.status for row in world.table.deployments.newest("shop", 9)] == ["succeeded"]


def an_outage_without_an_end_is_given_up(client: Client) -> None:
    world = calm_world(client)
    world.git_is_back_at = float("inf")
    world.people.push("shop", "good")
    rested(world, 6 * 3600)
    # THEN the push is, once: no host is woken for it again
    assert [row.status for row in world.table.deployments.newest("shop", 9)] == ["gave_up"]
    assert len(world.queues["dead letters"].messages) == 1


def a_commit_that_cannot_be_fetched_is_told_once(client: Client) -> None:
    world = calm_world(client)
    world.people.push("shop", "fetch")
    rested(world, 6 * 3600)
    assert [row.status for row in world.table.deployments.newest("shop", 9)] == ["failed"]
    assert world.ec2.starts == 1


def a_host_that_is_never_heard_is_started_hourly_and_said_once(client: Client) -> None:
    world = calm_world(client, without=frozenset({"asleep"}))
    world.life.boot = lambda instance: None  # type: ignore[method-assign]
    world.people.push("shop", "good")
    passed(world, 5 * 3600)
    assert 6 <= world.ec2.starts <= 8
    told = [n for n in world.slack.posted if n.startswith("alert/no_heartbeat")]
    assert len(told) == 1


def a_host_whose_starts_die_is_said_once_with_the_reason_of_ec2(client: Client) -> None:
    # GIVEN a starter that may not use the key of the host's disk: pending, then stopped in silence
    world = calm_world(client, without=frozenset({"asleep"}))
    world.ec2.no_key = True
    world.people.push("shop", "good")
    passed(world, 3000)
    while world.ec2.instances["i-1"].state != "pending":
        passed(world, 1)
    world.life.event("i-1")  # that of the last stop comes again, while it starts
    passed(world, 7200)
    # THEN it is said, once, and why; and it is not tried for ever
    assert [(a.kind, a.subject) for a in world.table.alerts.all()] == [("start_failed", "i-1")]
    alert = world.table.alerts.all()[0]
    assert "Client.InternalError: Client error on launch" in alert.text
    assert [n for n in world.slack.posted if n.startswith("alert/start_failed")] == [
        f"alert/start_failed/i-1/{alert.raised_at:.3f}"
    ]
    assert 5 <= world.ec2.starts <= 6
    # AND when it may, the push is deployed, and the end is said
    world.ec2.no_key = False
    passed(world, 2 * 3600)
    assert world.at_rest
    assert world.services["shop"].commit == world.repositories["shop"].tip
    assert f"alert/start_failed/i-1/{alert.raised_at:.3f}/over" in world.slack.posted


def a_host_that_somebody_stops_before_it_is_heard_is_no_alert(client: Client) -> None:
    world = calm_world(client)
    world.people.push("shop", "good")
    instance = world.ec2.instances["i-1"]
    while instance.state != "running":
        passed(world, 1)
    world.ec2.stop_by_hand(instance)
    rested(world)
    assert not [n for n in world.slack.posted if n.startswith("alert/")]


def a_branch_that_is_not_there_yet_is_no_alert_and_its_first_push_is_found(client: Client) -> None:
    # GIVEN a dev stack that is made after prod, and a repository that is empty for a while
    world = calm_world(client)
    repository = world.repositories["shop"]
    world.table.pipelines.change("shop", baseline_tip=None)
    world.no_dev, repository.made = True, False
    passed(world, 3600)
    world.no_dev = False
    passed(world, 3600)
    assert not world.table.alerts.all()
    # WHEN the first push's trigger is lost, THEN the drift check finds it
    repository.move(f"{1:040x}", world.clockwork.time)
    rested(world)
    assert world.services["shop"].commit == repository.tip
    # AND a dev side that does not answer by now is said
    world.no_dev = True
    passed(world, 3600)
    assert [a.kind for a in world.table.alerts.all()] == ["drift_skipped"]


def a_start_that_is_noted_late_counts_no_silent_boot(client: Client) -> None:
    # GIVEN Lambdas that note each start when the host has long arrived
    world = calm_world(client)
    note = Hosts.note_start

    def late(hosts: Hosts, *arguments: Any, **named: Any) -> bool:
        world.clockwork.after(120, functools.partial(note, hosts, *arguments, **named))
        return True

    # WHEN it is woken three times, THEN it is not taken for one that never comes
    with patch.object(Hosts, "note_start", late):
        for _ in range(3):
            world.people.push("shop", "good")
            rested(world, 3000)
    row = world.table.hosts.get("i-1")
    assert row is not None
    assert (row.silent_boots, row.next_start_at) == (0, 0)


def a_request_settled_long_ago_wakes_nobody(client: Client) -> None:
    world = calm_world(client)
    world.people.push("shop", "good")
    rested(world)
    starts = world.ec2.starts
    (request,) = world.accepted.values()
    world.functions.start(request, {})
    rested(world)
    assert world.ec2.starts == starts


def a_pipeline_locked_elsewhere_keeps_no_host_awake(client: Client) -> None:
    # GIVEN a pipeline that somebody deploys from the command line for an hour
    world = calm_world(client, hosts=2)
    lock = world.table.locks.take("shop", "cli:ada", START, ttl=3600)
    assert lock is not None
    # WHEN a push comes, THEN no host has been awake for it for long
    world.people.push("shop", "good")
    passed(world, 3500)
    assert world.awake_seconds < 1200
    assert world.queues["build"].most_receives < 10
    # AND when the lock is given back, it is deployed
    world.table.locks.abandon(lock)
    rested(world)
    assert world.services["shop"].commit == world.repositories["shop"].tip


def a_lock_that_another_took_in_the_same_moment_stays_its(client: Client) -> None:
    # GIVEN a worker that takes the lock, and another that is quicker between its two calls
    world = calm_world(client, hosts=2)
    update, quicker = world.dynamodb.update_item, []

    def contended(**request: Any) -> Any:
        if "taken_at" in request["UpdateExpression"] and not quicker:
            quicker.append(None)
            quicker[0] = Table(world.dynamodb, "t").locks.take(
                "shop", "i-9/boot", world.clockwork.time, ttl=330
            )
        return update(**request)

    instead(world.dynamodb, "update_item", contended)
    world.people.push("shop", "good")
    passed(world, 120)
    # THEN the lock is the quicker one's, until it ends
    assert world.table.locks.renew(quicker[0], world.clockwork.time, ttl=0.1)
    rested(world)


# --- each holds, and needs its guards


def loose(name: str, *conditions: tuple[str, str]) -> Guard:
    return Guard(name, conditions=conditions)


def out(name: str, target: str, stand_in: Any) -> Guard:
    return Guard(name, patches=((target, stand_in),))


def always(value: Any) -> Callable[..., Any]:
    return lambda *arguments, **named: value


def raise_each_time(alerts: Alerts, kind: str, subject: str, now: float, *, text: str = "") -> bool:
    alerts.clear(kind, subject)
    return _raise_once(alerts, kind, subject, now, text=text)


_raise_once = Alerts.raise_once

NEEDED = [
    (
        an_outcome_that_is_recorded_late_changes_nothing,
        loose(
            "an outcome is recorded once, or only under the lock",
            (
                "attribute_exists(pk) AND attribute_not_exists(ended_at)",
                "attribute_exists(pk)",
            ),
            ("fence = :fence AND holder = :holder", "attribute_exists(fence)"),
        ),
    ),
    (
        a_silent_host_that_is_held_keeps_no_other_from_its_work,
        out("nothing is expected of a silent host", "lambdas.decide.situation.Snapshot.silent",
            always(False)),
    ),
    (
        an_outage_of_ten_minutes_is_waited_out,
        out("back-off", "build_agent.ends.delay_after", always(1)),
    ),
    (
        an_outage_without_an_end_is_given_up,
        out("giving up", "build_agent.ends.is_given_up", always(False)),
    ),
    (
        an_outage_without_an_end_is_given_up,
        out("a tip given up on is dealt with", "build_agent.ends.tip_seen", always(None)),
    ),
    (
        a_commit_that_cannot_be_fetched_is_told_once,
        out("a tip not fetched is dealt with", "build_agent.deploy.tip_seen", always(None)),
    ),
    (
        a_host_that_is_never_heard_is_started_hourly_and_said_once,
        out("back-off of starts", "lambdas.decide.action.start_delay", always(0.0)),
    ),
    (
        a_host_that_is_never_heard_is_started_hourly_and_said_once,
        Guard(
            "an alert stands, in the snapshot or in the table",
            patches=(
                ("slipway.contracts.table.alerts.Alerts.raise_once", raise_each_time),
                ("lambdas.decide.upkeep._standing", always(None)),
            ),
        ),
    ),
    (
        a_host_whose_starts_die_is_said_once_with_the_reason_of_ec2,
        out("a start that dies is said", "lambdas.decide.situation.Host.died_unheard", False),
    ),
    (
        a_host_whose_starts_die_is_said_once_with_the_reason_of_ec2,
        out("only a host that is heard has started", "lambdas.decide.upkeep._has_started",
            lambda host: host.awake),
    ),
    (
        a_host_that_somebody_stops_before_it_is_heard_is_no_alert,
        out("who stopped it", "lambdas.decide.situation.BY_HAND", ("nobody",)),
    ),
    (
        a_branch_that_is_not_there_yet_is_no_alert_and_its_first_push_is_found,
        out("no branch is an answer", "lambdas.decide.snapshot.NO_BRANCH", "nothing"),
    ),
    (
        a_branch_that_is_not_there_yet_is_no_alert_and_its_first_push_is_found,
        out("that there was none is noted", "lambdas.decide.upkeep._not_there", always([])),
    ),
    (
        a_branch_that_is_not_there_yet_is_no_alert_and_its_first_push_is_found,
        out("nothing is said of what was never seen", "lambdas.decide.upkeep._known", always(None)),
    ),
    (
        a_start_that_is_noted_late_counts_no_silent_boot,
        loose(
            "a start is noted for the arrival that was seen",
            ("attribute_not_exists(arrived_at) OR arrived_at = :arrived", "attribute_exists(pk)"),
        ),
    ),
    (
        a_request_settled_long_ago_wakes_nobody,
        loose(
            "a settled request leaves no want",
            ("attribute_not_exists(pk)", "attribute_not_exists(pk) OR attribute_exists(pk)"),
        ),
    ),
    (
        a_pipeline_locked_elsewhere_keeps_no_host_awake,
        out(
            "a locked pipeline waits",
            "lambdas.decide.situation.Snapshot.kept_from_us",
            always(False),
        ),
    ),
    (
        a_lock_that_another_took_in_the_same_moment_stays_its,
        loose(
            "one taker at a time",
            (
                "attribute_not_exists(fence) OR fence = :fence",
                "attribute_not_exists(fence) OR attribute_exists(fence)",
            ),
        ),
    ),
]  # fmt: skip
SCENARIOS = list(dict.fromkeys(scenario for scenario, _ in NEEDED))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_it_holds(scenario):
    scenario(FakeDynamoDB)


@pytest.mark.parametrize(("scenario", "guard"), NEEDED, ids=[g.name for _, g in NEEDED])
def test_it_does_not_hold_without(scenario, guard):
    with guard.out() as client, pytest.raises((Violation, AssertionError)):
        scenario(client)
