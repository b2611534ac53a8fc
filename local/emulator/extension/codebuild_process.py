"""The process of a build: bash, in a fresh folder, with nothing but what CodeBuild gives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from local.emulator.extension.buildspec import Buildspec
from local.started import MARK_VARIABLE

BUILD_VARIABLE = "CODEBUILD_BUILD_ID"
PASSED = ("LANG", "LC_ALL", "DOCKER_HOST", "DOCKER_BUILDKIT", MARK_VARIABLE)
"""Of the emulator's own environment: the way to Docker, and whose run this is."""
DRAIN_SECONDS = 2.0
KILL_ROUNDS = 5


def machine_environment(base: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What stands for CodeBuild's image: this machine's programs, and places in the folder.

    Before all others on PATH is what this Python was installed with: `python3` and `aws`.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), base.get("PATH", os.defpath)))
    return {
        **{name: base[name] for name in PASSED if name in base},
        "PATH": path,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "CODEBUILD_SRC_DIR": str(folder / "src"),
        # Each build has a machine of its own in AWS, and so this place to itself.
        "SLIPWAY_HOME": str(folder / "slipway"),
    }


class BuildProcess:
    """One build that runs. `said` takes each line of output."""

    def __init__(
        self,
        build_id: str,
        folder: Path,
        *,
        spec: Buildspec,
        environment: Mapping[str, str],
        said: Callable[[str], None],
    ) -> None:
        self._build_id = build_id
        self._folder = folder
        for name in ("home", "tmp", "src", "spec"):
            (folder / name).mkdir(parents=True)
        script = spec.write(folder / "spec")
        self._process = subprocess.Popen(
            ["bash", str(script)],
            env={**spec.variables, **environment, BUILD_VARIABLE: build_id},
            cwd=folder / "src",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(said,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """The exit code; None if it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill all that it has started; its last words are heard, then its folder is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for _ in range(KILL_ROUNDS):
            left = processes_of(self._build_id)
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            if not left:
                break
            psutil.wait_procs(left, timeout=DRAIN_SECONDS)
        self._process.wait()
        self._reader.join(DRAIN_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self, said: Callable[[str], None]) -> None:
        for line in self._process.stdout or ():
            said(line.decode("utf-8", "replace").rstrip("\n"))


def processes_of(build_id: str) -> list[psutil.Process]:
    """What a build has started, by its id in their environment: sessions of their own as well."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            if process.environ().get(BUILD_VARIABLE) == build_id:
                found.append(process)
    return found
