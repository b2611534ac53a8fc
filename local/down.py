"""`slipway local down`: ends what `up` started, in good order, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from local import docker
from local.docker import Docker
from local.machine.cgroup import Cgroup
from local.progress import Progress
from local.started import Ledger, Started
from local.waiting import wait_until
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed

ROUNDS = 5
REMOVE_SECONDS = 10.0
# The agents go with their supervisor; then nothing new is asked of the emulator.
ORDER = ("supervisor", "proxy", "slack-page", "emulator")


def take_down(workplace: Workplace, progress: Progress) -> bool:
    """End everything that was started here, also after a half-failed `up`; False: nothing was."""
    ledger = Ledger.load(workplace)
    if ledger is None:
        return False
    workplace.state_file.unlink(missing_ok=True)  # from here on, tools find nothing here
    with progress.step("processes ended"):
        for name in ORDER:
            ledger.end(name)
    if ledger.started.cgroup:
        Cgroup(ledger.started.cgroup).end()  # its machines, where the supervisor could not
    with progress.step("containers and images removed"):
        _leave_docker(ledger)
    _end_stragglers(ledger, progress)
    _remove_directories(workplace, ledger.started)
    ledger.forget()
    return True


def _end_stragglers(ledger: Ledger, progress: Progress) -> None:
    """Whatever has the run's mark and was not noted; what starts others is ended before them."""
    for _ in range(ROUNDS):
        ended = ledger.end_marked()
        if not ended:
            return
        progress.say(f"ended what was left: {', '.join(ended)}")


def _leave_docker(ledger: Ledger) -> None:
    started = ledger.started
    if started.docker_host is None or started.docker_client is None:
        docker.stop_private(ledger)  # it may have been on its way
        return
    found = Docker(started.docker_host, started.docker_client, started.private_docker)
    try:
        if started.container_label:
            docker.remove_containers(found, started.container_label)
        if started.registry and not started.private_docker:
            docker.remove_images(found, started.registry)
            docker.remove_images(found, "127.0.0.1:0")
    except WorldFailed:
        if not started.private_docker:
            raise
    if started.private_docker:
        docker.stop_private(ledger)


def _remove_directories(workplace: Workplace, started: Started) -> None:
    for path in (*workplace.parts(), *(Path(name) for name in started.directories)):
        if not wait_until(lambda path=path: _removed(path), seconds=REMOVE_SECONDS):  # type: ignore[misc]
            raise WorldFailed(f"cannot remove {path}: something still uses it")


def _removed(path: Path) -> bool:
    """Remove a file or a tree; False where a process that is about to end still writes to it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    return not path.exists()
