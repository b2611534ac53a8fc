"""How much memory each Lambda is given, and why: `python -m bench.memory`.

Two figures decide. What a run needs: the peak resident memory of the process that the function ran
in, in a local run that deploys a push. What a cold start costs: the processor time of importing the
handler and making its clients (bench/contenders/cold.py). AWS gives a function processor time in
proportion to its memory, one processor at 1,769 MB (Lambda's developer guide, 'Configure function
memory'), so a cold start of c seconds takes c x 1769 / memory of them.

The size is the smallest one that is twice the peak, and in which a cold start takes no longer than
somebody is ready to wait for it. The figures are written to bench/memory.json; a test holds the
stacks to the sizes that follow from them.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.cold_start import function_environment
from bench.measure import peak_mb, run_once
from local.accounts import client_of
from local.configuration import NAMES, PROD_ACCOUNT, REGION
from local.demo import await_sleep
from local.down import take_down
from local.plan import Options
from local.progress import Progress
from local.push import push_release
from local.started import Ledger
from local.up import bring_up
from local.waiting import wait_for
from local.workplace import Workplace

MEASURED = Path(__file__).with_name("memory.json")
SIZES = (128, 256, 512, 1024, 1769)
ONE_PROCESSOR_MB = 1769
ROUNDS = 5
PATIENCE: Mapping[str, float] = {
    # Between a push and its host's start: each second is one more until the push is live.
    "trigger": 1.5,
    "starter": 1.5,
    # Somebody reads a channel.
    "notifier": 2.5,
    # The notice comes within five seconds of ECS's event; a step is still to be taken in them.
    "follower": 2.0,
    # Nobody waits: a host is awake a few seconds longer.
    "stopper": 6.0,
    "reconciler": 6.0,
}
"""How many seconds the processor's part of a cold start may take."""


@dataclass(frozen=True)
class Need:
    """Of one function: peak resident memory of a run in MB, processor seconds of a cold start."""

    peak_mb: float
    cold_cpu: float


def size_for(need: Need, patience: float) -> int:
    """Megabytes; ValueError where even a whole processor takes longer than `patience`."""
    for size in SIZES:
        if size >= 2 * need.peak_mb and cold_seconds(need, size) <= patience:
            return size
    raise ValueError(f"no size gives a cold start within {patience:g} s: {need}")


def cold_seconds(need: Need, size: int) -> float:
    """The processor's part of a cold start in a function of `size` MB, by AWS's proportion."""
    return need.cold_cpu * ONE_PROCESSOR_MB / size


def needs() -> dict[str, Need]:
    """What was measured last."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {name: Need(**need) for name, need in measured.items()}


def sizes() -> dict[str, int]:
    """The size of each function that follows from it."""
    return {name: size_for(need, PATIENCE[name]) for name, need in needs().items()}


def measure() -> dict[str, Need]:
    """Both figures of every function, on this machine."""
    peaks = peaks_of_a_run()
    return {
        name: Need(round(peaks[name], 1), round(_cold_cpu(name), 2)) for name in sorted(PATIENCE)
    }


def peaks_of_a_run() -> dict[str, float]:
    """Peak resident memory in MB of the process of each function, after a push was deployed."""
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder))
        state = bring_up(workplace, Options(), Progress())
        try:
            push_release(workplace, "sample", "to be measured")
            await_sleep(state)
            client_of("lambda", state.endpoint_url, PROD_ACCOUNT, REGION).invoke(
                FunctionName=NAMES.function("reconciler"), Payload=b"{}"
            )
            return wait_for("a process of each function", lambda: _peaks(workplace), seconds=30)
        finally:
            take_down(workplace, Progress())


def _peaks(workplace: Workplace) -> dict[str, float] | None:
    """By function, once each of them has run."""
    ledger = Ledger.load(workplace)
    started = ledger.started.processes if ledger else []
    (emulator,) = [note.pid for note in started if note.name == "emulator"]
    found: dict[str, float] = {}
    for process in psutil.Process(emulator).children(recursive=True):
        name = process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "")
        peak = peak_mb(process.pid)
        function = name.removeprefix(f"{NAMES.installation}-")
        found[function] = max(found.get(function, 0.0), peak)
    return found if set(PATIENCE) <= set(found) else None


def _cold_cpu(function: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        environment = function_environment(Path(folder))
        command = [sys.executable, "-m", "bench.contenders.cold", function]
        root = Path(__file__).resolve().parents[1]
        costs = [run_once(command, environment=environment, cwd=root) for _ in range(ROUNDS)]
        return statistics.median(cost.cpu for cost in costs)


def main() -> None:
    """Measure the functions and write what was found to `bench/memory.json`."""
    found = measure()
    MEASURED.write_text(json.dumps({n: asdict(v) for n, v in found.items()}, indent=1) + "\n")
    print("function     peak MB  cold CPU s  size MB  cold start s")
    for name, need in found.items():
        size = size_for(need, PATIENCE[name])
        seconds = cold_seconds(need, size)
        print(f"{name:12} {need.peak_mb:7} {need.cold_cpu:11} {size:8} {seconds:13.2f}")


if __name__ == "__main__":
    main()
