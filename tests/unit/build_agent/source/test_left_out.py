"""What a laid out commit lacks is told: submodules and files of Git LFS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from build_agent.source.left_out import left_out
from tests.unit.build_agent.source.test_mirror import STOP, Remote

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def told(remote: Remote, contexts: Iterable[str] = (".",)) -> str | None:
    tip = remote.fetch()
    with remote.source.tree(remote.pipeline, tip, stop=STOP) as tree:
        return left_out(tree, contexts)


def add_submodule(remote: Remote, path: str) -> None:
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{'d' * 40},{path}")
    remote.git("commit", "-q", "-m", "submodule")


def test_a_whole_tree_lacks_nothing(remote: Remote) -> None:
    # GIVEN a pointer's words in a repository without LFS, and links that lead out
    remote.commit("docs/lfs.txt", POINTER)
    (remote.path / ".gitattributes").symlink_to("/etc/passwd")
    (remote.path / "a").symlink_to("/")
    remote.commit("x")
    assert told(remote) is None


def test_submodules_are_named(remote: Remote) -> None:
    remote.commit("app/Dockerfile")
    add_submodule(remote, "app/libs/parser")
    assert told(remote) == "submodules are empty folders in the build: app/libs/parser"


def test_pointers_are_named_and_counted(remote: Remote) -> None:
    # GIVEN what a host without git-lfs lays out
    remote.commit("app/.gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n")
    for number in range(5):
        remote.commit(f"app/{number}.png", POINTER)
    remote.commit("app/whole.png", "\x89PNG" + "x" * 150)
    assert told(remote) == (
        "files of Git LFS are built as their pointers: app/0.png, app/1.png, app/2.png and 2 more"
    )


def test_only_what_is_in_a_context_is_told(remote: Remote) -> None:
    remote.commit(".gitattributes", "*.png filter=lfs\n")
    remote.commit("docs/x.png", POINTER)
    remote.commit("app/Dockerfile")
    add_submodule(remote, "application/theme")
    assert told(remote, ["app", "other"]) is None
    assert told(remote, ["app", "docs/"]) == (
        "files of Git LFS are built as their pointers: docs/x.png"
    )
    assert told(remote, ["./docs", "application"]) == (
        "submodules are empty folders in the build: application/theme; "
        "files of Git LFS are built as their pointers: docs/x.png"
    )


def test_a_name_of_any_bytes_is_one_readable_line(remote: Remote) -> None:
    remote.commit(".gitattributes", "* filter=lfs\n")
    remote.commit("a\nb\udcff\u202e", POINTER)
    assert told(remote) == "files of Git LFS are built as their pointers: a b"
