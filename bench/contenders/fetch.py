"""The agent's fetch in a process as large as the agent's: one fetch for each line of input.

Arguments: FOLDER URL BRANCH. Prints the commit's id after each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import build_agent.assemble  # noqa: F401 - with all that an agent has loaded
from build_agent.host.process import run
from build_agent.host.stop import Stop
from build_agent.source.mirror import Source
from tests.unit.build_agent.world import make_pipeline


def main(folder: str, url: str, branch: str) -> None:
    """Fetch as the agent does and print the seconds."""
    source = Source(Path(folder), run=run, login=lambda _url, _role: None, protocols=("git",))
    pipeline = make_pipeline(git_url=url, branch=branch)
    for _ in sys.stdin:
        commit = source.fetch(pipeline, None, stop=Stop(), sink=lambda _line: None)
        print(commit.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
