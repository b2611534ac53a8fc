"""The Slack page in a real browser: live, newest first, complete, with nothing from the network.

Leaves a picture of every kind of notice in docs/images/, to be looked at; `story.py` takes the
others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lambdas.notifier.blocks import slack_message
from local.slack_page.channel import Channel
from local.slack_page.server import SlackPage
from local.slack_page.status import Reader, Status, assemble
from tests.browser.chromium import Chromium
from tests.places import ROOT
from tests.unit.lambdas.notifier.samples import NOTICES
from tests.unit.lambdas.notifier.test_blocks import PIPELINE
from tests.unit.local.slack_page.panel_samples import rows, state

IMAGES = ROOT / "docs" / "images"
TOLD = [name for name in NOTICES if name not in ("idle", "superseded")]


class Samples(Reader):
    """A status that does not depend on an emulator."""

    def read(self) -> Status:
        return assemble(state(), rows(time.time()), time.time())


@pytest.fixture
def page() -> Iterator[SlackPage]:
    made = SlackPage(0, Channel(time.time), Samples(None))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def browser(page: SlackPage) -> Iterator[Chromium]:
    with Chromium() as made:
        made.open(f"http://127.0.0.1:{page.server_port}/")
        made.until("document.getElementById('connection').textContent === 'live'")
        yield made


def post(page: SlackPage, name: str) -> None:
    assert page.channel.post(slack_message(NOTICES[name], PIPELINE)).status == 200


def messages(count: int) -> str:
    return f"document.querySelectorAll('article').length === {count}"


def test_each_notice_appears_by_itself_and_on_top(page: SlackPage, browser: Chromium) -> None:
    for number, name in enumerate(TOLD, start=1):
        post(page, name)
        browser.until(messages(number))
        shown = browser.value("document.querySelector('article h2').innerText")
        header = slack_message(NOTICES[name], PIPELINE)["blocks"][0]["text"]["text"]
        assert header.partition(" ")[2] in shown
    assert browser.complaints() == []


def test_it_needs_nothing_from_the_network(page: SlackPage, browser: Chromium) -> None:
    post(page, "succeeded")
    browser.until(messages(1))
    here = f"http://127.0.0.1:{page.server_port}/"
    assert all(url.startswith((here, "data:")) for url in browser.requests())
    assert browser.complaints() == []


@pytest.mark.parametrize("width", [1300, 700, 360])
def test_nothing_sticks_out_of_the_window(page: SlackPage, browser: Chromium, width: int) -> None:
    browser.size(width, 900)
    for name in TOLD:
        post(page, name)
    browser.until(messages(len(TOLD)))
    assert browser.value("document.documentElement.scrollWidth") <= width


PHONE = 390
"""Pixels: the width of a usual phone."""
FOLDED = "!document.getElementById('panel').open"


def test_on_a_phone_the_messages_come_first_and_the_panel_folds(
    page: SlackPage, browser: Chromium
) -> None:
    # GIVEN a phone's window
    told = [*TOLD, "rolled back"]
    for name in told:
        post(page, name)
    browser.until(messages(len(told)))
    browser.size(PHONE, 844)
    # THEN the panel is one line below the messages, which fill the window
    browser.until(FOLDED)
    first, bar = _box(browser, "article"), _box(browser, "aside")
    assert first["top"] < 80
    assert first["width"] > 0.9 * PHONE
    assert bar["top"] > 700
    assert bar["height"] < 80
    assert "shop: build" in browser.value("document.getElementById('gist').innerText")
    browser.picture(IMAGES / "slack-page-phone.png")
    # AND it unfolds, and stays so while the page is live
    browser.value("document.getElementById('gist').click()")
    assert _box(browser, "aside .host")["height"] > 0
    post(page, "succeeded")
    browser.until(messages(len(told) + 1))
    assert not browser.value(FOLDED)
    # AND it stands beside the messages on a wide one
    browser.size(1300, 900)
    browser.until("document.querySelector('aside').getBoundingClientRect().left > 800")
    assert not browser.value(FOLDED)
    assert browser.value("document.getElementById('gist').offsetHeight") == 0


def _box(browser: Chromium, selector: str) -> dict[str, float]:
    """Where the first such element is, in pixels of the window."""
    script = f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()"
    found: dict[str, float] = browser.value(script)
    return found


def test_running_times_run(browser: Chromium) -> None:
    running = "document.querySelector('.stages .now .counting').textContent"
    before = browser.value(running)
    assert before.endswith(" s")
    browser.until(f"{running} !== '{before}'")


def test_a_picture_of_every_kind_of_notice(page: SlackPage, browser: Chromium) -> None:
    for name in TOLD:
        post(page, name)
    browser.until(messages(len(TOLD)))
    browser.size(1300, browser.value("document.documentElement.scrollHeight"))
    browser.picture(IMAGES / "slack-page-all.png")
