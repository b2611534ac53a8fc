"""`slipway report` and the plots: what is said, and that the page needs nothing else."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.slipway.cli.world import NOW, World


def past(world: World) -> None:
    """`shop`: three successes and a rollback; `api`: one success."""
    for number in range(3):
        world.deployed("shop", number, started_at=NOW - 5 * 86400 + number * 3600)
    world.deployed("shop", 3, "rolled_back", started_at=NOW - 86400)
    world.deployed("api", 4, started_at=NOW - 86400)


def test_each_pipeline_and_all_together_have_their_figures(world: World) -> None:
    past(world)

    answer = json.loads(world.run("report", "--json").stdout)

    assert answer["shop"]["deployments"] == 3
    assert answer["shop"]["change_failure_rate"] == 0.25
    assert answer["shop"]["push_to_steady"]["p50"] == 106
    assert answer["api"]["deployments"] == 1
    assert answer["all pipelines"]["changes"] == 5


def test_since_bounds_the_period(world: World) -> None:
    past(world)

    answer = json.loads(world.run("report", "shop", "--since", "2d", "--json").stdout)

    assert answer["shop"]["deployments"] == 0
    assert answer["shop"]["failed_changes"] == 1
    assert list(answer) == ["shop"]


def test_people_read_the_same_two_words_as_everywhere(world: World) -> None:
    past(world)

    text = world.run("report").output

    assert "LEAD TIME" in text
    assert "PUSH TO STEADY" in text
    assert "25.0% (1 of 4 changes), " not in text
    assert "25.0% (1 of 4 changes)" in text


def test_the_page_is_one_file_that_fetches_nothing(world: World, tmp_path: Path) -> None:
    # GIVEN an installation whose name could be markup is impossible; a pipeline's past is there
    past(world)
    page = tmp_path / "report.html"

    # WHEN
    result = world.run("report", "--html", str(page))

    # THEN table and two plots, each for wide and narrow windows, are within it
    # AND no address outside of it is loaded
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 4
    assert "25.0%" in text
    for drawing in drawings:
        ElementTree.fromstring(drawing)  # noqa: S314 - our own drawing
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    assert "<script" not in text


def test_an_empty_past_makes_a_page_too(world: World, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    assert world.run("report", "shop", "--html", str(page)).exit_code == 0
    assert "no successes" in page.read_text(encoding="utf-8") or page.stat().st_size > 1000


def test_the_history_can_be_drawn_as_a_png(world: World, tmp_path: Path) -> None:
    past(world)
    picture = tmp_path / "history.png"

    result = world.run("history", "shop", "--plot", "--output", str(picture))

    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG\r\n")


def test_without_matplotlib_a_sentence_says_how_to_get_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(world)
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    result = world.run("history", "--plot", "--output", str(tmp_path / "x.png"))

    assert result.exit_code == 2
    assert "plots need matplotlib" in result.output
