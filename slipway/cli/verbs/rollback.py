"""`slipway rollback`: run what an earlier deployment ran, by digest, through the same rollout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

import click

from slipway.cli.aws.ask import asked, new_request, publish, refuse_paused, wait_for
from slipway.cli.aws.cancelling import call_follower
from slipway.cli.aws.commits import whole_commit_id
from slipway.cli.aws.session import Session
from slipway.cli.options import only_pipeline, pipeline_argument, verb, waiting
from slipway.cli.show.moments import short_moment
from slipway.cli.show.output import Output
from slipway.contracts.errors import WrongUse
from slipway.contracts.messages import BuildRequest, Target
from slipway.contracts.sentences import commit_line
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of

DEPLOYMENT_ID = re.compile(r".+-\d{14}-[0-9a-f]{6}")
LOOKED_AT = 1000
"""Newest deployments among which the one to go back to is looked for."""


@click.command()
@pipeline_argument
@click.option(
    "--to",
    metavar="DEPLOYMENT|COMMIT",
    help="A deployment's id, or a commit (or the beginning of its id) that ran. Default: what ran"
    " before what runs now.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would go back to.")
@waiting
@verb
def command(
    session: Session,
    out: Output,
    *,
    pipeline: str | None,
    to: str | None,
    dry_run: bool,
    no_wait: bool,
    timeout: float | None,
) -> None:
    """Go back to what an earlier deployment ran: same image, no build, the same rollout.

    A rollout that is under way gives way. The rollback stands until the next push, though the
    branch is ahead. Exits with 0 if the earlier version runs, with 1 if it does not.

    \b
    Examples:
      slipway rollback shop
      slipway rollback --to shop-20261121102907-0123ab
      slipway rollback shop --to 0123abcd
    """
    deployment = to if to and DEPLOYMENT_ID.fullmatch(to) else None
    name = only_pipeline(session, pipeline or (pipeline_of(deployment) if deployment else None))
    if deployment:
        target = _named(session, name, deployment)
    elif to:
        target = _of_commit(session, name, to)
    else:
        target = _previous(session, name)
    out.say(f"{name}: {'would go' if dry_run else 'going'} back to {_told(target)}")
    if dry_run:
        out.data({"pipeline": name, "to": target.deployment_id})
        return
    refuse_paused(session, name, no_wait=no_wait)
    request = new_request(
        session,
        name,
        Target(kind="deployment", deployment_id=target.deployment_id),
        "rollback",
        commit_id=target.commit.id if target.commit else None,
    )
    publish(session, request)
    with asked(request):
        if _ask_takeover(session, request):
            out.say(f"{name}: the deployment under way is asked to give way")
            _wake_follower(session, name)
    wait_for(session, out, request, no_wait=no_wait, timeout=timeout)


def _ask_takeover(session: Session, request: BuildRequest) -> bool:
    """Whether another deployment is under way; the request's own may have begun by now."""
    if session.table.requests.deployments_of([request.request_id]):
        return False
    return session.table.locks.ask_takeover(request, session.clock.now())


def _wake_follower(session: Session, pipeline: str) -> None:
    """Who follows a rollout between two looks is told that there is something to look at."""
    followed = session.table.locks.get(pipeline).deployment
    if followed:
        call_follower(session, followed)


def _told(row: DeploymentRow) -> str:
    commit = f" ({commit_line(row.commit, 60)})" if row.commit else ""
    return f"{row.deployment_id}{commit}, live {short_moment(row.ended_at or row.started_at)} UTC"


def _named(session: Session, pipeline: str, deployment_id: str) -> DeploymentRow:
    if pipeline_of(deployment_id) != pipeline:
        raise WrongUse(f"--to {deployment_id!r}: is no deployment of pipeline {pipeline!r}")
    row = session.table.deployments.get(deployment_id)
    if row is None:
        raise WrongUse(
            f"--to {deployment_id!r}: no such deployment; `slipway history {pipeline}` lists them"
        )
    if not ran(row):
        raise WrongUse(f"--to {deployment_id!r}: it never ran (it {_ended(row)})")
    return row


def _ended(row: DeploymentRow) -> str:
    if row.status == "unchanged":
        return "touched none of the pipeline's paths"
    return row.status.replace("_", " ") if row.status else "is under way"


def _of_commit(session: Session, pipeline: str, text: str) -> DeploymentRow:
    """The newest deployment that made the commit run."""
    commit = whole_commit_id(session, pipeline, text, option="--to")
    recent = islice(session.table.deployments.newest_first(pipeline), LOOKED_AT)
    found = next((r for r in recent if ran(r) and r.commit and r.commit.id == commit), None)
    if found is None:
        raise WrongUse(
            f"--to {text!r}: none of the last {LOOKED_AT} deployments of pipeline {pipeline!r} made"
            f" it run; `slipway redeploy {pipeline} --commit {commit}` builds it"
        )
    return found


def _previous(session: Session, pipeline: str) -> DeploymentRow:
    deployments, row = session.table.deployments, session.table.pipelines.get(pipeline)
    if _is_deployed_now(session, pipeline) and row.running_deployment:
        running = deployments.get(row.running_deployment)
        if running is not None and ran(running):
            return running  # what the service ran when the deployment under way began
    recent = islice(deployments.newest_first(pipeline), LOOKED_AT)
    target = previous(recent, row.running_digest)
    if target is None:
        raise WrongUse(
            f"pipeline {pipeline!r} has no earlier version among its last {LOOKED_AT} deployments;"
            f" name one with --to (`slipway history {pipeline}`)"
        )
    return target


def _is_deployed_now(session: Session, pipeline: str) -> bool:
    """A deployment is under way; the lock alone outlives one that has ended by a moment."""
    lock = session.table.locks.get(pipeline)
    if not lock.taken(session.clock.now()):
        return False
    newest = session.table.deployments.newest(pipeline, 1)
    ended = newest[0].ended_at if newest else None
    return ended is None or ended < lock.taken_at


def ran(row: DeploymentRow) -> bool:
    """It made its commit run, so that there is a digest to go back to."""
    return row.status in ("succeeded", "unchanged") and digest_of(row) is not None


def digest_of(row: DeploymentRow) -> str | None:
    """The image that the deployment ran."""
    return row.result.image_digest if row.result else None


def previous(
    newest_first: Iterable[DeploymentRow], running_digest: str | None
) -> DeploymentRow | None:
    """The deployment to go back to: what ran before the running version was deployed, or None.

    So a second rollback goes further back, and never to what the first one left. Rollbacks
    themselves are no versions. Reads no further than it must. None: it is not known which version
    runs (no deployment that is recorded left it): the newest that ran is the one before.
    """
    seen = running_digest is None
    for row in newest_first:
        if not ran(row) or row.reason == "rollback":
            continue
        if digest_of(row) == running_digest:
            seen = True
        elif seen:
            return row
    return None
