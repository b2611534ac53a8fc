"""Three local runs for the tests of this folder, each in a directory and on ports of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.machine.possible import obstacle
from local.plan import Options
from local.workplace import Workplace
from tests.e2e.chain import NO_DOCUMENTS, Chain, local_chain
from tests.e2e.machine import MachineHost
from tests.e2e.without import without_what_is_missing
from tests.skipping import cannot_run


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The whole chain with two pipelines on one host, each with its first commit deployed.

    SLIPWAY_E2E_WITHOUT=ACTION@ROLE takes that action out of that role first: then the tests fail.
    """
    # Whoever ends the tests early ends the run with them, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory: Path = tmp_path_factory.mktemp("run")
    with (
        local_chain(directory, Options(pipelines=2, internal_endpoints=True)) as chain,
        without_what_is_missing(chain.state),
    ):
        yield chain


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A run whose service may take its time, with its first commit deployed. Documents do not
    concern its pipeline.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(start_period=60, internal_endpoints=True, paths=NO_DOCUMENTS)
    with local_chain(tmp_path_factory.mktemp("slow"), options) as chain:
        yield chain


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineHost]:
    """Up, with its first commit deployed. Skipped, or failed, where none can run."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = tmp_path_factory.mktemp("machine")
    why_not = obstacle(Workplace(directory))
    if why_not is not None:
        cannot_run(f"no machine can run here: {why_not}")
    with local_chain(directory, Options(machine=True, internal_endpoints=True)) as chain:
        yield MachineHost(chain)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at the whole session comes last."""
    last = Path(__file__).parent / "test_permissions.py"
    items.sort(key=lambda item: item.path == last)
