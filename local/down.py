"""`slipway local down`: ends what `up` started, in good order, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from contracts.errors import WorldFailed
from local import docker
from local.docker import Docker
from local.progress import Progress
from local.started import Ledger, Started
from local.workplace import Workplace

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
    with progress.step("containers and images removed"):
        _leave_docker(ledger)
    for name in ledger.end_marked():
        progress.say(f"ended what was left: {name}")
    _remove_directories(workplace, ledger.started)
    ledger.forget()
    return True


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
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
