"""What each choice of `builders.when` costs: by hand, and within the bounds that were set."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.cost import MOST_STANDING, _deployment_bound, _standing_bound
from slipway.configuration import load
from slipway.contracts.errors import WrongUse
from slipway.cost.configured import builds_of, chosen, setup_of
from slipway.cost.engines import (
    FREE_MINUTES,
    START_SECONDS,
    Builds,
    code_build_only,
    dearer_than_pipeline,
    engines,
    started,
)
from slipway.cost.following import followed
from slipway.cost.model import CACHE_GB, ROLLOUT_MINUTES, Setup, codepipeline_v2
from slipway.cost.prices import OF_AWS, with_others
from tests.places import CONFIGURATIONS, ROOT

POLLS = 657_000
"""Of one queue in a month: five pollers, three a minute, 730 hours."""
BUILDS, SETUP = Builds(), Setup()


def test_a_build_is_paid_by_the_started_minute_its_start_counted() -> None:
    # GIVEN a build of 4 minutes, and 40 s before it
    assert START_SECONDS == 40
    assert BUILDS.build(4) == pytest.approx(5 * 0.005)
    assert BUILDS.build(4 + 1 / 3) == pytest.approx(5 * 0.005)
    assert BUILDS.build(4 + 1 / 3 + 0.01) == pytest.approx(6 * 0.005)
    # AND a deployment adds its log, three invocations and some rows, and its rollout
    rest = 0.2 / 1024 * 0.5 + started(OF_AWS) + followed(ROLLOUT_MINUTES)
    assert BUILDS.deployment(4) == pytest.approx(0.025 + rest)
    assert rest < 0.0005


def test_what_stands_with_code_build_alone_is_queues_and_layers() -> None:
    standing = code_build_only(SETUP, BUILDS, 2).standing
    assert standing == pytest.approx((2 * POLLS - 1e6) * 0.4e-6 + CACHE_GB * 0.10, abs=1e-4)
    assert standing <= MOST_STANDING
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert _standing_bound(SETUP, BUILDS) in page
    # AND without free tiers all polls, ten metrics, and the eight alarms that are no host's
    paid = code_build_only(replace(SETUP, free=False), replace(BUILDS, free=False), 2).standing
    assert paid == pytest.approx(2 * POLLS * 0.4e-6 + CACHE_GB * 0.10 + 3.0 + 0.8, abs=1e-4)


def test_a_hundred_minutes_of_small_are_free_each_month() -> None:
    way = code_build_only(SETUP, BUILDS, 4)
    # 20 builds of 5 minutes are free, the 21st is not
    rest = way.deployment - 0.025
    assert way.month(20) == pytest.approx(way.standing + 20 * rest)
    assert way.month(21) == pytest.approx(way.month(20) + way.deployment)
    # AND of other compute none, nor where the tier is used up
    for builds in (replace(BUILDS, compute="medium"), replace(BUILDS, free=False)):
        assert builds.spared == 0
    assert Builds(architecture="arm64").spared == pytest.approx(FREE_MINUTES * 0.0034)


def test_overflow_lies_between_by_its_share() -> None:
    hosts, half, alone = engines(SETUP, BUILDS, 4, 0.5)
    assert half.deployment == pytest.approx((hosts.deployment + alone.deployment) / 2)
    assert half.standing == hosts.standing
    assert [way.name for way in (hosts, half, alone)] == ["hosts", "overflow", "codeBuild"]


@pytest.mark.parametrize("minutes", [0.6, 1, 1.33, 1.34, 2, 2.4, 4, 9.34, 10, 30, 479.34])
def test_a_deployment_is_never_dearer_than_with_codepipeline(minutes: float) -> None:
    assert BUILDS.deployment(minutes) <= codepipeline_v2(minutes, OF_AWS).deployment


def test_where_a_bound_does_not_hold_the_page_says_which_price_and_by_how_much() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    found = dearer_than_pipeline(BUILDS)
    assert found is not None
    first, last, most = found
    # THEN only builds whose start begins a minute that CodePipeline's has not begun yet
    assert 1 - START_SECONDS / 60 < first < last <= 0.5
    assert most == pytest.approx(BUILDS.deployment(0.5) - codepipeline_v2(0.5, OF_AWS).deployment)
    assert _deployment_bound(BUILDS) in page
    # AND with cheaper prices it holds, and that is said
    cheap = with_others(OF_AWS, ["builder_minute=0.001"])
    assert "but" not in _deployment_bound(replace(BUILDS, prices=cheap))


@pytest.mark.parametrize(
    ("compute", "architecture", "minute"),
    [
        ("small", "x86_64", 0.005),
        ("medium", "x86_64", 0.01),
        ("large", "x86_64", 0.02),
        ("small", "arm64", 0.0034),
        ("large", "arm64", 0.015),
    ],
)
def test_the_prices_that_are_known(compute: str, architecture: str, minute: float) -> None:
    assert Builds(compute, architecture).minute == minute
    # AND another one takes their place
    other = with_others(OF_AWS, ["builder_minute=0.5"])
    assert Builds(compute, architecture, prices=other).minute == 0.5


def test_a_price_that_is_not_known_is_asked_for() -> None:
    with pytest.raises(WrongUse, match=r"x86_64 '2xlarge'.*pricePerMinute"):
        _ = Builds("2xlarge").minute


def test_a_configuration_is_counted_as_it_is() -> None:
    c = load(CONFIGURATIONS / "code-build.json")
    assert builds_of(c).minute == 0.01  # its own price
    assert chosen(c, 4).name == "codeBuild"
    over = load(CONFIGURATIONS / "overflow.json")
    assert (setup_of(over).hosts, setup_of(over).disk_gb) == (3, 100)
    assert builds_of(over).minute == 0.0034  # small, on the hosts' processor
    assert chosen(over, 4).standing > 24
    assert math.isclose(chosen(load(ROOT / "cdk.json"), 4).standing, SETUP.standing)
