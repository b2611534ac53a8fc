"""One mirror for several runs at once, with real git: fetches, and a mirror that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_agent.host.stop import Interrupted
from build_agent.source.known import Fetched, Pushed, is_known
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Commit
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.host.several import Door, Run, until
from tests.unit.build_agent.source.shared import STOP, Shared
from tests.unit.build_agent.source.test_mirror import Remote
from tests.unit.build_agent.world import make_pipeline


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(tmp_path)


# --- fetching


def test_a_fetch_serves_those_who_asked_before_it_began_and_no_later_push(shared: Shared) -> None:
    # GIVEN a fetch that has what it wanted, and is not over yet
    old, door = shared.commit(text="old"), Door()
    shared.after = shared.at("fetch", door)
    first = shared.begin()
    until(lambda: door.reached)
    # WHEN a push comes, and runs that know of it
    new = shared.commit(text="new")
    late = [shared.begin() for _ in range(4)]
    door.open()
    # THEN one more fetch serves them all, with what was pushed
    assert first.result() == old
    assert [run.result() for run in late] == [new] * 4
    assert shared.fetches == 2


def test_two_fetches_into_one_mirror_are_never_under_way_at_once(shared: Shared) -> None:
    first, door = shared.commit(text="1"), Door()
    shared.git("branch", "other")
    shared.before = shared.at("fetch", door)
    runs = [shared.begin(), shared.begin("other"), shared.begin(commit=first), shared.begin()]
    door.open()
    assert [run.result() for run in runs] == [first] * 4
    assert shared.most_fetching == 1


def test_another_repository_does_not_wait(shared: Shared, tmp_path: Path) -> None:
    shared.commit()
    (tmp_path / "b").mkdir()
    other = Remote(tmp_path / "b")
    tip = other.commit(text="other")
    door = Door()
    shared.before = shared.at("fetch", door)
    first = shared.begin()
    second = Run(lambda stop: shared.source.fetch(other.pipeline, None, stop=stop, sink=print).id)
    until(lambda: door.reached == 2)
    door.open()
    first.result()
    assert second.result() == tip


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_who_waits_for_a_fetch_that_comes_to_nothing_fetches_itself(
    shared: Shared, how: str
) -> None:
    tip, door, seen = shared.commit(), Door(), []

    def first_comes_to_nothing() -> None:
        seen.append(1)
        if len(seen) > 1:
            return
        door()
        if how == "failed":
            raise WorldFailed("the network was gone")

    shared.before = shared.at("fetch", first_comes_to_nothing)
    first = shared.begin()
    until(lambda: door.reached)
    late = [shared.begin(), shared.begin()]
    if how == "stopped":
        first.stop.request("SIGTERM")
    door.open()
    with pytest.raises(Interrupted if how == "stopped" else WorldFailed):
        first.result()
    assert [run.result() for run in late] == [tip, tip]
    assert shared.fetches == 2


def test_who_waits_for_a_fetch_leaves_when_it_is_stopped(shared: Shared) -> None:
    tip, door = shared.commit(), Door()
    shared.before = shared.at("fetch", door)
    first = shared.begin()
    until(lambda: door.reached)
    late = shared.begin()
    late.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        late.result()
    door.open()
    assert (first.result(), shared.fetches) == (tip, 1)


def test_a_branch_that_is_not_there_is_each_ones_own_failure(shared: Shared) -> None:
    shared.commit()
    door = Door()
    shared.before = shared.at("fetch", door)
    first = shared.begin()
    missing = [shared.begin("nowhere"), shared.begin("nowhere")]
    door.open()
    first.result()
    for run in missing:
        with pytest.raises(DeploymentFailed, match="branch nowhere does not exist"):
            run.result()


# --- a push that was fetched already


def ask(shared: Shared, pushed: Pushed) -> str:
    return shared.source.fetch(shared.pipeline, None, stop=STOP, sink=print, pushed=pushed).id


def test_the_pipelines_of_one_push_need_one_fetch(shared: Shared) -> None:
    before = shared.commit(text="before")
    shared.fetch()
    tip = shared.commit(text="pushed")
    pushed = Pushed(tip, handled_tip=before, handled_at=shared.time - 1)
    assert [ask(shared, pushed) for _ in range(10)] == [tip] * 10
    assert shared.fetches == 2
    assert ask(shared, Pushed(tip)) == tip
    assert shared.fetches == 2


def test_a_late_request_does_not_go_back_behind_what_another_host_has_seen(
    shared: Shared,
) -> None:
    # GIVEN a push that was fetched here, and a newer one that another host has deployed since
    old = shared.commit(text="old")
    shared.fetch()
    new = shared.commit(text="new")
    # WHEN the old one's request comes late, THEN what is built is the tip as it is now
    assert ask(shared, Pushed(old, handled_tip=new, handled_at=shared.time - 1)) == new
    # AND so it is where the branch went back meanwhile
    back = shared.commit(text="back")
    shared.fetch()
    shared.git("reset", "-q", "--hard", old)
    assert ask(shared, Pushed(back, handled_tip=old, handled_at=shared.time + 1)) == old


def test_only_the_last_fetch_of_the_branch_counts(shared: Shared) -> None:
    first = shared.commit(text="1")
    shared.git("branch", "other")
    shared.fetch()
    second = shared.commit(text="2")
    shared.fetch()
    shared.fetch(branch="other")
    shared.fetch(first)
    fetches = shared.fetches
    assert ask(shared, Pushed(second)) == second
    assert shared.fetches == fetches
    assert ask(shared, Pushed(first)) == second
    assert shared.fetches == fetches + 1


def test_a_fetch_is_as_good_as_another_one_only_for_what_it_brought() -> None:
    last = Fetched(Commit(id=A), began=100.0)

    def known(pushed: Pushed, last: Fetched | None = last, follows: bool = True) -> bool:
        return is_known(pushed, last, lambda old, new: follows)

    assert known(Pushed(A, B, 99.0))
    assert not known(Pushed(A, B, 99.0), follows=False)
    assert not known(Pushed(A, B, 100.0))
    assert not known(Pushed(B))
    assert not known(Pushed(A), last=None)


# --- a damaged mirror


def test_a_damaged_mirror_is_removed_when_no_run_reads_it(shared: Shared) -> None:
    # GIVEN a run that lays out the files, when the mirror is found damaged
    tip, door = shared.commit(text="1"), Door()
    shared.fetch()
    shared.after = shared.at("read-tree", door)
    reader = Run(lambda _stop: shared.files(tip))
    until(lambda: door.reached)
    shared.damage()
    new = shared.commit(text="2")
    # WHEN another run fetches
    fetch = shared.begin()
    gate = shared.source._gate(shared.pipeline)
    until(lambda: gate._wanting or fetch.is_over)
    # THEN it waits for the first before it makes the mirror anew
    assert (shared.mirror / "HEAD").exists()
    assert not fetch.is_over
    door.open()
    assert reader.result() == {"file": "1"}
    assert fetch.result() == new


def test_a_commit_that_went_with_a_damaged_mirror_is_fetched_again(shared: Shared) -> None:
    # GIVEN a run that has fetched a commit which is only on a branch of its own
    shared.commit(text="1")
    shared.git("config", "uploadpack.allowReachableSHA1InWant", "true")
    shared.git("checkout", "-q", "-b", "other")
    other = shared.commit(text="other")
    shared.fetch(branch="other")
    shared.git("checkout", "-q", "main")
    # WHEN another branch's fetch makes the mirror anew
    shared.damage()
    shared.commit(text="2")
    shared.fetch()
    # THEN the run has its files all the same
    assert shared.files(other) == {"file": "other"}


def test_what_was_fetched_into_a_damaged_mirror_is_not_known_any_more(shared: Shared) -> None:
    tip = shared.commit(text="1")
    shared.git("branch", "other")
    shared.fetch(branch="other")
    shared.fetch()
    shared.damage()
    shared.fetch()
    fetches = shared.fetches
    pipeline = make_pipeline(git_url=f"file://{shared.path}", branch="other")
    found = shared.source.fetch(pipeline, None, stop=STOP, sink=print, pushed=Pushed(tip))
    assert (found.id, shared.fetches) == (tip, fetches + 1)


def test_a_mirror_that_lacks_files_is_made_anew_by_the_next_fetch(shared: Shared) -> None:
    # GIVEN a mirror that has lost a file's content, which no fetch sees
    tip = shared.commit(text="1")
    shared.fetch()
    shared.lose(shared.git("rev-parse", f"{tip}:file"))
    # THEN the files cannot be laid out; the mirror stays for those who read it
    with pytest.raises(WorldFailed, match="cannot lay out"):
        shared.files(tip)
    assert (shared.mirror / "HEAD").exists()
    # AND the next fetch, of another process even, makes it anew
    shared.source = shared.make_source(run=shared.run)
    assert shared.fetch() == tip
    assert shared.files(tip) == {"file": "1"}
