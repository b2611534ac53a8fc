"""A pattern matches the paths that git says, however strange both are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.following.pathspecs import Pathspecs, git_arguments

NAMES = ["a", "b", "ab", "a.md", "é", "x-y", "[a]", "*", "b c", ".c", "[ab]", "**", "a]", "-", "?"]
PIECES = ["a", "b", "ab", "*", "**", "?", "[ab]", "[!a]", "*.md", "a*", "**a", "a**", "*b*", "é",
          "[[:alpha:]]", "[a-c]", "[", "??", "x-y", "[]a]", "[^b", "[a-]", "[[:foo:]]", "***",
          "[-a]", "[a-c-e]", "[[:", "[:a]", "-"]  # fmt: skip
PATHS = [f"{first}/{second}/{third}" for first in NAMES for second in NAMES for third in NAMES[:5]]
PATHS += [f"top-{name}" for name in NAMES] + [f"shallow/{name}" for name in NAMES]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A repository, an empty tree, and one with all the paths."""
    folder = tmp_path_factory.mktemp("tree")

    def git(*arguments: str, text: str = "") -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], input=text.encode(), check=True,
            capture_output=True,
        )  # fmt: skip
        return done.stdout.decode().strip()

    git("init", "-q")
    blob = git("hash-object", "-w", "--stdin", text="x")
    index = "".join(f"100644 {blob}\t{path}\n" for path in PATHS)
    git("update-index", "--add", "--index-info", text=index)
    return folder, git("mktree"), git("write-tree")


def patterns() -> st.SearchStrategy[list[str]]:
    part = st.lists(st.sampled_from(PIECES), min_size=1, max_size=2).map("".join)
    one = st.lists(part, min_size=1, max_size=4).map("/".join)
    return st.tuples(
        st.lists(one, min_size=1, max_size=2), st.lists(one.map("!{}".format), max_size=1)
    ).map(lambda found: [*found[0], *found[1]])


@pytest.mark.timeout(600)
@settings(max_examples=250, deadline=None)
@given(wanted=patterns())
def test_a_pattern_matches_what_git_says(
    repository: tuple[Path, str, str], wanted: list[str]
) -> None:
    folder, empty, tree = repository
    done = subprocess.run(
        ["git", "-C", str(folder), "diff-tree", "-r", "--name-only", "-z", empty, tree, "--",
         *git_arguments(wanted)], check=True, capture_output=True,
    )  # fmt: skip
    said = done.stdout.decode().split("\0")[:-1]
    paths = Pathspecs(wanted)
    assert sorted(path for path in PATHS if paths.match(path)) == sorted(said)


@pytest.mark.parametrize(
    ("path", "pathspec"),
    [
        ("services/web/**", ":(top,glob)services/web/**"),
        ("!**/*.md", ":(top,exclude,glob)**/*.md"),
        ("*.py", ":(top)*.py"),
        ("!docs", ":(top,exclude)docs"),
        ("-x", ":(top)-x"),
    ],
)
def test_the_magic_is_said(path: str, pathspec: str) -> None:
    assert git_arguments([path]) == [pathspec]


@pytest.mark.parametrize(
    ("wanted", "path", "matches"),
    [
        (["services/web"], "services/web/a/b.py", True),
        (["services/web"], "services/website/a.py", False),
        (["services/web/**", "!**/*.md"], "services/web/README.md", False),
        (["services/web/**", "!**/*.md"], "services/web/app.py", True),
        (["**", "!docs/**"], "docs/a", False),
        (["*.py"], "a/b/c.py", True),
        (["services/*/**/x"], "services/a/b/c/x", True),
        (["services/*/x", "!**/y"], "services/a/b/x", True),
        (["services/**/x"], "services/x", True),
        (["pages/[id]/**"], "pages/[id]/page.tsx", True),
    ],
)
def test_as_the_configuration_page_says(wanted: list[str], path: str, matches: bool) -> None:
    assert Pathspecs(wanted).match(path) is matches


def test_no_pattern_takes_long() -> None:
    assert not Pathspecs(["**/" * 60 + "x", "*a" * 90 + "b"]).match("a/" * 500 + "a" * 900)
