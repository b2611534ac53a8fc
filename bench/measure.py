"""How a figure is taken: a command or a function, several times, and the median of what it cost."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class Cost:
    """Of one run: wall and CPU (user + system) seconds, peak resident memory in MB, exit code."""

    wall: float
    cpu: float
    peak_mb: float
    exit_code: int = 0


def run_once(
    command: Sequence[str], *, environment: Mapping[str, str], cwd: Path | None = None
) -> Cost:
    """Run `command` to its end and say what it cost; its output is thrown away."""
    with tempfile.TemporaryFile() as answer:
        subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(answer.fileno()), *command],
            env=dict(environment),
            cwd=cwd,
            pass_fds=(answer.fileno(),),
            check=True,
        )
        answer.seek(0)
        wall, cpu, peak_mb, code = answer.read().split()
    return Cost(float(wall), float(cpu), float(peak_mb), int(code))


def call_once(function: Callable[[], object]) -> Cost:
    """The same of a function in this process, whose memory says nothing of it: `peak_mb` is 0."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    function()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, 0.0)


def peak_mb(pid: int | str = "self") -> float:
    """Peak resident memory of a process (proc(5), VmHWM), by default of this one.

    `getrusage` would count the process that forked it. 0 for one that has ended.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    _, found, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) / 1024 if found else 0.0


def median(costs: Sequence[Cost]) -> Cost:
    """Member by member; the exit code is the worst of all."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
        max((cost.exit_code for cost in costs), key=abs),
    )


def in_turns(
    contenders: Mapping[str, Callable[[], Cost]], *, rounds: int, warm_up: int = 1
) -> dict[str, Cost]:
    """Run all contenders round by round, so that a slow moment of the machine hits each alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        for name, contender in contenders.items():
            cost = contender()
            if turn >= warm_up:
                costs[name].append(cost)
    return {name: median(measured) for name, measured in costs.items()}


def plain_environment(**more: str) -> dict[str, str]:
    """What a measured command needs of the environment, and no credentials of whoever measures."""
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "222222222222",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **more,
    }
