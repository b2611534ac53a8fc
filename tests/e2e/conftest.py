"""One local run for all tests of this folder, in a directory and on ports of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from local.down import take_down
from local.progress import Progress
from local.up import Options, bring_up
from local.workplace import Workplace
from tests.e2e.chain import Chain
from tests.e2e.without import Permission, taken_out

CHAIN = "chain"


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The whole chain with two pipelines on one host, each with its first commit deployed.

    SLIPWAY_E2E_WITHOUT=ACTION@ROLE takes that action out of that role first: then the tests fail.
    """
    # Whoever ends the tests early ends the run with them, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory: Path = tmp_path_factory.mktemp("run")
    workplace, progress = Workplace(directory), Progress()
    bring_up(workplace, Options(pipelines=2, internal_endpoints=True), progress)
    chain, missing = Chain(directory), os.environ.get("SLIPWAY_E2E_WITHOUT")
    with taken_out(chain.state, Permission.parse(missing)) if missing else nullcontext():
        yield chain
    take_down(workplace, progress)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The one local run first and at one worker of several, what looks back at it last.

    A folder's or a file's other tests stay together as well: they share what they have started.
    """
    last = Path(__file__).parent / "test_permissions.py"
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: (_group(item) != CHAIN, item.path == last))


def _group(item: pytest.Item) -> str:
    if CHAIN in getattr(item, "fixturenames", ()):
        return CHAIN
    here = Path(__file__).parent
    return item.path.name if item.path.parent == here else item.path.parent.name
