"""Removes the containers that one run of the emulator made, and no other."""

from __future__ import annotations

import docker
import docker.errors

from slipway.contracts.errors import WorldFailed

RUN_LABEL = "slipway.run"
STOP_SECONDS = 2


def sweep(docker_host: str, run_id: str) -> int:
    """Stop and remove every container labelled with `run_id`; how many there were.

    ECS tasks run on Docker's own bridge network, so no network is made and none is left.
    Raises `WorldFailed` when the daemon does not answer.
    """
    removed = 0
    try:
        client = docker.DockerClient(base_url=docker_host, timeout=30)
        for container in client.containers.list(
            all=True, filters={"label": f"{RUN_LABEL}={run_id}"}
        ):
            try:
                container.stop(timeout=STOP_SECONDS)
                container.remove(v=True, force=True)
            except docker.errors.NotFound:
                continue
            removed += 1
        client.close()
    except docker.errors.DockerException as error:
        raise WorldFailed(f"docker at {docker_host} does not answer: {error}") from error
    return removed
