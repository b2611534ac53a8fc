"""Tests before the push: a stage of the Dockerfile, built as the image is, then run as a container.

The container has bounds, and nothing of the host's: no socket, no file, no credentials, and no
network unless the configuration gives it one. It is removed whatever becomes of the run. Its name
is noted on the disk before it is made, so that an agent that begins removes what a killed one left.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from build_agent.host.process import Finished, Sink, TimedOut
from build_agent.host.stop import Stop
from build_agent.image import reports
from build_agent.image.docker import Docker, DockerSession, environment
from build_agent.image.hiding import hidden, hiding
from build_agent.image.images import Built
from build_agent.image.report_paths import absolute
from build_agent.image.tested import Ran, Tested, of_run, read_tally
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, TestSettings

MOST_PROCESSES = 4096
"""Threads count as well, as everywhere in Linux."""
REPORTS_TIMEOUT = 120.0
REMOVE_TIMEOUT = 120.0
STAGE_TAG = "test-"
"""Begins the tag of a stage that is tested; it is never pushed."""


class Tests:
    """Runs tests of images, several at once; `folder` notes the containers under way."""

    __test__ = False  # no class of tests

    def __init__(self, docker: Docker, folder: Path) -> None:
        self._docker = docker
        self._folder = folder
        self._left = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []

    @property
    def left_behind(self) -> Sequence[str]:
        """The containers that an agent before this one may have left."""
        return self._left

    def remove_left_behind(self) -> None:
        """Remove them; one that cannot be removed now is left to the next agent's begin."""
        for name in self._left:
            self._remove(name)

    def run(self, image: ImageSettings, stage: Built, *, stop: Stop, sink: Sink) -> Tested:
        """Run the tests of `image` in its `stage`, to their end; what came of them.

        DeploymentFailed where there is nothing to run, WorldFailed where docker fails them.
        """
        test = image.test
        assert test is not None  # noqa: S101 - the caller has asked
        sink = hiding(sink, stage.secrets)
        with self._docker.session() as docker, self._container() as name:
            self._make(docker, name, image, stage, stop=stop)
            ran = self._run(docker, name, test, stop, sink)
            for line in ran.told:
                sink(line)
            tally = None
            if test.reports:
                tally = self._read_reports(docker, name, test, stage, stop)
        tail = tuple(hidden(line, stage.secrets) for line in ran.tail)
        return of_run(replace(ran, tail=tail), tally, sink)

    # --- the container

    @contextmanager
    def _container(self) -> Iterator[str]:
        name = f"slipway-test-{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).touch()
        except OSError as error:
            raise WorldFailed(f"cannot note a container of tests: {error.strerror}") from None
        try:
            yield name
        finally:
            self._remove(name)

    def _remove(self, name: str) -> None:
        """Also where the run was told to stop: by then it is the container that must go."""
        with self._docker.session() as docker:
            try:
                command = ["rm", "--force", "--volumes", "--", name]
                ended = docker(command, stop=Stop(), timeout=REMOVE_TIMEOUT)
            except WorldFailed:
                return
        if ended.ok or "no such container" in ended.last_line.lower():
            (self._folder / name).unlink(missing_ok=True)

    def _make(
        self, docker: DockerSession, name: str, image: ImageSettings, stage: Built, *, stop: Stop
    ) -> None:
        test = image.test
        assert test is not None  # noqa: S101 - the caller has asked
        command = create_command(
            test, name=name, image_id=stage.image_id, platform=image.platform,
            processors=os.cpu_count() or 1,
        )  # fmt: skip
        made = docker(command, stop=stop)
        if made.ok:
            return
        if "no command specified" in made.last_line.lower():
            problem = f"stage {test.target} has no command: give it a CMD, or name test.command"
            raise DeploymentFailed(problem, stage="test", log_tail=made.tail)
        raise WorldFailed(f"docker cannot make the container of the tests: {made.last_line}")

    def _run(
        self, docker: DockerSession, name: str, test: TestSettings, stop: Stop, sink: Sink
    ) -> Ran:
        command = ["start", "--attach", "--", name]
        try:
            ended = docker(command, stop=stop, timeout=float(test.timeout), sink=sink)
        except TimedOut as late:
            docker(["kill", "--", name], stop=stop)
            return Ran(tail=late.tail, late_after=test.timeout)
        state = self._state(docker, name, stop, ended)
        return Ran.of_state(state, tail=ended.tail, memory=test.memory)

    def _state(
        self, docker: DockerSession, name: str, stop: Stop, started: Finished
    ) -> Mapping[str, Any]:
        """What docker says of the container: its client's exit code may be of its own trouble."""
        form = ["container", "inspect", "--format", "{{json .State}}", "--", name]
        asked = docker(form, stop=stop)
        try:
            found = json.loads(asked.output)
        except ValueError:
            found = None
        if not asked.ok or not isinstance(found, dict):
            said = started.last_line if started.tail else asked.last_line
            raise WorldFailed(f"docker lost the container of the tests: {said}")
        return found

    # --- what it leaves

    def _read_reports(
        self, docker: DockerSession, name: str, test: TestSettings, stage: Built, stop: Stop
    ) -> Any:
        """The tally of its reports: read by a program of its own, which has bounds."""
        config = stage.content.get("config") or {}
        patterns = [absolute(one, str(config.get("WorkingDir") or "/")) for one in test.reports]
        program = [sys.executable, "-P", "-m", reports.__name__, self._docker.program(), name]
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            ended = self._docker.run(
                [*program, *patterns], timeout=REPORTS_TIMEOUT, stop=stop,
                env={**environment(docker.config), "PYTHONPATH": paths},
            )  # fmt: skip
        except TimedOut:
            return read_tally("", f"they were not read within {REPORTS_TIMEOUT:g} s")
        return read_tally(ended.output if ended.ok else "", ended.last_line)


def create_command(
    test: TestSettings, *, name: str, image_id: str, platform: str, processors: int
) -> list[str]:
    """The arguments of `docker create`. Swap is none of the memory; logs are kept nowhere."""
    command = ["create", "--name", name, "--platform", platform]
    command += ["--network", "bridge" if test.network else "none"]
    command += ["--memory", f"{test.memory}m", "--memory-swap", f"{test.memory}m"]
    command += ["--pids-limit", str(MOST_PROCESSES), "--ulimit", "core=0"]
    command += ["--security-opt", "no-new-privileges", "--log-driver", "none"]
    if test.cpus is not None:
        command += ["--cpus", f"{min(test.cpus, processors):g}"]
    return [*command, "--", image_id, *test.command]
