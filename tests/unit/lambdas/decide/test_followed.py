"""What is followed wakes and keeps nobody; what nobody follows any more is looked at again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.decide.decision import decide
from lambdas.decide.situation import Ask, EndAlert, FollowUp, NoteTip, Republish, StopIdle, Tip
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import NEVER, held_by
from slipway.contracts.table.pipelines import PipelineRow
from tests.unit.lambdas.decide.situations import (
    NOTICE,
    PAUSED,
    asleep,
    chosen,
    host,
    locked,
    snapshot,
    started,
    want,
)
from tests.unit.lambdas.world import OTHER, START

DEPLOYMENT = "shop-20270115080000-0a1b2c"
FOLLOWED = {"locks": locked(holder=held_by(DEPLOYMENT), expires_at=NEVER)}
GIVES_WAY = {**FOLLOWED, "giving_way": frozenset({"shop"})}
UNBUILT = replace(want(), builder=False)
OLD = replace(want(), noted_at=START - 9000)


def row(**values: object) -> DeploymentRow:
    made = DeploymentRow(
        deployment_id=DEPLOYMENT, pipeline="shop", request_id="1" * 32, reason="push",
        rollout="{}", next_look=START - 31,
    )  # fmt: skip
    return replace(made, **values)  # type: ignore[arg-type]


class TestWaking:
    def test_a_want_of_a_followed_pipeline_wakes_nobody(self):
        assert started(asleep(), wants=(want(),), **FOLLOWED) == []

    def test_a_note_again_on_the_lock_of_a_deployment_wakes_nobody(self):
        noted = {"shop": replace(FOLLOWED["locks"]["shop"], again="1" * 32)}
        assert started(asleep(), locks=noted) == []
        assert started(asleep(), locks=noted, giving_way=frozenset({"shop"})) == []

    def test_a_message_that_may_be_of_a_followed_pipeline_wakes_nobody(self):
        # its want waits for the end of the rollout, or was cleared at the hand-over
        assert started(asleep(), wants=(want(),), queued=1, **FOLLOWED) == []
        assert started(asleep(), queued=1, **FOLLOWED) == []

    def test_another_pipelines_want_does(self):
        assert started(asleep(), wants=(want("blog"),), queued=1, **FOLLOWED)

    def test_a_want_that_needs_no_builder_wakes_nobody(self):
        assert started(asleep(), wants=(UNBUILT,)) == []

    def test_a_want_that_needs_no_builder_says_nothing_of_the_build_queue(self):
        # paused, it waits in the follow queue's stead: what lies in the build queue is another's
        assert started(asleep(), wants=(UNBUILT,), pipelines=PAUSED, queued=1)

    def test_a_push_that_takes_over_wakes_a_host(self):
        assert started(asleep(), wants=(want(),), **GIVES_WAY)
        assert started(asleep(), queued=1, **GIVES_WAY)
        assert started(asleep(), wants=(want(),), pipelines=PAUSED, **GIVES_WAY) == []
        assert started(asleep(), wants=(UNBUILT,), **GIVES_WAY) == []

    def test_only_a_deployment_gives_way(self):
        held = {**GIVES_WAY, "locks": locked(holder=f"{OTHER}/boot-9")}
        assert started(asleep(), wants=(want(),), **held) == []


class TestSleeping:
    @pytest.mark.parametrize(
        "values",
        [
            {"wants": (want(),), **FOLLOWED},
            {"queued": 1, **FOLLOWED},
            {"wants": (want(),), "queued": 2, **FOLLOWED},
            {"wants": (UNBUILT,)},
        ],
        ids=["its want", "a count", "both", "a want without builder"],
    )
    def test_what_is_followed_keeps_nobody_awake(self, values):
        assert chosen(StopIdle, host(), notice=NOTICE, **values)

    def test_a_push_that_takes_over_keeps_its_host(self):
        assert chosen(StopIdle, host(), notice=NOTICE, wants=(want(),), **GIVES_WAY) == []


class TestRepublishing:
    def test_what_is_followed_is_not_published_again(self):
        assert chosen(Republish, asleep(), wants=(OLD,), **FOLLOWED) == []
        assert chosen(Republish, asleep(), wants=(OLD,), **GIVES_WAY)

    def test_the_build_queues_counts_say_nothing_of_a_want_without_builder(self):
        old = replace(UNBUILT, noted_at=START - 901)
        (again,) = chosen(Republish, asleep(), wants=(old,), queued=1, held_messages=1)
        assert again.want == old


class TestDrift:
    def test_the_tip_is_not_asked_for_while_a_deployment_is_followed(self):
        # GIVEN a tip that was handed over: its want is cleared, its outcome is not recorded yet
        ahead = PipelineRow(
            pipeline="shop", handled_tip="a" * 40, ahead_tip="b" * 40, ahead_since=START - 900
        )
        seen = {"pipelines": {"shop": ahead}, "tips": {"shop": Tip(commit_id="b" * 40)}}
        assert chosen(Ask, asleep(), **seen)
        # THEN it counts as handled, and a tip that is pushed meanwhile begins its time anew
        for values in (FOLLOWED, GIVES_WAY):
            assert chosen(Ask, asleep(), **seen, **values) == []
            (note,) = chosen(NoteTip, asleep(), **seen, **values)
            assert note.values == {"checked_at": START, "ahead_tip": None, "ahead_since": None}


class TestTheNet:
    def followed_up(self, found: DeploymentRow | None) -> list[FollowUp]:
        seen = snapshot(asleep(), handed_over={DEPLOYMENT: found}, **FOLLOWED)
        return [action for action in decide(seen) if isinstance(action, FollowUp)]

    @pytest.mark.parametrize(
        "found",
        [
            row(),
            row(claimed_by="the follower/1", claimed_until=START),
            row(next_look=None),
            row(rollout=None, next_look=None, ended_at=START - 9),
            None,
        ],
        ids=["overdue", "a claim that lapsed", "no next look", "not closed", "gone"],
    )
    def test_who_is_left_alone_is_looked_at(self, found):
        (action,) = self.followed_up(found)
        assert (action.deployment_id, action.pipeline) == (DEPLOYMENT, "shop")

    @pytest.mark.parametrize(
        "found",
        [
            row(next_look=START - 30),
            row(claimed_by="host i-1/boot", claimed_until=START + 1),
            row(ended_at=START - 9, claimed_by="host i-1/boot", claimed_until=START + 1),
        ],
        ids=["due just now", "claimed", "being closed"],
    )
    def test_who_is_followed_is_not(self, found):
        assert self.followed_up(found) == []

    def test_nothing_is_said_of_rows_that_were_not_read(self):
        assert chosen(FollowUp, asleep(), **FOLLOWED) == []


class TestAnUnknownState:
    """The follower does not know the version of a rollout's state, and has said so."""

    ALERT = AlertRow(
        kind="not_followed", subject=DEPLOYMENT, raised_at=START - 60, text="version 9"
    )

    def ends(self, found: dict[str, DeploymentRow | None]) -> bool:
        seen = {"alerts": (self.ALERT,), "handed_over": found, **FOLLOWED}
        return [action.alert for action in chosen(EndAlert, asleep(), **seen)] == [self.ALERT]

    def test_its_alert_stands_while_nobody_gets_on(self):
        assert not self.ends({DEPLOYMENT: row(next_look=START - 90)})

    def test_its_alert_ends_with_the_next_step_or_the_end(self):
        assert self.ends({DEPLOYMENT: row(next_look=START + 5)})
        assert self.ends({DEPLOYMENT: row(ended_at=START - 1)})
        assert self.ends({})
