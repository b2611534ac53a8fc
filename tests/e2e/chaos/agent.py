"""The build agent as these tests run it: the same, but it notes its points and dies at one.

The local supervisor starts this module in place of `build_agent` while the tests run. What the
agent does is left alone: boto3's clients are listened to, nothing else. In the host's directory,
`die-at.json` names the point, `journal.jsonl` collects all that were passed. `hold-at.json` names a
point for each pipeline: whoever works on it goes no further, while the rest of the agent goes on.

A build of CodeBuild is told to run this module by its Python (`builder_trial.PYTHON`). Its own
folder goes with it, so SLIPWAY_CHAOS names one that stays.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from build_agent.__main__ import main
from tests.e2e.chaos.points import Point, point_of

MODULE = __name__ if __name__ != "__main__" else "tests.e2e.chaos.agent"
DIE_AT = "die-at.json"
HOLD_AT = "hold-at.json"
JOURNAL = "journal.jsonl"
DIRECTORY_VARIABLE = "SLIPWAY_CHAOS"
PIPELINE_VARIABLE = "SLIPWAY_PIPELINE"


@dataclass
class Doom:
    """Notes every point; SIGKILL to this process, children and all aside, at the one asked for."""

    directory: Path
    pipeline: str = ""
    """A builder's: all that it does is about this one."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def listen(self, client: Any) -> None:
        """Hear of each call of this client and of its answer."""
        client.meta.events.register("provide-client-params", self._asked)
        client.meta.events.register("after-call", self._answered)

    def _asked(self, params: Any, context: dict[str, Any], **_: Any) -> None:
        context["slipway_asked"] = params

    def _answered(
        self, http_response: Any, parsed: Any, model: Any, context: dict[str, Any], **_: Any
    ) -> None:
        if http_response.status_code >= 300 or "slipway_asked" not in context:
            return
        point = point_of(model.name, context["slipway_asked"], parsed)
        if point is not None:
            held = self._is_held(point)
            with self._lock:
                self._pass(point, held=held)
            while held:
                time.sleep(60)

    def _pass(self, point: Point, *, held: bool) -> None:
        line = {"at": time.time(), "pid": os.getpid(), "point": point.name, "about": point.subject}
        line |= {"pipeline": self._about(point), "held": held}
        with (self.directory / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
        if self._is_the_end(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_held(self, point: Point) -> bool:
        """Whether whoever passes here is to go no further, until the process's end."""
        try:
            told = json.loads((self.directory / HOLD_AT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        return bool(told.get(self._about(point)) == point.name)

    def _about(self, point: Point) -> str:
        return self.pipeline or point.pipeline

    def _is_the_end(self, point: Point) -> bool:
        """Whether to die here; whoever dies takes the order away, so that the next one lives."""
        order = self.directory / DIE_AT
        if not order.exists():
            return False
        told = json.loads(order.read_text(encoding="utf-8"))
        if told["point"] != point.name:
            return False
        if told["passes"] > 1:
            order.write_text(json.dumps({**told, "passes": told["passes"] - 1}), encoding="utf-8")
            return False
        order.unlink()
        return True


def listen_to_all(doom: Doom) -> None:
    """Every client that a boto3 session makes from now on is listened to."""
    make = boto3.Session.client

    def client(session: boto3.Session, *arguments: Any, **options: Any) -> Any:
        made = make(session, *arguments, **options)
        doom.listen(made)
        return made

    boto3.Session.client = client  # type: ignore[method-assign]


if __name__ == "__main__":
    place = Path(os.environ.get(DIRECTORY_VARIABLE) or Path.cwd())
    listen_to_all(Doom(place, os.environ.get(PIPELINE_VARIABLE, "")))
    sys.exit(main())
