"""`slipway watch`: a deployment's stages as they happen, until it ends."""

from __future__ import annotations

import click

from slipway.cli.aws.follow import Find, follow
from slipway.cli.aws.session import Session
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.output import Output
from slipway.contracts.errors import WrongUse
from slipway.contracts.table.deployments import DeploymentRow


@click.command()
@pipeline_argument
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to watch. Default: 6 hours.")
@verb
def command(session: Session, out: Output, pipeline: str | None, timeout: float | None) -> None:
    """Follow the deployment under way, or the next one, until it ends.

    Without PIPELINE it follows the one that is being deployed. Exits with 0 if the commit runs,
    with 1 if it does not.

    \b
    Examples:
      slipway watch
      git push && slipway watch shop
    """
    name = _which(session, pipeline)
    limit = session.installation.limits.give_up_after if timeout is None else timeout
    find = under_way_or_next(session, name)
    follow(session, out, name, find, timeout=limit, awaited="next")


def _which(session: Session, pipeline: str | None) -> str:
    """The named pipeline, the only one, or the one that is under way or waits."""
    names = named_pipelines(session, pipeline)
    if len(names) == 1:
        return names[0]
    now = session.clock.now()
    busy = {lock.pipeline for lock in session.table.locks.all() if lock.taken(now)}
    busy = busy or {want.pipeline for want in session.table.wants.all()}
    found = [name for name in names if name in busy]
    if len(found) != 1:
        state = "several are" if found else "none is"
        shown = ", ".join(found or names)
        raise WrongUse(f"name a pipeline, {state} being deployed: {shown}")
    return found[0]


def under_way_or_next(session: Session, pipeline: str) -> Find:
    """Finds the deployment that is under way, or the next one to begin, and stays with it."""
    began = session.clock.now()
    chosen: list[str] = []

    def find() -> DeploymentRow | None:
        deployments = session.table.deployments
        if chosen:
            return deployments.get(chosen[0])
        newest = deployments.newest(pipeline, 1)
        if newest and (newest[0].status is None or newest[0].started_at >= began):
            chosen.append(newest[0].deployment_id)
            return newest[0]
        return None

    return find
