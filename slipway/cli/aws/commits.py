"""Which commit people mean: a whole id, the beginning of one, or a revision of their repository."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from slipway.cli.aws.past import past
from slipway.cli.aws.session import Session
from slipway.cli.user.git import Repository
from slipway.contracts.errors import SlipwayError, WrongUse
from slipway.contracts.messages import COMMIT_ID

PREFIX = re.compile(r"[0-9a-f]{4,63}")
LOOKED_AT = 1000
"""Newest deployments among whose commits one is looked for by the beginning of its id."""


def whole_commit_id(session: Session, pipeline: str, text: str, *, option: str) -> str:
    """The whole id of the commit that `text` means for a pipeline.

    Asked in this order: a whole id is taken as it is; the repository that one stands in, where it
    is the pipeline's (so `HEAD~1` and tags are understood); the commits of past deployments, by
    the beginning of an id. WrongUse where nothing or more than one fits.
    """
    if re.fullmatch(COMMIT_ID, text.lower()):
        return text.lower()
    return _by_git(session, pipeline, text) or _by_history(session, pipeline, text, option=option)


def _by_git(session: Session, pipeline: str, text: str) -> str | None:
    try:
        repository = Repository(Path.cwd())
        if session.installation.pipeline(pipeline).repository in repository.remote_repositories:
            return repository.commit(text)
    except SlipwayError:  # no repository, no git, or no such revision there
        pass
    return None


def _by_history(session: Session, pipeline: str, text: str, *, option: str) -> str:
    beginning = text.lower()
    if not PREFIX.fullmatch(beginning):
        raise WrongUse(
            f"{option} {text!r}: is no commit id or the beginning of one (4 or more hexadecimal"
            f" digits), and no revision of a clone of pipeline {pipeline!r} that you stand in"
        )
    rows = islice(past(session.table, pipeline, most=LOOKED_AT), LOOKED_AT)
    found = {row.commit.id for row in rows if row.commit and row.commit.id.startswith(beginning)}
    if not found:
        raise WrongUse(
            f"{option} {text!r}: none of the last {LOOKED_AT} deployments of pipeline {pipeline!r}"
            " has a commit that begins so; give the whole id"
        )
    if len(found) > 1:
        raise WrongUse(f"{option} {text!r}: means more than one commit: {', '.join(sorted(found))}")
    return found.pop()
