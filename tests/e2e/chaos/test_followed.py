"""A rollout that its row owns: its host is gone, its follower is killed, its events are lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.push import Pushed
from slipway.contracts.table.deployments import FOLLOWER, DeploymentRow
from tests.e2e.chain import Chain
from tests.e2e.chaos.conftest import listened_to
from tests.e2e.chaos.slow_motion import kill_when
from tests.e2e.chaos.trial import END_SECONDS, PIPELINE, Say, Trial
from tests.e2e.chaos.witness import Witness

SLOW = 20
"""Seconds until a new container is healthy, or crashes: the host sleeps after a few."""
LONG = 300.0
UPDATE = "ecs:UpdateService"


@pytest.fixture(scope="module")
def witness(slow: Chain) -> Iterator[Witness]:
    """Of a run whose service may take its time."""
    with listened_to(slow) as witness:
        yield witness


@pytest.fixture
def trial(slow: Chain, witness: Witness, say: Say) -> Trial:
    slow.until_asleep()
    return Trial(slow, witness, say)


@dataclass
class Beginning:
    """How it was before a push: what ran, and who had asked ECS for updates how often."""

    trial: Trial

    def __post_init__(self) -> None:
        self.runs = self.trial.chain.serves()
        self._updates = self._asked()
        self._began = self._rollouts()

    def updates(self) -> dict[str, int]:
        """UpdateService calls since then, by role."""
        now = self._asked()
        return {role: n - self._updates.get(role, 0) for role, n in now.items()}

    def rollouts(self) -> int:
        """Service deployments of ECS's since then, whoever began them and of whatever."""
        return len(self._rollouts() - self._began)

    def _asked(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for question in self.trial.internal("GET", "asked"):
            if question["action"] == UPDATE and question["allowed"]:
                role = _role(question["principal"])
                found[role] = found.get(role, 0) + question["times"]
        return found

    def _rollouts(self) -> set[str]:
        return {d["serviceDeploymentArn"] for d in self.trial.service_deployments()}


def _role(principal: str) -> str:
    """The role of an assumed role's ARN."""
    return principal.rpartition(":")[2].split("/")[1]


def push(trial: Trial, message: str, behaviour: str = "works", after: int = SLOW) -> Pushed:
    return trial.push(message, behaviour, after)


def row_of(trial: Trial, pushed: Pushed) -> DeploymentRow | None:
    return trial.chain.deployment_of(pushed.commit_id, PIPELINE)


def asleep_with_it_under_way(trial: Trial, pushed: Pushed) -> DeploymentRow:
    """The hosts are stopped, and the deployment goes on without them."""

    def followed() -> DeploymentRow | None:
        row = row_of(trial, pushed)
        return row if row is not None and row.is_followed else None

    trial.chain.until("the hand-over", followed)
    trial.chain.until_asleep()
    row = followed()
    assert row is not None, "the rollout was over before the host slept"
    return row


def ends(trial: Trial, pushed: Pushed, behaviour: str, before: Beginning) -> None:
    """Told right and put right, once, by one rollout, with every host asleep all the while."""
    launched = trial.chain.launches()
    row = trial.chain.until_ended(pushed, LONG)
    assert row.status == ("succeeded" if behaviour == "works" else "rolled_back"), row.result
    trial.say(f"told {told_after(trial, row):.1f} s after ECS was done")
    if behaviour == "works":
        trial.ends_well(pushed)
    else:
        trial.ends_taken_back(pushed, before.runs)
    # Nobody is woken for it by the one who looks whether somebody should be, either.
    assert trial.chain.call(trial.chain.names.function("reconciler"), wait=True)
    assert (trial.chain.launches(), trial.chain.host_states()) == (launched, ["stopped"])
    ways_back = 0 if behaviour == "works" else 1
    assert before.rollouts() <= 1 + ways_back
    assert sum(before.updates().values()) <= 1 + ways_back, before.updates()


def told_after(trial: Trial, row: DeploymentRow) -> float:
    """Seconds from the end of ECS's newest rollout to the message on the Slack page."""
    assert row.commit is not None
    commit = row.commit.id[:7]
    message = trial.chain.until(
        "the notice", lambda: trial.chain.notices(commit, since=trial.began), LONG
    )[-1]
    done = [d["finishedAt"].timestamp() for d in trial.service_deployments() if "finishedAt" in d]
    return message.at - float(max(done))


# --- the host is gone


@pytest.mark.chaos
@pytest.mark.parametrize("after", [0, 5, 10, 15, SLOW])
@pytest.mark.parametrize("behaviour", ["works", "crash"])
def test_the_host_dies_right_after_update_service(trial: Trial, behaviour: str, after: int) -> None:
    # GIVEN an agent that will die once ECS has taken the new revision
    before = Beginning(trial)
    trial.die_at("updated")
    # WHEN its commit is rolled out, and the machine dies with the agent
    pushed = push(trial, f"{behaviour} after {after} s, its host is dead", behaviour, after)
    trial.chain.until("the agent's death", trial.is_dead, END_SECONDS, poll=0.02)
    trial.sudden_death()
    # THEN
    ends(trial, pushed, behaviour, before)


# --- the follower is killed

Moment = Callable[[Chain, DeploymentRow], bool]


def _in_a_look(_: Chain, row: DeploymentRow) -> bool:
    by_it = row.followed_by(time.time()) == FOLLOWER and row.claimed(time.time())
    return by_it and row.stage == "wait"


def _not_recorded(_: Chain, row: DeploymentRow) -> bool:
    return row.stage == "record" and row.ended_at is None


def _not_announced(_: Chain, row: DeploymentRow) -> bool:
    return row.ended_at is not None and row.announced_at is None


def _not_closed(chain: Chain, row: DeploymentRow) -> bool:
    untold = chain.table.locks.get(row.pipeline).untold
    return row.announced_at is not None and untold == row.deployment_id


MOMENTS: dict[str, tuple[Moment, str]] = {
    "in-a-look": (_in_a_look, "it has claimed a step"),
    "not-recorded": (_not_recorded, "it knows the outcome, and nothing is recorded"),
    "not-announced": (_not_announced, "the outcome is recorded, and not announced"),
    "not-closed": (_not_closed, "it is announced, and not closed"),
}


@pytest.mark.chaos
@pytest.mark.parametrize("behaviour", ["works", "crash"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_follower_is_killed(trial: Trial, moment: str, behaviour: str) -> None:
    # GIVEN a rollout under way, all hosts asleep
    before, (holds, words) = Beginning(trial), MOMENTS[moment]
    pushed = push(trial, f"{behaviour}, its follower is killed {moment}", behaviour)
    deployment_id = asleep_with_it_under_way(trial, pushed).deployment_id

    def holds_now() -> bool:
        row = trial.chain.table.deployments.get(deployment_id)
        return row is not None and holds(trial.chain, row)

    # WHEN its follower is killed
    assert kill_when(trial.chain.workplace, "follower", holds_now, LONG), "the moment was missed"
    trial.say(f"kill -9 of λ follower when {words}")
    # THEN
    ends(trial, pushed, behaviour, before)


# --- its events are lost


@pytest.mark.chaos
@pytest.mark.parametrize("behaviour", ["works", "crash"])
def test_its_event_and_its_message_are_lost(trial: Trial, behaviour: str) -> None:
    # GIVEN a rollout under way, all hosts asleep
    chain, names = trial.chain, trial.chain.names
    before = Beginning(trial)
    pushed = push(trial, f"{behaviour}, nobody hears of it", behaviour)
    asleep_with_it_under_way(trial, pushed)
    # WHEN no run of the follower lives until ECS is done, and the follow queue is emptied
    trial.fault("lambda-run", names.function("follower"), seconds=LONG)
    chain.until("ECS's end of it", lambda: has_ended(trial), LONG)
    kept = chain.until("the lost event", lambda: chain.depth(names.failures("follower")), LONG)
    purge(chain, names.follow_queue)
    trial.internal("DELETE", "faults")
    trial.say(f"{kept} event(s) of ECS lost for good, the follow queue emptied")
    row = row_of(trial, pushed)
    assert row is not None and row.is_followed, "told in spite of all"
    # THEN the reconciler finds it
    ends(trial, pushed, behaviour, before)
    purge(chain, names.failures("follower"))


def has_ended(trial: Trial) -> bool:
    """ECS is done with its newest rollout."""
    newest: dict[str, Any] = max(trial.service_deployments(), key=lambda d: d["createdAt"])
    return "finishedAt" in newest


def purge(chain: Chain, queue: str) -> None:
    sqs = chain.prod("sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])
