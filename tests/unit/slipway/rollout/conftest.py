"""Each rollout of these tests is made twice: at once, and with every step in another process."""

from __future__ import annotations

import sys

import pytest

from tests.unit.slipway.rollout.stepwise import Stepwise

COUNT_CALLS = {
    "test_a_healthy_deployment_without_tasks_takes_six_calls",
    "test_registering_alone_asks_neither_for_a_service_nor_for_the_image",
    "test_a_dry_run_takes_the_same_path_and_changes_nothing",
    "test_a_network_that_stays_away_after_the_update_says_the_same",
    "test_the_guard_is_asked_again_before_a_change_is_tried_again",
}
"""Of one process: another one reads again what that knows."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rolls_out = {"run", "roll_out"} & set(vars(metafunc.module))
    if rolls_out and metafunc.function.__name__ not in COUNT_CALLS:
        metafunc.parametrize("way", ["at once", "stepwise"], indirect=True)


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How `roll_out` goes through its steps."""
    if getattr(request, "param", "") == "stepwise":
        module = sys.modules["slipway.rollout.roll_out"]
        monkeypatch.setattr(module, "see_through", Stepwise(module.see_through))
