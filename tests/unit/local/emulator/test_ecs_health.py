"""When a container counts as healthy, before Docker's own check has come round."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from docker.errors import NotFound

from local.emulator.extension.ecs_health import (
    NO_HEALTH_CHECK,
    Check,
    Probe,
    TaskHealth,
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
        (["app", "--check"], []),  # ECS refuses it, Docker does not run it
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

    def __init__(self, *answers: bool | None, ends_after: int = 100, takes: float = 0.0) -> None:
        self.now = 0.0
        self.checks = 0
        self._answers = answers
        self._ends_after = ends_after
        self._takes = takes

    def word(self, check: Check) -> str | None:
        return first_word(
            check, interval=0.5, is_up=lambda: self.checks < self._ends_after, passes=self._passes,
            clock=lambda: self.now, sleep=self._sleep,
        )  # fmt: skip

    def _passes(self) -> bool | None:
        self.checks += 1
        self.now += self._takes
        return self._answers[min(self.checks, len(self._answers)) - 1]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


CHECK = Check(("CMD", "true"), retries=3)


def test_a_new_container_is_healthy_with_the_first_check_that_passes_and_not_asked_again():
    container = Container(False, False, True)
    assert container.word(CHECK) == "HEALTHY"
    assert (container.checks, container.now) == (3, 1.5)


def test_a_new_container_fails_once_a_second_at_most():
    container = Container(False)
    assert container.word(CHECK) == "UNHEALTHY"
    assert container.now == 2.5


def test_a_failure_in_the_start_period_is_none():
    # GIVEN two seconds in which none counts / WHEN / THEN it fails at 2, 3 and 4 s
    container = Container(False)
    assert container.word(Check(("CMD", "true"), retries=3, start_period=2.0)) == "UNHEALTHY"
    assert container.now == 4.0


def test_a_check_counts_by_when_it_began():
    # GIVEN one that takes longer than the start period lasts / WHEN / THEN only the second counts
    container = Container(False, takes=5.0)
    assert container.word(Check(("CMD", "true"), retries=1, start_period=3.0)) == "UNHEALTHY"
    assert container.checks == 2


def test_where_docker_says_nothing_nothing_is_counted():
    container = Container(None, None, None, None, None, None, True)
    assert container.word(Check(("CMD", "true"), retries=1)) == "HEALTHY"


def test_of_a_container_that_is_gone_nothing_is_said():
    assert Container(False, ends_after=1).word(CHECK) is None


class Docker:
    """Runs one command after the other; each has its exit code after so many looks."""

    def __init__(self, *runs: tuple[int, int]) -> None:
        self.now = 0.0
        self.begun = 0
        self.error: Exception | None = None
        self._runs = [list(run) for run in runs]

    def probe(self, timeout: float = 1.0) -> Probe:
        check = Check(("CMD", "app"), timeout=timeout)
        return Probe(self, "an id", check, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def exec_create(self, _docker_id: str, command: list[str], **_: object) -> dict[str, str]:
        assert command == ["app"]
        if self.error is not None:
            raise self.error
        self.begun += 1
        return {"Id": str(self.begun - 1)}

    def exec_start(self, run: str, *, detach: bool) -> None:
        assert detach

    def exec_inspect(self, run: str) -> dict[str, object]:
        left = self._runs[int(run)]
        left[0] -= 1
        return {"Running": left[0] > 0, "ExitCode": left[1]}


@pytest.mark.parametrize(("code", "passes"), [(0, True), (1, False)])
def test_a_command_passes_by_its_exit_code(code, passes):
    assert Docker((3, code)).probe().passes() is passes


def test_a_command_that_hangs_has_failed_and_no_second_one_runs_beside_it():
    # GIVEN a command that ends well, but too late
    docker = Docker((45, 0), (1, 0))
    probe = docker.probe(timeout=1.0)
    # WHEN / THEN
    assert [probe.passes(), probe.passes(), docker.begun] == [False, False, 1]
    assert probe.passes() is True
    assert docker.begun == 2


@pytest.mark.parametrize(
    ("error", "answer"), [(NotFound("no such container"), False), (TimeoutError(), None)]
)
def test_a_command_that_cannot_begin_has_failed_and_a_silent_docker_says_nothing(error, answer):
    docker = Docker()
    docker.error = error
    assert docker.probe().passes() is answer


@pytest.mark.parametrize(("interval", "begins"), [(30.0, True), (0.01, False)])
def test_the_first_checks_of_a_task_are_run_only_where_dockers_come_later(interval, begins):
    # GIVEN a task whose container passes, and Docker's own pause between two checks
    said = threading.Event()
    health = TaskHealth(0.01, lambda _id: said.set())
    task = {"taskArn": "arn", "lastStatus": "RUNNING", "_docker_ids": ["one"]}
    check = {"command": ["CMD", "app"], "interval": interval}
    definition = {"containerDefinitions": [{"healthCheck": check}]}
    # WHEN
    started = health.starting(lambda *_: "started")
    assert started(task, definition, [], SimpleNamespace(api=Docker((1, 0)))) == "started"
    # THEN
    assert said.wait(5.0 if begins else 0.5) is begins
    assert task["_first_word"] == ({0: "HEALTHY"} if begins else {})
