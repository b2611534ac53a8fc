"""When the emulator looks at a task: Docker said something of it, or nobody looked for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from local.emulator.extension.ecs_news import LONGEST, News

Data = dict[str, Any]


def a_task(name: str = "one") -> Data:
    return {"taskArn": f"arn:{name}", "_docker_ids": [f"{name}-container"], "lastStatus": "RUNNING"}


class Quiet:
    """A Docker that says what it is told, and a clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0
        self.looks: list[str] = []
        self.never = threading.Event()
        self.news = News(self._says_nothing, lambda: self.now)
        self.look = self.news.watching(
            lambda task, _client=None: self.looks.append(task["taskArn"])
        )

    def _says_nothing(self) -> Iterator[Data]:
        self.never.wait(1)
        return iter(())


def test_a_task_is_looked_at_once_and_then_rarely():
    # GIVEN
    docker = Quiet()
    # WHEN ministack asks three times within a second
    for _ in range(3):
        docker.look(a_task())
        docker.now += LONGEST / 3 - 0.01
    # THEN
    assert docker.looks == ["arn:one"]
    # WHEN a second has gone by
    docker.now += 0.1
    docker.look(a_task())
    # THEN
    assert docker.looks == ["arn:one", "arn:one"]


def test_what_docker_says_of_one_is_looked_at_at_once_and_of_that_one_only():
    # GIVEN two that were looked at
    docker = Quiet()
    docker.look(a_task("one"))
    docker.look(a_task("two"))
    # WHEN
    docker.news.say("two-container")
    for _ in range(2):
        docker.look(a_task("one"))
        docker.look(a_task("two"))
    # THEN
    assert docker.looks == ["arn:one", "arn:two", "arn:two"]


def test_events_that_break_off_are_asked_for_again(monkeypatch):
    # GIVEN a Docker that goes away after its first event, and comes back
    monkeypatch.setattr("local.emulator.extension.ecs_news.TRY_AGAIN", 0.0)
    looked, told = threading.Event(), threading.Event()
    answers: list[Any] = [ConnectionError("gone"), [{"id": "one-container"}]]

    def listen() -> Any:
        assert looked.wait(10)
        if not answers:
            told.set()
            threading.Event().wait()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    news = News(listen, lambda: 100.0)
    assert news.is_due(a_task())
    # WHEN
    looked.set()
    assert told.wait(10)
    # THEN
    assert news.is_due(a_task())
    assert not news.is_due(a_task())
