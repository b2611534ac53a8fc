"""Publishing a build request: the one way onto the request topic."""

from __future__ import annotations

from typing import Any

from slipway.contracts.messages import BuildRequest, sns_attributes


def publish_request(sns: Any, topic_arn: str, request: BuildRequest) -> None:
    """Publish where the build queue and the starter hear it; the client's errors pass through."""
    sns.publish(
        TopicArn=topic_arn,
        Message=request.to_json(),
        MessageAttributes=sns_attributes({"kind": "request", "pipeline": request.pipeline}),
    )
