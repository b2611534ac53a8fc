"""`slipway logs`: a deployment's output, from CloudWatch Logs."""

from __future__ import annotations

from typing import Any

import click

from slipway.cli.aws.follow import INTERVAL
from slipway.cli.aws.session import Session
from slipway.cli.options import complete_pipeline, verb
from slipway.cli.show.output import Output
from slipway.cli.user.streams import reader_gone
from slipway.contracts.errors import WrongUse
from slipway.contracts.sentences import followed
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of
from slipway.contracts.wording import tidy_log_line

LINE_LIMIT = 10_000
LATE = 10.0
"""Seconds after a deployment's end in which its stream is read once more."""


@click.command()
@click.argument("deployment", shell_complete=complete_pipeline)
@click.option("-f", "--follow", is_flag=True, help="Go on until the deployment ends.")
@verb
def command(session: Session, out: Output, *, deployment: str, follow: bool) -> None:
    """The output of a deployment: git, docker and the rollout.

    DEPLOYMENT is an id as `slipway history` shows it, or a pipeline's name for its newest one.

    \b
    Examples:
      slipway logs shop-20261121102907-0123ab
      slipway logs shop --follow
    """
    stream = _stream(session, deployment)
    _say_who_follows(session, out, stream)
    token: str | None = None
    printed = settled = False
    while True:
        # looked at before the lines are: what was printed before the end is then read after it
        row = session.table.deployments.get(stream)
        over = row is None or row.status is not None
        events, token = _read(session, stream, token)
        for event in events:
            _print(out, event)
        printed = printed or bool(events)
        if over and (settled or not _ended_just_now(row, session.clock.now())):
            break
        if reader_gone() or (not over and not follow):
            break
        settled = over
        session.clock.wait(INTERVAL)
    if not printed:
        out.aside(f"slipway: {stream} has printed nothing{'' if over else ' yet'}")


def _say_who_follows(session: Session, out: Output, stream: str) -> None:
    """Of a rollout that is under way: between two looks it prints nothing."""
    row, now = session.table.deployments.get(stream), session.clock.now()
    told = followed(row.followed_by(now), row.next_look, now) if row else ""
    if told:
        out.aside(f"slipway: {stream} is {told}")


def _ended_just_now(row: DeploymentRow | None, now: float) -> bool:
    """Its last lines were shipped before it ended; CloudWatch may show them a moment later."""
    return row is not None and row.ended_at is not None and now - row.ended_at < LATE


def _stream(session: Session, deployment: str) -> str:
    """The deployment's id; WrongUse if there is no such deployment."""
    names = [p.name for p in session.installation.pipelines]
    if deployment in names:
        newest = session.table.deployments.newest(deployment, 1)
        if not newest:
            raise WrongUse(f"pipeline {deployment!r} has no deployments yet")
        return newest[0].deployment_id
    session.installation.pipeline(pipeline_of(deployment))
    if session.table.deployments.get(deployment) is None:
        raise WrongUse(f"no deployment {deployment!r}: `slipway history` lists those there are")
    return deployment


def _read(
    session: Session, stream: str, token: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The events after `token`, and the token after them. A stream that is not there is empty."""
    from botocore.exceptions import ClientError

    client = session.client("logs")
    found: list[dict[str, Any]] = []
    while True:
        request = {"nextToken": token} if token else {}
        try:
            answer = client.get_log_events(
                logGroupName=session.installation.names.build_log_group,
                logStreamName=stream,
                startFromHead=True,
                **request,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return found, token
            raise
        found += answer["events"]
        # the same token again means that there is no more; an empty page does not (GetLogEvents)
        if answer["nextForwardToken"] == token:
            return found, answer["nextForwardToken"]
        token = answer["nextForwardToken"]


def _print(out: Output, event: dict[str, Any]) -> None:
    out.event({"at": event["timestamp"] / 1000, "line": event["message"]})
    out.say(tidy_log_line(event["message"], LINE_LIMIT))
