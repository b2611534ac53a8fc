"""The pictures of docs/images/: a local run of its own, a day in it, seen in Chromium.

Nothing on them is made up, so `report` draws the history of one minute. Each picture is taken once
the page shows what it is of.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.down import take_down
from local.plan import Options
from local.progress import Progress
from local.up import bring_up
from local.workplace import Workplace
from tests.browser.chromium import Chromium
from tests.browser.slack_page import IMAGES
from tests.browser.terminal import Terminal, save_picture
from tests.e2e.chain import Chain
from tests.e2e.story import CHECKOUT, GREETING, SLIPWAY, TOTAL, Story

PIPELINE = "sample"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    directory = tmp_path_factory.mktemp("run")
    workplace, progress = Workplace(directory), Progress()
    bring_up(workplace, Options(), progress)
    yield Chain(directory)
    take_down(workplace, progress)


@pytest.fixture
def browser(chain: Chain) -> Iterator[Chromium]:
    with Chromium() as made:
        made.open(f"{chain.state.slack_url}/")
        made.until("document.getElementById('connection').textContent === 'live'")
        yield made


def shows(selector: str, words: str) -> str:
    """Whether the first such element says so."""
    return f"(document.querySelector({selector!r})?.innerText ?? '').includes({words!r})"


def test_a_day_in_pictures(chain: Chain, browser: Chromium, tmp_path: Path) -> None:
    story = Story(chain.directory, PIPELINE)

    # a good commit, seen while it is deployed: on the page, and on a terminal
    watching = Terminal([str(SLIPWAY), "watch", PIPELINE], story.environment)
    chain.until("somebody watches", lambda: "waiting for" in watching.text)
    deploying = threading.Thread(target=story.a_good_commit)
    deploying.start()
    browser.until(shows(".stages .now", "wait"))
    browser.size(1300, 560)
    browser.picture(IMAGES / "slack-page-live.png")
    deploying.join()
    assert watching.ended() == 0
    under_way = [seen for seen in watching.pictures() if "▶" in seen and "to go" in seen]
    save_picture(under_way[-1], f"$ slipway watch {PIPELINE}", IMAGES / "watch.svg")

    # a bad one
    story.a_bad_commit()
    browser.until(shows("article h2", story.commits[CHECKOUT][:8]))
    browser.size(1300, 900)
    browser.picture(IMAGES / "slack-page-failed.png")

    # a better one, back, and on again
    story.a_better_commit()
    story.back()
    story.on_again()
    browser.until(shows("article h2", f"commit {story.commits[TOTAL][:8]} is live (redeployed)"))
    browser.until(shows("aside .host", "stopped"))
    browser.size(1300, 1560)
    browser.picture(IMAGES / "slack-page.png")
    browser.size(420, 1100)
    browser.picture(IMAGES / "slack-page-narrow.png")
    assert browser.value(shows("#messages", f"commit {story.commits[GREETING][:8]} is live"))
    assert browser.complaints() == []

    # what `history` and `report` draw of it
    story.slipway("history", PIPELINE, "--plot", "--output", str(IMAGES / "history.png"))
    page = tmp_path / "report.html"
    story.slipway("report", "--html", str(page))
    browser.open(page.as_uri())
    assert browser.value("document.querySelectorAll('svg').length") > 0
    browser.size(1300, 1100)
    browser.picture(IMAGES / "report.png")
