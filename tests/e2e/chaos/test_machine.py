"""The plug of a build host is pulled, which is a machine here, at each stage of a deployment."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.push import Pushed
from tests.e2e.chaos.trial import PIPELINE, Say, Trial
from tests.e2e.chaos.witness import Witness
from tests.e2e.machine import BOOT_SECONDS, MachineHost

BALLAST = 48 << 20
"""Bytes that no compression makes smaller: a fetch and a push that take their time."""
CARRIED = "COPY ballast /ballast\n"


@pytest.fixture(scope="module")
def witness(machine: MachineHost) -> Iterator[Witness]:
    """Sees every request that the machine's run accepts."""
    witness = Witness(machine.chain)
    witness.begin()
    yield witness
    witness.end()


@pytest.fixture
def trial(machine: MachineHost, witness: Witness, say: Say) -> Trial:
    machine.chain.until_asleep()
    return Trial(machine.chain, witness, say, journal_kept=False)


def push_heavy(trial: Trial, message: str) -> Pushed:
    """Push a commit whose fetch, build and push all take a while."""
    repository = trial.chain.repository(PIPELINE)
    repository.pull(trial.chain.pipeline(PIPELINE).branch)
    (repository.directory / "ballast").write_bytes(os.urandom(BALLAST))
    dockerfile = repository.directory / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    if CARRIED not in text:
        dockerfile.write_text(text.replace("ARG commit", CARRIED + "ARG commit", 1), "utf-8")
    return trial.push_commit(repository.change(message, "slow"), message)


def stage_of(trial: Trial) -> str:
    """Where the case's deployment is; its commit is not known before the fetch has ended."""
    return trial.rows()[0].stage if trial.rows() else ""


@pytest.mark.chaos
@pytest.mark.parametrize("stage", ["fetch", "build", "push", "wait"])
def test_the_plug_is_pulled_at_work(machine: MachineHost, trial: Trial, stage: str) -> None:
    # GIVEN a deployment under way
    pushed = push_heavy(trial, f"the plug is pulled in {stage}")
    trial.chain.until(f"stage {stage}", lambda: stage_of(trial) == stage, BOOT_SECONDS, poll=0.03)

    # WHEN every process of the machine is gone at once
    machine.pull_the_plug()
    assert stage_of(trial) == stage, "too late: it had come further"
    trial.say(f"the plug is pulled in stage {stage}")

    # THEN the machine boots again from its disk, and sees it through
    trial.ends_well(pushed)


@pytest.mark.chaos
def test_the_plug_is_pulled_while_it_boots(machine: MachineHost, trial: Trial) -> None:
    # GIVEN a machine that boots, twice
    pushed = trial.push("the plug is pulled in the boot")
    for time in ("first", "second"):
        trial.chain.until(
            "systemd", lambda: machine.processes("systemd-journald"), BOOT_SECONDS, poll=0.05
        )

        # WHEN the plug is pulled before its agent is there
        machine.pull_the_plug()
        trial.say(f"the plug is pulled while it boots, for the {time} time")

    # THEN
    trial.ends_well(pushed)
