"""The dead-letter queues of an installation, and the way back of what lies in each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest, FollowMessage
from slipway.contracts.names import REDRIVEN

if TYPE_CHECKING:
    from slipway.contracts.names import Names

BY_SCHEDULE_OR_BUILDER = ("aws.events", "aws.ec2", "aws.codebuild")
"""Sources of the events that EventBridge has for the reconciler; all others are the follower's."""


@dataclass(frozen=True)
class Request:
    """Publish the build request again."""

    request: BuildRequest


@dataclass(frozen=True)
class Notice:
    """Put the notice back into the notices queue."""

    body: str


@dataclass(frozen=True)
class Look:
    """Put what the follower was asked to look at back into the follow queue."""

    body: str


@dataclass(frozen=True)
class Event:
    """Invoke the Lambda `function` with the event again."""

    function: str
    payload: Any


Way = Request | Notice | Look | Event


def ways_back(names: Names) -> dict[str, Callable[[str], Way]]:
    """How the body of a dead letter of each queue is read; InvalidMessage if it cannot be."""
    return {
        names.build_dead_letters: _request,
        names.follow_dead_letters: _look,
        names.notices_dead_letters: Notice,
        names.failures: lambda body: _failed(names, body),
        names.undelivered: lambda body: _undelivered(names, body),
    }


def _request(body: str) -> Request:
    """A build request as it was published."""
    return Request(BuildRequest.from_json(body))


def _look(body: str) -> Look:
    """A follow message, or a build request that may need no builder."""
    data = _object(body)
    if "request_id" in data:
        BuildRequest.from_json(body)
    else:
        FollowMessage.from_json(body)
    return Look(body)


def _failed(names: Names, body: str) -> Event:
    """What a Lambda failed on: its on-failure destination's record names it and has the event.

    AWS, 'Capturing records of Lambda asynchronous invocations': `requestContext.functionArn` ends
    in `:function:NAME:QUALIFIER`.
    """
    record = _object(body)
    if record.get("requestPayload") is None:
        raise InvalidMessage("requestPayload", "is missing")
    context = record.get("requestContext")
    arn = str(context.get("functionArn", "")) if isinstance(context, dict) else ""
    function = arn.partition(":function:")[2].partition(":")[0]
    if function not in map(names.function, REDRIVEN):
        raise InvalidMessage("requestContext.functionArn", f"{arn!r} is no function of Slipway's")
    return Event(function, record["requestPayload"])


def _undelivered(names: Names, body: str) -> Way:
    """What SNS or EventBridge could not deliver: it says itself for whom it was.

    EventBridge keeps the event. SNS keeps what the endpoint should have had: the bare message for
    a queue, its envelope for a Lambda or an e-mail address.
    """
    data = _object(body)
    if "detail-type" in data:
        of_reconciler = data.get("source") in BY_SCHEDULE_OR_BUILDER
        return Event(names.function("reconciler" if of_reconciler else "follower"), data)
    if "request_id" in data:
        return _request(body)
    if data.get("Type") != "Notification":
        return Notice(body)
    message = str(data.get("Message", ""))
    inner = _object_or_none(message) or {}
    if "request_id" in inner:
        return _request(message)
    if inner.get("kind") == "idle":
        return Event(names.function("stopper"), _sns_event(data))
    raise InvalidMessage("$", "is an e-mail; the queue had the same notice for Slack")


def _sns_event(envelope: dict[str, Any]) -> dict[str, Any]:
    """What SNS would have invoked the Lambda with."""
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": envelope}]}


def _object_or_none(text: str) -> dict[str, Any] | None:
    try:
        return _object(text)
    except InvalidMessage:
        return None


def _object(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError as error:
        raise InvalidMessage("$", f"is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidMessage("$", "must be an object")
    return data
