"""`slipway resume`: let a paused pipeline deploy again, beginning with what waits."""

from __future__ import annotations

import click

from slipway.cli.aws.ask import publish
from slipway.cli.aws.begun import begun
from slipway.cli.aws.session import Session
from slipway.cli.options import only_pipeline, pipeline_argument, verb
from slipway.cli.show.output import Output
from slipway.contracts.wording import counted


@click.command()
@pipeline_argument
@verb
def command(session: Session, out: Output, pipeline: str | None) -> None:
    """Let a paused pipeline deploy again. What waits is deployed at once.

    \b
    Example:
      slipway resume shop
    """
    name = only_pipeline(session, pipeline)
    session.table.pipelines.change(name, paused=False, paused_by=None)
    with begun(lambda: f"{name} is resumed, what waits is deployed at the reconciler's next look"):
        waiting = [want for want in session.table.wants.all() if want.pipeline == name]
        for want in waiting:
            # said again under its own id, so that it is dealt with now and not at the next look
            publish(session, want.request, builder=want.builder)
    out.data({"pipeline": name, "paused": False, "waiting": len(waiting)})
    out.say(f"{name}: resumed; {counted(len(waiting), 'request waits', 'requests wait')}")
