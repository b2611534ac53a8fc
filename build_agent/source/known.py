"""Whether a push needs no fetch: an earlier fetch of its branch brought the very commit. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.contracts.messages import Commit


@dataclass(frozen=True)
class Pushed:
    """A push, as its request names it, and what its pipeline's row tells of the push before.

    `handled_tip`, `handled_at` (seconds since the epoch): the tip that the pipeline was seen at
    last, by any host, and when that attempt began.
    """

    commit_id: str
    handled_tip: str | None = None
    handled_at: float | None = None


@dataclass(frozen=True)
class Fetched:
    """The tip that a branch's last fetch brought, and when it began (seconds since the epoch)."""

    commit: Commit
    began: float


def is_known(pushed: Pushed, last: Fetched | None, follows: Callable[[str, str], bool]) -> bool:
    """Whether `last` is as good as a fetch now.

    `follows`: whether the first commit is in the history of the second. A request may come late,
    when another host has deployed a newer push of the pipeline: the tip that it saw is not in the
    history of this one, or it saw it after the fetch. To go on without a fetch would go back then.
    """
    if last is None or last.commit.id != pushed.commit_id:
        return False
    if pushed.handled_at is not None and pushed.handled_at >= last.began:
        return False
    return pushed.handled_tip is None or follows(pushed.handled_tip, pushed.commit_id)
