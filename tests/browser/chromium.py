"""Headless Chromium over its debugging pipe: open a page, ask it, take its picture.

The DevTools protocol (https://chromedevtools.github.io/devtools-protocol/) as messages that end in
a null, on the file descriptors 3 and 4: no port, no driver, no library.

`python -m tests.browser.chromium URL FILE.png` takes a picture of any page, e.g. a local run's.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL = "apt install chromium fonts-noto-color-emoji"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 20.0
"""Seconds for any one answer or condition."""


class Chromium:
    """One browser with one page. `events`: what the page said by itself, oldest first."""

    def __init__(self, width: int = 1300, height: int = 1400) -> None:
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        if program is None:
            raise SystemExit(f"none of {', '.join(NAMES)} is installed ({INSTALL})")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self._profile.name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=lambda: _as_3_and_4(to_read, to_write),  # noqa: PLW1509 - it only dups
        )
        os.close(to_read)
        os.close(to_write)
        self._unread, self._number, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self.size(width, height)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *error: object) -> None:
        self._session = None
        self._ask("Browser.close")
        self._process.wait(PATIENCE)
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def size(self, width: int, height: int) -> None:
        """The window's inner size in pixels."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def open(self, url: str) -> None:
        self._ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is in the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.value(expression):
            if time.monotonic() > end:
                raise AssertionError(f"not so after {PATIENCE:g} s: {expression}")
            self._receive(0.1)

    def picture(self, file: Path) -> None:
        """Write what is seen as PNG."""
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))

    def requests(self) -> list[str]:
        """Every URL that the page asked for."""
        asked = [e for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    def complaints(self) -> list[str]:
        """Exceptions and errors in the page's console."""
        found = [e for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        logged = [e for e in self.events if e["method"] == "Log.entryAdded"]
        found += [e for e in logged if e["params"]["entry"]["level"] == "error"]
        return [json.dumps(event["params"]) for event in found]

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for answer in self._receive(end - time.monotonic()):
                if answer.get("id") == self._number:
                    assert "error" not in answer, f"{method}: {answer['error']}"
                    result: dict[str, Any] = answer["result"]
                    return result
        raise AssertionError(f"{method}: no answer after {PATIENCE:g} s")

    def _receive(self, seconds: float) -> list[dict[str, Any]]:
        """The whole messages that have arrived, after waiting for some at most `seconds`."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        if ready:
            self._unread += os.read(self._read, 1 << 20)
        *whole, self._unread = self._unread.split(b"\0")
        messages = [json.loads(text) for text in whole]
        self.events += [m for m in messages if "method" in m]
        return messages


def _as_3_and_4(to_read: int, to_write: int) -> None:
    """In the child: put the pipes where Chromium looks for them, whatever is there now."""
    high_read, high_write = os.dup2(to_read, 203), os.dup2(to_write, 204)
    os.dup2(high_read, 3)
    os.dup2(high_write, 4)


if __name__ == "__main__":
    with Chromium() as browser:
        browser.open(sys.argv[1])
        browser.until("document.getElementById('connection').textContent === 'live'")
        browser.picture(Path(sys.argv[2]))
