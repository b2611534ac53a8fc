"""When a container counts as healthy, before Docker's own check has come round."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from local.emulator.extension.ecs_health import (
    NO_HEALTH_CHECK,
    Check,
    first_word,
    health_check,
    health_of,
)

SECOND = 1_000_000_000


def test_a_health_check_reaches_docker_as_the_definition_has_it():
    # GIVEN / WHEN
    check = health_check({"healthCheck": {"command": ["CMD", "true"], "retries": 2}})
    # THEN the rest is as ECS has it
    assert check == {
        "test": ["CMD", "true"],
        "interval": 30 * SECOND,
        "timeout": 5 * SECOND,
        "retries": 2,
        "start_period": 0,
    }


def test_without_a_health_check_the_images_own_is_off():
    assert health_check({}) == NO_HEALTH_CHECK


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (["CMD", "app", "--check"], ["app", "--check"]),
        (["CMD-SHELL", "app || exit 1"], ["/bin/sh", "-c", "app || exit 1"]),
        (["app", "--check"], ["app", "--check"]),
        (["NONE"], []),
    ],
)
def test_the_command_of_a_check_in_each_of_its_forms(test, command):
    check = Check.of({"healthCheck": {"command": test}})
    assert check is not None
    assert check.command == command


@pytest.mark.parametrize(
    ("first", "state", "expected"),
    [
        (None, {"Running": True, "Health": {"Status": "healthy"}}, "HEALTHY"),
        (None, {"Running": True, "Health": {"Status": "unhealthy"}}, "UNHEALTHY"),
        (None, {"Running": True, "Health": {"Status": "starting"}}, "UNKNOWN"),
        ("HEALTHY", {"Running": True, "Health": {"Status": "starting"}}, "HEALTHY"),
        ("UNHEALTHY", {"Running": True, "Health": {"Status": "starting"}}, "UNHEALTHY"),
        # what Docker finds later counts
        ("HEALTHY", {"Running": True, "Health": {"Status": "unhealthy"}}, "UNHEALTHY"),
        # as Docker leaves one whose process ended
        (None, {"Running": False, "Health": {"Status": "unhealthy"}}, "UNKNOWN"),
        ("HEALTHY", {"Running": False, "Health": {"Status": "unhealthy"}}, "UNKNOWN"),
        (None, {"Running": True}, "UNKNOWN"),
    ],
)
def test_a_container_that_ended_is_not_one_that_failed_its_health_check(first, state, expected):
    client = SimpleNamespace(api=SimpleNamespace(inspect_container=lambda _: {"State": state}))
    assert health_of(client, "an id", first) == expected


class Container:
    """One that answers its checks as it is told, under a clock of its own."""

    def __init__(self, *answers: bool, ends_after: int = 100) -> None:
        self.now = 0.0
        self.checks = 0
        self._answers = answers
        self._ends_after = ends_after

    def word(self, check: Check) -> str | None:
        return first_word(
            check, interval=0.5, is_up=lambda: self.checks < self._ends_after, passes=self._passes,
            clock=lambda: self.now, sleep=self._sleep,
        )  # fmt: skip

    def _passes(self) -> bool:
        self.checks += 1
        return self._answers[min(self.checks, len(self._answers)) - 1]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


CHECK = Check(("CMD", "true"), retries=3)


def test_a_new_container_is_healthy_with_the_first_check_that_passes_and_not_asked_again():
    container = Container(False, False, True)
    assert container.word(CHECK) == "HEALTHY"
    assert (container.checks, container.now) == (3, 1.5)


def test_a_new_container_is_unhealthy_after_so_many_failures():
    container = Container(False)
    assert container.word(CHECK) == "UNHEALTHY"
    assert container.checks == 3


def test_a_failure_in_the_start_period_is_none():
    # GIVEN a check every half second, and two seconds in which none counts
    container = Container(False)
    # WHEN / THEN
    assert container.word(Check(("CMD", "true"), retries=3, start_period=2.0)) == "UNHEALTHY"
    assert container.checks == 7


def test_of_a_container_that_is_gone_nothing_is_said():
    assert Container(False, ends_after=1).word(CHECK) is None
