"""`python -m build_agent run`: the build agent, until SIGTERM; a builder's, until nothing is left.

Exit codes: 0 stopped as asked, 2 wrong use, 3 the world failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from build_agent.assemble import Agent, BuilderOf, assemble
from build_agent.host.identity import builder_identity, read_identity
from build_agent.host.systemd import Systemd
from build_agent.telling.logs import Log, set_up
from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from slipway.contracts.installation import Installation, load_installation

BUILD_ID_VARIABLE = "CODEBUILD_BUILD_ID"
"""Set by CodeBuild in each build (CodeBuild User Guide, environment variables)."""
LEVELS = ("debug", "info", "warning", "error")
POLL_PATIENCE = 0.2
"""Seconds that a long poll under way is waited for on SIGTERM."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    log = set_up(options.log_level)
    try:
        installation = load_installation(options.installation)
        builder = builder_of(options, installation)
        host = (
            read_identity()
            if builder is None
            else builder_identity(builder.pipeline, builder.generation)
        )
        log = log.bind(host=host.host_id)
        agent = assemble(installation, host, options.work_dir, log, builder=builder)
    except SlipwayError as error:
        log.error("cannot start", error=str(error))
        return error.exit_code
    except (BotoCoreError, ClientError) as error:
        log.error("cannot start", error=str(error))
        return WorldFailed.exit_code
    return run_until_stopped(agent, log)


def builder_of(options: argparse.Namespace, installation: Installation) -> BuilderOf | None:
    """Whose builder the agent is to be; None: it is a host's. WrongUse for half of the options."""
    if not options.until_done:
        if options.pipeline or options.generation:
            raise WrongUse("--pipeline and --generation are a builder's: add --until-done")
        return None
    if not options.pipeline or not options.generation:
        raise WrongUse("--until-done needs --pipeline NAME and --generation N")
    pipeline = installation.pipeline(options.pipeline)
    build_id = os.environ.get(BUILD_ID_VARIABLE, "")
    return BuilderOf(pipeline=pipeline.name, generation=options.generation, build_id=build_id)


def run_until_stopped(agent: Agent, log: Log) -> int:
    """The worker in a thread of its own, so that signals never interrupt it half-way.

    The first SIGTERM or SIGINT ends the work and gives back what is held, a second one forces.
    On stop the work ends before the lease keeper does.
    """
    asked: list[float] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            os._exit(WorldFailed.exit_code)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    worker = threading.Thread(target=agent.worker.run, name="worker", daemon=True)
    agent.shipper.start()
    agent.keeper.start()
    worker.start()
    systemd = Systemd.of_process(time.monotonic)
    systemd.ready()
    while worker.is_alive():
        worker.join(0.1)
        systemd.alive()
        systemd.doing("idle" if agent.worker.resting else "at work")
        if asked and not agent.stop.requested:
            systemd.stopping()
            agent.worker.request_stop("told to stop by a signal")
        # A poll that has nothing yet holds nothing: nobody waits for its end where no run is left.
        patient = not asked or time.monotonic() - asked[0] <= POLL_PATIENCE
        if not patient and agent.inbox.waiting and agent.worker.holds_nothing:
            break
    agent.keeper.stop()
    agent.shipper.stop()
    agent.threads.end()
    if asked or agent.ends_by_itself:
        return 0
    log.error("the worker ended by itself")
    return WorldFailed.exit_code


def leave(code: int) -> NoReturn:
    """End the process. Python itself would wait, for ever, for a thread that hangs in a call."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m build_agent", description="Slipway's build agent."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser(
        "run",
        help="receive build requests and deploy, until SIGTERM",
        description="Receive build requests, build, push, roll out, record, announce; until "
        "SIGTERM, which gives back what is held.",
    )
    run.add_argument(
        "--work-dir",
        type=Path,
        default=Path("agent"),
        metavar="DIR",
        help="mirrors and scratch; kept between runs (default: ./agent)",
    )
    run.add_argument(
        "--installation",
        type=Path,
        default=None,
        metavar="FILE",
        help="the installation's settings (default: as SLIPWAY_INSTALLATION says, or beside"
        " the code)",
    )
    run.add_argument(
        "--until-done",
        action="store_true",
        help="a builder: work for one pipeline, and end when nothing is left to do",
    )
    run.add_argument("--pipeline", metavar="NAME", help="the builder's pipeline; with --until-done")
    run.add_argument(
        "--generation",
        type=int,
        default=0,
        metavar="N",
        help="the builder's generation, as its row in the table says; with --until-done",
    )
    run.add_argument("--log-level", choices=LEVELS, default="info", help="default: info")
    return parser


if __name__ == "__main__":
    leave(main())
