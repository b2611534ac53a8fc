"""`slipway redeploy`: deploy the branch's tip, or a named commit, once more."""

from __future__ import annotations

import click

from slipway.cli.aws.ask import new_request, publish, refuse_paused, wait_for
from slipway.cli.aws.commits import whole_commit_id
from slipway.cli.aws.session import Session
from slipway.cli.options import only_pipeline, pipeline_argument, verb, waiting
from slipway.cli.show.output import Output
from slipway.contracts.messages import TIP, Target

COMMIT_HELP = (
    "A commit id or its beginning, or a revision of the clone that you stand in (HEAD~1, a tag)."
    " Default: the branch's tip."
)


@click.command()
@pipeline_argument
@click.option("--commit", help=COMMIT_HELP)
@click.option("--rebuild", is_flag=True, help="Build anew even if the image is in ECR.")
@waiting
@verb
def command(
    session: Session,
    out: Output,
    *,
    pipeline: str | None,
    commit: str | None,
    rebuild: bool,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Deploy the branch's tip, or a commit, once more, and wait for the end.

    Exits with 0 if the commit runs, with 1 if it does not.

    \b
    Examples:
      slipway redeploy shop
      slipway redeploy shop --commit HEAD~1
    """
    name = only_pipeline(session, pipeline)
    if commit is not None:
        commit = whole_commit_id(session, name, commit, option="--commit")
    refuse_paused(session, name, no_wait=no_wait)
    target = Target(kind="commit", commit_id=commit) if commit else TIP
    request = new_request(
        session, name, target, "redeploy", commit_id=commit, force_rebuild=rebuild
    )
    publish(session, request)
    wait_for(session, out, request, no_wait=no_wait, timeout=timeout)
