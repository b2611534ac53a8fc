"""A service whose health check takes two minutes, at its real length: told with the host asleep."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from local.plan import Options
from tests.e2e.chain import Chain, local_chain
from tests.e2e.chaos.conftest import listened_to
from tests.e2e.chaos.test_followed import TOLD_SECONDS, asleep_with_it_under_way, told_after
from tests.e2e.chaos.trial import Say, Trial

TWO_MINUTES = 120
"""Seconds until a new container is healthy."""
START_PERIOD = 150
"""The health check's, as docs/local-emulator.md has it for such a release."""
ASLEEP = 30.0
"""Seconds that the host must have been asleep for when the push is told live."""
LONG = 300.0


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A run whose service may take two minutes, with its first commit deployed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(start_period=START_PERIOD, internal_endpoints=True)
    with local_chain(tmp_path_factory.mktemp("patient"), options) as chain:
        yield chain


@pytest.fixture
def trial(patient: Chain, say: Say) -> Iterator[Trial]:
    with listened_to(patient) as witness:
        yield Trial(patient, witness, say)


@pytest.mark.chaos
def test_two_minutes_of_a_health_check_are_told_live_while_the_host_sleeps(trial: Trial) -> None:
    # GIVEN a push whose containers are healthy after two minutes, and its host asleep
    chain = trial.chain
    pushed = trial.push("healthy after two minutes", after=TWO_MINUTES)
    asleep_with_it_under_way(trial, pushed)
    slept, launched = time.time(), chain.launches()
    trial.say(f"the host sleeps {slept - pushed.ended_at:.0f} s after the push")
    # WHEN
    row = chain.until_ended(pushed, LONG)
    # THEN it is live and told, the host still asleep, for more than half a minute
    assert (row.status, chain.serves()) == ("succeeded", pushed.commit_id)
    assert (chain.launches(), chain.host_states()) == (launched, ["stopped"])
    assert row.announced_at is not None
    asleep, late = row.announced_at - slept, told_after(trial, row)
    trial.say(f"told {row.announced_at - pushed.ended_at:.0f} s after the push, the host asleep for"
              f" {asleep:.0f} s; {late:.1f} s after ECS was done")  # fmt: skip
    assert row.announced_at - pushed.ended_at > TWO_MINUTES
    assert asleep > ASLEEP
    assert late < TOLD_SECONDS
    # AND all else holds as after any case
    trial.ends_well(pushed)
    assert (chain.launches(), chain.host_states()) == (launched, ["stopped"])
