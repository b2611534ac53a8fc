"""What a failed `docker build` or `docker push` means, from what docker said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import dropwhile

from contracts.errors import DeploymentFailed, SlipwayError, WorldFailed
from contracts.wording import failed_step, unfinished_step

_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_DAEMON_GONE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|"
    r"error during connect|dial unix|rpc error: code = Unavailable",
    re.IGNORECASE,
)
_NETWORK = re.compile(
    r"i/o timeout|tls handshake timeout|temporary failure in name resolution|"
    r"connection refused|connection reset|no such host|toomanyrequests|too many requests|"
    r"unexpected status( code)?.* 5\d\d|\b50[0234] |context deadline exceeded|unexpected EOF|"
    r"network is unreachable|received unexpected HTTP status: 5",
    re.IGNORECASE,
)
_OWN_COMMAND = re.compile(
    r"executor failed running|did not complete successfully|exit code: \d", re.IGNORECASE
)
_REASON = re.compile(
    r"^#\d+ ERROR: (?P<a>.+)$|^(?:ERROR: )?failed to solve(?: with \S+ \S+)?: (.+)$"
)
_CODE = re.compile(r"exit code: (\d+)")
_DIGEST_ALONE = re.compile(r"#\d+ sha256:[0-9a-f]{64}$")
"""BuildKit names each step by its digest, too: nothing that a reader of a notice could use."""


def build_failure(lines: Sequence[str], returncode: int) -> SlipwayError:
    """DeploymentFailed for what the commit is to blame for, WorldFailed for the rest.

    A command of the Dockerfile that cannot reach the network is the commit's: only what docker
    itself could not reach (the daemon, a base image's registry) is the world's.
    """
    last = [line for line in lines if line.strip()][-25:]
    text = "\n".join(last)
    if _DISK_FULL.search(text):
        return WorldFailed("the disk is full: no space left for the build")
    if _DAEMON_GONE.search(text):
        return WorldFailed("docker does not answer")
    reason = _reason(lines)
    if not _OWN_COMMAND.search(text) and _NETWORK.search(reason or text):
        return WorldFailed(f"docker could not reach a registry: {reason or last[-1]}")
    cause = _cause(lines, reason, returncode)
    return DeploymentFailed(cause, stage="build", log_tail=_readable(lines))


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
    if _DISK_FULL.search(text):
        return WorldFailed("the disk is full: no space left for the push")
    last = [line for line in lines if line.strip()]
    return WorldFailed(f"docker push failed: {last[-1][:300] if last else 'no output'}")


def _readable(lines: Sequence[str]) -> tuple[str, ...]:
    """Without BuildKit's digests, and the empty lines before the first that says something."""
    told = [line for line in lines if not _DIGEST_ALONE.match(line.strip())]
    return tuple(dropwhile(lambda line: not line.strip(), told))


def _cause(lines: Sequence[str], reason: str | None, returncode: int) -> str:
    step = failed_step(lines)
    code = _CODE.search("\n".join(lines[-25:]))
    if step and code:
        return f"Dockerfile step {step} failed with exit code {code[1]}"
    if step:
        return f"Dockerfile step {step} failed" + (f": {reason}" if reason else "")
    return f"docker build failed: {reason}" if reason else f"docker build failed ({returncode})"


def _reason(lines: Sequence[str]) -> str | None:
    found = [m for line in lines if (m := _REASON.match(line.strip()))]
    if not found:
        return None
    return " ".join((found[-1]["a"] or found[-1][2] or "").split())[:300]
