"""A push that has joined a run is fetched by it, with git: no earlier fetch of the host will do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import BuildRequest, Commit
from tests.unit.build_agent.source.test_mirror import Remote
from tests.unit.build_agent.test_newer_pushes import joined
from tests.unit.build_agent.world import Killed, World, make_request


class GitSource:
    """A scripted source that fetches with git; `first` is called once before the next fetch, `then`
    after it.
    """

    def __init__(self, scripted: Any, remote: Remote) -> None:
        self._scripted = scripted
        self._remote = remote
        self.first: Callable[[], None] = lambda: None
        self.then: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scripted, name)

    def fetch(self, pipeline: Any, commit: str | None, **values: Any) -> Commit:
        first, self.first = self.first, lambda: None
        first()
        found = self._remote.source.fetch(self._remote.pipeline, commit, **values)
        then, self.then = self.then, lambda: None
        then()
        return found


def with_git(world: World, folder: Path) -> tuple[Remote, GitSource]:
    remote = Remote(folder)
    source = world.source = GitSource(world.source, remote)
    return remote, source


def test_a_push_that_joins_during_the_fetch_is_fetched_and_built(
    world: World, tmp_path: Path
) -> None:
    # GIVEN a push, and another one that joins its run as it has been fetched
    remote, source = with_git(world, tmp_path)
    newer: list[str] = []

    def pushed() -> None:
        newer.append(remote.commit(text="newer"))
        joined(world, make_request(2, commit_id=newer[0]))

    source.then = pushed
    world.send(make_request(1, commit_id=remote.commit()))
    # WHEN
    world.worker().step()
    # THEN that is what is built: no message of it is left
    assert world.table.locks.get("web").again is None
    assert world.images.built == newer


def test_so_is_one_that_joins_what_the_world_fails(world: World, tmp_path: Path) -> None:
    # GIVEN a push whose build the world fails, and another one that has joined it meanwhile
    remote, _ = with_git(world, tmp_path)
    newer: list[str] = []

    def pushed() -> None:
        world.images.on_build = lambda: None
        newer.append(remote.commit(text="newer"))
        joined(world, make_request(2, commit_id=newer[0]))
        raise WorldFailed("docker did not answer")

    world.images.on_build = pushed
    first = make_request(1, commit_id=remote.commit())
    world.send(first)
    worker = world.worker()
    worker.step()
    # WHEN it comes again to the same host
    world.redeliver(first)
    worker.step()
    # THEN
    assert world.table.locks.get("web").again is None
    assert world.images.built[-1:] == newer


def fetched_and_joined(world: World, remote: Remote) -> BuildRequest:
    """A push whose commit the host has fetched, for another pipeline; a newer one has left its note
    with whoever had the lock before.
    """
    first = make_request(1, commit_id=remote.commit())
    remote.fetch()
    lock = world.table.locks.take("web", "i-2/boot-1/p1.1", world.clock.now(), ttl=60)
    assert lock is not None
    joined(world, make_request(2, commit_id=remote.commit(text="newer")))
    world.table.locks.abandon(lock)
    world.send(first)
    return first


def test_so_is_one_whose_note_is_found(world: World, tmp_path: Path) -> None:
    remote, _ = with_git(world, tmp_path)
    fetched_and_joined(world, remote)
    world.worker().step()
    assert world.images.built == [remote.git("rev-parse", "HEAD")]


def test_so_is_one_whose_note_an_attempt_took_that_died_before_its_fetch(
    world: World, tmp_path: Path
) -> None:
    # GIVEN an attempt that takes the note of a newer push, and is lost before it fetches
    remote, source = with_git(world, tmp_path)
    first = fetched_and_joined(world, remote)
    source.first = world.kill
    with pytest.raises(Killed):
        world.worker().step()
    assert world.table.locks.get("web").again is None
    # WHEN its request comes again
    world.redeliver(first)
    world.worker().step()
    # THEN
    assert world.images.built == [remote.git("rev-parse", "HEAD")]
