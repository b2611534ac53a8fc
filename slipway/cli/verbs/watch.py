"""`slipway watch`: a deployment's stages as they happen, until it ends; or all under way."""

from __future__ import annotations

import click

from slipway.cli.aws.follow import follow
from slipway.cli.aws.follow_all import busy, follow_all, under_way_or_next
from slipway.cli.aws.session import Session
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.output import Output
from slipway.contracts.errors import WrongUse


@click.command()
@pipeline_argument
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to watch. Default: 6 hours.")
@verb
def command(session: Session, out: Output, pipeline: str | None, timeout: float | None) -> None:
    """Follow the deployment under way, or the next one, until it ends.

    Without PIPELINE, where there are several, it follows all that are being deployed or wait, in a
    table, and what begins meanwhile, until none is. Exits with 0 if each commit runs, with 1 if one
    does not.

    \b
    Examples:
      slipway watch
      git push && slipway watch shop
    """
    names = named_pipelines(session, pipeline)
    limit = session.installation.limits.give_up_after if timeout is None else timeout
    if len(names) > 1:
        if not busy(session):
            raise WrongUse(f"name a pipeline, none is being deployed: {', '.join(names)}")
        follow_all(session, out, timeout=limit)
    find = under_way_or_next(session, names[0])
    follow(session, out, names[0], find, timeout=limit, awaited="next")
