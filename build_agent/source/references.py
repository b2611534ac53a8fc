"""The references of a mirror: one for each branch, named by a hash. Pure.

So no branch name can stand in another's way.
"""

from __future__ import annotations

import hashlib
import re

from slipway.contracts.errors import WrongUse

ALL_HEADS = "+refs/heads/*:refs/slipway/heads/*"
_BAD_REF = re.compile(
    r"[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|^[./-]|/\.|[./]$"
)


def check_branch(branch: str) -> str:
    """The full reference of `branch`; WrongUse for a name that git does not allow."""
    if not branch or _BAD_REF.search(branch) or branch == "@":
        raise WrongUse(f"branch {branch!r} is not a name that git allows for a branch")
    return f"refs/heads/{branch}"


def tip_of(branch: str) -> str:
    """Where a mirror keeps the branch's tip."""
    return f"refs/slipway/tip-{hashlib.sha256(branch.encode()).hexdigest()[:16]}"


def by_id(commit: str) -> str:
    """Asks for a commit by its id alone, and keeps it."""
    return f"{commit}:refs/slipway/commit-{commit}"
