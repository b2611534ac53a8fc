"""How soon an outcome is noticed, and whether it is told right, where a service takes time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.deploy_step import CLI, FABFUEL, SLIPWAY, Commands
from bench.ecs_service import scripted_service
from bench.measure import plain_environment, run_once
from bench.report import Bound, Section
from tests.scripted_ecs import (
    Behaviour,
    ScriptedEcs,
    becomes_healthy,
    breaker_fails,
    breaker_rolls_back,
)


@dataclass(frozen=True)
class Case:
    """`ends`: seconds after the update when ECS is done; `good`: whether 0 is the right code."""

    name: str
    behaviour: Behaviour
    ends: float
    good: bool


CASES = (
    Case("steady after 8 s", becomes_healthy(8.0), 8.0, good=True),
    Case(
        "rolled back by the breaker, done after 16 s",
        breaker_rolls_back(having_run=True),
        16.0,
        good=False,
    ),
    Case("failed after 8 s, not rolled back", breaker_fails, 8.0, good=False),
)


def section(peers: Path) -> Section:
    """When each tool notices that a service is steady or has failed, and what it says."""
    made = Section(
        title="Time to notice",
        about=(
            "From UpdateService to the command's end, against a scripted service; `late` is the"
            " seconds after ECS itself was done. `says` is the exit code's meaning. Slipway's"
            " command ends only when the previous revision runs again, hence later than ECS fails."
        ),
        columns=("service", "tool", "ended after s", "late s", "says", "right"),
    )
    late: dict[tuple[str, str], float] = {}
    for case in CASES:
        for tool, command in Commands(peers, every=10.0, timeout=90).table.items():
            if tool not in (SLIPWAY, FABFUEL, CLI) or (tool == CLI and not case.good):
                continue
            ended, code = _run(case, command)
            late[case.name, tool] = ended - case.ends
            says = "success" if code == 0 else f"failure ({code})"
            right = "yes" if (code == 0) == case.good else "**no**"
            made.rows.append((case.name, tool, ended, ended - case.ends, says, right))
    made.bounds = [
        Bound("steady noticed within, s", 1.0, late[CASES[0].name, SLIPWAY]),
        Bound("rollback noticed within, s", 2.0, late[CASES[1].name, SLIPWAY]),
    ]
    return made


def _run(case: Case, command: Sequence[str]) -> tuple[float, int]:
    """Seconds from the update to the command's end, and its exit code."""
    updated: list[float] = []

    def behave(ecs: ScriptedEcs, new: dict[str, Any]) -> None:
        updated.append(time.monotonic())
        case.behaviour(ecs, new)

    with scripted_service(behave, tasks=1) as (_, url):
        code = run_once(command, environment=plain_environment(AWS_ENDPOINT_URL=url)).exit_code
        return time.monotonic() - updated[0], code
