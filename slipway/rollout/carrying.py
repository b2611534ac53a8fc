"""Carries out what a step wants done: the calls that change something, and the telling."""

from __future__ import annotations

from slipway.contracts.errors import Interrupted, SlipwayError
from slipway.rollout.actions import Change, Deregister, Register, SetTarget, Tell, UpdateService
from slipway.rollout.clock import NotNow
from slipway.rollout.looks import Answer, Deregistered
from slipway.rollout.means import Means
from slipway.rollout.service import parse_service
from slipway.rollout.taskdef import register


def say(means: Means, action: Tell) -> None:
    """Tell whoever watches."""
    means.on_progress(action.progress)


def carry_out(means: Means, change: Change) -> Answer | Deregistered:
    """Make the call (asking the guard before it), and bring its answer.

    Raises what `Api.change` raises, and what the guard does. A revision that cannot be
    deregistered is no error.
    """
    if isinstance(change, Deregister):
        return _deregister(means, change)
    if isinstance(change, Register):
        answer = register(means.ecs, dict(change.request))
        arn = answer["taskDefinition"]["taskDefinitionArn"]
        means.note_definition(arn, dict(change.request))
        return Answer(value=answer)
    if isinstance(change, SetTarget):
        from slipway.rollout.scheduled import put

        return Answer(value=put(means, change))
    api = means.ecs if change.service == "ecs" else means.codedeploy
    answer = api.change(change.operation, **change.request)
    if isinstance(change, UpdateService):
        means.service = parse_service(answer["service"])
    return Answer(value=answer)


def _deregister(means: Means, change: Deregister) -> Deregistered:
    done: list[str] = []
    problem = None
    try:
        for arn in change.revisions:
            means.ecs.change(change.operation, taskDefinition=arn)
            done.append(arn)
    except (Interrupted, NotNow):
        raise
    except SlipwayError as error:
        problem = str(error)
    return Deregistered(asked=change.revisions, revisions=tuple(done), problem=problem)
