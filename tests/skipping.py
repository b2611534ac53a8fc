"""What cannot run here is skipped; where everything must run (`.ci/run`), that is a failure."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

NOTHING_IS_SKIPPED = "SLIPWAY_SKIP_NOTHING"


def cannot_run(why: str) -> NoReturn:
    """End the test that needs what this machine has not."""
    if os.environ.get(NOTHING_IS_SKIPPED):
        pytest.fail(f"{why} ({NOTHING_IS_SKIPPED} is set: nothing may be skipped)")
    pytest.skip(why)
