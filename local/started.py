"""What a local run has started, noted before it can get lost, so that `down` ends that alone.

Three nets, one behind the other: each process, container daemon, bridge and directory is noted in
`started.json`; each process has the run's mark in its environment, which children inherit; a
process id counts only together with the time at which that process began, so that an id used again
by something else is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from local.waiting import wait_until
from local.workplace import Workplace, write_json
from slipway.contracts.codec import decode, encode
from slipway.contracts.errors import InvalidMessage, WorldFailed

MARK_VARIABLE = "SLIPWAY_LOCAL_RUN"
GRACE_SECONDS = 15.0
ENDS_BY_ITSELF = ("cdk-", "machine-image")
"""How the names of processes begin that do one thing for `up` and end."""


@dataclass(frozen=True, kw_only=True)
class StartedProcess:
    """`began`: the process's start, in seconds since the epoch as the kernel counts it."""

    name: str
    pid: int
    began: float


@dataclass(frozen=True, kw_only=True)
class Started:
    """All that one run has started, in order. `mark`: its variable's value in every process.

    `docker_host` is the daemon in use; `private_docker` says whether it is ours, with its bridge.
    `cgroup` has the run's machines below it.
    """

    mark: str
    processes: tuple[StartedProcess, ...] = ()
    directories: tuple[str, ...] = ()
    docker_host: str | None = None
    docker_client: str | None = None
    private_docker: bool = False
    bridge: str | None = None
    container_label: str | None = None
    registry: str | None = None
    cgroup: str | None = None


class Ledger:
    """The notes of one run; every note is on disk before the call returns."""

    def __init__(self, workplace: Workplace, started: Started) -> None:
        self._workplace = workplace
        self.started = started

    @classmethod
    def begin(cls, workplace: Workplace) -> Ledger:
        """A new run, with a mark that nothing else on the machine has."""
        ledger = cls(workplace, Started(mark=f"slipway-{uuid.uuid4().hex}"))
        ledger._write()
        return ledger

    @classmethod
    def load(cls, workplace: Workplace) -> Ledger | None:
        """The notes of a run that has not been taken down, or None."""
        try:
            text = workplace.started_file.read_text(encoding="utf-8")
            return cls(workplace, decode(Started, json.loads(text)))
        except FileNotFoundError:
            return None
        except (ValueError, InvalidMessage) as error:
            raise WorldFailed(f"{workplace.started_file} is damaged: {error}") from None

    def environment(self, base: dict[str, str]) -> dict[str, str]:
        """`base` with the run's mark."""
        return {**base, MARK_VARIABLE: self.started.mark}

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: dict[str, str],
        directory: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a background process of its own session; its output goes to `log/<name>.log`."""
        self._workplace.log_dir.mkdir(parents=True, exist_ok=True)
        with (self._workplace.log_dir / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                env=self.environment(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = psutil.Process(process.pid).create_time()
        note = StartedProcess(name=name, pid=process.pid, began=began)
        self._set(processes=(*self.started.processes, note))
        return process

    def note_directory(self, path: Path) -> None:
        """A directory outside the workplace that is ours to remove."""
        self._set(directories=(*self.started.directories, str(path)))

    def note(self, **values: str | bool) -> None:
        """Set members of the notes by name."""
        self._set(**values)

    def forget(self) -> None:
        """Nothing is left of the run."""
        self._workplace.started_file.unlink(missing_ok=True)

    def alive(self) -> dict[str, bool]:
        """Whether each noted process runs."""
        return {note.name: _process(note) is not None for note in self.started.processes}

    def services(self) -> dict[str, bool]:
        """The same, of those that run for as long as the run does."""
        alive = self.alive()
        return {name: up for name, up in alive.items() if not name.startswith(ENDS_BY_ITSELF)}

    def end(self, name: str, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM to the noted process of that name, SIGKILL to its group after `grace` seconds."""
        for note in self.started.processes:
            if note.name == name:
                _end(note, grace)

    def end_marked(self, grace: float = GRACE_SECONDS) -> list[str]:
        """End whatever still has the run's mark, this process aside; the names of what it was."""
        left = marked_processes(self.started.mark)
        names = [_name(process) for process in left]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(left, timeout=grace)
        for process in stubborn:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=grace)
        return names

    def _set(self, **values: object) -> None:
        self.started = replace(self.started, **values)  # type: ignore[arg-type]
        self._write()

    def _write(self) -> None:
        write_json(self._workplace.started_file, encode(self.started))


def marked_processes(mark: str) -> list[psutil.Process]:
    """The processes whose environment bears the mark, without this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK_VARIABLE) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def _process(note: StartedProcess) -> psutil.Process | None:
    """The process that was noted, if it is that one and still runs."""
    try:
        process = psutil.Process(note.pid)
        same = abs(process.create_time() - note.began) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _end(note: StartedProcess, grace: float) -> None:
    process = _process(note)
    if process is None:
        return
    signal_process(process, signal.SIGTERM)
    ended: Callable[[], bool] = lambda: _process(note) is None  # noqa: E731
    if not wait_until(ended, seconds=grace):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(note.pid, signal.SIGKILL)  # its own session: the group has its id
        wait_until(ended, seconds=grace)
    _reap(note.pid)


def signal_process(process: psutil.Process, number: int) -> None:
    """Send a signal; a process that is gone already is no error."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _reap(pid: int) -> None:
    """Collect the exit code if the process was a child of this one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _name(process: psutil.Process) -> str:
    try:
        return f"{process.name()} ({process.pid})"
    except psutil.NoSuchProcess:
        return str(process.pid)
