"""Commits that git's checks complain of: those of old histories are built, no others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.contracts.errors import DeploymentFailed
from tests.unit.build_agent.source.test_hostile_trees import Entry, Forge
from tests.unit.build_agent.source.test_mirror import STOP, Remote

WHO = b"Ada <ada@example.com> 1800000000 +0000"
FILE: Entry = (b"100644", b"x", "blob")


def commit(
    *, author: bytes | None = WHO, committer: bytes | None = WHO, more: bytes = b"",
    message: bytes = b"Change\n",
) -> bytes:  # fmt: skip
    """A commit's headers below its tree, and its message."""
    lines = [b"author " + author] if author is not None else []
    lines += [b"committer " + committer] if committer is not None else []
    return b"\n".join([*lines, *([more] if more else []), b"", message])


HARMLESS = {
    "badDate": commit(author=b"Ada <a@x> yesterday +0000"),
    "badDate of the committer": commit(committer=b"Ada <a@x> 12x +0000"),
    "badDate without a time zone": commit(author=b"Ada <a@x> 12"),
    "badDateOverflow": commit(author=b"Ada <a@x> 99999999999999999999 +0000"),
    "badEmail": commit(author=b"Ada <a<x> 12 +0000"),
    "badName": commit(author=b"Ada> <a@x> 12 +0000"),
    "badTimezone": commit(author=b"Ada <a@x> 12 +051800"),
    "missingAuthor": commit(author=None),
    "missingCommitter": commit(committer=None),
    "missingEmail": commit(author=b"Ada 12 +0000"),
    "missingNameBeforeEmail": commit(author=b"<a@x> 12 +0000"),
    "missingSpaceBeforeDate": commit(author=b"Ada <a@x>12 +0000"),
    "missingSpaceBeforeDate and no date": commit(committer=b"Ada <a@x>"),
    "missingSpaceBeforeEmail": commit(author=b"Ada<a@x> 12 +0000"),
    "multipleAuthors": commit(author=WHO + b"\nauthor " + WHO),
    "nulInCommit": commit(message=b"Change\0d\n"),
    "zeroPaddedDate": commit(author=b"Ada <a@x> 0012 +0000"),
}
"""By git's name for it (git-fsck(1), fsck.<msg-id>)."""

REFUSED: dict[str, bytes | list[Entry]] = {
    "nulInHeader": commit(more=b"note a\0b"),
    "unterminatedHeader": b"author " + WHO + b"\ncommitter " + WHO,
    "hasDotgit": [(b"40000", b".git", "tree")],
    "hasDotdot": [(b"100644", b"..", "blob")],
    "hasDot": [(b"40000", b".", "tree")],
    "fullPathname": [(b"100644", b"a/b", "blob")],
    "treeNotSorted": [(b"100644", b"b", "blob"), (b"100644", b"a", "blob")],
    "gitmodulesSymlink": [(b"120000", b".gitmodules", "link")],
}


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(Remote(tmp_path), tmp_path)


def push(forge: Forge, what: bytes | list[Entry], *, then: bool) -> str:
    """Write a commit (or one with that tree), `then` a good one onto it, and move the branch."""
    tree = forge.tree([FILE]).encode()
    if isinstance(what, list):
        written = b"tree " + forge.tree(what).encode() + b"\n" + commit()
    else:
        written = b"tree " + tree + b"\n" + what
    tip = forge.write("commit", written)
    if then:
        tip = forge.write("commit", b"tree %s\nparent %s\n" % (tree, tip.encode()) + commit())
    (forge.remote.path / ".git" / "refs" / "heads" / "main").write_text(f"{tip}\n")
    return tip


def complaint(forge: Forge) -> str:
    """What git itself says of the branch, by its name."""
    told = subprocess.run(
        ["git", "-C", str(forge.remote.path), "fsck", "--strict", "--no-dangling"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stderr


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("old", [True, False], ids=["old", "tip"])
def test_what_is_harmless_is_let_through(forge: Forge, name: str, old: bool) -> None:
    # GIVEN a commit that git complains of, at the tip or for ever in the history
    tip = push(forge, HARMLESS[name], then=old)
    assert f": {name.split(maxsplit=1)[0]}: " in complaint(forge)
    # WHEN it is fetched, THEN it is told and laid out as any other
    fetched = forge.remote.source.fetch(forge.remote.pipeline, None, stop=STOP, sink=print)
    assert (fetched.id, fetched.subject) == (tip, "Change")
    assert list(forge.remote.files(tip)) == ["x"]
    # AND a date that cannot be read is no date
    assert fetched.committed_at in (1_800_000_000.0, None)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("old", [True, False], ids=["old", "tip"])
def test_what_git_refuses_for_safety_stays_refused(forge: Forge, name: str, old: bool) -> None:
    push(forge, REFUSED[name], then=old)
    assert f": {name}: " in complaint(forge)
    with pytest.raises(DeploymentFailed, match="holds an object that git refuses"):
        forge.remote.fetch()
