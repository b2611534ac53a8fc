from __future__ import annotations

import pytest

from tests.unit.lambdas.world import World


@pytest.fixture
def world() -> World:
    """One pipeline, one stopped host."""
    return World()
