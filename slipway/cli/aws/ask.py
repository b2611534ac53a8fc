"""Asking for a deployment: the request that `redeploy` and `rollback` publish."""

from __future__ import annotations

from contextlib import AbstractContextManager
from uuid import uuid4

from slipway.cli.aws.begun import begun
from slipway.cli.aws.follow import deployment_of, follow, watched_or_cancelled
from slipway.cli.aws.session import Session
from slipway.cli.show.output import Output
from slipway.cli.user.ending import uninterrupted
from slipway.contracts.codec import encode
from slipway.contracts.errors import WrongUse
from slipway.contracts.messages import BuildRequest, Reason, Target, request_id_of
from slipway.contracts.wording import person


def new_request(
    session: Session,
    pipeline: str,
    target: Target,
    reason: Reason,
    *,
    commit_id: str | None = None,
    force_rebuild: bool = False,
) -> BuildRequest:
    """A request of its own: asking twice is two requests."""
    return BuildRequest(
        request_id=request_id_of(f"cli {uuid4()}", pipeline, commit_id or ""),
        pipeline=pipeline,
        target=target,
        commit_id=commit_id,
        pushed_by=session.caller,
        pushed_at=session.clock.now(),
        reason=reason,
        force_rebuild=force_rebuild,
    )


def refuse_paused(session: Session, pipeline: str, *, no_wait: bool) -> None:
    """WrongUse for a paused pipeline, unless the caller does not mean to wait for the end."""
    row = session.table.pipelines.get(pipeline)
    if row.paused and not no_wait:
        by = person(row.paused_by or "an operator")
        raise WrongUse(
            f"pipeline {pipeline!r} is paused by {by}, a request would wait:"
            f" `slipway resume {pipeline}` first, or ask with --no-wait"
        )


def asked(request: BuildRequest) -> AbstractContextManager[None]:
    """What comes after a request was published: however it ends, the request goes on."""
    return begun(lambda: _stands(request))


def _stands(request: BuildRequest) -> str:
    return f"the request stands: {watched_or_cancelled(request.pipeline)}"


def publish(session: Session, request: BuildRequest, *, builder: bool | None = None) -> None:
    """Put the request where a queue and the starter hear it; `builder` as in `publish_request`.

    Who ends the command meanwhile is told whether it was put there: SNS's answer is waited for.
    """
    from slipway.contracts.requesting import publish_request

    sns, published = session.client("sns"), False
    with begun(lambda: _stands(request) if published else ""), uninterrupted():
        publish_request(sns, session.installation.request_topic_arn, request, builder=builder)
        published = True


def wait_for(
    session: Session, out: Output, request: BuildRequest, *, no_wait: bool, timeout: float | None
) -> None:
    """Follow the request to its end, or say how to."""
    if no_wait:
        out.data({"request": encode(request)})
        sent = f"the request is sent ({request.request_id})"
        out.say(f"{sent}; `slipway watch {request.pipeline}` follows it")
        return
    limit = session.installation.limits.give_up_after if timeout is None else timeout
    with asked(request):
        follow(
            session,
            out,
            request.pipeline,
            lambda: deployment_of(session.table, request.pipeline, request.request_id),
            timeout=limit,
        )
