"""What AWS cannot be asked, or cannot answer, fails the test in which it was."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.aws import answers

answers.watch_clients()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Also where the code under test swallowed it, and for what the test's set-up did."""
    try:
        result = yield
    finally:
        seen = answers.found()
    if seen:
        raise answers.NotAws("; ".join(dict.fromkeys(seen)))
    return result
