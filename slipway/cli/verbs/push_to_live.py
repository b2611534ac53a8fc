"""`slipway push-to-live`: wait until the commit that was just pushed runs."""

from __future__ import annotations

from pathlib import Path

import click

from slipway.cli.aws.follow import RECENT, Find, exit_code, follow_to_end
from slipway.cli.aws.session import Session
from slipway.cli.options import pipeline_argument, verb
from slipway.cli.show.output import Output
from slipway.cli.user.git import Repository
from slipway.contracts.errors import WrongUse
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import short


@click.command()
@pipeline_argument
@click.option("--commit", metavar="REVISION", default="HEAD", show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait. Default: 6 hours.")
@verb
def command(
    session: Session, out: Output, *, pipeline: str | None, commit: str, timeout: float | None
) -> None:
    """Wait for the deployment of the commit just pushed, in this git repository.

    It finds the pipelines by the repository that a remote names, and by the branch: the one that
    `git push` pushes to, else the upstream of this one, else the one of the same name. It follows
    several one after the other. Exits with 0 if the commit runs, also as part of a newer push, and
    with 1 if it does not.

    \b
    Examples:
      git push && slipway push-to-live
      git config alias.live '!git push && slipway push-to-live'
    """
    repository = Repository(Path.cwd())
    commit_id = repository.commit(commit)
    names = pipelines_of(session, repository, pipeline)
    if not repository.is_pushed(commit_id):
        out.aside(f"slipway: no remote branch is known to hold {short(commit_id)}: is it pushed?")
    limit = session.installation.limits.give_up_after if timeout is None else timeout
    codes = []
    for name in names:
        find = deployment_of_commit(session, repository, name, commit_id)
        row = follow_to_end(session, out, name, find, timeout=limit, awaited="pushed")
        codes.append(exit_code(row))
    click.get_current_context().exit(max(codes))


def pipelines_of(session: Session, repository: Repository, pipeline: str | None) -> list[str]:
    """The named pipeline, or those that a push of this branch concerns; WrongUse if none."""
    if pipeline is not None:
        return [session.installation.pipeline(pipeline).name]
    branches, remotes = repository.pushed_branches, repository.remote_repositories
    pipelines = session.installation.pipelines
    for branch in branches:
        found = [p.name for p in pipelines if p.branch == branch and p.repository in remotes]
        if found:
            return found
    known = ", ".join(f"{p.name} ({p.repository} {p.branch})" for p in pipelines)
    raise WrongUse(
        f"no pipeline deploys branch {' or '.join(map(repr, branches)) or repr('HEAD')} of"
        f" {', '.join(sorted(remotes)) or 'a repository without remotes'}: {known or 'none'}"
    )


def deployment_of_commit(
    session: Session, repository: Repository, pipeline: str, commit_id: str
) -> Find:
    """Finds the pipeline's newest deployment if it deploys the commit, or the next one that does.

    Older deployments of the same commit do not count: a branch can go from A to B and back to A.
    A newer push deploys the commit as well if it holds it.
    """
    began = session.clock.now()

    def find() -> DeploymentRow | None:
        rows = session.table.deployments.newest(pipeline, RECENT)
        recent = [r for i, r in enumerate(rows) if i == 0 or r.started_at >= began]
        return next((r for r in recent if _deploys(r, repository, commit_id)), None)

    return find


def _deploys(row: DeploymentRow, repository: Repository, commit_id: str) -> bool:
    if row.commit is None or row.reason == "rollback" or _gave_way(row):
        return False
    if row.commit.id == commit_id or repository.holds(row.commit.id, commit_id):
        return True
    return row.result is not None and any(c.id == commit_id for c in row.result.commits_since)


def _gave_way(row: DeploymentRow) -> bool:
    """To a newer push; not one whose push an earlier deployment told of: that one is followed."""
    return row.status == "superseded" and not (row.result and row.result.told_by)
