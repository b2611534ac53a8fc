"""Two hundred pushes during one build: one more build, one outcome for each."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from local.push import Pushed
from tests.e2e.chaos.trial import PIPELINE, Trial
from tests.e2e.processes import running

PUSHES = 200
NAP = ("/bin/busybox", "sleep", "3001")
"""What the first build does until all is pushed."""


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_two_hundred_pushes_during_one_build(trial: Trial) -> None:
    # GIVEN a build that takes long, and two hundred commits after it
    repository, branch = trial.chain.repository(PIPELINE), trial.chain.pipeline(PIPELINE).branch
    repository.pull(branch)
    check = repository.directory / "check.sh"
    usual = check.read_text(encoding="utf-8")
    assert "$bb sleep 6" in usual
    check.write_text(usual.replace("$bb sleep 6", f"{' '.join(NAP)} || true"), encoding="utf-8")
    first = repository.change("a very long build", "slow")
    check.write_text(usual, encoding="utf-8")
    commits = [repository.change(f"push {number} of {PUSHES}") for number in range(1, PUSHES + 1)]

    # WHEN they are pushed one by one while the first one builds
    begun = trial.push_commit(first, "a very long build")
    trial.until_stage(begun, "build")
    (nap,) = trial.chain.until("the build's long step", lambda: running(*NAP))
    last: Pushed = begun
    for number, commit in enumerate(commits, 1):
        last = trial.push_commit(commit, f"push {number} of {PUSHES}", quietly=True)
    trial.say(f"pushed {PUSHES} times, the last one {last.commit_id[:7]}")
    row = trial.chain.deployment_of(first, PIPELINE)
    assert row is not None
    assert row.stage == "build", "the build had ended before the last push"
    os.kill(nap, signal.SIGKILL)

    # THEN the first and the last were built, and every request has its outcome
    trial.ends_well(last)
    statuses = Counter(row.status for row in trial.rows())
    assert statuses["succeeded"] == 2, statuses
    assert trial.builds_begun() == 2
    settled = trial.chain.table.requests.settled(trial.asked())
    outcomes = Counter(outcome.outcome for outcome in settled.values())
    trial.say(f"outcomes: {dict(outcomes)}")
    assert len(settled) >= PUSHES + 1
    # A push that comes while a run is under way joins it: it runs the newest tip right after.
    assert outcomes["superseded"] + outcomes["joined"] >= PUSHES - 1
