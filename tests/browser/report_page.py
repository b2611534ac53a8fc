"""The page of `slipway report --html` in a real browser: readable on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.cli.verbs.report import ALL, html_page
from slipway.contracts.dora import figures
from slipway.contracts.table.deployments import DeploymentRow
from tests.browser.chromium import Chromium
from tests.browser.slack_page import IMAGES, PHONE
from tests.unit.slipway.cli.world import NOW, commit_of, deployment_id, result_of

DAY = 86400.0
STATUSES = ("succeeded", "succeeded", "failed", "succeeded", "rolled_back", "unchanged")
LEAST = 6.0
"""Pixels: how high a digit of 10 px is."""


WORDS = """
var shown = [...document.querySelectorAll('svg')].filter(svg => svg.clientWidth);
var words = svg => {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('[id^=text_]')].map(text => text.getBoundingClientRect());
  const outside = texts.filter(box => box.left < frame.left - 1 || box.right > frame.right + 1);
  return {heights: texts.map(box => box.height), outside: outside.map(box => box.right)};
};
"""
"""What there is of words in the plots that are shown."""


def rows(pipeline: str, every: float) -> list[DeploymentRow]:
    """Thirty days of deployments, one each `every` seconds."""
    made = []
    for number in range(int(30 * DAY / every)):
        at = NOW - number * every
        row = DeploymentRow(
            deployment_id=deployment_id(pipeline, at, number), pipeline=pipeline,
            request_id=f"{number:032x}", reason="push", pushed_by="ada", pushed_at=at - 95,
            started_at=at - 80, ended_at=at, commit=commit_of(number),
            status=STATUSES[number % len(STATUSES)],
        )  # fmt: skip
        made.append(DeploymentRow(**{**vars(row), "result": result_of(row, str(row.status), at)}))
    return made


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    start = NOW - 30 * DAY
    found = {"shop": rows("shop", DAY / 2), "catalogue-api": rows("catalogue-api", DAY)}
    every = [row for some in found.values() for row in some]
    told = {name: figures(some, start, NOW) for name, some in {**found, ALL: every}.items()}
    page = tmp_path / "report.html"
    page.write_text(html_page("slipway", told, every, start, NOW), encoding="utf-8")
    with Chromium() as made:
        made.open(page.as_uri())
        yield made


@pytest.mark.parametrize("width", [1300, 700, PHONE])
def test_every_word_of_plots_and_table_can_be_read(browser: Chromium, width: int) -> None:
    browser.size(width, 1100)
    # THEN nothing sticks out of the window, and nothing has to be pushed aside to be seen
    assert browser.value("document.documentElement.scrollWidth") <= width
    table = "document.querySelector('.table')"
    assert width > PHONE or browser.value(f"{table}.scrollWidth <= {table}.clientWidth")
    # AND two plots are shown, each word within its plot and of a size that can be read
    browser.value(WORDS)
    plots = browser.value("shown.map(words)")
    assert len(plots) == 2
    for plot in plots:
        assert max(plot["heights"]) >= LEAST
        assert plot["outside"] == []
    assert browser.complaints() == []


def test_a_picture_of_a_phone(browser: Chromium) -> None:
    browser.size(PHONE, 844)
    browser.size(PHONE, browser.value("document.documentElement.scrollHeight"))
    browser.picture(IMAGES / "report-phone.png")
