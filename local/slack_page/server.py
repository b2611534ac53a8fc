"""The Slack page's HTTP side: a webhook to post to, a page to look at, JSON for tools.

POST /  or /services/…   an incoming webhook     POST /_fault       the next posts fail
GET  /                   the page                GET  /live         its changes (SSE)
GET  /messages.json      what was posted         GET  /status.json  stages and host
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from markupsafe import Markup

from local.slack_page.blocks import message_html
from local.slack_page.channel import Answer, Channel, Fault
from local.slack_page.pages import page
from local.slack_page.panel import gist_html, panel_html
from local.slack_page.status import Reader
from slipway.contracts.codec import decode, encode
from slipway.contracts.errors import InvalidMessage

LARGEST_POST = 1_000_000
LIVE_PERIOD = 1.0
"""Seconds between two looks at the emulator while somebody watches."""
SHOWN = 100

_HERE = Path(__file__).parent
_ASSETS = {"/style.css": "text/css", "/live.js": "text/javascript"}
_NOTHING_YET = Markup('<p class="empty">Nothing was posted yet. Push a commit.</p>')


class SlackPage(ThreadingHTTPServer):
    """Listens on 127.0.0.1 only; its threads end with the process."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, port: int, channel: Channel, reader: Reader) -> None:
        self.channel = channel
        self.reader = reader
        super().__init__(("127.0.0.1", port), Handler)

    def messages_part(self) -> Markup:
        """The messages as HTML, newest first."""
        now = datetime.now().astimezone()
        newest = reversed(self.channel.messages[-SHOWN:])
        shown = Markup().join(message_html(m.payload, m.received_at, now) for m in newest)
        return shown or _NOTHING_YET

    def status_parts(self) -> dict[str, Markup]:
        """The panel as HTML, and the one line that it folds to."""
        status = self.reader.read()
        return {"status": panel_html(status), "gist": gist_html(status)}

    def page(self) -> str:
        return page("page", **self.status_parts(), messages=self.messages_part())

    def changes(self) -> Iterator[dict[str, Markup]]:
        """What the page has to replace, at least an empty one every `LIVE_PERIOD` seconds."""
        version, status = -1, dict[str, Markup]()
        while True:
            parts: dict[str, Markup] = {}
            seen = self.channel.wait(version, LIVE_PERIOD)
            if seen != version:
                version, parts["messages"] = seen, self.messages_part()
            read = self.status_parts()
            if read != status:
                parts |= read
                status = read
            yield parts


class Handler(BaseHTTPRequestHandler):
    """One connection; `server` is the SlackPage."""

    server: SlackPage
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(HTTPStatus.OK, "text/html", self.server.page())
        elif path == "/live":
            self._live()
        elif path == "/messages.json":
            self._json([encode(message) for message in self.server.channel.messages])
        elif path == "/status.json":
            self._json(encode(self.server.reader.read()))
        elif path in _ASSETS:
            text = (_HERE / path[1:]).read_text(encoding="utf-8")
            self._answer(HTTPStatus.OK, _ASSETS[path], text)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "no such page")

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        path = self.path.partition("?")[0]
        if path == "/_fault":
            self._order(body)
        elif path == "/" or path.startswith("/services/"):
            self._answer_post(self.server.channel.post(body))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "no_service")

    def _body(self) -> Any:
        """The JSON that was posted, or None if it was refused (and answered)."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_POST:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", "invalid_payload")
            return None
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", "invalid_payload")
            return None

    def _order(self, body: Any) -> None:
        try:
            fault = decode(Fault, body)
        except InvalidMessage as error:
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", str(error))
            return
        self.server.channel.order(fault)
        self._answer(HTTPStatus.OK, "text/plain", "ok")

    def _answer_post(self, answer: Answer) -> None:
        extra = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
        self._answer(answer.status, "text/plain", answer.text, extra)

    def _live(self) -> None:
        """Server-sent events until the page is closed."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        try:
            for parts in self.server.changes():
                line = f"data: {json.dumps(parts)}\n\n" if parts else ": still here\n\n"
                self.wfile.write(line.encode())
                self.wfile.flush()
        except ConnectionError:
            return

    def _json(self, value: Any) -> None:
        self._answer(HTTPStatus.OK, "application/json", json.dumps(value, ensure_ascii=False))

    def _answer(
        self, status: int, kind: str, text: str, extra: dict[str, str] | None = None
    ) -> None:
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'; img-src data:")
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """One line per request that changes something; what the page itself asks is not logged."""
        if self.command == "POST":
            print(f"{time.strftime('%H:%M:%S')} {format % args}", flush=True)
