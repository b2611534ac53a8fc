"""What is left of a pipeline that is configured no more, where CodeBuild builds."""

from __future__ import annotations

from dataclasses import replace

from lambdas.decide.situation import ForgetBuilder, GiveUp, Republish
from lambdas.decide.unconfigured import PATIENCE
from slipway.contracts.installation import BuildersSettings
from tests.unit.lambdas.decide.situations import at_work, chosen, locked, run, want
from tests.unit.lambdas.decide.test_building import ONLY, OVERFLOW, builder, pending
from tests.unit.lambdas.world import START

OTHERS = frozenset({"blog"})
OLD = PATIENCE + 1


def given_up(*hosts: object, **values: object) -> list[str]:
    given = {"engine": ONLY, "configured": OTHERS, **values}
    return [action.request_id for action in chosen(GiveUp, *hosts, **given)]  # type: ignore[arg-type]


def old_want(age: float = OLD) -> object:
    return replace(want(), pushed_at=START - age)


def test_its_rows_are_given_up_once_nobody_learns_of_it_any_more() -> None:
    assert given_up(**pending(since=PATIENCE)) == []
    assert given_up(**pending(since=OLD)) == ["a" * 32]


def test_a_pipeline_that_is_configured_keeps_its_rows() -> None:
    assert given_up(configured=frozenset({"shop"}), **pending(since=90_000)) == []


def test_with_hosts_alone_nothing_is_given_up() -> None:
    assert given_up(engine=BuildersSettings(), wants=(old_want(),)) == []


def test_a_builder_that_works_for_it_still_is_let_finish() -> None:
    assert given_up(builders=builder(), **pending(since=OLD, held_by=3)) == []
    assert given_up(builders=builder(state="ended"), **pending(since=OLD, held_by=3)) != []


def test_so_is_a_host_and_whoever_has_its_lock() -> None:
    row = pending(since=OLD)
    assert given_up(at_work(run("shop")), engine=OVERFLOW, **row) == []
    assert given_up(locks=locked(holder="cli:ada"), **row) == []
    followed = locked(holder="deployment:shop-1", expires_at=START + 9e9)
    assert given_up(locks=followed, **row) == []


def test_an_outcome_that_is_still_to_be_told_goes_first() -> None:
    untold = locked(holder="", untold="shop-20270115080000-aaaaaa")
    assert given_up(locks=untold, **pending(since=OLD)) == []


def test_a_want_without_a_row_is_given_up_too() -> None:
    assert given_up(wants=(old_want(PATIENCE),)) == []
    assert given_up(wants=(old_want(),)) == [want().request_id]


def test_a_want_whose_request_has_a_row_is_given_up_with_that() -> None:
    (row,) = pending(since=OLD)["pending"]
    mine = replace(row, request_id=want().request_id)
    assert given_up(wants=(old_want(),), pending=(mine,)) == [want().request_id]


def test_nobody_is_asked_again_for_what_nobody_knows() -> None:
    stale = (replace(want(), noted_at=START - 5000),)
    assert chosen(Republish, engine=ONLY, configured=OTHERS, wants=stale) == []
    assert len(chosen(Republish, engine=ONLY, wants=stale)) == 1
    assert len(chosen(Republish, configured=OTHERS, wants=stale)) == 1  # hosts: as ever


def forgotten(**values: object) -> list[str]:
    given = {"engine": ONLY, "configured": OTHERS, **values}
    return [action.builder.pipeline for action in chosen(ForgetBuilder, **given)]  # type: ignore[arg-type]


def test_the_row_of_its_builder_goes_once_that_has_been_over_for_long() -> None:
    over = builder(state="ended", asked_at=START - 9000, ended_at=START - OLD)
    assert forgotten(builders=over) == ["shop"]
    assert forgotten(builders=over, configured=frozenset({"shop"})) == []
    assert forgotten(builders=over, **pending(since=10)) == []
    assert forgotten(builders=builder(asked_at=START - 9000)) == []
    soon = builder(state="ended", asked_at=START - 9000, ended_at=START - PATIENCE)
    assert forgotten(builders=soon) == []
