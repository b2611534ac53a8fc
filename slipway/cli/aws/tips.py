"""What the branches' tips are, asked of CodeCommit in the dev account through the `tip` role."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from slipway.cli.aws.errors import plainly
from slipway.cli.aws.session import Session
from slipway.contracts.errors import SlipwayError
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.table.pipelines import NO_TIP, PipelineRow

Tip = tuple[str | None, str]
"""A commit id and an empty text, or None and why it could not be read."""


def ask(session: Session, pipelines: Iterable[PipelineSettings]) -> dict[str, Future[Tip]]:
    """The tip of each pipeline's branch, by pipeline; every call is made beside the others.

    Roles that several pipelines share are assumed once. Nothing is raised: an operator without the
    role, or a dev account that does not answer, leaves the tip unknown.
    """
    wanted = list(pipelines)
    clients = {
        arn: session.start(_client, session, arn) for arn in {p.tip_role_arn for p in wanted}
    }
    return {p.name: session.start(_tip, clients[p.tip_role_arn], p) for p in wanted}


def _client(session: Session, role_arn: str) -> Any:
    credentials = session.assumed(role_arn)
    return session.client(
        "codecommit", region=session.installation.dev_region, credentials=credentials
    )


def _tip(client: Future[Any], pipeline: PipelineSettings) -> Tip:
    try:
        with plainly():
            answer = client.result().get_branch(
                repositoryName=pipeline.repository, branchName=pipeline.branch
            )
    except SlipwayError as error:
        return None, str(error)
    return str(answer["branch"]["commitId"]), ""


def last_seen(row: PipelineRow) -> str | None:
    """The tip as the reconciler and the agent last saw it, or None if they never did."""
    seen = row.ahead_tip or row.handled_tip or row.baseline_tip
    return None if seen == NO_TIP else seen


def seen_at(row: PipelineRow) -> float | None:
    """When `last_seen` was seen: by the reconciler's look, or by a deployment since then."""
    if row.ahead_tip or row.handled_tip is None:
        return row.checked_at
    times = [at for at in (row.checked_at, row.handled_at, _since(row)) if at is not None]
    return max(times, default=None)


def _since(row: PipelineRow) -> float | None:
    """Rows that were written before `handled_at` was know it of what runs."""
    return row.running_since if row.running_commit == row.handled_tip else None


def verdict(tip: str | None, row: PipelineRow) -> str:
    """How the tip stands to what runs: `up to date`, `untouched`, `not run`, `ahead`, or `unknown`.

    `untouched`: it is of none of the pipeline's paths, so that what runs is up to date.
    `not run`: a request has dealt with it, and something else runs (it failed, or was rolled back).
    """
    if tip is None:
        return "unknown"
    if tip == row.running_commit:
        return "up to date"
    if tip == row.untouched_tip:
        return "untouched"
    return "not run" if tip == row.handled_tip else "ahead"
