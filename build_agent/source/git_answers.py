"""What git said, taken for what it means. Pure."""

from __future__ import annotations

import re

from build_agent.host.process import Finished
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Commit

SUBJECT_LIMIT = 300
DAMAGED = re.compile(
    r"not a git repository|bad object|corrupt|unable to read (tree|sha1|\w+ file)|"
    r"object file .* is empty|inflate: data|missing (blob|tree|commit)|did not send all necessary"
    r"|invalid index-pack|unable to parse object|not a valid object",
    re.IGNORECASE,
)
_NO_BRANCH = re.compile(r"couldn't find remote ref|remote branch .* not found", re.IGNORECASE)
_NO_REPOSITORY = re.compile(
    r"repository '.*' not found|does not appear to be a git repository|RepositoryDoesNotExist",
    re.IGNORECASE,
)
BAD_OBJECTS = re.compile(r"fsck error|error in object|fatal: fsck", re.IGNORECASE)
DISK_FULL = re.compile(r"(no space left on device|disk quota exceeded)\W*$", re.I | re.M)
OF_A_FILE = re.compile(r"(unable to|cannot) (create|write|unlink|stat)|invalid path")
"""A line that names a file of the commit, which may be called anything."""


class Damaged(WorldFailed):
    """The mirror cannot be used as it is; nor a new one, where the remote itself is damaged."""


def parse_log(output: str) -> list[Commit]:
    """Commits of `git log -z` in the form of `_log`; a record that is not one is left out."""
    parts = output.split("\0")
    commits = []
    for at in range(0, len(parts) - 3, 4):
        commit_id, author, seconds, subject = parts[at : at + 4]
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit_id):
            continue
        when = float(seconds) if seconds.isdigit() else 0.0
        commits.append(
            Commit(
                id=commit_id,
                author=author[:SUBJECT_LIMIT],
                subject=subject.strip()[:SUBJECT_LIMIT],
                committed_at=when or None,  # git tells of a date that it cannot read as 0
            )
        )
    return commits


def fetch_failure(pipeline: PipelineSettings, ended: Finished) -> Exception:
    """What a failed fetch means, from what git said."""
    text = "\n".join(ended.tail)
    if DISK_FULL.search(text):
        return WorldFailed(f"the disk is full: {last_line(ended)}")
    if _NO_BRANCH.search(text):
        cause = f"branch {pipeline.branch} does not exist in repository {pipeline.repository}"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if _NO_REPOSITORY.search(text):
        cause = f"repository {pipeline.repository} does not exist"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if BAD_OBJECTS.search(text):
        cause = f"repository {pipeline.repository} holds an object that git refuses"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if DAMAGED.search(text):
        return Damaged(f"the fetch from {pipeline.repository} failed: {last_line(ended)}")
    return WorldFailed(f"the fetch from {pipeline.repository} failed: {last_line(ended)}")


def last_line(ended: Finished) -> str:
    """What git says in the end: its last complaint, or its last line, or its exit code."""
    lines = [line.strip() for line in ended.tail if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or [f"exit code {ended.returncode}"])[-1][:300]
