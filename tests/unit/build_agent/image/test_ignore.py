"""What an ignore file leaves out; tests/e2e/test_whole_trees.py holds it against a real docker."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_agent.image.ignore import ignoring


@pytest.mark.parametrize(
    ("text", "path", "ignored"),
    [
        ("", "a", False),
        ("# a\n\n", "a", False),
        ("a", "a", True),
        ("a", "a/b/c", True),
        ("a", "b/a", False),
        ("/a/", "a", True),
        ("**/a", "b/c/a", True),
        ("**/a", "a", True),
        ("*.md", "docs/a.md", False),
        ("docs/**", "docs/x/a.md", True),
        ("docs/**/b.md", "docs/b.md", True),
        ("a\n!a/b", "a/b", False),
        ("a\n!a/b", "a/c", True),
        ("!a\na", "a", True),
        ("a.md", "axmd", False),
        ("[ab].md", "b.md", True),
        ("[^a].md", "a.md", False),
        ("\\*", "x", False),
        ("\\*", "*", True),
        ("[", "[", False),
        ("!", "a", False),
        ("\ufeffa", "a", True),
    ],
)
def test_of_all_patterns_that_name_a_path_the_last_one_counts(
    text: str, path: str, ignored: bool
) -> None:
    assert ignoring(text)(path) is ignored


@settings(deadline=None)
@given(st.text(alphabet="ab*?[]!/\\.^-#\n ", max_size=40), st.sampled_from(["a", "a/b", "b/a/b"]))
def test_whatever_an_ignore_file_says_it_is_read(text: str, path: str) -> None:
    assert ignoring(text)(path) in (True, False)
