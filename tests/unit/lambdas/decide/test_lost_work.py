"""Work that got lost: a want is published again, a tip that nobody asked for is deployed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.decide.decision import decide
from lambdas.decide.situation import (
    Ask,
    EndAlert,
    NoteTip,
    RaiseAlert,
    Republish,
    Tip,
)
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.pipelines import NO_TIP, PipelineRow
from tests.unit.lambdas.decide.situations import (
    LIMITS,
    PAUSED,
    asleep,
    at_work,
    chosen,
    host,
    locked,
    run,
    snapshot,
    want,
)
from tests.unit.lambdas.world import START


class TestRequestsThatGotLost:
    def test_a_want_without_progress_is_published_again(self):
        old = want(noted_at=START - 901)
        assert [a.want for a in chosen(Republish, asleep(), wants=(old,))] == [old]
        assert chosen(Republish, asleep(), wants=(want(noted_at=START - 900),)) == []

    def test_a_count_delays_it_and_does_not_prevent_it(self):
        old, older = want(noted_at=START - 901), want(noted_at=START - 3601)
        assert chosen(Republish, asleep(), wants=(old,), held_messages=1) == []
        assert chosen(Republish, asleep(), wants=(older,), held_messages=1)

    def test_not_while_it_is_worked_on_or_paused(self):
        old = (want(noted_at=START - 9000),)
        assert chosen(Republish, host(), wants=old, locks=locked()) == []
        assert chosen(Republish, at_work(run()), wants=old) == []
        assert chosen(Republish, host(), wants=old, pipelines=PAUSED) == []

    def test_an_orphaned_again_becomes_a_request_with_one_id(self):
        orphan = locked(expires_at=START, again="1" * 32, again_by="ada")
        first, second = (chosen(Ask, asleep(), locks=orphan)[0] for _ in range(2))
        assert first.request.request_id == second.request.request_id
        assert (first.orphan, first.request.pushed_by) == (orphan["shop"], "ada")

    def test_a_held_lock_keeps_its_again(self):
        assert chosen(Ask, asleep(), locks=locked(again="ada")) == []


class TestDrift:
    A, B = "a" * 40, "b" * 40

    def tips(self, tip: str, **row: object) -> list:
        rows = {"shop": PipelineRow(pipeline="shop", **row)}  # type: ignore[arg-type]
        answer = {"shop": Tip(commit_id=tip)}
        return [
            a
            for a in decide(snapshot(asleep(), pipelines=rows, tips=answer))
            if isinstance(a, Ask | NoteTip)
        ]

    def test_the_first_sight_is_the_baseline(self):
        (note,) = self.tips(self.A)
        assert note.values == {"checked_at": START, "baseline_tip": self.A}

    @pytest.mark.parametrize("row", [{"handled_tip": "a" * 40}, {"baseline_tip": "a" * 40}])
    def test_a_known_tip_is_not_ahead(self, row):
        (note,) = self.tips(self.A, ahead_tip=self.B, ahead_since=START - 9000, **row)
        assert note.values["ahead_tip"] is None

    def test_a_new_tip_is_remembered_first(self):
        (note,) = self.tips(self.B, handled_tip=self.A)
        assert (note.values["ahead_tip"], note.values["ahead_since"]) == (self.B, START)

    def test_a_tip_ahead_for_five_minutes_is_asked_for_once(self):
        ahead = {"handled_tip": self.A, "ahead_tip": self.B}
        assert self.tips(self.B, **ahead, ahead_since=START - 299) == []
        (ask,) = self.tips(self.B, **ahead, ahead_since=START - 300)
        (same,) = self.tips(self.B, **ahead, ahead_since=START - 300)
        assert (ask.request.reason, ask.request.commit_id) == ("drift", self.B)
        assert ask.request.request_id == same.request.request_id

    def test_a_tip_that_stays_ahead_is_asked_for_anew(self):
        # A request that another host's run has joined is settled, and that run may have failed.
        row = PipelineRow(
            pipeline="shop", handled_tip=self.A, ahead_tip=self.B, ahead_since=START - 300
        )
        seen = snapshot(asleep(), pipelines={"shop": row}, tips={"shop": Tip(commit_id=self.B)})

        def asked(now: float) -> str:
            (ask,) = (a for a in decide(replace(seen, now=now)) if isinstance(a, Ask))
            return str(ask.request.request_id)

        after_an_age = START - 300 + LIMITS.drift_every
        assert asked(START) == asked(after_an_age - 1)
        assert asked(START) != asked(after_an_age) == asked(after_an_age + 300)

    def test_the_baseline_is_ahead_again_once_another_tip_was_handled(self):
        # a branch that goes A, B, back to A, whose last trigger never fired
        row = {"baseline_tip": self.A, "handled_tip": self.B}
        (ask,) = self.tips(self.A, **row, ahead_tip=self.A, ahead_since=START - 300)
        assert ask.request.commit_id == self.A

    def test_a_rollback_is_not_behind(self):
        row = {"handled_tip": self.B, "running_commit": self.A, "rolled_back_to": "shop-1"}
        assert not any(isinstance(a, Ask) for a in self.tips(self.B, **row))

    def test_a_tip_that_is_asked_for_is_not_asked_for_again(self):
        rows = {
            "shop": PipelineRow(
                pipeline="shop", handled_tip=self.A, ahead_tip=self.B, ahead_since=START - 900
            )
        }
        answer = {"shop": Tip(commit_id=self.B)}
        assert chosen(Ask, asleep(), pipelines=rows, tips=answer, wants=(want(),)) == []

    def test_no_answer_about_a_branch_that_was_never_seen_is_not_said(self):
        silent = {"shop": Tip(problem="AccessDenied")}
        assert chosen(RaiseAlert, asleep(), tips=silent) == []

    def test_a_branch_that_is_not_there_yet_is_the_baseline(self):
        (note,) = chosen(NoteTip, asleep(), tips={"shop": Tip()})
        assert note.values == {"checked_at": START, "baseline_tip": NO_TIP}
        # AND one that is gone is no news, and nothing is asked for
        row = PipelineRow(pipeline="shop", handled_tip=self.A)
        (note,) = decide(snapshot(asleep(), tips={"shop": Tip()}, pipelines={"shop": row}))
        assert note.values == {"checked_at": START}

    def test_no_answer_is_said_once_and_its_end_too(self):
        silent = {"shop": Tip(problem="AccessDenied")}
        rows = {"shop": PipelineRow(pipeline="shop", baseline_tip=self.A)}
        (alert,) = chosen(RaiseAlert, asleep(), tips=silent, pipelines=rows)
        assert (alert.kind, alert.subject) == ("drift_skipped", "shop")
        standing = AlertRow(kind="drift_skipped", subject="shop", raised_at=START - 900)
        again = {"tips": silent, "pipelines": rows, "alerts": (standing,)}
        assert chosen(RaiseAlert, asleep(), **again) == []
        answer = {"shop": Tip(commit_id=self.A)}
        (end,) = chosen(EndAlert, asleep(), tips=answer, alerts=(standing,))
        assert end.alert == standing
