"""The functions' memory follows from what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.memory import PATIENCE, Need, cold_seconds, needs, size_for, sizes
from tests.infra.templates import Stacks, resources
from tests.places import ROOT


def test_each_function_has_the_size_that_its_figures_ask_for(example: Stacks) -> None:
    """`python -m bench.memory` measures anew and writes bench/memory.json."""
    given = {
        function["FunctionName"].removeprefix("slipway-"): function["MemorySize"]
        for template in example.both
        for function in resources(template, "AWS::Lambda::Function").values()
    }
    assert given == sizes()


def test_the_docs_say_the_same_figures() -> None:
    page = Path(ROOT, "docs", "operating.md").read_text(encoding="utf-8")
    for name, need in needs().items():
        size = size_for(need, PATIENCE[name])
        row = f"| {name} | {need.peak_mb:.0f} | {need.cold_cpu:.2f} | {size} |"
        assert f"{row} {cold_seconds(need, size):.1f} | {PATIENCE[name]:g}: " in page


@pytest.mark.parametrize(
    ("peak_mb", "cold_cpu", "patience", "size"),
    [
        (60, 0.01, 1.0, 128),  # small and quick: the smallest
        (65, 0.01, 1.0, 256),  # twice the peak has to fit
        (60, 0.5, 4.0, 256),  # 0.5 s of a processor are 3.5 s of 256 MB's share
        (60, 0.5, 3.0, 512),
        (60, 0.5, 0.5, 1769),  # a whole processor
    ],
)
def test_a_size_holds_twice_the_peak_and_starts_in_time(
    peak_mb: float, cold_cpu: float, patience: float, size: int
) -> None:
    assert size_for(Need(peak_mb, cold_cpu), patience) == size


def test_what_no_size_can_do_is_said() -> None:
    with pytest.raises(ValueError, match="no size"):
        size_for(Need(60, 2.0), 1.0)
