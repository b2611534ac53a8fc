"""What a laid out commit lacks is found: submodules and files of Git LFS."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_agent.contexts import contexts_of
from build_agent.source.left_out import LeftOut, left_out, pointers_told
from slipway.contracts.installation import ImageSettings
from tests.unit.build_agent.source.test_mirror import STOP, Remote

FIRST = "version https://git-lfs.github.com/spec/v1\n"
POINTER = f"{FIRST}oid sha256:{'a' * 64}\nsize 12345\n"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path)
    for folder in ("", "app/", "docs/", "application/"):
        remote.commit(f"{folder}Dockerfile")
    return remote


def found(remote: Remote, *contexts: str) -> LeftOut:
    tip = remote.fetch()
    images = [
        ImageSettings(repository="x", repository_uri="x/x", context=context)
        for context in contexts or (".",)
    ]
    with remote.source.tree(remote.pipeline, tip, stop=STOP) as tree:
        return left_out(tree, contexts_of(tree, images))


def add_submodule(remote: Remote, path: str) -> None:
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{'d' * 40},{path}")
    remote.git("commit", "-q", "-m", "submodule")


def test_a_whole_tree_lacks_nothing(remote: Remote) -> None:
    # GIVEN words of LFS that are no pointer, and links that lead out
    remote.commit("docs/lfs.txt", f"# {POINTER}")
    remote.commit("docs/long.txt", POINTER + "x" * 1024)
    remote.commit("docs/old.txt", POINTER.replace("git-lfs", "hawser"))
    remote.commit("docs/first.txt", FIRST)
    (remote.path / ".gitattributes").symlink_to("/etc/passwd")
    (remote.path / "a").symlink_to("/")
    remote.commit("x")
    assert found(remote) == LeftOut()


def test_submodules_are_found(remote: Remote) -> None:
    add_submodule(remote, "app/libs/parser")
    add_submodule(remote, "theme")
    assert found(remote).folders == {"app/libs/parser", "theme"}
    assert found(remote, "app").folders == {"app/libs/parser"}
    assert found(remote, "application", "docs") == LeftOut()


def test_a_context_that_is_a_submodule_is_found(remote: Remote) -> None:
    # GIVEN a Dockerfile that stands outside of it
    add_submodule(remote, "libs")
    tip = remote.fetch()
    image = ImageSettings(
        repository="x", repository_uri="x/x", context="libs", dockerfile="../Dockerfile"
    )
    with remote.source.tree(remote.pipeline, tip, stop=STOP) as tree:
        assert left_out(tree, contexts_of(tree, [image])).folders == {"libs"}


def test_pointers_are_found_with_attributes_and_without(remote: Remote) -> None:
    remote.commit("app/.gitattributes", "*.png filter=lfs diff=lfs merge=lfs -text\n")
    remote.commit("app/0.png", POINTER)
    remote.commit("docs/x.bin", POINTER)
    remote.commit("app/whole.png", "\x89PNG" + "x" * 150)
    (remote.path / "app/link.png").symlink_to("0.png")
    remote.commit("x")
    assert found(remote).pointers == {"app/0.png", "docs/x.bin"}
    assert found(remote, "app", "docs").pointers == {"app/0.png", "docs/x.bin"}
    assert found(remote, "application") == LeftOut()


def test_what_docker_ignores_is_not_looked_for(remote: Remote) -> None:
    def submodules() -> None:
        for path in ("libs/parser", "theme", "part"):
            add_submodule(remote, f"app/{path}")

    remote.commit("app/a.png", POINTER)
    remote.commit("app/kept.png", POINTER)
    remote.commit("app/.dockerignore", "*.png\n!kept.png\nlibs\ntheme/*\npart/*.md\n")
    submodules()
    assert found(remote, "app") == LeftOut({"app/part"}, {"app/kept.png"})
    # AND an ignore file beside the Dockerfile comes first, as for docker
    remote.commit("app/Dockerfile.dockerignore", "part\n")
    submodules()
    assert found(remote, "app") == LeftOut(
        {"app/libs/parser", "app/theme"}, {"app/a.png", "app/kept.png"}
    )


def test_of_many_pointers_the_first_are_named_in_one_readable_line() -> None:
    told = pointers_told(["a\nb\udcff\u202e", "c", "d", "e", "f"])
    assert told.startswith("files of Git LFS are pointers in the build context: a b, c, d and 2 m")
