"""Gap closed: ministack asks Docker about every running task ten times a second.

With ten services that was most of the work of the machine. Docker says itself when a container ends
or its health changes (https://docs.docker.com/reference/cli/docker/system/events/), so that a task
is looked at then, and once a second for what Docker's events did not bring.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ministack.services import ecs

from local.emulator.extension.private import need, wrap

Data = dict[str, Any]

LONGEST = 1.0
"""Seconds after which a task is looked at although nothing was said of it."""
TRY_AGAIN = 1.0
"""Seconds until a Docker whose events broke off is listened to again."""
SAID = {"type": "container", "event": ["die", "health_status"]}


class News:
    """Which tasks are to be looked at: Docker said something, or nobody looked for a while."""

    def __init__(
        self, listen: Callable[[], Iterable[Data]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`listen`: Docker's events, without end; it is asked again when they break off."""
        self._listen = listen
        self._clock = clock
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._looked: dict[str, float] = {}
        self._listener: threading.Thread | None = None

    def watching(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """Look only where there is something to see."""

        def looked(task: Data, client: Any = None) -> Any:
            return look(task, client) if self.is_due(task) else None

        return looked

    def is_due(self, task: Data) -> bool:
        """Whether to look at `task` now; who is told so looks."""
        self._begin()
        arn, containers = task.get("taskArn", ""), set(task.get("_docker_ids") or [])
        now = self._clock()
        with self._lock:
            if task.get("lastStatus") == "STOPPED":
                self._looked.pop(arn, None)
                self._said -= containers
                return True
            due = self._said & containers or now - self._looked.get(arn, -LONGEST) >= LONGEST
            if due:
                self._looked[arn] = now
                self._said -= containers
        return bool(due)

    def _begin(self) -> None:
        """Listen as long as the emulator runs, from the first task on."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(
                    target=self._follow, name="docker-events", daemon=True
                )
                self._listener.start()

    def _follow(self) -> None:
        while True:
            with suppress(Exception):  # Docker may be away; each task is looked at anyway
                for event in self._listen():
                    self.say(str(event.get("id", "")))
            time.sleep(TRY_AGAIN)

    def say(self, container_id: str) -> None:
        """Something was said of a container: its task is due."""
        with self._lock:
            self._said.add(container_id)


def of_docker() -> News:
    """What Docker says."""
    client = need(ecs, "_get_docker")
    return News(lambda: client().events(filters=SAID, decode=True))


def install(news: News) -> None:
    """Look at tasks when there is something to see: around all other looks."""
    wrap(ecs, "_maybe_mark_stopped", news.watching)
