"""What docker said, as BuildKit prints it, and whose fault it is."""

from __future__ import annotations

import pytest

from build_agent.host.process import CONTINUED
from build_agent.image.build_failure import build_failure, build_timeout, push_failure
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.docker_builds import BUILDS, BY_HAND, recorded

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
RATE_LIMIT = (
    "toomanyrequests: You have reached your unauthenticated pull rate limit. "
    "https://www.docker.com/increase-rate-limit"
)


def summary(step: str, reason: str) -> tuple[str, ...]:
    """As docker 26 ends where `step` fails."""
    return (
        "#3 DONE 0.1s",
        f"#4 {step}",
        f"#4 ERROR: {reason}",
        "------",
        f" > {step}:",
        "------",
        "Dockerfile:1",
        "--------------------",
        "   1 | >>> FROM x",
        "--------------------",
        f"ERROR: failed to solve: {reason}",
    )


@pytest.mark.parametrize(
    ("version", "name", "lines"), recorded(), ids=lambda x: x if isinstance(x, str) else ""
)
def test_what_real_dockers_say_is_taken_for_what_it_is(
    version: str, name: str, lines: tuple[str, ...]
) -> None:
    # GIVEN what docker 20.10, 26 and 28 said of the same builds
    failure = build_failure(lines, 1)
    # THEN who is to blame does not go by the words
    of, cause = (
        (BUILDS[name].of, BUILDS[name].cause) if name in BUILDS else ("world", BY_HAND[name])
    )
    assert isinstance(failure, DeploymentFailed if of == "commit" else WorldFailed), failure
    assert cause in str(failure)


def test_every_build_is_recorded_from_each_docker() -> None:
    said: dict[str, set[str]] = {}
    for version, name, _lines in recorded():
        said.setdefault(version.partition(".")[0], set()).add(name)
    assert set(said) == {"20", "26", "28"}
    assert all(names == BUILDS.keys() | BY_HAND.keys() for names in said.values())


METADATA, FROM = "[internal] load metadata for docker.io/library/node:20", "[1/2] FROM node:20"
FULL = "mkdir /var/lib/docker/tmp/buildkit-mount2667628103: no space left on device"
MOUNT = "mount callback failed on /tmp/m: write /tmp/m/usr/bin/cksum: no space left on device"
STATUS = "unexpected status from HEAD request to https://r/v2/library/node/manifests/20"
POST = 'failed to authorize: failed to fetch oauth token: Post "https://auth/token"'
GET = 'failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://r/x"'
MEMORY = 'process "/bin/sh -c make" did not complete successfully: cannot allocate memory'
DENIED = (
    "toomanyrequests: failed to resolve source metadata for docker.io/library/toomanyrequests:1"
    ": pull access denied, repository does not exist or may require authorization"
)


@pytest.mark.parametrize(
    "lines",
    [
        # Docker 23 to 28, by the last lines of public reports.
        (f"ERROR: failed to build: failed to solve: ResourceExhausted: failed to read: {FULL}",),
        summary("[2/9] WORKDIR /usr/src/app", f"failed to compute cache key: {MOUNT}"),
        summary(METADATA, RATE_LIMIT),
        summary(METADATA, f"{STATUS}: 429 Too Many Requests - Server message: {RATE_LIMIT}"),
        summary(METADATA, f"{POST}: dial tcp 127.0.0.1:443: i/o timeout"),
        summary(FROM, f"{GET}: net/http: TLS handshake timeout"),
        ("ERROR: BuildKit is enabled but the buildx component is missing or broken.",),
        # A client that was cut off.
        ("#6 [3/3] RUN make", "#6 0.3 No space left on device", "#6 0.3 exit code: 1"),
        RUN[:-1],
        (),
    ],
)
def test_what_the_world_is_to_blame_for(lines: tuple[str, ...]) -> None:
    assert isinstance(build_failure(lines, 1), WorldFailed)


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (RUN, "Dockerfile step 3/3 RUN make test failed with exit code 2"),
        (summary(METADATA.replace("node:20", "toomanyrequests"), DENIED), "pull access denied"),
        (summary("[2/3] RUN make", MEMORY), "step 2/3 RUN make (line 1) failed: process"),
        (summary("[2/3] COPY x /y", 'cache key: "/i/o timeout": not found'), "step 2/3 COPY x /y"),
        (summary("[2/3] ADD x /y", 'cache key: "/x: i/o timeout": not found'), "step 2/3 ADD x"),
    ],
)
def test_what_the_commit_is_to_blame_for(lines: tuple[str, ...], cause: str) -> None:
    failure = build_failure(lines, 1)
    assert isinstance(failure, DeploymentFailed)
    assert cause in failure.cause
    assert (failure.stage, failure.log_tail) == ("build", lines)


def test_a_message_that_was_cut_into_pieces_is_read_as_a_whole() -> None:
    cut = ('ERROR: failed to solve: process "/bin/sh -c ' + "y" * 4000, f'{CONTINUED}": exit co')
    assert isinstance(build_failure((*cut, f"{CONTINUED}de: 6"), 1), DeploymentFailed)


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
