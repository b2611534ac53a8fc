"""The model counts the follower as it is."""

from __future__ import annotations

from infra.function import MEMORY
from lambdas.follower import stepping
from slipway.cost import following


def test_the_follower_is_counted_with_its_memory_and_its_looks() -> None:
    assert MEMORY["follower"] == following.FOLLOWER_MB
    assert stepping.look_pause is following.look_pause
