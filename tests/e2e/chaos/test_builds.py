"""A build that never ends, and one that prints 100 MB: the commit's own failure, or none at all."""

from __future__ import annotations

from typing import Any

import pytest

from bench.measure import peak_mb
from local.push import Pushed
from local.sample_repository import SAMPLE
from tests.e2e.chaos.trial import PIPELINE, Trial
from tests.e2e.processes import running

BUILD_TIMEOUT = 8
ENDLESS = "echo begun\nwhile true; do :; done\n"
LOUD = "/bin/busybox yes a-line-that-never-tires | /bin/busybox head -c 100000000\n"
MB = 1 << 20


def push_check(trial: Trial, script: str | None, message: str) -> Pushed:
    """Push a commit whose build runs `script`; None: the usual one."""
    repository, branch = trial.chain.repository(PIPELINE), trial.chain.pipeline(PIPELINE).branch
    repository.pull(branch)
    usual = (SAMPLE / "check.sh").read_text(encoding="utf-8")
    (repository.directory / "check.sh").write_text(script or usual, encoding="utf-8")
    return trial.push_commit(repository.change(message), message)


def builds_end_soon(settings: dict[str, Any]) -> None:
    for pipeline in settings["pipelines"]:
        pipeline["build_timeout"] = BUILD_TIMEOUT


def steps() -> list[int]:
    """The processes that run the step of the sample's Dockerfile."""
    return running("/bin/busybox", "sh", "/app/check.sh")


@pytest.mark.chaos
def test_a_build_that_never_ends(trial: Trial) -> None:
    with trial.installed(builds_end_soon):
        # GIVEN a commit whose build never ends
        endless = push_check(trial, ENDLESS, "a build without an end")
        trial.until_stage(endless, "build")
        agent = trial.chain.until("an agent", lambda: trial.chain.state.hosts[0].agent_pid)

        # WHEN its time is over
        row = trial.chain.until_ended(endless)

        # THEN it has failed for that, nothing of it goes on, and the same agent deploys the next
        assert row.result is not None
        told = f"the build did not end within {BUILD_TIMEOUT} s: it was at step 3/3 RUN"
        assert (row.result.cause or "").startswith(told)
        assert (row.status, row.result.stage) == ("failed", "build")
        trial.chain.until("the end of the step", lambda: not steps())
        trial.say(f"{row.result.cause}; no process of it is left")
        good = push_check(trial, None, "a build as any other")
        trial.chain.until_ended(good)
        assert trial.chain.state.hosts[0].agent_pid == agent
        trial.ends_well(good)


@pytest.mark.chaos
def test_a_build_that_prints_100_megabytes(trial: Trial) -> None:
    # GIVEN, WHEN a commit's build prints 100 MB
    loud = push_check(trial, LOUD, "a build that never stops talking")
    trial.until_stage(loud, "build")
    agent = trial.chain.until("an agent", lambda: trial.chain.state.hosts[0].agent_pid)
    trial.chain.until_ended(loud)

    # THEN it runs, its log is short, and the agent held little of it
    held = peak_mb(agent)
    group = trial.chain.names.build_log_group
    row = trial.chain.deployment_of(loud.commit_id, PIPELINE)
    assert row is not None
    events = trial.chain.prod("logs").get_log_events(
        logGroupName=group, logStreamName=row.deployment_id
    )["events"]
    logged = sum(len(event["message"]) for event in events)
    trial.say(f"the agent held {held:.0f} MB at most, the log {logged / MB:.2f} MB")
    assert held < 200
    assert 0 < logged < 4 * MB
    trial.ends_well(push_check(trial, None, "a build as any other"))
