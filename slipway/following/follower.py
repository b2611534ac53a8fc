"""Takes the steps of a rollout that its deployment's row owns, in whatever process is at hand.

`Follower.take_up` claims the next step, `Held.go_on` takes what is due, `Held.let_go` writes down
what is known and lets others follow. A process that dies in between loses nothing: its claim ends,
and whoever claims the next step finds what was begun by its intent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import Interrupted, InvalidMessage, WrongUse
from slipway.contracts.installation import Installation
from slipway.contracts.messages import FollowMessage
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.following.backoff import delay_after, is_given_up
from slipway.following.ending import Ending
from slipway.following.outcome import Ended, of_failed_plan, of_given_up, of_rollout, of_superseded
from slipway.following.progress import progress_text, stage_of
from slipway.following.state import Followed, Trouble, from_json, to_json
from slipway.rollout import Progress, RolloutPlan, RolloutResult
from slipway.rollout.actions import Change
from slipway.rollout.cancelling import cancel, ends_first
from slipway.rollout.follow import deadline
from slipway.rollout.roll_out import refused_with_revision, resumed, take
from slipway.rollout.state import Advanced, RolloutState, sure
from slipway.rollout.unfinished import left_behind

ORDERS_EVERY = 2.0
"""Seconds between two looks for a cancel or a takeover, while a claim is held."""
NEWER = "a newer request"
"""Who stops a rollout that gives way."""
_TAKEN_BACK = ("cancelled", "rolled_back")
Guard = Callable[[], None]
OnProgress = Callable[[Progress], None]


class UnknownState(Exception):
    """The row's state is of a version that this code does not know: it is left as it is."""

    def __init__(self, deployment_id: str, why: InvalidMessage) -> None:
        super().__init__(f"{deployment_id}: {why}")
        self.deployment_id = deployment_id


@dataclass(frozen=True, kw_only=True)
class FollowerParts:
    """What a follower works with.

    `name`: who claims; what stands before a `/` is shown to people. `means(plan, guard,
    on_progress)` makes the rollout's `Means`, `take` its step (`slipway/rollout`). `send(message,
    delay)` puts a message on the follow queue.
    """

    name: str
    installation: Installation
    table: Table
    now: Callable[[], float]
    means: Callable[[RolloutPlan, Guard, OnProgress], Any]
    send: Callable[[FollowMessage, float], None]
    ending: Ending
    jitter: Callable[[], float]
    take: Callable[[Advanced, Any], Advanced | None] = take


class Follower:
    """Follows the rollouts of an installation, one step after the other."""

    def __init__(self, parts: FollowerParts) -> None:
        self._parts = parts

    def take_up(self, message: FollowMessage) -> Held | None:
        """Claim the next step of the message's deployment.

        None: somebody else has it, or it is over. A message of a step that another process has
        claimed comes again when that claim may have ended. Raises UnknownState.
        """
        parts, now = self._parts, self._parts.now()
        row = parts.table.deployments.get(message.deployment_id)
        if row is None:
            return None
        if not row.is_followed:
            self.close(row)
            return None
        if row.claimed(now):
            if message.step is not None and _is_live(message.step, row):
                parts.send(message, row.claimed_until - now + 1)
            return None
        if message.step is not None and not _is_live(message.step, row):
            return None
        followed = _read(row)
        claim = parts.table.following.claim(
            row.deployment_id, row.step, parts.name, now, ttl=parts.installation.limits.lock_ttl
        )
        return Held(parts, row, followed, claim) if claim is not None else None

    def close(self, row: DeploymentRow) -> None:
        """Do what is left to do after an outcome whose recorder was lost before the end of it."""
        if row.result is None:
            return
        lock = self._parts.table.locks.get(row.pipeline)
        if lock.untold == row.deployment_id or row.announced_at is None:
            self._parts.ending.close(row, row.result)


