"""What following a rollout costs: below a tenth of a cent for an hour, and as the pages say."""

from __future__ import annotations

import pytest

from bench.cost import waiting_host
from bench.following import durable_function, step_functions
from slipway.contracts.installation import Limits
from slipway.cost.following import Look, followed, looks
from tests.places import ROOT

PAGES = [ROOT / "docs" / "operating.md", ROOT / "docs" / "architecture.md"]


def test_an_hour_costs_less_than_a_tenth_of_a_cent() -> None:
    assert followed(60) < 0.001


def test_looks_are_spaced_as_the_handler_spaces_them() -> None:
    limits = Limits()
    # GIVEN the first half minute, and an hour's end
    assert looks(0.5) == 30 / limits.follow_first
    assert looks(60) - looks(50) == 600 / limits.follow_longest


def test_a_look_is_mostly_its_writes() -> None:
    look = Look()
    assert look.writes > look.lambda_ + look.reads + look.sqs + look.logs


@pytest.mark.parametrize("minutes", [2, 60])
def test_the_pages_say_the_same(minutes: int) -> None:
    ours, host = followed(minutes), waiting_host(minutes)
    others = step_functions(minutes), durable_function(minutes)
    operating, architecture = (page.read_text(encoding="utf-8") for page in PAGES)
    assert f"| {minutes} min | {looks(minutes)} | ${ours:.5f} | ${host:.5f} |" in operating
    for dollars in (ours, *others):
        assert f"${dollars:.5f}" in architecture
