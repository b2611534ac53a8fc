"""A follower that dies in a call of the table or of the follow queue, before it or once it is done.

By default two runs of each scenario have a death at every kind of such a call, and some have one
death. With `EVERY_MOMENT` in the environment each call has a run of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from slipway.contracts.messages import FollowMessage
from slipway.contracts.table.locks import held_by
from slipway.following.follower import Held
from tests.unit.slipway.following.test_three_ways import (
    judged,
    pipeline_without_times,
    row_without_times,
    summary_of,
    without_times,
)
from tests.unit.slipway.following.three_ways import DEPLOYMENT, Chain
from tests.unit.slipway.rollout.stepwise import Killed
from tests.unit.slipway.rollout.test_stepwise import SCENARIOS

WRITES = ("update_item", "put_item", "delete_item", "transact_write_items")
SEND = "send"
SAMPLE = 37
"""By default one call of so many has a run of its own."""
LATE = {"followed, well", "the health check passes", "an alarm was off before, and is again"}
"""A death costs seconds. What is over by then, drained, or off again is called by what is seen
then.
"""
PAUSE = 3.0
"""Seconds until the reconciler has found it: a claim has ended by then."""
Dies = Callable[[int, str], bool]
"""From a call's number and kind: whether the process dies in it."""


@dataclass
class Mortal(Chain):
    """A chain whose processes die in calls of the table and of the queue."""

    dies: Dies = lambda _number, _kind: False
    mortal: bool = False
    reconciled: int = 0
    made_calls: list[str] = field(default_factory=list)

    def hand_over(self) -> Held:
        """As an agent does; from then on it may die."""
        held = super().hand_over()
        client: Any = self.table.store.client
        for name in WRITES:
            setattr(client, name, self._mortal(name, getattr(client, name)))
        self.mortal = True
        return held

    def by_follower(self, *, doubled: bool = False, every: float = 5.0) -> Any:
        held = self.hand_over()
        with suppress(Killed):
            held.let_go()
        self.follow_queue(doubled=doubled, every=every)
        while self.is_left():
            self.reconciled += 1
            self.queue.append((self.now + PAUSE, FollowMessage(deployment_id=DEPLOYMENT)))
            self.follow_queue(doubled=doubled, every=every)
        return self.row

    def is_left(self) -> bool:
        """Whether the reconciler finds it by its lock: its message is gone, and it is not over."""
        lock = self.table.locks.get("web")
        return lock.holder == held_by(DEPLOYMENT) or lock.untold == DEPLOYMENT

    def _send(self, message: FollowMessage, delay: float) -> None:
        send = super()._send
        if self.mortal:
            self._in_call(SEND, lambda: send(message, delay))
        else:
            send(message, delay)

    def _mortal(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(**request: Any) -> Any:
            kind = f"{name} {request.get('UpdateExpression', '')}".partition(" =")[0]
            return self._in_call(kind, lambda: call(**request))

        mortal.passes = True  # type: ignore[attr-defined]  (what it calls is looked at)
        return mortal

    def _in_call(self, kind: str, call: Callable[[], Any]) -> Any:
        number = len(self.made_calls)
        self.made_calls.append(kind)
        dies = self.dies(number, kind)
        if dies and not self.answered:
            raise Killed
        answer = call()
        if dies:
            raise Killed
        return answer


def ended(chain: Chain) -> dict[str, Any]:
    """The end of a deployment; what is said twice, as by who died in between, counts once.

    Not its stages: who dies as it enters one has not entered it, and nobody does so again.
    """
    said, row, notice = summary_of(chain), chain.row, without_times(chain.said.told[-1])
    assert set(map(repr, chain.said.told)) == {repr(row.result)}
    lock = chain.table.locks.get("web")
    return {
        **said,
        "lines": judged(dict.fromkeys(said["lines"])),
        "notice": replace(notice, log_tail=judged(notice.log_tail), stage="close"),
        "row": replace(row_without_times(row), stage="", stages={}, detail=None),
        "pipeline": pipeline_without_times(chain.table.pipelines.get("web")),
        "kept": set(chain.said.kept),
        "lock": (lock.holder, lock.untold),
        "wants": chain.table.wants.all(),
    }


def ended_late(chain: Chain) -> dict[str, Any]:
    """What must be so also where it depends on the moment of a look how the end is called."""
    return {name: ended(chain)[name] for name in ("live", "now", "made", "lock", "wants")}


def each_kind_once() -> Dies:
    """Dies in the first call of each kind."""
    seen: set[str] = set()

    def dies(_number: int, kind: str) -> bool:
        is_new = kind not in seen
        seen.add(kind)
        return is_new

    return dies


@pytest.mark.parametrize("answered", [False, True], ids=["before", "once it is done"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_death_in_each_kind_of_write_and_in_sending_changes_nothing(
    name: str, answered: bool
) -> None:
    # GIVEN how it goes where nobody dies
    make, seen = SCENARIOS[name], ended_late if name in LATE else ended
    whole = Mortal(make())
    whole.by_follower()
    # WHEN whoever first makes a kind of call dies in it
    chain = Mortal(make(), answered=answered, dies=each_kind_once())
    chain.by_follower()
    # THEN all comes out the same, by the reconciler where two died in turn
    assert {SEND} < set(chain.made_calls)
    assert seen(chain) == seen(whole)


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_death_in_a_write_or_in_sending_changes_nothing(name: str) -> None:
    # GIVEN how it goes where nobody dies
    make, seen = SCENARIOS[name], ended_late if name in LATE else ended
    whole = Mortal(make())
    whole.by_follower()
    expected = seen(whole)
    for at in moments(len(whole.made_calls), list(SCENARIOS).index(name)):
        for answered in (False, True):
            # WHEN one process dies in one call
            chain = Mortal(make(), answered=answered, dies=lambda number, _, at=at: number == at)
            chain.by_follower()
            # THEN all comes out the same, and nobody has to look for it
            when = f"{'after' if answered else 'before'} call {at}, {whole.made_calls[at]}"
            assert seen(chain) == expected, when
            assert chain.reconciled == 0, when


def moments(calls: int, scenario: int) -> range:
    """All calls, or a few of them, other ones in each scenario."""
    every = 1 if "EVERY_MOMENT" in os.environ else SAMPLE
    return range(scenario % min(every, calls), calls, every)
