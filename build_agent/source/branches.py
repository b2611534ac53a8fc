"""Names of branches, as git allows them. Pure."""

from __future__ import annotations

import re

from slipway.contracts.errors import WrongUse

_BAD_REF = re.compile(
    r"[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|^[./-]|/\.|[./]$"
)


def check_branch(branch: str) -> str:
    """The full reference of `branch`; WrongUse for a name that git does not allow."""
    if not branch or _BAD_REF.search(branch) or branch == "@":
        raise WrongUse(f"branch {branch!r} is not a name that git allows for a branch")
    return f"refs/heads/{branch}"
