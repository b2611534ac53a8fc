"""What a failed `docker build` or `docker push` means, from what docker itself said.

A step of a Dockerfile can print any words, docker's own too, and its files and variables can have
any name. So it is decided by who speaks, never by a step's output. What docker prints, from
20.10 to 28, ends in this order:

    #6 ERROR: …            the progress: each line of a step's output begins with the step's number
    ------                 if something of the build failed: what it was at,
     > [3/3] RUN make:     and the last lines of its output
    ------
    Dockerfile:7 …         from 23 on: warnings, and the place in the Dockerfile
    ERROR: failed to …     the client's own message, which ends with what was at the root of it

Before 23 the message has no `ERROR: `. Where docker lost its daemon there is no summary, and 20.10
says nothing of it at all. A Dockerfile's own frontend (`# syntax=`) is docker as far as this goes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise

from build_agent.host.process import whole_lines
from slipway.contracts.build_steps import failed_step, unfinished_step
from slipway.contracts.errors import DeploymentFailed, SlipwayError, WorldFailed

REASON_LIMIT = 300
_DASHES = "------"
_FAILED_AT = re.compile(r" > (.+):$")
_MESSAGE = re.compile(r"ERROR: |failed to solve\b")
_VERDICT = re.compile(r"(ERROR: )?(failed to build: )?failed to solve\b")
_PREFIXES = re.compile(
    r"(ERROR: |failed to (build|receive status): |failed to solve(?: with \S+ \S+)?: "
    r"|failed to create LLB definition: )+"
)
_EXIT_CODE = re.compile(r": exit code: (\d+)$")
_KILLED = 137

# What docker itself met. Go's errors end with what is at their root: so do these patterns.
_UNANSWERED = re.compile(r"(rpc error: code = )?Unavailable\b")
_DISK_FULL = re.compile(r"(no space left on device|disk quota exceeded)(: unknown)?$")
_OF_A_FILE = re.compile(r"(^|: )[a-z]+ /")
_FETCHES = re.compile(
    r"\[internal\] load (metadata|git source)|resolve image config|importing cache|docker-image://"
    r"|https?://|git\b|(\[[^\]]+\] )?(FROM|ADD) "
)
_NETWORK = re.compile(
    r"(i/o timeout|TLS handshake timeout|no such host|server misbehaving|broken pipe"
    r"|connection (refused|reset by peer|timed out)|network is unreachable|no route to host"
    r"|exceeded while awaiting headers\)"
    r"|temporary failure in name resolution|context deadline exceeded|\bEOF)$"
    r"|\bstatus\b.* (429|5\d\d)\b|\btoomanyrequests: (?!failed to )",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
"""A name or a command of the commit."""
_PRIVATE_BASE = re.compile(
    r"\.dkr\.ecr\..*(no basic auth credentials|denied|not authorized|authorization failed"
    r"|\b40[13]\b)"
)
_PUSH_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_DIGEST_ALONE = re.compile(r"#\d+ sha256:[0-9a-f]{64}$")
"""BuildKit names each step by its digest, too: nothing that a reader of a notice could use."""


def build_failure(lines: Sequence[str], returncode: int) -> SlipwayError:
    """DeploymentFailed for what the commit is to blame for, WorldFailed for the rest.

    `lines`: the last ones of the output, as the process runner hands them on. A step that docker
    names with its exit code is the commit's, also one that was killed for want of memory: the same
    host would kill it again. The world's is what docker itself met: no daemon, no room, no
    registry; and an end without a word on what failed.
    """
    said = _Said.of(whole_lines(lines))
    world = None if said.exit_code is not None else _of_the_world(said)
    if world is not None:
        return WorldFailed(world)
    cause = _cause(failed_step(lines), said, returncode)
    return DeploymentFailed(cause, stage="build", log_tail=_readable(lines))


def is_of_a_step(lines: Sequence[str]) -> bool:
    """Whether docker names a step that ran and failed by itself, with its exit code."""
    return _Said.of(whole_lines(lines)).exit_code is not None


def build_timeout(lines: Sequence[str], seconds: float) -> DeploymentFailed:
    """A build that did not end: the commit's, and the step that it was at where docker says."""
    cause = f"the build did not end within {seconds:g} s"
    step = unfinished_step(lines)
    if step is not None:
        cause += f": it was at step {step}"
    return DeploymentFailed(cause, stage="build", log_tail=_readable(lines))


