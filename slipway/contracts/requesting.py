"""Publishing a build request: the one way onto the request topic, and who is to hear it there."""

from __future__ import annotations

from typing import Any

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
