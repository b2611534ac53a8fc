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

SLOW, SOON = 20, 10
"""Seconds until a new container is healthy; until it crashes, three times in turn. The host sleeps
after a few."""
LONG = 300.0
TOLD_SECONDS = 5.0
"""From ECS's event to the notice, where nobody was killed and nothing was lost."""
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


@dataclass(frozen=True)
class Release:
    """What becomes of a release whose containers behave so.

    `told`: its deployment's outcome. `ecs`: how ECS's own rollouts end, oldest first; for each of
    them the service was updated once. `breaker`: ECS takes a failed rollout back itself.
    """

    behaviour: str
    told: str
    ecs: tuple[str, ...]
    breaker: bool = True


WORKS = Release("works", "succeeded", ("SUCCESSFUL",))
TAKEN_BACK = Release("crash", "rolled_back", ("ROLLBACK_SUCCESSFUL",))
LEFT = Release("crash", "rolled_back", ("STOPPED", "SUCCESSFUL"), breaker=False)
RELEASES = {"works": WORKS, "crash, ECS takes it back": TAKEN_BACK, "crash, we take it back": LEFT}
each_release = pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)


@dataclass
class Beginning:
    """How it was before a push: what ran, and who had asked ECS for updates how often.

    The service's breaker is as the release wants it.
    """

    trial: Trial
    release: Release

    def __post_init__(self) -> None:
        set_breaker(self.trial, takes_back=self.release.breaker)
        self.runs = self.trial.chain.serves()
        self._updates = self._asked()
        self._began = {d["serviceDeploymentArn"] for d in self.trial.service_deployments()}

    def updates(self) -> dict[str, int]:
        """UpdateService calls since then, by role."""
        now = self._asked()
        return {role: n - self._updates.get(role, 0) for role, n in now.items()}

    def rollouts(self) -> tuple[str, ...]:
        """How ECS's rollouts since then ended, oldest first, whoever began them and of whatever."""
        found = sorted(self.trial.service_deployments(), key=lambda d: d["createdAt"])
        return tuple(d["status"] for d in found if d["serviceDeploymentArn"] not in self._began)

    def _asked(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for question in self.trial.internal("GET", "asked"):
            if question["action"] == UPDATE and question["allowed"]:
                role = _role(question["principal"])
                found[role] = found.get(role, 0) + question["times"]
        return found


def _role(principal: str) -> str:
    """The role of an assumed role's ARN."""
    return principal.rpartition(":")[2].split("/")[1]


def set_breaker(trial: Trial, *, takes_back: bool) -> None:
    """Whether ECS takes back what fails; to set it begins no rollout."""
    place = trial.chain.pipeline(PIPELINE)
    ecs, named = trial.chain.prod("ecs"), {"cluster": place.cluster, "service": place.service}
    (service,) = ecs.describe_services(cluster=place.cluster, services=[place.service])["services"]
    configuration = service["deploymentConfiguration"]
    configuration["deploymentCircuitBreaker"].update(enable=True, rollback=takes_back)
    ecs.update_service(**named, deploymentConfiguration=configuration)


def push(trial: Trial, message: str, release: Release, after: int | None = None) -> Pushed:
    usual = SLOW if release is WORKS else SOON
    return trial.push(message, release.behaviour, usual if after is None else after)


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


def ends(trial: Trial, pushed: Pushed, before: Beginning, *, within: float | None = None) -> None:
    """Told right and put right, once, by one rollout, with every host asleep all the while.

    `within`: told so many seconds after ECS was done. After a kill a claim may have to end first.
    """
    launched, release = trial.chain.launches(), before.release
    row = trial.chain.until_ended(pushed, LONG)
    assert row.status == release.told, row.result
    late = told_after(trial, row)
    trial.say(f"told {late:.1f} s after ECS was done")
    assert within is None or late <= within
    if release is WORKS:
        trial.ends_well(pushed)
    else:
        trial.ends_taken_back(pushed, before.runs)
    # Nobody is woken for it by the one who looks whether somebody should be, either.
    assert trial.chain.call(trial.chain.names.function("reconciler"), wait=True)
    assert (trial.chain.launches(), trial.chain.host_states()) == (launched, ["stopped"])
    # No update is missing, and none was made twice.
    updates, rollouts = before.updates(), before.rollouts()
    trial.say(f"UpdateService by {updates}, ECS's rollouts: {', '.join(rollouts)}")
    assert rollouts == release.ecs
    assert sum(updates.values()) == len(release.ecs), updates


def told_after(trial: Trial, row: DeploymentRow) -> float:
    """Seconds from the end of ECS's newest rollout to the message on the Slack page.

    Below 0 where the way back is healthy, and told, before ECS calls its rollout done.
    """
    assert row.commit is not None
    commit = row.commit.id[:7]
    message = trial.chain.until(
        "the notice", lambda: trial.chain.notices(commit, since=trial.began), LONG
    )[-1]
    trial.chain.until("ECS's end of it", lambda: has_ended(trial), LONG)
    done = [d["finishedAt"].timestamp() for d in trial.service_deployments() if "finishedAt" in d]
    return message.at - float(max(done))


# --- nothing is gone but the host's work


@pytest.mark.chaos
@each_release
def test_it_is_told_within_five_seconds_of_the_event(trial: Trial, release: Release) -> None:
    # GIVEN a rollout under way, all hosts asleep
    before = Beginning(trial, release)
    pushed = push(trial, f"{release.behaviour}, and all is well", release)
    asleep_with_it_under_way(trial, pushed)
    # WHEN nobody is killed and nothing is lost, THEN
    ends(trial, pushed, before, within=TOLD_SECONDS)


# --- the host is gone


@pytest.mark.chaos
@pytest.mark.parametrize("after", [0, 5, 10, 15, SLOW])
@each_release
def test_the_host_dies_right_after_update_service(
    trial: Trial, release: Release, after: int
) -> None:
    # GIVEN an agent that will die once ECS has taken the new revision
    before = Beginning(trial, release)
    trial.die_at("updated")
    # WHEN its commit is rolled out, and the machine dies with the agent
    message = f"{release.behaviour} after {after} s, its host is dead"
    pushed = push(trial, message, release, after)
    trial.chain.until("the agent's death", trial.is_dead, END_SECONDS, poll=0.02)
    trial.sudden_death()
    # THEN
    ends(trial, pushed, before)


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
@each_release
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_follower_is_killed(trial: Trial, moment: str, release: Release) -> None:
    # GIVEN a rollout under way, all hosts asleep
    before, (holds, words) = Beginning(trial, release), MOMENTS[moment]
    message = f"{release.behaviour}, its follower is killed {moment}"
    pushed = push(trial, message, release)
    deployment_id = asleep_with_it_under_way(trial, pushed).deployment_id

    def holds_now() -> bool:
        row = trial.chain.table.deployments.get(deployment_id)
        return row is not None and holds(trial.chain, row)

    # WHEN its follower is killed
    assert kill_when(trial.chain.workplace, ["follower"], holds_now, LONG), "the moment was missed"
    trial.say(f"kill -9 of λ follower when {words}")
    # THEN
    ends(trial, pushed, before)


# --- its events are lost


@pytest.mark.chaos
@each_release
def test_its_event_and_its_message_are_lost(trial: Trial, release: Release) -> None:
    # GIVEN a rollout under way, all hosts asleep
    chain, names = trial.chain, trial.chain.names
    before = Beginning(trial, release)
    pushed = push(trial, f"{release.behaviour}, nobody hears of it", release)
    asleep_with_it_under_way(trial, pushed)
    # WHEN no run of the follower lives until ECS is done, and the follow queue is emptied
    trial.fault("lambda-run", names.function("follower"), seconds=LONG)
    chain.until("ECS's end of it", lambda: has_ended(trial), LONG)
    kept = chain.until("the lost event", lambda: chain.depth(names.failures), LONG)
    purge(chain, names.follow_queue)
    trial.internal("DELETE", "faults")
    trial.say(f"{kept} event(s) of ECS lost for good, the follow queue emptied")
    row = row_of(trial, pushed)
    assert row is not None and row.is_followed, "told in spite of all"
    # THEN the reconciler finds it
    ends(trial, pushed, before)
    purge(chain, names.failures)


def has_ended(trial: Trial) -> bool:
    """ECS is done with its newest rollout."""
    newest: dict[str, Any] = max(trial.service_deployments(), key=lambda d: d["createdAt"])
    return "finishedAt" in newest


def purge(chain: Chain, queue: str) -> None:
    sqs = chain.prod("sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"])
