"""Which pipelines get a build of CodeBuild, when, and what becomes of one that is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.decide.situation import (
    EndAlert,
    EndBuilder,
    FindBuilder,
    RaiseAlert,
    StartBuilder,
    StartHost,
)
from slipway.contracts.installation import BuildersSettings
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.builders import BuilderRow
from slipway.contracts.table.pending import PendingRow
from slipway.contracts.table.places import Place
from tests.unit.lambdas.decide.situations import (
    PAUSED,
    asleep,
    at_work,
    chosen,
    locked,
    run,
    want,
)
from tests.unit.lambdas.world import START

ONLY = BuildersSettings(when="codeBuild")
OVERFLOW = BuildersSettings(when="overflow", overflow_after=300)


def builder(name: str = "shop", state: str = "started", **values: object) -> dict:
    row = BuilderRow(
        **{
            "pipeline": name,
            "generation": 3,
            "state": state,
            "asked_at": START - 20,
            "build_id": f"project:{name}",
            **values,
        }  # type: ignore[arg-type]
    )
    return {name: row}


def pending(name: str = "shop", *, since: float = 10, held_by: int = 0, until: float = 0) -> dict:
    row = PendingRow(
        pipeline=name, request_id="a" * 32, body="{}", since=START - since,
        visible_at=START + until, held_by=held_by,
    )  # fmt: skip
    return {"pending": (row,)}


def built(**values: object) -> list[str]:
    given = {"engine": ONLY, **values}
    return [action.builder.pipeline for action in chosen(StartBuilder, **given)]


def test_a_want_gets_a_build_where_there_is_no_host() -> None:
    assert built(wants=(want(),)) == ["shop"]


def test_where_hosts_build_nothing_is_started_in_codebuild() -> None:
    assert built(engine=BuildersSettings(), wants=(want(),), **pending()) == []


@pytest.mark.parametrize("state", ["asked", "started"])
def test_a_pipeline_has_one_builder(state: str) -> None:
    assert built(wants=(want(),), builders=builder(state=state)) == []


@pytest.mark.parametrize("state", ["none", "done", "ended"])
def test_a_builder_that_is_over_is_followed_by_another(state: str) -> None:
    assert built(wants=(want(),), builders=builder(state=state)) == ["shop"]


def test_codebuilds_word_that_a_build_is_over_frees_the_pipeline_and_its_lock() -> None:
    values = {
        "engine": ONLY,
        "wants": (want(),),
        "builders": builder(),
        "build_ends": {"shop": "FAULT"},
        "locks": locked(holder="codebuild:shop/3/p.1"),
    }
    (end,) = chosen(EndBuilder, **values)
    assert (end.builder.generation, end.status) == (3, "FAULT")
    assert built(**values) == ["shop"]


def test_what_somebody_else_deploys_waits() -> None:
    assert built(wants=(want(),), locks=locked(holder="cli:ada")) == []


def test_what_is_paused_or_followed_gets_none() -> None:
    assert built(wants=(want(),), pipelines=PAUSED) == []
    followed = locked(holder="deployment:shop-1", expires_at=START + 9e9)
    assert built(wants=(want(),), locks=followed) == []


def test_rows_alone_are_work_too() -> None:
    """Older requests, whose want a newer push has taken."""
    assert built(**pending()) == ["shop"]


def test_a_row_that_was_given_back_for_later_starts_none() -> None:
    assert built(**pending(until=60)) == []


def test_a_row_that_a_builder_held_which_is_gone_is_work() -> None:
    gone = builder(state="ended")
    assert built(builders=gone, **pending(held_by=3, until=300)) == ["shop"]


def test_a_note_again_that_nobody_holds_is_work() -> None:
    notes = locked(holder="", again="b" * 32, again_at=START - 5)
    assert built(locks=notes) == ["shop"]


def test_the_longest_waiting_come_first_within_the_limit() -> None:
    engine = BuildersSettings(when="codeBuild", limit=3)
    rows = [
        PendingRow(
            pipeline=name, request_id="a" * 32, body="{}", since=START - age, visible_at=START
        )
        for name, age in (("blog", 10), ("shop", 50), ("wiki", 30))
    ]
    under_way = builder("web")
    assert built(engine=engine, pending=tuple(rows), builders=under_way) == ["shop", "wiki"]


def test_hosts_come_first_and_what_waits_too_long_goes_to_codebuild() -> None:
    new, old = pending(since=299), pending(since=300)
    assert built(engine=OVERFLOW, **new) == []
    assert built(engine=OVERFLOW, **old) == ["shop"]


def test_what_a_host_is_at_is_left_to_it() -> None:
    busy = at_work(run("shop"))
    found = chosen(StartBuilder, busy, engine=OVERFLOW, **pending(since=900))
    assert found == []


def test_no_host_is_woken_for_what_a_build_works_on() -> None:
    values = {"engine": OVERFLOW, "wants": (want(),), "builders": builder()}
    assert chosen(StartHost, asleep(), **values) == []


def test_an_answer_that_is_missed_is_looked_for_once_its_caller_is_over() -> None:
    values = {"engine": ONLY, "wants": (want(),)}
    new = builder(state="asked", asked_at=START - 60)
    old = builder(state="asked", asked_at=START - 61)
    assert chosen(FindBuilder, builders=new, **values) == []
    assert len(chosen(FindBuilder, builders=old, **values)) == 1


def test_people_are_told_of_refusals_after_a_while_and_once() -> None:
    values = {
        "engine": ONLY,
        "wants": (want(),),
        "builders": builder(state="ended", refused_since=START - 901),
    }
    (alert,) = chosen(RaiseAlert, **values)
    assert (alert.kind, alert.subject) == ("builders_refused", "shop")
    raised = (AlertRow(kind="builders_refused", subject="shop", raised_at=START - 5, text="so"),)
    assert chosen(RaiseAlert, alerts=raised, **values) == []
    assert chosen(EndAlert, alerts=raised, **values) == []
    short = builder(state="ended", refused_since=START - 899)
    assert chosen(RaiseAlert, engine=ONLY, wants=(want(),), builders=short) == []
    (over,) = chosen(EndAlert, alerts=raised, engine=ONLY, builders=builder())
    assert over.alert.subject == "shop"


def test_builds_that_end_early_are_paused_and_told_of() -> None:
    values = {"engine": ONLY, "wants": (want(),)}
    third = builder(state="ended", failures=3, status="FAILED", asked_at=START - 299)
    assert built(builders=third, **values) == []
    (alert,) = chosen(RaiseAlert, builders=third, **values)
    assert (
        "3 builds in a row ended before their work did, the last as CodeBuild's FAILED" in alert.why
    )
    later = builder(state="ended", failures=3, asked_at=START - 300)
    assert built(builders=later, **values) == ["shop"]
    second = builder(state="ended", failures=2, asked_at=START - 1)
    assert built(builders=second, **values) == ["shop"]
    assert chosen(RaiseAlert, builders=second, **values) == []


def test_what_nothing_waits_for_is_no_trouble() -> None:
    """A host has taken it, or somebody has cancelled it."""
    refused = builder(state="ended", refused_since=START - 901)
    assert chosen(RaiseAlert, engine=OVERFLOW, builders=refused) == []


def test_a_request_that_was_given_back_for_later_starts_no_build_by_its_want() -> None:
    """A builder would find nothing to do, again and again, and take another one's place."""
    asked = want()
    row = PendingRow(
        pipeline="shop", request_id=asked.request_id, body="{}", since=START - 90,
        visible_at=START + 1,
    )  # fmt: skip
    assert built(wants=(asked,), pending=(row,)) == []
    assert built(wants=(asked,), pending=(replace(row, visible_at=START),)) == ["shop"]


