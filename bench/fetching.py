"""Fetching one new commit of a large repository: seconds and bytes, beside plain git."""

from __future__ import annotations

import random
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.large_repository import BRANCH, COMMITS, add_commit, make
from bench.measure import plain_environment
from bench.report import Bound, Section
from local.ports import free_ports

ROOT = Path(__file__).resolve().parents[1]
CHECKED, DESCRIBED = "git fetch, objects checked", "the same, then git log"
NEW = "one new commit"
FIRST = "first time"


def section(work: Path, *, rounds: int = 15) -> Section:
    """Fetches of a large repository beside git's own, the first time and for one commit."""
    made = Section(
        title="Fetching the source",
        about=(
            f"A repository of {COMMITS:,} commits and 500 MB behind `git daemon` on this machine,"
            " so the network is free and what is left is git's own work and the bytes. Slipway"
            " lays the files out as well; that is not counted here, nor is it for plain `fetch`."
            " Slipway's first fetch is shallow; it runs in a process as large as the agent's, the"
            " others are started by one as large as this measurement's, which costs them no more."
            " The two rows after its own are what it adds to"
            " plain `git fetch` on purpose, step by step."
        ),
        columns=("", "how", "seconds", "MB received", "× git fetch"),
    )
    remote = work / "large.git"
    make(remote)
    shutil.rmtree(work / "fetch", ignore_errors=True)
    folder = work / "fetch"
    folder.mkdir(parents=True)
    with served(work) as wire, _slipway(folder / "agent", f"{wire.url}/large.git") as slipway:
        contenders = _contenders(folder, f"{wire.url}/large.git", slipway)
        for name, (first, _) in contenders.items():
            seconds, received = _timed(first, wire)
            if name not in (CHECKED, DESCRIBED):
                made.rows.append((FIRST, name, seconds, received, ""))
        again = _new_commits(contenders, remote, wire, rounds)
    shutil.rmtree(folder)
    plain = again["git fetch"][0]
    for name, (seconds, received) in again.items():
        made.rows.append((NEW, name, seconds, received, seconds / plain))
    checked, described = again[CHECKED][0], again[DESCRIBED][0]
    made.bounds = [
        Bound(
            "fetch of one commit / git fetch", 1.2, again["Slipway"][0] / plain,
            why_not=(
                f"the check of what comes from outside (fetch.fsckObjects) makes it"
                f" {checked / plain:.2f}, reading author and subject (git log)"
                f" {described / plain:.2f}; the other"
                f" {(again['Slipway'][0] - described) * 1e3:.0f} ms are the agent's runner of"
                " commands: a fork of the agent for each of the two (build_agent/host/process.py)"
            ),
        )
    ]  # fmt: skip
    return made


CHECK = ("-c", "fetch.fsckObjects=true", "-c", "gc.auto=0", "-c", "maintenance.auto=false")
Contender = tuple[Callable[[], object], Callable[[], object]]


@contextmanager
def _slipway(folder: Path, url: str) -> Iterator[Callable[[], object]]:
    """The agent's fetch: a call of it is answered when the commit is there."""
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.contenders.fetch", str(folder), url, BRANCH],
        cwd=ROOT, env=plain_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        asks, answers = process.stdin, process.stdout
        assert asks is not None and answers is not None  # noqa: S101 - opened above

        def fetch() -> None:
            asks.write("\n")
            asks.flush()
            if not answers.readline().strip():
                raise RuntimeError("the agent's fetch has failed")

        yield fetch


def _contenders(folder: Path, url: str, slipway: Callable[[], object]) -> dict[str, Contender]:
    """By name: what it does the first time, and what for each new commit."""

    def clone(name: str, *options: str) -> Callable[[], object]:
        def fresh() -> object:
            shutil.rmtree(folder / name, ignore_errors=True)
            return _git(folder, "clone", "-q", *options, "-b", BRANCH, "--", url, name)

        return fresh

    def fetch(name: str, *options: str) -> object:
        return _git(folder / name, *options, "fetch", "-q", "--no-tags", "origin", BRANCH)

    def fetch_and_log() -> object:
        fetch("described", *CHECK)
        return _git(folder / "described", "log", "-1", "--format=%H %an %s", "FETCH_HEAD")

    pulling = folder / "pulling"
    return {
        "git fetch": (
            clone("fetching", "--bare"),
            lambda: fetch("fetching"),
        ),
        "Slipway": (slipway, slipway),
        CHECKED: (clone("checked", "--bare"), lambda: fetch("checked", *CHECK)),
        DESCRIBED: (clone("described", "--bare"), fetch_and_log),
        "git pull": (clone("pulling"), lambda: _git(pulling, "pull", "-q", "--ff-only")),
        "git clone --depth 1": (clone("shallow", "--depth=1"),) * 2,
        "git clone": (clone("whole"),) * 2,
    }  # fmt: skip


def _new_commits(
    contenders: dict[str, Contender], remote: Path, wire: Wire, rounds: int
) -> dict[str, tuple[float, float]]:
    """Medians of seconds and MB, in turns of ever another order; one whole clone says enough."""
    order = random.Random(1)  # noqa: S311 - the same turns in every run
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(rounds):
        add_commit(remote, turn)
        for name in order.sample(list(contenders), len(contenders)):
            _, again = contenders[name]
            if turn == 0 or name != "git clone":
                taken[name].append(_timed(again, wire))
    return {
        name: (statistics.median(s for s, _ in runs), statistics.median(b for _, b in runs))
        for name, runs in taken.items()
    }


def _timed(action: Callable[[], object], wire: Wire) -> tuple[float, float]:
    before, started = wire.received, time.perf_counter()
    action()
    return time.perf_counter() - started, (wire.received - before) / 1e6


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", *arguments], cwd=folder, env=plain_environment(), check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


# --- the remote, and a wire that counts


@dataclass
class Wire:
    """A port in front of the remote; `received` counts the bytes that came from it."""

    url: str
    received: int = 0


@contextmanager
def served(folder: Path) -> Iterator[Wire]:
    """The repositories in `folder`, behind `git daemon` and a wire that counts."""
    behind, port = free_ports(2)
    daemon = subprocess.Popen(
        ["git", "daemon", "--listen=127.0.0.1", f"--port={behind}", "--export-all",
         f"--base-path={folder}", "--", str(folder)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    listener = socket.create_server(("127.0.0.1", port))
    wire = Wire(f"git://127.0.0.1:{port}")
    accepting = threading.Thread(target=_accept, args=(listener, behind, wire), daemon=True)
    accepting.start()
    try:
        _await_port(behind)
        yield wire
    finally:
        listener.close()
        daemon.terminate()
        daemon.wait()


def _accept(listener: socket.socket, behind: int, wire: Wire) -> None:
    with suppress(OSError):  # the listener is closed at the end
        while True:
            caller, _ = listener.accept()
            remote = socket.create_connection(("127.0.0.1", behind))
            for one, other, counted in ((caller, remote, False), (remote, caller, True)):
                threading.Thread(
                    target=_pump, args=(one, other, wire if counted else None), daemon=True
                ).start()


def _pump(one: socket.socket, other: socket.socket, wire: Wire | None) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 18):
            other.sendall(data)
            if wire is not None:
                wire.received += len(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def _await_port(port: int, *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
