"""Histories with faults, run to rest: every promise holds; a failing seed tells its story."""

from __future__ import annotations

import dataclasses

import pytest

from slipway.contracts.table.requests import Settled
from tests.simulation.drawn import Plan, plan_of, undrifted_plan_of
from tests.simulation.history import Outcome, run, shrunk
from tests.simulation.weather import KINDS, REPEATED_FROM
from tests.simulation.world import START, World, calm_world

HISTORIES = 2000
CHUNK = 250


def story_of(failed: Outcome) -> str:
    """The smallest history that breaks the same promise, in words, and how to run it again."""
    words = failed.violation.split(":")[0][:12]
    small = shrunk(failed.plan, lambda plan: words in run(plan).violation)
    kind = "" if failed.plan.drift else " --without-drift"
    again = f"python -m tests.simulation.soak{kind} --seed {failed.plan.seed}"
    return f"{run(small).told()}\n{small}\nagain: {again}"


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_every_promise_holds_in_every_history(first):
    for seed in range(first, first + CHUNK):
        outcome = run(plan_of(seed))
        assert not outcome.violation, story_of(outcome)


def test_no_push_that_was_heard_of_is_left_to_the_drift_check():
    for seed in range(REPEATED_FROM, REPEATED_FROM + CHUNK):
        outcome = run(undrifted_plan_of(seed))
        assert not outcome.violation, story_of(outcome)


def test_the_same_seed_is_the_same_history():
    first, second = (run(plan_of(11)) for _ in range(2))
    assert first.words == second.words
    assert first.costs == second.costs


def test_the_histories_have_every_fault_and_every_end():
    """What is promised of all histories would be little if they were all alike."""
    faults: set[str] = set()
    hosts: set[int] = set()
    for seed in range(200):
        outcome = run(plan_of(seed))
        faults |= set(outcome.faults)
        hosts.add(outcome.plan.hosts)
    assert hosts == {1, 2, 3}
    assert faults == set(KINDS)


# --- cases that must be among the histories


def calm_plan(*actions: tuple[float, str, object], hosts: int = 1) -> Plan:
    return Plan(1, 1, hosts, actions, frozenset(), 60.0, long_builds=0.0)


def rested(world: World, seconds: float = 20_000.0) -> World:
    world.clockwork.run_until(world.clockwork.time + seconds)
    assert world.at_rest, world.words
    return world


def push_in_turn(world: World, *kinds: str) -> None:
    """Each push has its end before the next one."""
    for kind in kinds:
        world.people.push("shop", kind)
        world.clockwork.run_until(world.clockwork.time + 900)


def test_a_branch_that_goes_from_a_to_b_and_back_to_a_runs_a():
    # GIVEN A deployed, then B, WHEN the branch is forced back to A
    world = calm_world()
    push_in_turn(world, "good", "good", "back")
    rested(world)
    # THEN A runs again, from the image that ECR had
    assert world.services["shop"].commit == world.repositories["shop"].tips[1]
    assert world.builds == 2


def test_a_branch_that_went_back_unheard_of_is_found():
    world = calm_world()
    push_in_turn(world, "good", "good")
    # WHEN the push back to A is heard of by nobody
    repository = world.repositories["shop"]
    repository.move(repository.tips[1], world.clockwork.time)
    rested(world)
    assert world.services["shop"].commit == repository.tips[1]


def test_a_push_back_to_a_commit_that_another_was_taken_for_is_found():
    # GIVEN a push whose run met the next one, which cannot be fetched and nobody heard of
    world = calm_world()
    world.people.push("shop", "good")
    repository = world.repositories["shop"]
    commit, refused = repository.tip, f"{0xB:040x}"
    repository.bad[refused] = "fetch"
    repository.move(refused, world.clockwork.time)
    world.clockwork.run_until(world.clockwork.time + 120)
    # WHEN the branch goes back to the first at once, unheard of as well
    repository.move(commit, world.clockwork.time)
    # THEN that is no commit that was dealt with: it is deployed
    rested(world)
    assert world.services["shop"].commit == commit


