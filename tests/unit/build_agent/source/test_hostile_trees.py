"""git trees that git's own commands would never make: refused, or laid out inside their folder."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.unit.build_agent.source.test_mirror import STOP, Remote

Entry = tuple[bytes, bytes, str]
"""Mode and name as the tree has them, and what it names: `blob`, `link`, `tree` or `commit`."""

NAMES = [
    *(b"a", b"A", b"a\n", b"-rf", b"--work-tree=/", b"\x01\x1b[31m", b"\xff\xfe", b"C:x", b""),
    *(b".", b"..", b"../x", b"../../x", b"/tmp/x", b"a/b", b"a\\..\\x"),
    *(b".git", b".GIT", b".git ", b"git~1", b".g\xe2\x80\x8cit", b".gitmodules", b".gitattributes"),
    *(b"n" * 255, b"n" * 256, b"n" * 5000),
]
MODES = [b"100644", b"100755", b"120000", b"40000", b"160000", b"104755", b"0100644", b"0", b"x"]
KINDS = ["blob", "link", "tree", "commit"]
ENTRIES = st.tuples(
    st.sampled_from(MODES),
    st.sampled_from(NAMES)
    | st.binary(min_size=1, max_size=6).map(lambda b: b.replace(b"\0", b"_")),
    st.sampled_from(KINDS),
)


class Forge:
    """Writes into a remote whatever bytes a tree is said to be."""

    def __init__(self, remote: Remote, outside: Path) -> None:
        self.remote = remote
        remote.commit()
        self.ids = {
            "blob": self.write("blob", b"#!/bin/sh\ntouch ran\n"),
            "link": self.write("blob", os.fsencode(outside)),
            "commit": remote.git("rev-parse", "HEAD"),
        }
        self.ids["tree"] = self.tree([(b"100644", b"x", "blob")])

    def write(self, kind: str, content: bytes) -> str:
        command = [
            "git",
            "-C",
            str(self.remote.path),
            "hash-object",
            "-t",
            kind,
            "-w",
            "--stdin",
            "--literally",
        ]
        return (
            subprocess.run(command, input=content, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )

    def tree(self, entries: Sequence[Entry]) -> str:
        parts = [
            mode + b" " + name + b"\0" + bytes.fromhex(self.ids[kind])
            for mode, name, kind in entries
        ]
        return self.write("tree", b"".join(parts))

    def push(self, entries: Sequence[Entry]) -> str:
        who = b"Ada <ada@example.com> 1800000000 +0000"
        tree = self.tree(entries).encode()
        commit = self.write("commit", b"tree %s\nauthor %s\ncommitter %s\n\nx\n" % (tree, who, who))
        self.remote.git("update-ref", "refs/heads/main", commit)
        return commit


def snapshot(folder: Path) -> set[Path]:
    return {Path(at, name) for at, folders, files in os.walk(folder) for name in folders + files}


def test_a_commit_that_git_refuses_is_named(tmp_path: Path) -> None:
    # GIVEN a tip whose tree git refuses, pushed after another
    remote = Remote(tmp_path)
    commit = Forge(remote, tmp_path).push([(b"100644", b".git", "blob")])
    # WHEN the branch is fetched, THEN what is told is this commit's
    with pytest.raises(DeploymentFailed, match="holds an object that git refuses") as refused:
        remote.fetch()
    assert refused.value.commit_id == commit


LINK_THEN_FOLDER = [(b"120000", b"a", "link"), (b"40000", b"a", "tree")]


@settings(derandomize=True, max_examples=20)
@example(LINK_THEN_FOLDER)
@example([(b"100644", b"..", "blob")])
@example([(b"40000", b"..", "tree")])
@example([(b"40000", b".GIT", "tree")])
@example([(b"100644", b"n" * 256, "blob")])
@example([(b"40000", b"a", "blob")])
@example([(b"160000", b"sub", "commit")])
@example([(b"100644", b"A", "blob"), (b"100644", b"\xff", "blob"), (b"100644", b"a", "blob")])
@given(entries=st.lists(ENTRIES, min_size=1, max_size=3))
def test_any_tree_is_refused_or_stays_in_its_folder(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as name:
        # GIVEN a commit with that tree, and a folder that its links point to
        folder, outside = Path(name, "all"), Path(name, "outside")
        outside.mkdir()
        folder.mkdir()
        remote = Remote(folder)
        commit = Forge(remote, outside).push(entries)
        # WHEN it is fetched and laid out
        laid: set[Path] = set()
        try:
            remote.fetch()
            (remote.work / "trees").mkdir()
            before = snapshot(folder)
            with remote.source.tree(remote.pipeline, commit, stop=STOP) as tree:
                laid = snapshot(folder) - before
                place = tree.parent
        except (DeploymentFailed, WorldFailed) as refusal:
            assert str(refusal).isprintable()
            return
        # THEN all that is new is in the tree's folder, and that folder is gone
        strangers = {p for p in laid if not p.is_relative_to(tree)} - {place, tree, place / "index"}
        assert not strangers
        assert not list(outside.iterdir())
        assert snapshot(folder) == before
