"""The dead-letter queues of an installation, and the way back of what lies in each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest, FollowMessage

if TYPE_CHECKING:
    from slipway.contracts.names import Names


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

    def invoke(function: str, read: Callable[[str], Any]) -> Callable[[str], Way]:
        return lambda body: Event(names.function(function), read(body))

    undelivered = names.subscription_dead_letters
    return {
        names.build_dead_letters: _request,
        names.follow_dead_letters: _look,
        undelivered("build"): _request,
        undelivered("follow"): lambda body: _undelivered_follow(names, body),
        undelivered("starter"): _request,
        undelivered("stopper"): invoke("stopper", _sns_event),
        undelivered("reconciler"): invoke("reconciler", _object),
        undelivered("notices"): Notice,
        undelivered("notices-alarms"): Notice,
        names.notices_dead_letters: Notice,
        **{
            names.failures(function): invoke(function, _failed_event)
            for function in ("starter", "stopper", "follower", "reconciler")
        },
    }


def _request(body: str) -> Request:
    """A build request, bare or as SNS wraps it for a queue that could not be reached."""
    data = _object(body)
    inner = data.get("Message") if data.get("Type") == "Notification" else None
    return Request(BuildRequest.from_json(inner if isinstance(inner, str) else body))


def _look(body: str) -> Look:
    """A follow message, or a build request that may need no builder."""
    data = _object(body)
    if "request_id" in data:
        BuildRequest.from_json(body)
    else:
        FollowMessage.from_json(body)
    return Look(body)


def _undelivered_follow(names: Names, body: str) -> Way:
    """What SNS had for the follow queue, a request, or EventBridge for the follower, an event."""
    data = _object(body)
    return Event(names.function("follower"), data) if "detail-type" in data else _request(body)


def _sns_event(body: str) -> dict[str, Any]:
    """What SNS would have invoked the Lambda with."""
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": _object(body)}]}


def _failed_event(body: str) -> Any:
    """The event that a Lambda failed on, from the record of its on-failure destination."""
    payload = _object(body).get("requestPayload")
    if payload is None:
        raise InvalidMessage("requestPayload", "is missing")
    return payload


def _object(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError as error:
        raise InvalidMessage("$", f"is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidMessage("$", "must be an object")
    return data
