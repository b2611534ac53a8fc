"""Runs the emulator in the foreground: `python -m local.emulator --port P --data-dir D …`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import psutil

from local.emulator.settings import HEALTH_INTERVAL, HOST, EmulatorSettings
from slipway.contracts.errors import SlipwayError, WrongUse

log = logging.getLogger("slipway.emulator")

CHILD_SECONDS = 2.0
DRAIN_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0 on a clean end, 2 on wrong use, 3 when the world fails."""
    try:
        settings = parse(arguments)
        prepare(settings)
        serve(settings)
    except SlipwayError as error:
        print(f"emulator: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse(arguments: list[str] | None) -> EmulatorSettings:
    """The settings from the command line. Raises `WrongUse`."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--docker-host", default="", help="unix://… of the docker daemon")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--dev-account", default="111111111111")
    parser.add_argument("--prod-account", default="222222222222")
    parser.add_argument("--pending-seconds", type=float, default=1.0)
    parser.add_argument("--stopping-seconds", type=float, default=1.0)
    parser.add_argument("--retry-seconds", type=float, default=1.0)
    parser.add_argument("--health-interval-seconds", type=float, default=HEALTH_INTERVAL)
    parser.add_argument("--build-start-seconds", type=float, default=1.0)
    parser.add_argument("--build-minute-seconds", type=float, default=60.0)
    parser.add_argument("--build-log-dir", type=Path, help="default: below the data directory")
    parser.add_argument("--instances-start-stopped", action="store_true")
    parser.add_argument("--git-users", type=Path, help='JSON file {"<name>": "<password>"}')
    parser.add_argument("--internal-endpoints", action="store_true")
    given = parser.parse_args(arguments)
    return EmulatorSettings(
        port=given.port,
        data_dir=given.data_dir.resolve(),
        # Without a daemon, ECS tasks are records only; the socket need not exist.
        docker_host=given.docker_host or f"unix://{given.data_dir.resolve()}/no-docker.sock",
        region=given.region,
        dev_account=given.dev_account,
        prod_account=given.prod_account,
        pending_seconds=given.pending_seconds,
        stopping_seconds=given.stopping_seconds,
        retry_seconds=given.retry_seconds,
        health_interval_seconds=given.health_interval_seconds,
        build_start_seconds=given.build_start_seconds,
        build_minute_seconds=given.build_minute_seconds,
        build_log_dir=given.build_log_dir.resolve() if given.build_log_dir else None,
        instances_start_stopped=given.instances_start_stopped,
        git_users=read_git_users(given.git_users),
        internal_endpoints=given.internal_endpoints,
    )


def read_git_users(file: Path | None) -> tuple[tuple[str, str], ...]:
    """Names and passwords of the IAM users with git credentials. Raises `WrongUse`."""
    if file is None:
        return ()
    try:
        users: Any = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise WrongUse(f"--git-users {file}: {error}") from error
    if not isinstance(users, dict) or not all(isinstance(word, str) for word in users.values()):
        raise WrongUse(f"--git-users {file}: must be an object of names and passwords")
    return tuple(users.items())


def prepare(settings: EmulatorSettings) -> None:
    """Directories, environment, log. Raises `WrongUse` when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, settings.port))
        except OSError as error:
            raise WrongUse(f"port {settings.port} on {HOST} cannot be used: {error}") from error
    settings.temporary_dir.mkdir(parents=True, exist_ok=True)
    settings.git_dir.mkdir(parents=True, exist_ok=True)
    # Whoever starts the emulator has credentials in its environment; ministack would take them
    # for its own.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        os.environ.pop(name, None)
    os.environ.update(settings.environment())
    handler = logging.FileHandler(settings.log_file)
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s.%(msecs)03d %(levelname)s [%(name)s] %(message)s", "%H:%M:%S"
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def serve(settings: EmulatorSettings) -> None:
    """Load the extension and serve until told to stop; leave no child and no container."""
    # Imported here: ministack reads its environment when it is imported.
    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    from local.emulator.extension.load import load  # noqa: PLC0415

    config = Config()
    config.bind = [settings.address]
    config.keep_alive_timeout = 75
    config.graceful_timeout = DRAIN_SECONDS
    config.loglevel = "WARNING"
    gateway: Any = load(settings)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await hypercorn_serve(gateway, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]

    exit_code = 0
    try:
        asyncio.run(run())
    except OSError as error:
        print(f"emulator: cannot serve on {settings.address}: {error}", file=sys.stderr)
        exit_code = 3
    gateway.builds.end_all()
    end_children()
    logging.shutdown()
    sys.stderr.flush()
    # Deliveries and Lambda runs still in daemon threads must not hold the process back.
    os._exit(exit_code)


def end_children() -> None:
    """End what runs below this process (Lambda workers, git)."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        child.terminate()
    _, alive = psutil.wait_procs(children, timeout=CHILD_SECONDS)
    for child in alive:
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
