"""A rollout from beginning to end: look, advance, carry out, wait; step by step.

`advance.py` decides, `looking.py` reads, `carrying.py` changes. Here is only the loop, and what is
said where it ends without the rollout's end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slipway.contracts.errors import Interrupted, WrongUse
from slipway.rollout.actions import Change, Tell
from slipway.rollout.advance import advance, forgives
from slipway.rollout.api import Unanswered
from slipway.rollout.beginning import begin
from slipway.rollout.carrying import carry_out, say
from slipway.rollout.looking import look
from slipway.rollout.looks import Look, Refusal
from slipway.rollout.means import Means, Visit
from slipway.rollout.plan import (
    Clock,
    Factory,
    Guard,
    OnProgress,
    RolloutPlan,
    RolloutResult,
)
from slipway.rollout.state import Advanced, RolloutState, on, sure, unsure_of_intent
from slipway.rollout.telling import discards, finish, with_notes
from slipway.rollout.unfinished import Unfinished, has_begun, left_behind, service_changed

Save = Callable[[RolloutState], None]


def roll_out(
    plan: RolloutPlan,
    *,
    ecs: Any,
    clock: Clock,
    ecr: Factory | None = None,
    codedeploy_client: Factory | None = None,
    balancing: Factory | None = None,
    cloudwatch_client: Factory | None = None,
    visit: Visit | None = None,
    on_progress: OnProgress | None = None,
    guard: Guard | None = None,
) -> RolloutResult:
    """Do what `plan` says and tell how it ended.

    `ecs` is a boto3 (or botocore) client; `ecr`, `codedeploy_client`, `balancing` (of Elastic
    Load Balancing v2) and `cloudwatch_client` make one when it is needed. `visit` makes a smoke
    test's request (None: `visiting.py`, to public addresses only). Without `balancing`, what is
    behind a load balancer is healthy only once ECS says that the deployment is done. `guard` is
    called right before every change in ECS, and raises to stop it.

    Raises WrongUse where the plan cannot be right, and WorldFailed where AWS or the network failed
    for longer than the patience: both only where nothing was changed. What fails after a change is
    Unfinished; Interrupted is passed on. Every other end is a RolloutResult.
    """
    means = Means(
        ecs=ecs,
        clock=clock,
        patience=plan.timeouts.patience,
        ecr=ecr,
        codedeploy_client=codedeploy_client,
        balancing=balancing,
        cloudwatch_client=cloudwatch_client,
        visit=visit,
        on_progress=on_progress,
        guard=guard,
    )
    return see_through(begin(plan, clock.now(), os.urandom(16).hex()), means)


def resumed(state: RolloutState) -> Advanced:
    """Where a process goes on that has only the saved state.

    A change that was under way may have been taken: its answer is lost.
    """
    return on(unsure_of_intent(state))


def see_through(step: Advanced, means: Means, *, save: Save = lambda _state: None) -> RolloutResult:
    """Take step after step until the rollout is over.

    `save` is given each state before its actions are carried out. Raises what `roll_out` does.
    """
    means.changes.taken[:] = step.state.taken
    means.changes.unsure[:] = step.state.unsure
    while True:
        try:
            save(step.state)
            following = take(step, means)
        except Interrupted:
            raise
        except Exception as error:
            state, now = _with_changes(step.state, means), means.clock.now()
            if not has_begun(state):
                raise
            following = refused_with_revision(state, error, now)
            if following is None:
                return ended_early(state, error, now)
        if following is None:
            return sure(step.state.result)
        step = following


def take(step: Advanced, means: Means) -> Advanced | None:
    """Carry out the step's actions, look where there was no change to answer, and advance.

    None where the rollout is over with this step.
    """
    for action in step.actions:
        if isinstance(action, Tell):
            say(means, action)
    if step.state.result is not None:
        return None
    seen = _seen(step, means)
    return advance(_with_changes(step.state, means), seen, means.clock.now())


def _seen(step: Advanced, means: Means) -> Look:
    """The answer of the step's change, or else what it looks at next, once that is due."""
    try:
        for action in step.actions:
            if isinstance(action, Change):
                return carry_out(means, action)
        wait = step.next.at - means.clock.now()
        if wait > 0:
            means.clock.sleep(wait)
        return look(means, step.state)
    except Exception as error:
        if forgives(step.state, error):
            return Refusal(text=str(error))
        raise


def _with_changes(state: RolloutState, means: Means) -> RolloutState:
    """`state` with what AWS took until now; revisions that were pruned are not counted."""
    taken = [name for name in means.changes.taken if name != "deregister_task_definition"]
    return replace(state, taken=tuple(taken), unsure=tuple(dict.fromkeys(means.changes.unsure)))


def refused_with_revision(state: RolloutState, error: Exception, now: float) -> Advanced | None:
    """AWS says that the plan cannot be right, and its revision is registered: that goes first.

    None where there is nothing to discard, or the service was changed already.
    """
    if not isinstance(error, WrongUse) or not has_begun(state) or service_changed(state):
        return None
    ending = ended_early(state, error, now)
    if not discards(state, ending):
        return None
    return finish(replace(state, intent=None), now, ending)


def ended_early(state: RolloutState, error: Exception, now: float) -> RolloutResult:
    """Something failed after a change: a refusal is our failure, all else leaves it unwatched.

    What cannot be right, before the service changed, fails at every try: `failed`. Raises
    Unfinished for the rest.
    """
    if state.back is not None and state.failure is not None and isinstance(error, Unanswered):
        said = f"{state.failure.cause}; {error}"
    else:
        said = str(error)
    text = f"{said}; {left_behind(state)}"
    result = RolloutResult(
        outcome="unwatched",
        cause=text,
        before=state.before,
        after=state.after,
        deployment=state.deployment,
        running=None if service_changed(state) else state.before,
    )
    if isinstance(error, WrongUse) and not service_changed(state):
        return with_notes(state, now, replace(result, outcome="failed"))
    result = with_notes(state, now, result)
    raise Unfinished(text, result=result, goes_on=service_changed(state)) from error
