"""Whether a pipeline's paths differ between two commits, asked of CodeCommit: nobody needs git."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.contracts.installation import PipelineSettings
from slipway.following.pathspecs import Pathspecs

Differences = Callable[[PipelineSettings, str, str, Callable[[str], None]], bool | None]
"""`touched_by` with a client at hand: of a pipeline, two commits, and where to say what went wrong.
"""
PAGES = 50
"""Pages of differences that are read at most. More than that is taken for a change."""
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def touched_by(
    codecommit: Any, pipeline: PipelineSettings, old: str, new: str, say: Callable[[str], None]
) -> bool | None:
    """Whether a file of the pipeline's paths differs; None: CodeCommit does not say.

    `codecommit`: a client in the dev account that may call GetDifferences. It may not know `old`
    any more.
    """
    paths = Pathspecs(pipeline.paths)
    try:
        for path in _changed(codecommit, pipeline.repository, old, new):
            if path is None or _UNREADABLE in path or paths.match(path):
                return True
    except (ClientError, BotoCoreError) as error:
        say(f"CodeCommit does not compare {old} and {new}: {error}")
        return None
    return False


def _changed(codecommit: Any, repository: str, old: str, new: str) -> Iterator[str | None]:
    """The path of every file that differs, as it was and as it is; None: there are too many."""
    asked = {
        "repositoryName": repository,
        "beforeCommitSpecifier": old,
        "afterCommitSpecifier": new,
    }
    for _ in range(PAGES):
        answer = codecommit.get_differences(**asked)
        for difference in answer.get("differences") or ():
            for side in ("beforeBlob", "afterBlob"):
                blob = difference.get(side) or {}
                if blob.get("path"):
                    yield str(blob["path"])
        if not answer.get("NextToken"):
            return
        asked["NextToken"] = answer["NextToken"]
    yield None
