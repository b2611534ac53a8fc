"""A push that has joined a run is fetched by it, with git: no earlier fetch of the host will do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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


class Fetches:
    """A scripted source, of another host, whose fetch brings this commit."""

    def __init__(self, scripted: Any, commit: str) -> None:
        self._scripted = scripted
        self._commit = commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scripted, name)

    def fetch(self, pipeline: Any, commit: str | None, **values: Any) -> Commit:
        return Commit(id=self._commit, author="Ada", subject="Change")


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


def note_left(world: World, request: BuildRequest) -> None:
    """The push has joined whoever had the lock before, and fetched nothing."""
    lock = world.table.locks.take("web", "i-9/boot-1/p1.1", world.clock.now(), ttl=60)
    assert lock is not None
    joined(world, request)
    world.table.locks.abandon(lock)


def fetched_and_joined(world: World, remote: Remote) -> BuildRequest:
    """A push whose commit the host has fetched, for another pipeline; a newer one has left its note
    with whoever had the lock before.
    """
    first = make_request(1, commit_id=remote.commit())
    remote.fetch()
    note_left(world, make_request(2, commit_id=remote.commit(text="newer")))
    world.send(first)
    return first


def test_so_is_one_whose_note_is_found(world: World, tmp_path: Path) -> None:
    remote, _ = with_git(world, tmp_path)
    fetched_and_joined(world, remote)
    world.worker().step()
    assert world.images.built == [remote.git("rev-parse", "HEAD")]


def test_so_is_one_whose_note_was_seen_by_an_attempt_that_died_before_its_fetch(
    world: World, tmp_path: Path
) -> None:
    remote, source = with_git(world, tmp_path)
    first = fetched_and_joined(world, remote)
    source.first = world.kill
    with pytest.raises(Killed):
        world.worker().step()
    # WHEN its request comes again
    world.redeliver(first)
    world.worker().step()
    # THEN
    assert world.images.built == [remote.git("rev-parse", "HEAD")]


def lost_with_what_had_joined(world: World, remote: Remote) -> tuple[BuildRequest, BuildRequest]:
    """A run that has fetched the third of three pushes, which had joined it, and is lost as it
    builds. The second one, which this host has fetched for another pipeline, comes late.
    """
    first = make_request(1, commit_id=remote.commit())
    second = make_request(2, commit_id=remote.commit(text="second"))
    remote.fetch()
    note_left(world, make_request(3, commit_id=remote.commit(text="third")))
    world.send(first)
    world.images.on_build = world.kill
    git, world.source = world.source, Fetches(world.source, remote.git("rev-parse", "HEAD"))
    with pytest.raises(Killed):
        world.worker("i-2").step()
    assert world.table.locks.get("web").again is None
    world.images.on_build = lambda: None
    world.source = git
    world.clock.pass_by(world.installation.limits.visibility)
    return first, second


@pytest.mark.parametrize("comes_too", [True, False])
def test_so_is_one_that_had_joined_a_run_whose_place_another_takes(
    world: World, tmp_path: Path, comes_too: bool
) -> None:
    remote, _ = with_git(world, tmp_path)
    first, second = lost_with_what_had_joined(world, remote)
    # WHEN the second takes its place, whether the first one comes once more or not
    if comes_too:
        world.send_body(first.to_json())
    world.send(second)
    world.worker("i-1").step()
    # THEN
    assert world.images.built[-1] == remote.git("rev-parse", "HEAD")


def test_nor_does_it_matter_that_this_one_dies_before_its_fetch(
    world: World, tmp_path: Path
) -> None:
    remote, source = with_git(world, tmp_path)
    _, second = lost_with_what_had_joined(world, remote)
    source.first = world.kill
    world.send(second)
    with pytest.raises(Killed):
        world.worker("i-1").step()
    # WHEN it comes again, and there is no place to take any more
    world.redeliver(second)
    world.worker("i-1").step()
    # THEN
    assert world.images.built[-1] == remote.git("rev-parse", "HEAD")


def test_of_two_pushes_of_one_second_the_later_one_is_built(world: World, tmp_path: Path) -> None:
    # GIVEN two pushes of the same second (EventBridge's times have no fractions); the host has
    # fetched between them, for another pipeline
    remote, _ = with_git(world, tmp_path)
    first = make_request(1, commit_id=remote.commit())
    remote.fetch()
    second = make_request(2, commit_id=remote.commit(text="newer"), pushed_at=first.pushed_at)
    ids = sorted([first.request_id, second.request_id])
    # WHEN their ids say that the first one is the newer
    world.send(replace(first, request_id=ids[1]), replace(second, request_id=ids[0]))
    world.worker().step()
    # THEN
    assert world.images.built == [remote.git("rev-parse", "HEAD")]
