"""The defaults and the operators' page follow from the cost model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bench.cost import CACHE_GB, FREE_GB, SYSTEM_GB, chosen_idle
from build_agent.image.disk import CACHE_KEPT, FOR_BUILD
from slipway.configuration import BuildHost, LimitSettings
from slipway.configuration.builders import CodeBuild
from slipway.cost.engines import Builds, engines
from slipway.cost.model import MOST, Setup, all_ways, break_even, codebuild, codepipeline_v2
from slipway.cost.prices import INSTANCE_HOUR, OF_AWS
from tests.places import ROOT

OPERATING = ROOT / "docs" / "operating.md"
MEDIUM, LARGE = Setup(), Setup(instance="c7g.large")


@pytest.mark.parametrize("minutes", [2, 10])
def test_the_default_instance_is_the_cheapest(minutes: int) -> None:
    default = BuildHost.model_fields["instance_type"].default
    assert default == MEDIUM.instance
    assert default == min(INSTANCE_HOUR, key=lambda name: Setup(instance=name).deployment(minutes))


def test_from_half_an_hour_on_credits_cost_more_than_a_larger_host() -> None:
    assert LARGE.deployment(30) < MEDIUM.deployment(30)


def test_the_default_idle_period_is_the_chosen_one() -> None:
    assert LimitSettings().idle_period == chosen_idle(MEDIUM).seconds


def test_the_default_disk_is_the_one_that_is_counted() -> None:
    assert BuildHost.model_fields["volume_size"].default == MEDIUM.disk_gb
    assert f"{CACHE_GB}GB" == CACHE_KEPT
    assert FREE_GB << 30 == FOR_BUILD
    left = MEDIUM.disk_gb - SYSTEM_GB - CACHE_GB - FREE_GB
    assert f"{left} are left" in str(BuildHost.model_fields["volume_size"].description)


@pytest.mark.parametrize("minutes", [2, 10, 30])
def test_from_the_break_even_on_it_is_the_cheapest_and_not_before(minutes: int) -> None:
    least = break_even(MEDIUM, minutes)
    assert least is not None
    ours, *theirs = all_ways(MEDIUM, minutes)
    assert ours.month(least) <= min(way.month(least) for way in theirs)
    assert ours.month(least - 1) > min(way.month(least - 1) for way in theirs)


@pytest.mark.parametrize(
    ("minutes", "how", "boots", "idle"),
    [(2, "alone", 1.0, 300.0), (2, "ten in a row", 0.1, 30.0), (10, "alone", 1.0, 300.0),
     (30, "alone", 1.0, 300.0)],
)  # fmt: skip
def test_the_operators_page_says_the_same(
    minutes: int, how: str, boots: float, idle: float
) -> None:
    each = " each" if boots < 1 else ""
    ours = [f"${one.deployment(minutes, boots=boots, idle=idle):.4f}{each}"
            for one in (MEDIUM, LARGE)]  # fmt: skip
    theirs = [f"${way(minutes, OF_AWS).deployment:.4f}" for way in (codebuild, codepipeline_v2)]
    row = " | ".join([f"| b = {minutes} min, {how}", *ours, *theirs]) + " |"
    assert row in OPERATING.read_text(encoding="utf-8")


def test_the_operators_page_says_what_stands_by_the_month() -> None:
    page = OPERATING.read_text(encoding="utf-8")
    disk = MEDIUM.disk_gb * 0.08
    assert f"{MEDIUM.disk_gb} GB gp3 a host | {disk:.2f} |" in page
    assert f"alarms: {MEDIUM.alarms} in prod" in page
    assert f"custom metrics: {MEDIUM.metrics} in all" in page
    assert f"a million is free) | {MEDIUM.standing - disk:.2f} |" in page
    all_paid = replace(MEDIUM, free=False).standing
    assert f"all of this but the disk is ${all_paid - disk:.2f}" in page


def test_the_operators_page_says_what_each_engine_costs() -> None:
    page = OPERATING.read_text(encoding="utf-8")
    builds = Builds()

    def row(name: str, values: Iterable[float]) -> str:
        return " | ".join([f"| {name}", *(f"${value:.2f}" for value in values)]) + " |"

    assert row("stands a month", (w.standing for w in engines(MEDIUM, builds, 2))) in page
    for pushes, minutes, name in (
        (20, 2, "20 pushes a month, builds of 2 min"),
        (40, 4, "40 pushes, 4 min"),
        (200, 4, "200 pushes, 4 min"),
        (1000, 4, "1000 pushes, 4 min"),
        (1000, 10, "1000 pushes, 10 min"),
    ):
        assert row(name, (w.month(pushes) for w in engines(MEDIUM, builds, minutes))) in page
    # AND from how many pushes on hosts cost less than CodeBuild alone
    least = [_hosts_cheaper_from(builds, minutes) for minutes in (2, 4, 10)]
    assert "from {} pushes a month of 2 min, {} of 4, {} of 10 |".format(*least) in page


def _hosts_cheaper_from(builds: Builds, minutes: float) -> int:
    hosts, _both, alone = engines(MEDIUM, builds, minutes)
    return next(n for n in range(MOST) if hosts.month(n) <= alone.month(n))


def test_the_defaults_of_builders_are_those_that_are_counted() -> None:
    builds, code_build = Builds(), CodeBuild()
    assert (code_build.compute, code_build.architecture) == (builds.compute, None)
