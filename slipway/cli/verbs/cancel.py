"""`slipway cancel`: end a deployment; what it has changed in the service is taken back."""

from __future__ import annotations

from typing import NoReturn

import click

from slipway.cli.aws.begun import begun
from slipway.cli.aws.cancelling import (
    Begins,
    Elsewhere,
    LeftOver,
    UnderWay,
    Waits,
    ask_to_end,
    end_left_behind,
    end_waiting,
    look,
    recorded,
    stands,
)
from slipway.cli.aws.follow import INTERVAL, follow_to_end, tell_end
from slipway.cli.aws.session import Session
from slipway.cli.options import only_pipeline, pipeline_argument, verb, waiting
from slipway.cli.show.output import Output
from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration

AS_ASKED = ("cancelled", "rolled_back")
"""How a deployment that was cancelled in time ends."""


@click.command()
@pipeline_argument
@waiting
@verb
def command(
    session: Session, out: Output, *, pipeline: str | None, no_wait: bool, timeout: float | None
) -> None:
    """End the deployment under way, or else the requests that wait.

    What has not touched the service ends, what has is rolled back; both are recorded and told. What
    waits behind a deployment that is cancelled goes on: a second `cancel` ends that. Exits with 0
    if it was cancelled, with 1 if it ended otherwise before that.

    \b
    Examples:
      slipway cancel shop
      slipway cancel shop --no-wait
    """
    name = only_pipeline(session, pipeline)
    limit = session.installation.limits.give_up_after if timeout is None else timeout
    deadline = session.clock.now() + limit
    over: list[DeploymentRow] = []
    with begun(lambda: recorded(over)):
        while not _cancel(session, out, name, over, no_wait=no_wait, deadline=deadline):
            if session.clock.now() >= deadline:
                what = "nothing more" if over else "nothing"
                raise WorldFailed(f"{name}: {what} could be cancelled within {duration(limit)}")
            session.clock.wait(INTERVAL)


def _cancel(
    session: Session,
    out: Output,
    pipeline: str,
    over: list[DeploymentRow],
    *,
    no_wait: bool,
    deadline: float,
) -> bool:
    """One look, and what it asks for; whether all is done. `over`: what was ended before."""
    match look(session, pipeline):
        case UnderWay(deployment_id) if ask_to_end(session, deployment_id, pipeline):
            _say(out, over)
            _asked(session, out, pipeline, deployment_id, no_wait=no_wait, deadline=deadline)
        case LeftOver(rows):  # what waits is looked at next
            over += end_left_behind(session, rows)
            return False
        case Waits(wants) if ended := end_waiting(session, wants):
            _say(out, [*over, *ended])
            return True
        case None if over:
            _say(out, over)
            return True
        case Elsewhere(holder):
            raise WrongUse(f"pipeline {pipeline!r} is deployed by {holder}: end it there")
        case None:
            raise WrongUse(f"pipeline {pipeline!r}: nothing is under way, and nothing waits")
        case UnderWay() | Waits() | Begins():
            pass  # it has moved on since the look
    return False


def _asked(
    session: Session,
    out: Output,
    pipeline: str,
    deployment_id: str,
    *,
    no_wait: bool,
    deadline: float,
) -> NoReturn:
    """Follow what was asked to end until it has, or say how to; exits with the verb's code."""
    context = click.get_current_context()
    with begun(lambda: stands(pipeline)):
        if no_wait:
            out.data({"pipeline": pipeline, "cancelling": deployment_id})
            out.say(f"{deployment_id} is asked to end; `slipway watch {pipeline}` follows it")
            context.exit(0)
        out.say(f"{deployment_id} is asked to end")
        row = follow_to_end(
            session,
            out,
            pipeline,
            lambda: session.table.deployments.get(deployment_id),
            timeout=max(0.0, deadline - session.clock.now()),
            awaited="cancelled",
        )
    context.exit(0 if row.status in AS_ASKED else 1)


def _say(out: Output, ended: list[DeploymentRow]) -> None:
    """What waited and is over now."""
    for row in ended:
        tell_end(out, row)
