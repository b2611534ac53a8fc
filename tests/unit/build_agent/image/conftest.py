"""The bench that images are tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.build_agent.image.bench import Bench


@pytest.fixture
def bench(aws: Any, tmp_path: Path) -> Bench:
    return Bench(aws, tmp_path)
