"""The real command in its own process, against the scripted ECS behind a port."""

from __future__ import annotations

import os
import sys
import time

from tests.places import ROOT


class RealClock:
    """The scripted ECS's time where the command's is real."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def environment(url: str = "http://127.0.0.1:9") -> dict[str, str]:
    """Nothing of whoever runs the tests, and AWS at `url`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SLIPWAY_"))}
    return kept | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "222222222222",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT),
    }


def slipway(*arguments: str) -> list[str]:
    """The command line that runs this checkout's `slipway`."""
    return [sys.executable, "-c", "from slipway.cli.main import main; main()", *arguments]
