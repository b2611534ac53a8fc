"""The small pure rules: build keys, back-off, giving up, times, progress."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_agent.host.clock import RolloutClock
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.image_reference import ImageReference
from slipway.contracts.installation import ImageSettings, Limits, TestSettings
from slipway.contracts.messages import DEPLOYMENT_ID
from slipway.contracts.stamps import utc_stamp, utc_text
from slipway.contracts.table.requests import Attempts
from slipway.following.backoff import LONGEST_DELAY, delay_after, is_given_up
from slipway.following.build_key import build_tag
from slipway.following.progress import progress_text, timings_of
from slipway.following.record import new_deployment_id
from slipway.rollout import Progress
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import make_pipeline, make_request

IMAGE = make_pipeline().images[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"dockerfile": "other"},
        {"context": "app"},
        {"target": "final"},
        {"build_arguments": {"a": "1"}},
        {"build_arguments": {"a": "2"}},
        {"platform": "linux/arm64"},
        {"build_secrets": {"npm": "/npm"}},
        {"test": TestSettings(target="tests")},
    ],
)
def test_each_part_of_a_build_makes_another_key(changes: dict[str, Any]) -> None:
    assert build_tag(replace(IMAGE, **changes), A) != build_tag(IMAGE, A)


def test_other_tests_make_another_key_and_without_any_it_is_as_it_was() -> None:
    one, other = TestSettings(target="tests"), TestSettings(target="tests", network=True)
    assert build_tag(replace(IMAGE, test=one), A) != build_tag(replace(IMAGE, test=other), A)
    assert build_tag(ImageSettings(repository="app", repository_uri="r/app"), A) == (
        "build-7cc02dacb62ca2ec30c65fc4822c4c7e"
    )


def test_a_build_key_is_the_same_each_time_and_a_tag() -> None:
    one = replace(IMAGE, build_arguments={"a": "1", "b": "2"})
    other = replace(IMAGE, build_arguments={"b": "2", "a": "1"})
    assert build_tag(one, A) == build_tag(other, A)
    assert build_tag(one, A) != build_tag(one, B) != build_tag(one, B, force="r")
    ImageReference("app").with_tag(build_tag(one, A))


def test_what_an_image_is_for_is_not_part_of_its_key() -> None:
    assert build_tag(replace(IMAGE, containers=("x",)), A) == build_tag(IMAGE, A)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_delay_is_at_least_a_second_and_bounded(failures: int, jitter: float) -> None:
    assert 1 <= delay_after(failures, jitter) <= LONGEST_DELAY


def test_delays_grow_and_are_spread() -> None:
    assert [delay_after(n, 1.0) for n in (1, 2, 3)] == [15, 30, 60]
    assert delay_after(3, 0.0) == 30


@pytest.mark.parametrize(
    ("count", "since", "given_up"), [(7, 0.0, False), (8, 0.0, True), (1, 21600.0, True)]
)
def test_giving_up_is_by_count_or_by_time(count: int, since: float, given_up: bool) -> None:
    attempts = Attempts(request_id="r", count=count, first_at=100.0)
    assert is_given_up(attempts, 100.0 + since, Limits()) is given_up


def test_times_are_utc() -> None:
    assert (utc_stamp(0.0), utc_text(0.9)) == ("19700101000000", "1970-01-01T00:00:00Z")


def test_a_deployments_id_is_one_and_differs_by_host_time_and_request() -> None:
    host, other = HostIdentity("i-1", "b", "r"), HostIdentity("i-2", "b", "r")
    ids = {
        new_deployment_id(make_request(n), h, now)
        for n in (1, 2)
        for h in (host, other)
        for now in (1.0, 1.5)
    }
    assert len(ids) == 8
    assert all(re.fullmatch(DEPLOYMENT_ID, one) for one in ids)


def test_the_rollouts_pause_ends_at_once_when_work_is_to_stop() -> None:
    stop = Stop()
    stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        RolloutClock(stop).sleep(60)


def test_the_first_reason_to_stop_stands() -> None:
    stop = Stop()
    stop.request("one")
    stop.request("two")
    assert stop.reason == "one"


def test_timings_are_summed_by_stage() -> None:
    stages: Any = [("fetch", 0.0), ("build", 2.0), ("wait", 5.0), ("build", 6.0)]
    assert timings_of(stages, 10.0) == {"fetch": 2.0, "build": 7.0, "wait": 1.0}
    assert timings_of([], 10.0) == {}


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"desired": 3, "running": 1}, "1 of 3 running"),
        ({"desired": 3, "running": 1, "failed": 2}, "1 of 3 running, 2 failed"),
        ({"desired": 1, "stage": "BAKE_TIME"}, "0 of 1 running (BAKE_TIME)"),
        ({"desired": 1, "waits": "a person"}, "0 of 1 running: a person"),
        ({"waits": "a person's word"}, "a person's word"),
        ({"note": "updating the service"}, "updating the service"),
        ({}, None),
    ],
)
def test_progress_in_words(members: dict[str, Any], text: str | None) -> None:
    assert progress_text(Progress(step="wait", elapsed=0.0, **members)) == text