class Held:
    """A rollout whose step this process has claimed. Raises Interrupted once the claim is lost."""

    def __init__(
        self,
        parts: FollowerParts,
        row: DeploymentRow,
        followed: Followed,
        claim: Claim,
        step: Advanced | None = None,
    ) -> None:
        self.row = row
        self.followed = followed
        self.claim = claim
        self.is_over = False
        self._parts = parts
        self._table = parts.table
        self._detail = row.detail
        self._orders_at = float("-inf")
        self._saved_step = followed.under_way.step if followed.under_way else None
        self._saved_at = parts.now()
        self._step, self._means = step, self._make_means()
        self._not_before = 0.0
        self._forced = False

    @property
    def next_look(self) -> float:
        """Seconds since the epoch: when its next step is due."""
        step = self._advanced()
        due = step.next.at if step is not None else 0.0
        return max(0.0 if self._forced else due, self._not_before)

    def look_within(self, pause: float) -> float:
        """When to look again, if not more often than every `pause` seconds.

        What has had its time by then is looked at when it has.
        """
        now, state = self._parts.now(), self.followed.under_way
        if self.next_look <= now:
            return now
        at = max(self.next_look, now + pause)
        end = deadline(state) if state is not None else None
        return at if end is None or end <= now else max(self.next_look, min(at, end + 0.1))

    def look_now(self) -> None:
        """Something has changed: the next look is due."""
        self._forced = True

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
        step = self._advanced()
        if step is None:
            result = sure(self.followed.rollouts[-1].result)
            self._record(self._ended(result), result)
            return
        self._forced = False
        try:
            if _changes(step) or step.state.step != self._saved_step:
                self._save()
            following = self._parts.take(_due(step), self._means)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
            self._failed(step, error)
            return
        self._step = following
        self._end_trouble(step, following)
        if following is not None:
            self.followed = self.followed.with_rollout(following.state)

    def _advanced(self) -> Advanced | None:
        """Where the rollout under way is; None once all are over."""
        if self._step is not None:
            return self._step
        state = self.followed.under_way
        if state is not None:
            self._step = resumed(state)
            self._means = self._make_means()
        return self._step

    def _make_means(self) -> Any:
        state = self.followed.under_way
        if state is None:
            return None
        means = self._parts.means(state.plan, self._check, self._progress)
        means.changes.taken[:] = state.taken
        means.changes.unsure[:] = state.unsure
        return means

    def _end_trouble(self, step: Advanced, following: Advanced | None) -> None:
        """The world answers again; where a change had failed, once that change is behind."""
        trouble = self.followed.trouble
        is_there = following is not None and trouble and following.state.step == trouble.change
        if trouble is not None and (not is_there or _changes(step)):
            self.followed = replace(self.followed, trouble=None)

    def _failed(self, step: Advanced, error: Exception) -> None:
        """The plan is wrong, and nothing was done: the commit's failure. Else try again later."""
        now, state = self._parts.now(), step.state
        if (gone := refused_with_revision(state, error, now)) is not None:
            self._step, self.followed = gone, self.followed.with_rollout(gone.state)
            return
        wrong = of_failed_plan(state, error, now) if isinstance(error, WrongUse) else None
        if wrong is not None:
            self._record(wrong)
            return
        self._count(step, error)

    def _count(self, step: Advanced, error: Exception) -> None:
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
        )
        self.followed = replace(self.followed, trouble=trouble)
        self._step = None
        if is_given_up(trouble, now, self._parts.installation.limits):
            text = f"{error}; {left_behind(step.state)}"
            self._record(of_given_up(trouble.count, text, self.followed.stage))
            return
        pause = delay_after(trouble.count, self._parts.jitter())
        self._not_before = due if now < due else now + pause
        self._parts.ending.log.warning(
            "a step failed", deployment_id=self.row.deployment_id, error=str(error),
            attempts=trouble.count,
        )  # fmt: skip

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
        has_failed = under_way is not None and under_way.step == "discard"
        if under_way is not None and not has_failed and locks.is_to_give_way(lock, request):
            self._give_way(now)
        elif row is not None and row.cancelled_by is not None:
            self._cancel(row.cancelled_by, now)

    def _give_way(self, now: float) -> None:
        """To a newer request: at once, unless something of ours would go on beside that one's."""
        step = self._advanced()
        if step is None or not ends_first(step.state):
            self._record(of_superseded(self.followed.stage, "a newer request took its place"))
        elif step.state.cancelled is None:
            self._end(step.state, NEWER, now)

    def _cancel(self, by: str, now: float) -> None:
        step = self._advanced()
        if step is None or self.followed.cancelled_by is not None:
            return
        self._end(step.state, by, now)
        self.followed = replace(self.followed, cancelled_by=by)

    def _end(self, state: RolloutState, by: str, now: float) -> None:
        asked = cancel(state, by, now)
        if asked.state is state:  # it goes back already
            return
        self._step, self.followed = asked, self.followed.with_rollout(asked.state)
        self._forced, self._not_before = True, 0.0

    # --- its end

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
    def _ttl(self) -> float:
        return self._parts.installation.limits.lock_ttl

    def _save(self) -> None:
        now, revisions = self._parts.now(), _revisions(self.followed.under_way)
        saved = self._table.following.save(
            self.claim, to_json(self.followed), next_look=self.next_look, now=now, ttl=self._ttl,
            revisions=revisions,
        )  # fmt: skip
        if not saved:
            raise Interrupted("the claim on the rollout was lost")
        self._saved_at = now
        self.row = replace(self.row, **revisions)  # type: ignore[arg-type]
        state = self.followed.under_way
        self._saved_step = state.step if state else None

    def _check(self) -> None:
        """Before a change in AWS: the claim, extended, is the look at the lock (`fence.py`)."""
        now = self._parts.now()
        if not self._table.following.renew(self.claim, now, ttl=self._ttl):
            raise Interrupted("the claim on the rollout was lost")

    def _progress(self, progress: Progress) -> None:
        now, stage = self._parts.now(), stage_of(progress.step)
        if stage != self.followed.stage:
            self.followed = self.followed.entered(stage, now)
            self._table.deployments.enter_stage(self.row.deployment_id, stage, now)
            self._detail = None
        detail = progress_text(progress)
        if detail and detail != self._detail:
            self._detail = detail
            self._table.deployments.note(self.row.deployment_id, detail=detail)


def _is_live(step: int, row: DeploymentRow) -> bool:
    """A message goes on with the row's step, or with the next one if its claimer has died."""
    return row.step == step or (row.step == step + 1 and row.claimed_by is not None)


def _read(row: DeploymentRow) -> Followed:
    try:
        return from_json(row.rollout or "")
    except InvalidMessage as error:
        raise UnknownState(row.deployment_id, error) from None


def _revisions(state: RolloutState | None) -> dict[str, str]:
    """What the service ran and what it is about to be given, as members of the row."""
    if state is None or state.told != "update":
        return {}
    named = {"task_definition_before": state.before, "task_definition_after": state.after}
    return {name: revision for name, revision in named.items() if revision is not None}


def _changes(step: Advanced) -> bool:
    return any(isinstance(action, Change) for action in step.actions)


def _due(step: Advanced) -> Advanced:
    """The step with its look due: whoever calls has waited."""
    return step._replace(next=step.next._replace(at=0.0))
