"""Build requests under way: published onto the request topic, for whom, and read off a queue."""

from __future__ import annotations

import json
from typing import Any

from slipway.contracts.errors import InvalidMessage, WrongUse
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.messages import BuildRequest, Reason, sns_attributes

BUILDER = "builder"
"""The SNS attribute that the queues' subscriptions filter on: whether a build host is needed."""
NEEDED, NOT_NEEDED = "yes", "no"

BUILD_QUEUE_TAKES: dict[str, list[Any]] = {BUILDER: [{"exists": False}, NEEDED]}
"""The filter policy of the build queue's subscription; an older dev stack sets no attribute."""

FOLLOW_QUEUE_TAKES: dict[str, list[Any]] = {BUILDER: [NOT_NEEDED]}
"""The same of the follow queue's. The starter's subscription has none: it notes every want."""

_PERHAPS_BUILT: tuple[Reason, ...] = ("rollback", "redeploy", "drift")


def may_need_no_builder(request: BuildRequest) -> bool:
    """Whether what the request wants may be in ECR already: the follower looks first."""
    return request.reason in _PERHAPS_BUILT and not request.force_rebuild


def needs_builder(request: BuildRequest, installation: Installation) -> bool:
    """Whether a builder is needed as far as one can tell before anybody has looked.

    Where builds of CodeBuild cost by the minute the follower looks first, too, whether a push
    touches its pipeline's paths. A host that is awake compares faster than a function wakes.
    """
    pipeline = installation.find(request.pipeline)
    if pipeline is not None and pipeline.paths and installation.builders.uses_code_build:
        return request.force_rebuild
    return not may_need_no_builder(request)


def publish_request(
    sns: Any, topic_arn: str, request: BuildRequest, *, builder: bool | None = None
) -> None:
    """Publish where the starter and one of the queues hear it; the client's errors pass through.

    `builder`: whether a build host is needed; None: as `may_need_no_builder` says.
    """
    needed = not may_need_no_builder(request) if builder is None else builder
    attributes = {
        "kind": "request",
        "pipeline": request.pipeline,
        BUILDER: NEEDED if needed else NOT_NEEDED,
    }
    sns.publish(
        TopicArn=topic_arn,
        Message=request.to_json(),
        MessageAttributes=sns_attributes(attributes),
    )


def dead_letter(sqs: Any, queue_url: str, body: str, why: str) -> None:
    """Put a body that was given up on where an alarm watches; the client's errors pass through."""
    sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=body or " ",
        MessageAttributes={"why": {"DataType": "String", "StringValue": why[:500] or "unknown"}},
    )


def configured(request: BuildRequest, installation: Installation) -> PipelineSettings:
    """The settings of the request's pipeline; InvalidMessage where there is no such pipeline."""
    try:
        return installation.pipeline(request.pipeline)
    except WrongUse as error:
        raise InvalidMessage("pipeline", str(error)) from None


def parse_request(body: str) -> BuildRequest:
    """The request in a queue body: as published (raw delivery), or in SNS's own envelope.

    Raises InvalidMessage for anything else.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage("$", f"is not JSON: {error}") from None
    if isinstance(data, dict) and data.get("Type") == "Notification" and "schema" not in data:
        inner = data.get("Message")
        if not isinstance(inner, str):
            raise InvalidMessage("Message", "must be a string in an SNS notification")
        return BuildRequest.from_json(inner)
    return BuildRequest.from_json(body)
