"""What `slipway deploy` prints: progress while it waits, and how it ended."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TextIO

from slipway.rollout import Progress, RolloutPlan, RolloutResult, short

_DOING = {
    "read": "reading",
    "verify": "checking",
    "register": "registering",
    "pre_deploy": "running the task",
    "update": "updating",
    "wait": "waiting",
    "drain": "draining",
    "smoke": "proving",
    "post_deploy": "proving",
    "bake": "baking",
    "rollback": "rolling back",
    "prune": "pruning",
}
_SAFE = (
    "cluster",
    "service",
    "services",
    "taskDefinition",
    "serviceName",
    "familyPrefix",
    "status",
)
"""Members of a request that `-v` shows; all others may hold a secret."""


class Progresses:
    """Prints progress: one line that is written over on a terminal, else a line per change."""

    def __init__(self, stream: TextIO, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._last = ""
        self._open = False

    def __call__(self, progress: Progress) -> None:
        text = line_of(progress)
        if self._quiet or text == self._last:
            return
        self._last = text
        if not self._stream.isatty():
            print(f"{progress.elapsed:6.1f} s  {text}", file=self._stream, flush=True)
            return
        print(f"\r\x1b[K{progress.elapsed:6.1f} s  {text}", end="", file=self._stream, flush=True)
        self._open = True

    def close(self) -> None:
        """Leave the line that is written over."""
        if self._open:
            print(file=self._stream)
            self._open = False


def line_of(progress: Progress) -> str:
    """One line of progress: the step, the revision, our tasks' counts, failures, the stage, and
    what it waits for."""
    parts = [_DOING[progress.step]]
    if progress.note:
        parts = [progress.note]
    if progress.revision:
        parts.append(progress.revision)
    if progress.desired is not None:
        parts.append(
            f"{progress.running} running, {progress.pending} pending of {progress.desired}"
        )
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if progress.stage:
        parts.append(f"stage {progress.stage}")
    if progress.waits:
        parts.append(progress.waits)
    return " · ".join(parts)


def left_by(progress: Progress | None) -> str:
    """What goes on in AWS where the command ends after `progress`; '' if nothing was changed."""
    if progress is None:
        return ""
    revision = short(progress.task_definition)
    return {
        "register": "a new revision may be registered, the service was not changed",
        "pre_deploy": f"{revision} is registered and its task may go on, the service was not"
        " changed",
        "update": f"it is not known whether ECS took {revision}; if it did, it goes on there,"
        " unwatched",
        "wait": f"the deployment of {revision} goes on in ECS, unwatched",
        "drain": f"{revision} runs, and the old tasks go on draining",
        "smoke": f"{revision} runs, and was not proved",
        "post_deploy": f"{revision} runs, and was not proved; its task may go on",
        "bake": f"{revision} runs, and was not proved",
        "rollback": f"going back to {revision} was begun or was about to, and goes on unwatched",
        "prune": f"{revision} runs, old revisions may be left",
    }.get(progress.step, "")


def unwatched(progress: Progress | None, cause: str) -> RolloutResult:
    """The result of a command that was ended after `progress`."""
    after = progress.task_definition if progress and progress.step != "rollback" else None
    return RolloutResult(outcome="unwatched", cause=cause, after=after)


def ecs_deploy_lines(plan: RolloutPlan, result: RolloutResult) -> list[str]:
    """What ecs-deploy prints of the same, for scripts that look for it."""
    if plan.force:
        return ["Force a new deployment of the service"]
    used = plan.image or plan.tag
    return [
        f"{name}: {value}"
        for name, value in (
            ("Using image name", used),
            ("Current task definition", result.before),
            ("New task definition", result.after),
        )
        if value
    ]


def lines_of(result: RolloutResult, *, seconds: float) -> list[str]:
    """The result for people: the changes of a dry run, then the word and the cause."""
    lines = []
    if result.outcome == "planned":
        lines += [f"  {change}" for change in result.changes] or ["  no change"]
    lines += [f"skipped: {why}" for why in result.skipped]
    lines += [f"warning: {what}" for what in result.warnings]
    if result.deregistered:
        lines.append(f"deregistered: {', '.join(map(short, result.deregistered))}")
    lines.append(f"{result.outcome}: {result.cause} ({seconds:.1f} s)")
    return lines


def json_of(result: RolloutResult, *, seconds: float) -> str:
    """The result for programs: its members by name, `done`, and the seconds it took."""
    members: dict[str, Any] = dataclasses.asdict(result)
    return json.dumps({**members, "done": result.done, "seconds": round(seconds, 3)}, indent=1)


def call_line(operation: str, parameters: dict[str, Any]) -> str:
    """A call to AWS for `-v`: its name and what of it cannot be a secret."""
    shown = [f"{key}={parameters[key]}" for key in _SAFE if key in parameters]
    return " ".join([operation, *shown])
