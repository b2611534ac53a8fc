"""The tests of this folder share the local run of tests/e2e, its agents listened to meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.chain import Chain
from tests.e2e.chaos import agent
from tests.e2e.chaos.trial import Say, Trial
from tests.e2e.chaos.witness import Witness


@contextmanager
def listened_to(chain: Chain) -> Iterator[Witness]:
    """Every request is seen, and agents that start note their points."""
    chain.until_asleep()
    module = chain.workplace.agent_module_file
    module.write_text(agent.MODULE, encoding="utf-8")
    witness = Witness(chain)
    witness.begin()
    yield witness
    witness.end()
    module.unlink()


@pytest.fixture(scope="package")
def witness(chain: Chain) -> Iterator[Witness]:
    """Sees every accepted request; while it is there, agents are started as `chaos.agent`."""
    with listened_to(chain) as witness:
        yield witness


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Say:
    """Prints a line of the case's story, captured or not."""

    def print_line(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {request.node.name}: {text}", end="", flush=True)

    return print_line


@pytest.fixture
def trial(chain: Chain, witness: Witness, say: Callable[[str], None]) -> Trial:
    """A case that begins with a sleeping host and the last commit served."""
    chain.until_asleep()
    return Trial(chain, witness, say)