def push_failure(lines: Sequence[str]) -> WorldFailed:
    """A push fails for the world's reasons alone: the image is built."""
    text = "\n".join(lines)
    if _PUSH_DISK_FULL.search(text):
        return WorldFailed("the disk is full: no space left for the push")
    last = [line for line in lines if line.strip()]
    return WorldFailed(f"docker push failed: {last[-1][:300] if last else 'no output'}")


@dataclass(frozen=True)
class _Said:
    """The client's own message at the end of its output, and what it names as failed."""

    message: tuple[str, ...]
    failed_at: str | None

    @classmethod
    def of(cls, lines: Sequence[str]) -> _Said:
        begin = _message_begins(lines)
        named = [m[1] for before, line in pairwise(lines[:begin])
                 if before == _DASHES and (m := _FAILED_AT.match(line))]  # fmt: skip
        message = tuple(line for line in lines[begin:] if line.strip())
        return cls(message, named[-1] if named else None)

    @property
    def exit_code(self) -> int | None:
        """The failed step's own exit code."""
        found = [m[1] for line in self.message if (m := _EXIT_CODE.search(line))]
        return int(found[-1]) if found else None

    @property
    def reason(self) -> str:
        """The message without what every message of docker begins with, as one line."""
        return " ".join(_PREFIXES.sub("", " ".join(self.message), count=1).split())

    @property
    def is_verdict(self) -> bool:
        """Whether docker says that it is the build that failed, and not how it lost sight of it."""
        if not self.message:
            return False
        return self.failed_at is not None or _VERDICT.match(self.message[0]) is not None


def _message_begins(lines: Sequence[str]) -> int:
    marked = (i for i, line in enumerate(lines) if _MESSAGE.match(line))
    below = (i + 1 for i in reversed(range(len(lines))) if lines[i] == _DASHES)
    last = (i for i in reversed(range(len(lines))) if lines[i].strip())
    return next(marked, next(below, next(last, len(lines))))


def _of_the_world(said: _Said) -> str | None:
    """What the world is to blame for; None: it is not."""
    reason = said.reason
    told = reason[:REASON_LIMIT] or "no output"
    if not said.is_verdict:
        return f"docker did not say what failed: {told}"
    if len(said.message) > 1:
        return None  # docker's errors have one line: the others are the Dockerfile's
    if _UNANSWERED.match(reason):
        return f"docker does not answer: {told}"
    if _DISK_FULL.search(reason) and (said.failed_at or _OF_A_FILE.search(reason)):
        return "the disk is full: no space left for the build"
    fetched = said.failed_at is not None and _FETCHES.match(said.failed_at)
    if fetched and _NETWORK.search(_QUOTED.sub('""', reason)):
        return f"docker could not reach a registry: {told}"
    return None


def _cause(step: str | None, said: _Said, returncode: int) -> str:
    code = said.exit_code
    if step and code is not None:
        killed = " (killed, as where memory runs out)" if code == _KILLED else ""
        return f"Dockerfile step {step} failed with exit code {code}{killed}"
    if step:
        return f"Dockerfile step {step} failed: {said.reason[:REASON_LIMIT]}"
    return f"docker build failed: {said.reason[:REASON_LIMIT] or returncode}{_hint(said)}"


def _hint(said: _Said) -> str:
    fetched = said.failed_at is not None and _FETCHES.match(said.failed_at)
    if fetched and _PRIVATE_BASE.search(said.reason):
        return " (a private ECR repository after FROM is named in the image's baseRepositories)"
    return ""


def _readable(lines: Sequence[str]) -> tuple[str, ...]:
    """Without BuildKit's digests, and the empty lines before the first that says something."""
    told = [line for line in lines if not _DIGEST_ALONE.match(line.strip())]
    return tuple(dropwhile(lambda line: not line.strip(), told))
