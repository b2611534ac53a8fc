"""What the tests on machines share: the image, and the little cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.machine import image as images
from local.machine import possible
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed
from tests.machine.cloud import Cloud
from tests.skipping import cannot_run


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machines' image, made if need be."""
    workplace = Workplace(tmp_path_factory.mktemp("image"))
    try:
        possible.prepare(workplace)
    except WorldFailed as error:
        cannot_run(str(error))
    return images.provide(workplace, Ledger.begin(workplace))


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud
