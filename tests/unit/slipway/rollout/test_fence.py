"""A change in ECS is signed right after a look at the lock, or it is not sent."""

from __future__ import annotations

from threading import Thread
from time import time as now
from typing import Any

import boto3
import pytest
from botocore.config import Config

from build_agent.queue.lease import MARGIN
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import LEAST_LOCK, Limits
from slipway.rollout.fence import LATE, SIGNATURE_LIFE, Fence, signed_at
from tests.aws.wire import answer_from


class Wire:
    """A client of ECS whose requests end here."""

    def __init__(self, fence: Fence) -> None:
        self.sent: list[str] = []
        session = boto3.Session("AKIATEST", "secret", region_name="us-east-1")
        config = Config(retries={"mode": "standard", "max_attempts": 4})
        self.client: Any = fence.around(session.client("ecs", config=config))
        answer_from(self.client, self._answer, first=False)

    def _answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.sent.append(operation)
        return {}

    def update(self) -> None:
        self.client.update_service(service="web")


class Time:
    """The host's own time, but for a shift."""

    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return now() + self.shift


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_change_right_after_a_look_is_sent(time: Time) -> None:
    fence = Fence(time)
    wire = Wire(fence)
    fence.noted(lambda: None)()
    wire.update()
    assert wire.sent == ["UpdateService"]


def test_a_change_that_is_signed_late_is_not_sent_and_a_read_is(time: Time) -> None:
    # GIVEN a process that stands still after its look
    time.shift = -LATE - 5
    fence = Fence(time)
    wire = Wire(fence)
    fence.noted(lambda: None)()
    # WHEN it goes on, THEN the change is not sent, not by a repetition either
    with pytest.raises(WorldFailed, match="held up"):
        wire.update()
    wire.client.describe_services(services=["web"])
    assert wire.sent == ["DescribeServices"]


def test_a_change_without_a_look_is_not_sent(time: Time) -> None:
    wire = Wire(Fence(time))
    with pytest.raises(WorldFailed):
        wire.update()
    assert wire.sent == []


def test_a_look_that_fails_is_none(time: Time) -> None:
    fence = Fence(time)

    def lost() -> None:
        raise WorldFailed("lost")

    with pytest.raises(WorldFailed, match="lost"):
        fence.noted(lost)()
    with pytest.raises(WorldFailed, match="held up"):
        fence.check(time())


def test_the_lock_outlives_a_signature() -> None:
    assert LEAST_LOCK >= LATE + SIGNATURE_LIFE + MARGIN
    # A request whose host died comes back when the lock has ended: it would be settled into it.
    assert LEAST_LOCK <= Limits().lock_ttl < Limits().visibility


@pytest.mark.parametrize("date", ["20261125T230001Z", b"20261125T230001Z"])
def test_a_signatures_date_is_read(date: str | bytes) -> None:
    assert signed_at(date) == 1795647601


def test_the_look_of_one_thread_is_not_another_s(time: Time) -> None:
    # GIVEN a rollout whose process stood still after its look, and another's look just now
    fence = Fence(time)
    fence.noted(lambda: None)()
    time.shift = LATE + 5
    other = Thread(target=fence.noted(lambda: None))
    other.start()
    other.join()
    # THEN the first one's change is as late as it was
    with pytest.raises(WorldFailed, match="held up"):
        fence.check(time())
