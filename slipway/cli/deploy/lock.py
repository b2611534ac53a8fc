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
from typing import TYPE_CHECKING, Any

from slipway.cli.user.ending import uninterrupted
from slipway.cli.user.login import login_name
from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from slipway.rollout.fence import Fence

if TYPE_CHECKING:
    from slipway.contracts.table.locks import Lock, Locks

TABLE_VARIABLE = "SLIPWAY_TABLE"
INSTALLATION_VARIABLE = "SLIPWAY_INSTALLATION"
"""As in `slipway.contracts.installation`, which is not imported before a file names the service."""
DEFAULT_TTL = 330.0
"""Longer than a change that was signed can still take effect: see `slipway/rollout/fence.py`."""


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


class Lost(WorldFailed):
    """The lock is somebody else's, or could be."""


class Held:
    """A pipeline lock that this process has, and the fence that ties changes to it."""

    def __init__(self, locks: Locks, lock: Lock, ttl: float, now: Callable[[], float]) -> None:
        self._locks, self._lock, self._ttl, self._now = locks, lock, ttl, now
        self._renewed_at = now()
        self._fence = Fence(now)
        self.look = self._fence.noted(self._renew)
        """To be called right before a change: WorldFailed unless the lock is ours, all its time."""

    def keep(self) -> None:
        """To be called now and then: renews the lock in time; WorldFailed once it is lost."""
        since = self._now() - self._renewed_at
        if since < self._ttl / 4:
            return
        try:
            self._renew()
        except Lost:
            raise
        except WorldFailed:  # AWS may answer again before it is somebody else's
            if since >= self._ttl / 2:
                raise

    def around(self, client: Any) -> Any:
        """The client, which sends no change that comes late after its look."""
        return self._fence.around(client)

    def _renew(self) -> None:
        now = self._now()
        if not _asking(lambda: self._locks.renew(self._lock, now, ttl=self._ttl)):
            raise Lost(f"the lock of pipeline {self._lock.pipeline!r} was lost; stopped")
        self._renewed_at = now


class Unlocked:
    """Where no lock is configured there is nothing to hold."""

    look = None

    def keep(self) -> None:
        return None

    def around(self, client: Any) -> Any:
        return client


@contextmanager
def held(
    place: LockPlace, client: Callable[[str], Any], *, now: Callable[[], float] = time.time
) -> Iterator[Held]:
    """Hold the lock; WorldFailed where another has it.

    However the holder ends, it is given back. Where AWS does not let it, that is said, and how the
    deployment ended stays as it is.
    """
    import socket

    from slipway.contracts.table import Table

    locks = Table(client("dynamodb"), place.table).locks
    holder = f"cli:{login_name()}@{socket.gethostname()}:{os.getpid()}"
    lock = None
    try:
        with uninterrupted():
            lock = _asking(lambda: locks.take(place.pipeline, holder, now(), ttl=place.ttl))
        if lock is None:
            taken = _asking(lambda: locks.get(place.pipeline))
            by = f"deployment {taken.deployment}" if taken.is_followed else taken.holder
            raise WorldFailed(
                f"pipeline {place.pipeline!r} is being deployed by {by}; try again later"
            )
        yield Held(locks, lock, place.ttl, now)
    finally:
        if lock is not None:
            with uninterrupted():
                _give_back(locks, lock, place)


def _give_back(locks: Locks, lock: Lock, place: LockPlace) -> None:
    import click

    try:
        _asking(lambda: locks.abandon(lock))
    except SlipwayError as error:
        click.echo(
            f"slipway: the lock of pipeline {place.pipeline!r} could not be given back: it ends by"
            f" itself within {place.ttl:.0f} s ({error})",
            err=True,
        )


def _asking(call: Callable[[], Any]) -> Any:
    from slipway.cli.aws.errors import plainly

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
    from slipway.cli.aws.locate import locate

    try:
        installation = locate(None, folder=folder, environment=environment).installation
    except WrongUse:
        if environment.get(INSTALLATION_VARIABLE):
            raise
        return None
    wanted = (cluster.rpartition("/")[2], service.rpartition("/")[2])
    for candidate in installation.pipelines:
        if pipeline == candidate.name or (
            pipeline is None
            and wanted in [(one.cluster, one.service) for one in candidate.per_service]
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
