"""The pipeline lock for a deployment from the command line, where an installation is configured.

Configured means: `--table` (or SLIPWAY_TABLE) with `--pipeline`; or an installation (named by
SLIPWAY_INSTALLATION, the local run, or the cdk.json of this folder) of which one pipeline deploys
this cluster's service.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import WorldFailed, WrongUse

TABLE_VARIABLE = "SLIPWAY_TABLE"
INSTALLATION_VARIABLE = "SLIPWAY_INSTALLATION"
"""As in `contracts.installation`, which is not imported before a file names the service."""
DEFAULT_TTL = 120.0

Guard = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class LockPlace:
    """Which lock to take: the table, the pipeline, and how many seconds it holds unrenewed."""

    table: str
    pipeline: str
    ttl: float = DEFAULT_TTL


def lock_place(
    *,
    table: str | None,
    pipeline: str | None,
    cluster: str | None,
    service: str | None,
    environment: Mapping[str, str],
    folder: Path,
) -> LockPlace | None:
    """The lock of the pipeline that deploys `service`, or None where none is configured."""
    table = table or environment.get(TABLE_VARIABLE)
    if table and pipeline:
        return LockPlace(table=table, pipeline=pipeline)
    if service is None or cluster is None:
        return None
    found = _in_installation(pipeline, cluster, service, environment, folder)
    if found is not None:
        return LockPlace(table=table or found.table, pipeline=found.pipeline, ttl=found.ttl)
    if table or pipeline:
        missing = "--pipeline" if table else f"--table (or {TABLE_VARIABLE})"
        raise WrongUse(f"the pipeline lock needs {missing}: no configured pipeline deploys it")
    return None


@contextmanager
def held(
    place: LockPlace, client: Callable[[str], Any], *, now: Callable[[], float] = time.time
) -> Iterator[Guard]:
    """Hold the lock; what is given is to be called before every change and while waiting.

    It renews the lock in time, and raises WorldFailed once the lock is lost.
    """
    import getpass
    import socket

    from contracts.table import Table

    locks = Table(client("dynamodb"), place.table).locks
    holder = f"cli:{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"
    lock = _asking(lambda: locks.take(place.pipeline, holder, now(), ttl=place.ttl))
    if lock is None:
        taken = _asking(lambda: locks.get(place.pipeline))
        raise WorldFailed(
            f"pipeline {place.pipeline!r} is being deployed by {taken.holder}; try again later"
        )
    renewed_at = now()

    def guard() -> None:
        nonlocal renewed_at
        if now() - renewed_at < place.ttl / 4:
            return
        if not _asking(lambda: locks.renew(lock, now(), ttl=place.ttl)):
            raise WorldFailed(f"the lock of pipeline {place.pipeline!r} was lost; stopped")
        renewed_at = now()

    try:
        yield guard
    finally:
        _asking(lambda: locks.abandon(lock))


def _asking(call: Callable[[], Any]) -> Any:
    from cli.aws_errors import plainly

    with plainly("the deployments table"):
        return call()


def _in_installation(
    pipeline: str | None,
    cluster: str,
    service: str,
    environment: Mapping[str, str],
    folder: Path,
) -> LockPlace | None:
    """The configured pipeline that deploys the service; None where there is none.

    A folder's files are only read in full if they name the service at all: most do not.
    """
    if not environment.get(INSTALLATION_VARIABLE) and not _names_service(folder, service):
        return None
    from cli.locate import locate

    try:
        installation = locate(None, folder=folder, environment=environment).installation
    except WrongUse:
        if environment.get(INSTALLATION_VARIABLE):
            raise
        return None
    wanted = (cluster.rpartition("/")[2], service.rpartition("/")[2])
    for candidate in installation.pipelines:
        if pipeline == candidate.name or (
            pipeline is None and (candidate.cluster, candidate.service) == wanted
        ):
            return LockPlace(
                table=installation.names.table,
                pipeline=candidate.name,
                ttl=float(installation.limits.lock_ttl),
            )
    return None


def _names_service(folder: Path, service: str) -> bool:
    quoted = json.dumps(service.rpartition("/")[2])
    for place in (folder, *folder.parents):
        for name in (".local/installation.json", "cdk.json"):
            try:
                if quoted in (place / name).read_text(encoding="utf-8"):
                    return True
            except (OSError, ValueError):
                continue
    return False
