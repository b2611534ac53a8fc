"""Takes the steps of a deployment's rollouts, under the claim of this process.

`Held.go_on` takes what is due, `Held.let_go` writes down what is known and lets others follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from slipway.contracts.errors import Interrupted, WrongUse
from slipway.contracts.messages import FollowMessage, Stage
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.following.backoff import delay_after, is_given_up
from slipway.following.outcome import Ended, of_failed_plan, of_given_up, of_rollout, of_superseded
from slipway.following.parts import FollowerParts
from slipway.following.progress import progress_text, revisions_of, stage_of
from slipway.following.several import NEWER, consequences, in_hand, is_to_be_told, name_of
from slipway.following.several_ended import ByItself, of_several, over_by_itself, with_services
from slipway.following.state import Followed, Trouble, to_json
from slipway.rollout import Progress, RolloutResult
from slipway.rollout.actions import Change
from slipway.rollout.cancelling import cancel, ends_first
from slipway.rollout.follow import deadline
from slipway.rollout.roll_out import refused_with_revision, resumed
from slipway.rollout.state import Advanced, sure
from slipway.rollout.unfinished import left_behind

ORDERS_EVERY = 2.0
"""Seconds between two looks for a cancel or a takeover, while a claim is held."""
_TAKEN_BACK = ("cancelled", "rolled_back")


class Held:
    """Rollouts whose step this process has claimed: one, or those of several services.

    Raises Interrupted once the claim is lost.
    """

    def __init__(
        self,
        parts: FollowerParts,
        row: DeploymentRow,
        followed: Followed,
        claim: Claim,
        begun: Sequence[Advanced] = (),
    ) -> None:
        self.row = row
        self.followed = followed
        self.claim = claim
        self.is_over = False
        self._parts = parts
        self._table = parts.table
        self._detail = row.detail
        self._orders_at = float("-inf")
        self._saved_steps = [state.step for state in followed.rollouts]
        self._saved_at = parts.now()
        self._steps: dict[int, Advanced] = dict(enumerate(begun))
        self._means: dict[int, Any] = {}
        self._not_before = 0.0
        self._forced: set[int] = set()

    @property
    def next_look(self) -> float:
        """Seconds since the epoch: when the next step is due."""
        found = self._next()
        return max(self._due_at(*found) if found is not None else 0.0, self._not_before)

    def look_within(self, pause: float) -> float:
        """When to look again, if not more often than every `pause` seconds.

        What has had its time by then is looked at when it has.
        """
        now = self._parts.now()
        if self.next_look <= now:
            return now
        at = max(self.next_look, now + pause)
        open_ = (deadline(self.followed.rollouts[number]) for number in in_hand(self.followed))
        end = min((end for end in open_ if end is not None and end > now), default=None)
        return at if end is None else max(self.next_look, min(at, end + 0.1))

    def look_now(self) -> None:
        """Something has changed: the next look is due."""
        self._forced |= {number for number, _ in self._candidates()}

    def go_on(self, *, until: float | None = None) -> None:
        """Take the steps that are due, at least one, and no further one after `until`."""
        while not self.is_over:
            self._obey()
            now = self._parts.now()
            if self.is_over or self.next_look > now:
                return
            self._take()
            if until is not None and self._parts.now() >= until:
                return

    def keep(self) -> None:
        """Extend the claim while nothing is due."""
        if not self.is_over and self._parts.now() - self._saved_at >= self._ttl / 8:
            self._save()

    def let_go(self, *, at: float | None = None) -> None:
        """Write down what is known, and let whoever gets the follow message take the next step.

        `at`: when that is to be, if not at `next_look`. The message goes first: who dies then has
        lost nothing.
        """
        if self.is_over:
            return
        look = self.next_look if at is None else max(at, self._not_before)
        delay = look - self._parts.now()
        message = FollowMessage(deployment_id=self.row.deployment_id, step=self.claim.step)
        self._parts.send(message, delay)
        self._table.following.release(self.claim, to_json(self.followed), next_look=look)

    # --- one step

    def _take(self) -> None:
        found = self._next()
        if found is None:
            self._record_end()
            return
        number, step = found
        self._forced.discard(number)
        try:
            if _changes(step) or step.state.step != self._saved_steps[number]:
                self._save()
            following = self._parts.take(_due(step), self._means_of(number))
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
            self._failed(number, step, error)
            return
        self._end_trouble(number, step, following)
        if following is None:
            self._forget(number)
            self._orders_at = float("-inf")  # the next service's begins with a look at them
        else:
            self._adopt(number, following)

    def _next(self) -> tuple[int, Advanced] | None:
        """The rollout whose step is due first, with it; None once all are over.

        One that has just ended goes before what comes after it.
        """

        def order(found: tuple[int, Advanced]) -> tuple[bool, float]:
            return found[1].state.result is None, self._due_at(*found)

        return min(self._candidates(), key=order, default=None)

    def _candidates(self) -> list[tuple[int, Advanced]]:
        """Those in hand, and those that are over and have something left to tell."""
        for number, step in consequences(self.followed, self._parts.now()):
            self._forget(number)
            self._adopt(number, step)
        over = {n for n, step in self._steps.items() if step.state.result is not None}
        return [(n, self._step_of(n)) for n in sorted(over.union(in_hand(self.followed)))]

    def _due_at(self, number: int, step: Advanced) -> float:
        return 0.0 if number in self._forced else step.next.at

    def _step_of(self, number: int) -> Advanced:
        if number not in self._steps:
            self._steps[number] = resumed(self.followed.rollouts[number])
            self._means.pop(number, None)
        return self._steps[number]

    def _means_of(self, number: int) -> Any:
        if number not in self._means:
            state = self.followed.rollouts[number]
            means = self._parts.means(state.plan, self._check, partial(self._progress, number))
            means.changes.taken[:] = state.taken
            means.changes.unsure[:] = state.unsure
            self._means[number] = means
        return self._means[number]

    def _adopt(self, number: int, step: Advanced) -> None:
        self._steps[number] = step
        self.followed = self.followed.with_rollout(number, step.state)

    def _forget(self, number: int) -> None:
        """What is known of its next step, here: it is found again by its state."""
        self._steps.pop(number, None)
        self._means.pop(number, None)

    def _end_trouble(self, number: int, step: Advanced, following: Advanced | None) -> None:
        """The world answers again; where a change had failed, once that change is behind."""
        trouble = self.followed.trouble
        if trouble is not None and trouble.rollout not in (None, number):
            return
        is_there = following is not None and trouble and following.state.step == trouble.change
        if trouble is not None and (not is_there or _changes(step)):
            self.followed = replace(self.followed, trouble=None)

    def _failed(self, number: int, step: Advanced, error: Exception) -> None:
        """The plan is wrong, and nothing was done: the commit's failure. Else try again later."""
        now, state = self._parts.now(), step.state
        if (gone := refused_with_revision(state, error, now)) is not None:
            return self._adopt(number, gone)
        wrong = of_failed_plan(state, error, now) if isinstance(error, WrongUse) else None
        if wrong is None:
            return self._count(number, step, error)
        if self._is_alone:
            return self._record(wrong)
        return self._end_one(number, step, "failed", wrong.cause or str(error), error)

    def _count(self, number: int, step: Advanced, error: Exception) -> None:
        """The world failed the step: later again, or given up after so many times of it.

        Who was called for before the pause was over does not count.
        """
        now, before = self._parts.now(), self.followed.trouble
        due = (self.row.next_look or 0.0) if before else 0.0
        earlier = before.change if before else None
        trouble = Trouble(
            count=before.count + (now >= due) if before else 1,
            first_at=before.first_at if before else now,
            text=str(error),
            change=step.state.step if _changes(step) else earlier,
            rollout=None if self._is_alone else number,
        )
        self.followed = replace(self.followed, trouble=trouble)
        self._forget(number)
        if is_given_up(trouble, now, self._parts.installation.limits):
            self._give_up(number, step, error, trouble)
            return
        pause = delay_after(trouble.count, self._parts.jitter())
        self._not_before = due if now < due else now + pause
        self._parts.ending.log.warning(
            "a step failed", deployment_id=self.row.deployment_id, error=trouble.text,
            attempts=trouble.count,
        )  # fmt: skip

    def _give_up(self, number: int, step: Advanced, error: Exception, trouble: Trouble) -> None:
        """Of several only the one: the others go back, as after any failure."""
        text = f"{trouble.text}; {left_behind(step.state)}"
        ended = of_given_up(trouble.count, text, self.followed.stage)
        if self._is_alone:
            self._record(ended)
            return
        self._end_one(number, step, "unwatched", ended.cause or text, error)
        self.followed = replace(self.followed, trouble=None)

    def _end_one(
        self, number: int, step: Advanced, outcome: ByItself, cause: str, error: Exception
    ) -> None:
        """One of several is over, though its own steps did not end it."""
        state = over_by_itself(step, outcome, cause, error, self._parts.now())
        self._forget(number)
        self.followed = self.followed.with_rollout(number, state)

    # --- what is asked of it meanwhile

    def _obey(self) -> None:
        """A cancel or a takeover that was asked for since the last look."""
        now = self._parts.now()
        if now - self._orders_at < ORDERS_EVERY:
            return
        self._orders_at = now
        row = self._table.deployments.get(self.row.deployment_id)
        locks, request = self._table.locks, self.followed.request
        lock, under_way = locks.get(self.row.pipeline), self.followed.under_way
        is_open = under_way is not None and not is_to_be_told(self.followed)
        if is_open and locks.is_to_give_way(lock, request):
            self._give_way(now)
        elif row is not None and row.cancelled_by is not None:
            self._cancel(row.cancelled_by, now)

    def _give_way(self, now: float) -> None:
        """To a newer request: at once, unless something of ours would go on beside that one's."""
        rollouts = enumerate(self.followed.rollouts)
        first = [number for number, s in rollouts if s.result is None and ends_first(s)]
        if not first:
            ended = of_superseded(self.followed.stage, "a newer request took its place")
            self._record(with_services(ended, self.followed))
        for number in first:
            self._end(number, NEWER, now)

    def _cancel(self, by: str, now: float) -> None:
        if self.followed.cancelled_by is not None or not self._candidates():
            return
        for number in in_hand(self.followed):
            self._end(number, by, now, again=True)
        self.followed = replace(self.followed, cancelled_by=by)

    def _end(self, number: int, by: str, now: float, *, again: bool = False) -> None:
        """Nothing where it goes back already."""
        state = self._step_of(number).state
        is_asked = state.cancelled is not None and not (again and self._is_alone)
        asked = cancel(state, by, now)
        if is_asked or asked.state is state:
            return
        self._adopt(number, asked)
        self._forced.add(number)
        self._not_before = 0.0

    # --- its end

    def _record_end(self) -> None:
        if not self._is_alone:
            self._record(of_several(self.followed))
            return
        result = sure(self.followed.rollouts[-1].result)
        self._record(self._ended(result), result)

    def _ended(self, result: RolloutResult) -> Ended:
        """As the rollout ended; what nobody cancelled was stopped for a newer request."""
        ended = of_rollout(result, stage=self.followed.stage, resumed=False)
        is_stopped = self.followed.rollouts[-1].cancelled is not None
        if is_stopped and not self.followed.cancelled_by and ended.status in _TAKEN_BACK:
            return replace(ended, status="superseded")
        return ended

    def _record(self, ended: Ended, result: RolloutResult | None = None) -> None:
        """Record it under the claim, which frees the lock; then all that follows from it."""
        ending = self._parts.ending
        try:
            ending.end(self.row, self.followed, ended, self.claim, result=result)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - the world failed it: again, by what stands
            self._not_before = self._parts.now() + delay_after(1, self._parts.jitter())
            ending.log.warning("an outcome was not recorded", error=str(error))
            return
        self.is_over = True

    # --- what is written down

    @property
    def _is_alone(self) -> bool:
        return self.followed.parts is None

    @property
    def _ttl(self) -> float:
        return self._parts.installation.limits.lock_ttl

    def _save(self) -> None:
        now, revisions = self._parts.now(), revisions_of(self.followed, self.row)
        saved = self._table.following.save(
            self.claim, to_json(self.followed), next_look=self.next_look, now=now, ttl=self._ttl,
            revisions=revisions,
        )  # fmt: skip
        if not saved:
            raise Interrupted("the claim on the rollout was lost")
        self._saved_at = now
        self.row = replace(self.row, **revisions)  # type: ignore[arg-type]
        self._saved_steps = [state.step for state in self.followed.rollouts]

    def _check(self) -> None:
        """Before a change in AWS: the claim, extended, is the look at the lock (`fence.py`)."""
        now = self._parts.now()
        if not self._table.following.renew(self.claim, now, ttl=self._ttl):
            raise Interrupted("the claim on the rollout was lost")

    def _progress(self, number: int, progress: Progress) -> None:
        now, stage = self._parts.now(), stage_of(progress.step)
        if stage != self.followed.stage and not self._is_known(stage):
            self.followed = self.followed.entered(stage, now)
            self._table.deployments.enter_stage(self.row.deployment_id, stage, now)
            self._detail = None
        detail, parts = progress_text(progress), self.followed.parts
        if detail and parts is not None:
            detail = f"{name_of(parts[number], parts)}: {detail}"
        if detail and detail != self._detail:
            self._detail = detail
            self._table.deployments.note(self.row.deployment_id, detail=detail)

    def _is_known(self, stage: Stage) -> bool:
        """Side by side one is ahead of the other: a stage is entered by the first, and once."""
        entered = {begun.stage for begun in self.followed.stages}
        return bool(self.followed.together) and stage in entered


def _changes(step: Advanced) -> bool:
    return any(isinstance(action, Change) for action in step.actions)


def _due(step: Advanced) -> Advanced:
    """The step with its look due: whoever calls has waited."""
    return step._replace(next=step.next._replace(at=0.0))
