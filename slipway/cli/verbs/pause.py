"""`slipway pause`: keep a pipeline from deploying; its requests wait."""

from __future__ import annotations

import click

from slipway.cli.aws.session import Session
from slipway.cli.options import only_pipeline, pipeline_argument, verb
from slipway.cli.show.output import Output
from slipway.contracts.wording import person


@click.command()
@pipeline_argument
@verb
def command(session: Session, out: Output, pipeline: str | None) -> None:
    """Keep a pipeline from deploying: pushes wait until `slipway resume`.

    A deployment under way goes on to its end.

    \b
    Example:
      slipway pause shop
    """
    name = only_pipeline(session, pipeline)
    session.table.pipelines.change(name, paused=True, paused_by=session.caller)
    out.data({"pipeline": name, "paused": True, "paused_by": session.caller})
    out.say(f"{name}: paused by {person(session.caller)}; `slipway resume {name}` ends it")
