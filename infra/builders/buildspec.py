"""What a build of the project runs: `build_agent/bootstrap/builder.sh`, inline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway.configuration.builders import CURATED

SCRIPT = Path(__file__).resolve().parents[2] / "build_agent" / "bootstrap" / "builder.sh"
PLACE = "slipway-builder.sh"
"""Where CodeBuild's commands begin: CODEBUILD_SRC_DIR, which is empty without a source."""
PYTHON = 3.13
"""As on hosts. CodeBuild's images bring several, and which is the default changes."""
END = "END_OF_BUILDER"


def buildspec(image: str) -> str:
    """The buildspec of a build in `image`, as JSON, which CodeBuild takes too.

    One of CodeBuild's own images is told which Python; in another it is whatever is there. The
    script runs in a shell of its own: it ends by becoming the agent, and CodeBuild's shell has to
    see that end.
    """
    phases: dict[str, Any] = {"build": {"commands": [_write(), f"bash {PLACE}"]}}
    if image.startswith(CURATED):
        phases["install"] = {"runtime-versions": {"python": PYTHON}}
    return json.dumps({"version": 0.2, "env": {"shell": "bash"}, "phases": phases}, indent=1)


def _write() -> str:
    return f"cat >{PLACE} <<'{END}'\n{SCRIPT.read_text(encoding='utf-8')}{END}"
