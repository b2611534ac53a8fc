"""The `slipway` command: a table of verbs, each loaded only when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.exceptions import NoSuchCommand

from slipway.cli.user.ending import ended_by_signals, exit_code, interrupted
from slipway.cli.user.streams import lasting_streams
from slipway.contracts.errors import SlipwayError, WorldFailed

gc.set_threshold(100_000, 50, 50)
atexit.register(gc.freeze)
"""Nearly all that a command makes, botocore's many small models above all, stays until it ends. To
look through it for garbage on the way, and once more at the end, takes a fifth of its time."""

VERBS: dict[str, str] = {
    "init": "slipway.cli.verbs.init",
    "config": "slipway.cli.verbs.config",
    "prepare": "slipway.cli.verbs.prepare",
    "local": "slipway.cli.verbs.local",
    "status": "slipway.cli.verbs.status",
    "watch": "slipway.cli.verbs.watch",
    "push-to-live": "slipway.cli.verbs.push_to_live",
    "history": "slipway.cli.verbs.history",
    "report": "slipway.cli.verbs.report",
    "cost": "slipway.cli.verbs.cost",
    "logs": "slipway.cli.verbs.logs",
    "redeploy": "slipway.cli.verbs.redeploy",
    "rollback": "slipway.cli.verbs.rollback",
    "cancel": "slipway.cli.verbs.cancel",
    "pause": "slipway.cli.verbs.pause",
    "resume": "slipway.cli.verbs.resume",
    "hold": "slipway.cli.verbs.hold",
    "release": "slipway.cli.verbs.release",
    "redrive": "slipway.cli.verbs.redrive",
    "webhook": "slipway.cli.verbs.webhook",
    "doctor": "slipway.cli.verbs.doctor",
    "deploy": "slipway.cli.verbs.deploy",
    "taskdef": "slipway.cli.verbs.taskdef",
}
"""Verb to the module that holds it: a click command or group named `command`."""

ANSWERS = {"config", "status", "history", "report", "cost", "logs", "doctor"}
"""Verbs that only answer: one whose answer could not be written has not done its work."""


def summary_of(verb: str, module: str) -> str:
    """What `slipway --help` says of a verb: the first line of its file, read and not imported.

    Every verb's file begins with `slipway <verb>`, a colon, and what it does.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    with Path(spec.origin).open(encoding="utf-8") as file:
        line = file.readline()
    text = line.partition(f"`slipway {verb}")[2].partition("`: ")[2]
    return text.strip().removesuffix('"""')


class Verbs(click.Group):
    """Loads a verb's module when the verb is called, so that no verb pays for another's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = VERBS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the verbs that a mistyped one may have meant."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(error.command_name, possibilities=VERBS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, summary_of(verb, module)) for verb, module in VERBS.items()])

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run a command line; its exit code tells of what was done, whatever became of the output.

        Only where the output is all that was wanted, a full disk is a failure.
        """
        with lasting_streams() as streams:
            try:
                return super().main(args, *others, **options)
            except SystemExit as ended:
                lost = streams.lost()
                if lost is None:
                    raise
                click.echo(f"slipway: the output is not whole: {lost.strerror}", err=True)
                given = sys.argv[1:] if args is None else args
                verb = next((word for word in given if word in VERBS), "")
                failed = WorldFailed.exit_code if verb in ANSWERS else 0
                raise SystemExit(ended.code or failed) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; every error that Slipway raises on purpose is one sentence and a code."""
        try:
            with ended_by_signals():
                return super().invoke(ctx)
        except SlipwayError as error:
            click.echo(f"slipway: {error}", err=True)
            ctx.exit(error.exit_code)
        except click.Abort:  # Control-C, or the end of the input, at a question
            click.echo("slipway: interrupted", err=True)
            ctx.exit(130)
        except KeyboardInterrupt as ended:
            click.echo(f"slipway: {interrupted(ended)}", err=True)
            ctx.exit(exit_code(ended))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="slipway", prog_name="slipway")
def main() -> None:
    """Deploys what is pushed: see what runs, what is under way, and mend what is wrong.

    Exit codes: 0 done, 1 the deployment failed, 2 wrong use, 3 AWS or the network failed.
    """
