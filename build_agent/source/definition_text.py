"""The text of the task definition that stands in the repository, out of a commit's tree.

A link is followed inside the repository and never out of it, as for a Dockerfile.
"""

from __future__ import annotations

import os
from pathlib import Path

from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.following.definition_file import STAGE

MOST_BYTES = 256 * 1024
"""Four times what ECS takes as a definition."""
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"


def definition_text(tree: Path, name: str) -> str:
    """The file `name` of the commit in `tree`; DeploymentFailed where it is no text of it."""
    root = tree.resolve()
    # Unlike pathlib, os.path raises nothing for links in a circle and names too long.
    file = Path(os.path.realpath(tree / name))
    if not file.is_relative_to(root):
        raise _wrong(f"{name!r} leads out of the repository")
    if not os.path.isfile(file):  # noqa: PTH113
        raise _wrong(f"the repository has no task definition {name!r} (service.taskDefinition)")
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise WorldFailed(f"cannot read {name!r}: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise _wrong(f"{name!r} is larger than {MOST_BYTES // 1024} KiB: no task definition is")
    if content.startswith(_POINTER):
        raise _wrong(f"{name!r} is a file of Git LFS, of which only the pointer is fetched")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _wrong(f"{name!r} is not UTF-8") from None


def _wrong(cause: str) -> DeploymentFailed:
    return DeploymentFailed(cause, stage=STAGE)
