"""What docker said, as BuildKit prints it, and whose fault it is."""

from __future__ import annotations

import pytest

from build_agent.build_failure import build_failure, build_timeout, push_failure
from contracts.errors import DeploymentFailed, WorldFailed

RUN = (
    "#6 [3/3] RUN make test",
    "#6 0.412 boom",
    "#6 ERROR: executor failed running [/bin/sh -c make test]: exit code: 2",
    "------",
    " > [3/3] RUN make test:",
    "#6 0.412 boom",
    "------",
    "executor failed running [/bin/sh -c make test]: exit code: 2",
)
COPY = (
    "#4 [1/1] COPY nothere /bin/sh",
    '#4 ERROR: "/nothere" not found: not found',
    "------",
    " > [1/1] COPY nothere /bin/sh:",
    "------",
    'failed to compute cache key: "/nothere" not found: not found',
)
PARSE = (
    "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
    "dockerfile parse error line 1: unknown instruction: FRM",
)


def network_in(step: str) -> tuple[str, ...]:
    error = 'failed to do request: Head "https://r/v2/x": dial tcp: lookup r: no such host'
    return (f"#3 {step}", f"#3 ERROR: {error}", "------", f"failed to solve: {error}")


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (RUN, "Dockerfile step 3/3 RUN make test failed with exit code 2"),
        (COPY, 'Dockerfile step 1/1 COPY nothere /bin/sh failed: "/nothere" not found'),
        (PARSE, "dockerfile parse error line 1: unknown instruction: FRM"),
        ((), "docker build failed (1)"),
        (("#1 ERROR: pull access denied, repository does not exist",), "pull access denied"),
    ],
)
def test_what_the_commit_is_to_blame_for(lines: tuple[str, ...], cause: str) -> None:
    failure = build_failure(lines, 1)
    assert isinstance(failure, DeploymentFailed)
    assert cause in failure.cause
    assert (failure.stage, failure.log_tail) == ("build", lines)


@pytest.mark.parametrize(
    "lines",
    [
        network_in("[internal] load metadata for r/x:latest"),
        ("#3 ERROR: unexpected status code 503 Service Unavailable",),
        ("ERROR: toomanyrequests: You have reached your pull rate limit",),
        ("#5 ERROR: write /var/lib/x: no space left on device",),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",),
    ],
)
def test_what_the_world_is_to_blame_for(lines: tuple[str, ...]) -> None:
    assert isinstance(build_failure(lines, 1), WorldFailed)


def test_a_command_that_cannot_reach_the_network_is_the_commits_fault() -> None:
    lines = (
        "#6 [3/3] RUN curl x",
        "#6 0.4 curl: (7) Failed to connect: Connection refused",
        "#6 ERROR: executor failed running [/bin/sh -c curl x]: exit code: 7",
    )
    assert isinstance(build_failure(lines, 1), DeploymentFailed)


def test_a_push_fails_for_the_worlds_reasons_alone() -> None:
    assert "no basic auth" in str(push_failure(("Preparing", "no basic auth credentials", "")))
    assert "disk is full" in str(push_failure(("write: no space left on device",)))
    assert "no output" in str(push_failure(()))


def test_the_digests_of_steps_are_not_told() -> None:
    noise = "#6 sha256:" + "0" * 64
    error = build_failure((RUN[0], noise, *RUN[1:], "#6 sha256:short"), 1)
    assert isinstance(error, DeploymentFailed)
    assert error.log_tail == (*RUN, "#6 sha256:short")


HUNG = (
    "",
    "#5 [2/3] COPY . .",
    "#5 sha256:" + "a" * 64,
    "#5 DONE 0.1s",
    "",
    "#6 [3/3] RUN make test",
    "#6 sha256:" + "b" * 64,
    "#6 0.449 begun",
)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (HUNG, "the build did not end within 60 s: it was at step 3/3 RUN make test"),
        (HUNG[:4], "the build did not end within 60 s"),
        ((), "the build did not end within 60 s"),
        (
            ("#7 [a 1/2] RUN x", "#8 [b 1/2] RUN y", "#7 [a 1/2] RUN x", "#7 1.0 out"),
            "the build did not end within 60 s: it was at step 1/2 RUN x",
        ),
    ],
)
def test_a_build_that_did_not_end_names_the_step_that_it_was_at(
    lines: tuple[str, ...], cause: str
) -> None:
    failure = build_timeout(lines, 60)
    assert (failure.cause, failure.stage) == (cause, "build")


def test_a_notices_log_has_no_digests_and_begins_with_words() -> None:
    told = build_timeout(HUNG, 60).log_tail
    assert told == ("#5 [2/3] COPY . .", "#5 DONE 0.1s", "", "#6 [3/3] RUN make test", HUNG[-1])
