"""For all tests: AWS's form of what AWS answers, and signals that are heard."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import pytest

from tests.aws import answers

answers.watch_clients()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """What AWS cannot be asked, or cannot answer, fails the test in which it was.

    Also where the code under test swallowed it, and for what the test's set-up did.
    """
    try:
        result = yield
    finally:
        seen = answers.found()
    if seen:
        raise answers.NotAws("; ".join(dict.fromkeys(seen)))
    return result


@pytest.fixture
def heard_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP reach this process and what it starts, whoever runs the tests.

    A background shell ignores the first, `nohup` the last; children inherit that, and Python leaves
    it so.
    """
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
