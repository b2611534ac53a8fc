"""`python -m local.slack_page --port P [--state FILE]`: runs until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from local.slack_page.channel import Channel
from local.slack_page.server import SlackPage
from local.slack_page.status import Reader
from slipway.contracts.errors import SlipwayError, WorldFailed


def main() -> int:
    """Serve; the exit code is 0 after a signal, that of the error otherwise."""
    parser = argparse.ArgumentParser(prog="local.slack_page", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1; 0: any free one")
    parser.add_argument("--state", type=Path, help="the local run's state.json, for the panel")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        page = _listen(options.port, options.state)
    except SlipwayError as error:
        print(f"slack page: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Slack page at http://127.0.0.1:{page.server_port}/", flush=True)
    page.serve_forever()
    return 0


def _listen(port: int, state: Path | None) -> SlackPage:
    try:
        return SlackPage(port, Channel(time.time), Reader(state))
    except (OSError, OverflowError) as error:
        raise WorldFailed(f"cannot listen on 127.0.0.1:{port}: {error}") from None


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