def test_a_push_after_a_rollback_is_found_though_nobody_heard_of_it():
    # GIVEN a rollback, and after it a push that cannot be fetched
    world = calm_world()
    push_in_turn(world, "good", "good")
    world.people.rollback("shop")
    world.clockwork.run_until(world.clockwork.time + 900)
    push_in_turn(world, "fetch")
    # WHEN a push back to B, which the rollback had left, is heard of by nobody
    repository = world.repositories["shop"]
    repository.move(repository.tips[2], world.clockwork.time)
    # THEN it is deployed: the rollback was before it
    rested(world)
    assert world.services["shop"].commit == repository.tips[2]


def test_a_duplicate_of_a_request_settled_long_ago_wakes_nobody():
    # GIVEN a deployed push, at rest
    world = calm_world()
    world.people.push("shop", "good")
    rested(world)
    starts = world.ec2.starts
    (request,) = world.accepted.values()
    assert world.table.requests.settled([request.request_id])
    # WHEN its request comes to the starter again, THEN no host starts for it
    world.functions.start(request, {})
    rested(world)
    assert world.ec2.starts == starts


def test_a_stale_idle_notice_of_an_earlier_boot_stops_nobody():
    # GIVEN a host in its second boot, at work
    world = calm_world()
    world.people.push("shop", "good")
    notices: list[str] = []
    stop = world.functions.stop
    world.functions.stop = lambda text: (notices.append(text), stop(text))[1]  # type: ignore[method-assign]
    rested(world)
    world.people.push("shop", "good")
    at_work = lambda: world.agents["i-1"].working  # noqa: E731
    assert world.clockwork.run_until(world.clockwork.time + 200, at_work)
    # WHEN the notice of its first boot comes again, THEN it goes on
    world.functions.stop(notices[0])
    world.clockwork.run_until(world.clockwork.time + 5)
    assert world.agents["i-1"].working


def test_a_host_that_is_never_heard_is_tried_three_times_and_then_hourly():
    # GIVEN an agent that never comes up
    world = calm_world(without=frozenset({"asleep"}))
    world.life.boot = lambda instance: None  # type: ignore[method-assign]
    world.people.push("shop", "good")
    # WHEN five hours pass
    world.clockwork.run_until(START + 5 * 3600)
    # THEN it was started three times in the first hour and hourly since, and people were told once
    assert 6 <= world.ec2.starts <= 8
    told = [notice for notice in world.slack.posted if notice.startswith("alert/no_heartbeat")]
    assert len(told) == 1


def test_the_drift_check_does_not_undo_a_rollback():
    # GIVEN two deployments and an operator's rollback to the first
    world = calm_world()
    push_in_turn(world, "good", "good")
    world.people.rollback("shop")
    # WHEN the drift check has come round many times
    rested(world)
    # THEN the first still runs
    assert world.services["shop"].commit == world.repositories["shop"].tips[1]


def test_a_pipeline_locked_elsewhere_keeps_no_second_host_awake():
    # GIVEN a pipeline that somebody deploys from the command line for an hour
    world = calm_world(hosts=2)
    lock = world.table.locks.take("shop", "cli:ada", START, ttl=3600)
    assert lock is not None
    # WHEN a push comes
    world.people.push("shop", "good")
    world.clockwork.run_until(START + 3500)
    # THEN no host has been awake for it for long, and its request was not worn out
    assert world.awake_seconds < 1200
    assert world.queues["build"].most_receives < 10
    # AND when the lock is given back, it is deployed
    world.table.locks.abandon(lock)
    rested(world)
    assert world.services["shop"].commit == world.repositories["shop"].tip


def test_outages_of_slack_delay_notices_and_no_deployment():
    # GIVEN a Slack that answers with errors only
    plan = calm_plan((1.0, "push", (0, "good")))
    broken = dataclasses.replace(
        plan, faults=frozenset({"Slack answers 500", "Slack is silent"}), calm_after=7200.0
    )
    # WHEN a push is deployed, THEN it takes as long as without, and is told of in the end
    calm, rough = run(plan), run(broken)
    assert not calm.violation and not rough.violation
    assert rough.costs["seconds until settled"] < calm.costs["seconds until settled"] + 120


def test_what_was_settled_stays_settled():
    world = calm_world()
    world.people.push("shop", "good")
    rested(world)
    (request,) = world.accepted.values()
    other = Settled(
        request_id=request.request_id, outcome="failed", pipeline="shop", settled_at=START
    )
    assert not world.table.requests.settle_once(other, kept=9.0)
