"""The `slipway` command: a table of verbs, each loaded only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from contracts.errors import SlipwayError

VERBS: dict[str, str] = {
    "config": "cli.config",
    "local": "cli.local",
    "status": "cli.status",
    "watch": "cli.watch",
    "push-to-live": "cli.push_to_live",
    "history": "cli.history",
    "report": "cli.report",
    "logs": "cli.logs",
    "redeploy": "cli.redeploy",
    "rollback": "cli.rollback",
    "pause": "cli.pause",
    "resume": "cli.resume",
    "hold": "cli.hold",
    "release": "cli.release",
    "redrive": "cli.redrive",
    "webhook": "cli.webhook",
    "deploy": "cli.deploy",
    "taskdef": "cli.taskdef",
}
"""Verb to the module that holds it: a click command or group named `command`."""

SUMMARIES: dict[str, str] = {
    "config": "Check the configuration of an installation.",
    "local": "The same pipeline on this machine, with nothing of AWS.",
    "status": "What runs, what is under way, what waits, who is awake.",
    "watch": "Follow a deployment's stages as they happen.",
    "push-to-live": "Wait until the commit that was just pushed runs.",
    "history": "Past deployments: how they ended, how long they took.",
    "logs": "The output of a deployment.",
    "redeploy": "Deploy the tip, or a commit, once more.",
    "rollback": "Go back to what an earlier deployment ran.",
    "pause": "Keep a pipeline from deploying.",
    "resume": "Let a paused pipeline deploy again.",
    "hold": "Keep a build host as it is, to look at it.",
    "release": "Give a held build host back.",
    "redrive": "Give dead letters another try.",
    "webhook": "Where Slack notices go.",
    "deploy": "Deploy an image to an ECS service, on its own.",
    "taskdef": "Write taskdef.json and appspec.yaml for CodePipeline.",
}
"""What `slipway --help` says of each verb, so that it need not import them all to ask."""


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, SUMMARIES[verb]) for verb in VERBS])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; every error that Slipway raises on purpose is one sentence and a code."""
        try:
            return super().invoke(ctx)
        except SlipwayError as error:
            click.echo(f"slipway: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("slipway: interrupted", err=True)
            ctx.exit(130)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="slipway", prog_name="slipway")
def main() -> None:
    """Deploys what is pushed: see what runs, what is under way, and mend what is wrong.

    Exit codes: 0 done, 1 the deployment failed, 2 wrong use, 3 AWS or the network failed.
    """
