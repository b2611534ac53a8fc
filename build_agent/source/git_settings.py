"""The settings that every git of the agent runs with, whatever a repository or the host says."""

from __future__ import annotations

from collections.abc import Sequence

HARDENED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.protectNTFS=true",
    "core.autocrlf=false",
    "core.bare=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "protocol.allow=never",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
)
LENIENT_FSCK = (
    # Who made a commit and when, and what it says: it is told and never acted on. Old gits and
    # importers wrote them all (GitLab lets some of them in for everybody, GitHub on demand).
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingAuthor",
    "missingCommitter",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "nulInCommit",
    "zeroPaddedDate",
    # How a tree is written, not what it lays out.
    "duplicateEntries",
    "zeroPaddedFilemode",
)
"""What git's checks complain of and is harmless (git-fsck(1), fsck.<msg-id>): it is in a history
for ever. All else is refused: what cannot be read, and what could leave its folder or hide in one.
"""


def git_options(protocols: Sequence[str]) -> list[str]:
    """git's options before its verb; only remotes of these `protocols` are spoken to."""
    settings = [*HARDENED, *(f"protocol.{name}.allow=always" for name in protocols)]
    settings += [f"fetch.fsck.{name}=ignore" for name in LENIENT_FSCK]
    return [part for setting in settings for part in ("-c", setting)]
