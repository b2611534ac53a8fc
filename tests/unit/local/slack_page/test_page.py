"""The page as a poster, a tool, a browser and a shell meet it: over HTTP on 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.notifier.blocks import slack_message
from lambdas.notifier.slack import SlackClient
from local.slack_page.channel import Channel
from local.slack_page.server import SlackPage
from local.slack_page.status import Reader
from tests.places import ROOT
from tests.unit.lambdas.notifier.samples import NOTICES
from tests.unit.lambdas.notifier.test_blocks import PIPELINE

GOOD = slack_message(NOTICES["succeeded"], PIPELINE)


class Browser:
    """A client of one page."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None
    ) -> tuple[int, str, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, body=raw)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask("GET", "/messages.json")[1])
        return found


@pytest.fixture
def browser() -> Iterator[Browser]:
    page = SlackPage(0, Channel(lambda: 1_795_256_400.0), Reader(None))
    thread = threading.Thread(target=page.serve_forever, daemon=True)
    thread.start()
    yield Browser(page.server_port)
    page.shutdown()
    page.server_close()


@pytest.mark.parametrize("path", ["/", "/services/T000/B000/XXXX"])
def test_a_post_is_taken_listed_and_shown(browser: Browser, path: str) -> None:
    assert browser.ask("POST", path, GOOD)[:2] == (200, "ok")
    assert browser.messages() == [{"payload": GOOD, "received_at": 1_795_256_400.0}]
    page = browser.ask("GET", "/")[1]
    assert "shop: commit 3f2a9c41 is live" in page
    assert "<b>Fix the basket&#x27;s total</b>" in page
    assert "Started without --state" in page


def test_the_newest_message_comes_first(browser: Browser) -> None:
    for name in ("succeeded", "failed in build"):
        browser.ask("POST", "/", slack_message(NOTICES[name], PIPELINE))
    page = browser.ask("GET", "/")[1]
    assert page.index("failed in the build") < page.index("is live")


def test_what_slack_would_refuse_is_refused(browser: Browser) -> None:
    status, text, _ = browser.ask("POST", "/", {"blocks": [{"type": "carousel"}]})
    assert status == 400
    assert text.startswith("invalid_blocks: blocks[0].type")
    assert browser.ask("POST", "/", {})[1].startswith("no_text")
    assert browser.ask("POST", "/", b"{")[:2] == (400, "invalid_payload")
    assert browser.ask("POST", "/", b"[" * 100_000)[:2] == (400, "invalid_payload")
    assert browser.messages() == []


def test_an_ordered_fault_strikes_as_often_as_ordered(browser: Browser) -> None:
    browser.ask("POST", "/_fault", {"status": 429, "retry_after": 7, "count": 1})
    status, text, headers = browser.ask("POST", "/", GOOD)
    assert (status, text, headers["Retry-After"]) == (429, "rate_limited", "7")
    assert browser.ask("POST", "/", GOOD)[0] == 200
    browser.ask("POST", "/_fault", {"status": 500, "count": 5})
    assert browser.ask("POST", "/", GOOD)[0] == 500
    browser.ask("POST", "/_fault", {"status": 500, "count": 0})
    assert browser.ask("POST", "/", GOOD)[0] == 200


@pytest.mark.parametrize(
    "fault", [{}, {"status": 200}, {"status": "500"}, {"status": 500, "x": 1}, []]
)
def test_a_fault_that_is_none_says_why(browser: Browser, fault: Any) -> None:
    status, text, _ = browser.ask("POST", "/_fault", fault)
    assert status == 400
    assert "invalid message" in text


def test_the_notifiers_own_client_is_understood_both_ways(browser: Browser) -> None:
    client = SlackClient()
    assert client.post(f"{browser.url}/", GOOD).status == 200
    browser.ask("POST", "/_fault", {"status": 429, "retry_after": 3})
    limited = client.post(f"{browser.url}/", GOOD)
    assert (limited.status, limited.retry_after) == (429, 3.0)


@pytest.mark.parametrize("path", ["/style.css", "/live.js"])
def test_the_page_brings_all_it_needs(browser: Browser, path: str) -> None:
    page = browser.ask("GET", "/")[1]
    assert f'"{path}"' in page
    assert browser.ask("GET", path)[0] == 200
    assert "https://" not in page + browser.ask("GET", path)[1]


def test_other_paths_are_not_found(browser: Browser) -> None:
    assert browser.ask("GET", "/../__main__.py")[0] == 404
    assert browser.ask("POST", "/other", GOOD)[0] == 404


def test_a_new_message_is_sent_to_those_who_watch(browser: Browser) -> None:
    # GIVEN a browser that watches
    connection = http.client.HTTPConnection("127.0.0.1", browser.port, timeout=5)
    connection.request("GET", "/live")
    stream = connection.getresponse()
    first = json.loads(stream.readline().removeprefix(b"data: "))
    assert set(first) == {"messages", "status", "gist"}
    # WHEN a message is posted
    browser.ask("POST", "/", GOOD)
    # THEN it arrives without another question
    lines = iter(stream.readline, b"")
    change = next(line for line in lines if line.startswith(b"data: "))
    assert "is live" in json.loads(change.removeprefix(b"data: "))["messages"]
    connection.close()


def test_sigterm_ends_it_at_once_even_while_somebody_watches() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "local.slack_page", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rstrip("/\n").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/live")
    assert connection.getresponse().readline().startswith(b"data: ")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=3) == 0
    process.stdout.close()
    connection.close()


def test_a_port_that_is_taken_is_said_in_a_sentence(browser: Browser) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.slack_page", "--port", str(browser.port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith(f"slack page: cannot listen on 127.0.0.1:{browser.port}")
    assert done.stderr.count("\n") == 1
