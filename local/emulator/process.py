"""Starts and stops the emulator as a process of its own."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local.emulator.settings import HOST, EmulatorSettings
from local.emulator.sweep import sweep
from local.waiting import wait_until
from slipway.contracts.errors import WorldFailed

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
LOOK_SECONDS = 1.0
REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Emulator:
    """A running emulator; `pid` and `run_id` are enough to end it from another process."""

    settings: EmulatorSettings
    pid: int
    process: subprocess.Popen[bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def endpoint_url(self) -> str:
        return self.settings.endpoint_url

    @property
    def run_id(self) -> str:
        return self.settings.run_id

    def stop(self) -> None:
        """End it and remove the containers that it made."""
        stop_emulator(self.pid, self.settings.docker_host, self.run_id)
        if self.process is not None:
            self.process.wait()


def start_emulator(settings: EmulatorSettings) -> Emulator:
    """Start the emulator in the background and wait until it answers. Raises `WorldFailed`.

    It survives the end of its starter; `git_users` go through a file that only its owner reads.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    users = settings.data_dir / "git-users.json"
    users.touch(mode=0o600)
    users.write_text(json.dumps(dict(settings.git_users)))
    errors = settings.data_dir / "emulator.err"
    with errors.open("wb") as error_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.emulator", *command_line(settings, users)],
            cwd=REPOSITORY_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=error_file,
            stderr=error_file,
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or is_ready(settings), seconds=READY_SECONDS)
    if process.poll() is not None:
        raise WorldFailed(f"the emulator ended at its start: {errors.read_text().strip()}")
    if not is_ready(settings):
        process.kill()
        raise WorldFailed(f"the emulator did not answer for {READY_SECONDS:.0f} s: see {errors}")
    return Emulator(settings, process.pid, process)


def command_line(settings: EmulatorSettings, git_users: Path) -> list[str]:
    """The arguments of `python -m local.emulator` for these settings."""
    arguments = [
        f"--port={settings.port}",
        f"--data-dir={settings.data_dir}",
        f"--docker-host={settings.docker_host}",
        f"--region={settings.region}",
        f"--dev-account={settings.dev_account}",
        f"--prod-account={settings.prod_account}",
        f"--pending-seconds={settings.pending_seconds}",
        f"--stopping-seconds={settings.stopping_seconds}",
        f"--retry-seconds={settings.retry_seconds}",
        f"--health-interval-seconds={settings.health_interval_seconds}",
        f"--build-start-seconds={settings.build_start_seconds}",
        f"--build-minute-seconds={settings.build_minute_seconds}",
        f"--git-users={git_users}",
    ]
    if settings.build_log_dir is not None:
        arguments.append(f"--build-log-dir={settings.build_log_dir}")
    switches = {
        "--instances-start-stopped": settings.instances_start_stopped,
        "--internal-endpoints": settings.internal_endpoints,
    }
    return arguments + [switch for switch, on in switches.items() if on]


def is_ready(settings: EmulatorSettings) -> bool:
    """Whether *this* run's emulator answers on its port."""
    connection = http.client.HTTPConnection(HOST, settings.port, timeout=LOOK_SECONDS)
    try:
        connection.request("GET", "/_slipway/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("run_id") == settings.run_id


def stop_emulator(pid: int, docker_host: str, run_id: str) -> None:
    """End the emulator of that pid, its children, and the containers of that run.

    A pid that is gone, or that belongs to another program by now, is left alone.
    """
    try:
        process = psutil.Process(pid)
        ours = "local.emulator" in process.cmdline()
        children = process.children(recursive=True) if ours else []
        if ours:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=STOP_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
        for child in children:
            if child.is_running():
                child.kill()
    except psutil.NoSuchProcess:
        pass
    socket_path = Path(docker_host.removeprefix("unix://"))
    if not docker_host.startswith("unix://") or socket_path.exists():
        sweep(docker_host, run_id)
