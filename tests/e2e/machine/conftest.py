"""One local run, whose build host is a machine, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.down import take_down
from local.machine.possible import obstacle
from local.progress import Progress
from local.up import Options, bring_up
from local.workplace import Workplace
from tests.e2e.chain import Chain
from tests.e2e.machine.host import MachineHost


@pytest.fixture(scope="package")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineHost]:
    """Up, with its first commit deployed. No machine here: skipped; where CI is set, failed."""
    workplace, progress = Workplace(tmp_path_factory.mktemp("machine")), Progress()
    why_not = obstacle(workplace)
    if why_not is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"no machine can run here: {why_not}"
        )
    bring_up(workplace, Options(machine=True, internal_endpoints=True), progress)
    yield MachineHost(Chain(workplace.directory))
    take_down(workplace, progress)