def test_a_pipeline_that_is_not_configured_any_more_gets_none() -> None:
    """No agent would know it: its builds would fail for ever."""
    assert built(wants=(want(),), configured=frozenset({"blog"})) == []


# --- places


def starts(**values: object) -> list[StartBuilder]:
    return chosen(StartBuilder, **{"engine": BuildersSettings(when="codeBuild", limit=4), **values})


def numbers(start: StartBuilder) -> set[int]:
    return {place.number for place in start.places}


def test_a_start_is_given_every_place_that_is_free() -> None:
    taken = builder("web", place=1)
    (start,) = starts(
        wants=(want(),),
        builders=taken,
        places=(
            Place(number=1, pipeline="web", generation=3),
            Place(number=2, pipeline="web", generation=2),
        ),
    )
    assert numbers(start) == {0, 2, 3}
    # AND one that was taken before is named as it was seen
    assert Place(number=2, pipeline="web", generation=2) in start.places


def test_of_two_pipelines_each_begins_with_another_place() -> None:
    first, second = starts(wants=(want(), want("blog")))
    assert numbers(first) == numbers(second)
    assert first.places[0] != second.places[0]


def test_a_place_that_was_taken_after_the_rows_were_read_is_not_free() -> None:
    """A decision reads rows and places at different moments."""
    new = (Place(number=0, pipeline="web", generation=4),)
    over = builder("web", state="ended")
    (start,) = starts(wants=(want(),), builders=over, places=new)
    assert 0 not in numbers(start)


def test_the_place_of_a_build_that_codebuild_calls_over_is_free() -> None:
    (start,) = starts(
        engine=BuildersSettings(when="codeBuild", limit=1),
        wants=(want(),),
        builders=builder(place=0),
        places=(Place(number=0, pipeline="shop", generation=3),),
        build_ends={"shop": "FAULT"},
    )
    assert numbers(start) == {0}


@pytest.mark.parametrize("place", [None, 7])
def test_builders_without_a_place_below_the_limit_count_for_one(place: int | None) -> None:
    """Of an earlier version, or of a limit that was higher."""
    old = builder("web", place=place) | builder("blog", place=place)
    (start,) = starts(wants=(want(),), builders=old)
    assert numbers(start) == {0, 1}


def test_a_place_above_those_that_are_left_counts_as_well() -> None:
    old = builder("web", place=None) | builder("blog", place=3)
    taken = (Place(number=3, pipeline="blog", generation=3),)
    (start,) = starts(wants=(want(),), builders=old, places=taken)
    assert numbers(start) == {0, 1}
