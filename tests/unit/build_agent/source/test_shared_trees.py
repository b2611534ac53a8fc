"""One tree of a commit for several runs at once, with real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.errors import WorldFailed
from tests.unit.build_agent.host.several import Door, Run, until
from tests.unit.build_agent.source.shared import Shared


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


def read(shared: Shared, commit: str, door: Door | None = None) -> Run[tuple[Path, list[str]]]:
    """A run that reads the files of `commit`, for as long as the door is closed."""

    def reads(stop: Stop) -> tuple[Path, list[str]]:
        with shared.source.tree(shared.pipeline, commit, stop=stop) as tree:
            if door is not None:
                door()
            return tree, sorted(path.name for path in tree.iterdir())

    return Run(reads)


def trees(shared: Shared) -> list[Path]:
    return list((shared.work / "trees").iterdir())


def test_a_tree_is_laid_out_once_and_gone_after_the_last(shared: Shared) -> None:
    tip, inside, last = shared.commit(), Door(), Door()
    shared.fetch()
    runs = [read(shared, tip, inside) for _ in range(3)]
    stays = read(shared, tip, last)
    until(lambda: inside.reached == 3 and last.reached)
    inside.open()
    places = {run.result()[0] for run in runs}
    # THEN it is there while one of them reads it
    assert shared.verbs.count("read-tree") == 1
    assert (next(iter(places)) / "file").read_text() == "text"
    last.open()
    assert places == {stays.result()[0]}
    assert trees(shared) == []
    # AND is laid out anew for who comes later
    assert shared.files(tip) == {"file": "text"}
    assert shared.verbs.count("read-tree") == 2


def test_each_commit_has_a_tree_of_its_own(shared: Shared) -> None:
    first, door = shared.commit("a"), Door()
    second = shared.commit("b")
    shared.fetch()
    runs = [read(shared, first, door), read(shared, second, door)]
    until(lambda: door.reached == 2)
    door.open()
    assert [run.result()[1] for run in runs] == [["a"], ["a", "b"]]


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_a_tree_that_one_could_not_lay_out_is_laid_out_by_the_next(
    shared: Shared, how: str
) -> None:
    tip, door, seen = shared.commit(), Door(), []
    shared.fetch()

    def first_comes_to_nothing() -> None:
        seen.append(1)
        if len(seen) > 1:
            return
        door()
        if how == "failed":
            raise WorldFailed("the disk is full")

    shared.before = shared.at("read-tree", first_comes_to_nothing)
    first = read(shared, tip)
    until(lambda: door.reached)
    late = [read(shared, tip), read(shared, tip)]
    (tree,) = shared.source._trees._trees.values()
    until(lambda: tree.users == 3)
    if how == "stopped":
        first.stop.request("SIGTERM")
    door.open()
    with pytest.raises(Interrupted if how == "stopped" else WorldFailed):
        first.result()
    assert [run.result()[1] for run in late] == [["file"], ["file"]]
    assert (len(seen), trees(shared)) == (2, [])


def test_who_waits_for_a_tree_leaves_when_it_is_stopped(shared: Shared) -> None:
    tip, door = shared.commit(), Door()
    shared.fetch()
    shared.before = shared.at("read-tree", door)
    first = read(shared, tip)
    until(lambda: door.reached)
    late = read(shared, tip)
    late.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        late.result()
    door.open()
    assert first.result()[1] == ["file"]
    assert trees(shared) == []
