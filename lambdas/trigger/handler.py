"""A push in the dev account → build requests on the prod account's request topic."""

from __future__ import annotations

import re
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.shared import clients
from lambdas.shared.observability import about, logger, observed
from lambdas.trigger.events import PushEvent, push_events
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.messages import COMMIT_ID, BuildRequest, request_id_of
from slipway.contracts.requesting import needs_builder, publish_request


@observed
def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda entry point for the repository's trigger and for the EventBridge rule."""
    del context
    publish_pushes(event, clients.installation(), clients.client("sns"), now=time.time())


def publish_pushes(
    event: dict[str, Any], installation: Installation, sns: Any, *, now: float
) -> None:
    """Publish a request for every pipeline of every reference that moved.

    All are tried; at the end it raises InvalidMessage if something could not be read, WorldFailed
    if something could not be published. A repeated invocation makes the same request ids.
    """
    pushes, unreadable = push_events(event)
    failed: list[str] = []
    for push in pushes:
        for pipeline in concerned(push, installation):
            try:
                _publish(request_of(push, pipeline, now=now), installation, sns)
            except InvalidMessage as error:
                unreadable.append(error)
            except (ClientError, BotoCoreError) as error:
                failed.append(f"{pipeline.name} at {push.commit_id[:12]}: {error}")
    if failed:
        raise WorldFailed("could not publish " + "; ".join(failed))
    if unreadable:
        raise InvalidMessage(unreadable[0].field, "; ".join(e.problem for e in unreadable))


def _publish(request: BuildRequest, installation: Installation, sns: Any) -> None:
    about(request.request_id)
    publish_request(
        sns, installation.request_topic_arn, request, builder=needs_builder(request, installation)
    )
    logger.info("push", extra={"pipeline": request.pipeline, "commit": request.commit_id})


def concerned(push: PushEvent, installation: Installation) -> tuple[PipelineSettings, ...]:
    """The pipelines that the push concerns; none, with a line in the log, if it is not ours."""
    why = _irrelevant(push, installation)
    if why:
        details = {"why": why, "repository": push.repository, "reference": push.reference}
        logger.info("skipped", extra=details)
        return ()
    return installation.pipelines_of(push.repository, push.branch or "")


def request_of(push: PushEvent, pipeline: PipelineSettings, *, now: float) -> BuildRequest:
    """The push's request for one pipeline. InvalidMessage for a commit id that is none.

    The pipeline is part of the id: two pipelines on one branch are two requests. A time that cannot
    be read is `now`: the push counts more than its time.
    """
    if not re.fullmatch(COMMIT_ID, push.commit_id):
        raise InvalidMessage("commit", f"{push.commit_id[:80]!r} must match {COMMIT_ID}")
    name = f"{push.reference} {pipeline.name}"
    return BuildRequest(
        request_id=request_id_of(push.event_id, name, push.commit_id),
        pipeline=pipeline.name,
        commit_id=push.commit_id,
        pushed_by=push.pushed_by,
        pushed_at=now if push.pushed_at is None else push.pushed_at,
        reason="push",
    )


def _irrelevant(push: PushEvent, installation: Installation) -> str:
    if push.branch is None:
        return "not a branch"
    if push.deleted:
        return "the branch was deleted"
    if push.is_sample:
        return "the sample that 'Test trigger' sends"
    if push.account != installation.dev_account:
        return f"account {push.account} is not the dev account"
    if not installation.pipelines_of(push.repository, push.branch):
        return "no pipeline deploys this branch"
    return ""
