"""`slipway webhook set`: store the Slack webhook where only the notifier reads it."""

from __future__ import annotations

import re
import sys
from getpass import getpass

import click

from slipway.cli.aws.session import Session
from slipway.cli.options import complete_pipeline, verb
from slipway.cli.show.output import Output
from slipway.contracts.errors import WrongUse

_SLACK = re.compile(
    r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[\w/-]+", re.ASCII
)
_LOCAL = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+(?:/[\w./-]*)?", re.ASCII)


@click.group()
def command() -> None:
    """The Slack webhook: where notices go."""


@command.command("set")
@click.option(
    "--pipeline",
    help="For this pipeline alone. Default: for all.",
    shell_complete=complete_pipeline,
)
@verb
def set_webhook(session: Session, out: Output, *, pipeline: str | None) -> None:
    """Store the Slack incoming webhook, read from standard input, as an SSM SecureString.

    The address is a secret: who has it can post. It is never shown, and no argument takes it.

    \b
    Examples:
      slipway webhook set < webhook.txt
      pass show slack/deployments | slipway webhook set --pipeline shop
    """
    name = parameter_of(session, pipeline)
    address = checked(_read(), local=session.installation.mode == "local")
    session.client("ssm").put_parameter(
        Name=name,
        Value=address,
        Type="SecureString",
        Overwrite=True,
        Description="Slack incoming webhook of Slipway",
    )
    out.data({"parameter": name})
    out.say(f"stored in {name}; the notifier uses it from its next notice on")


def parameter_of(session: Session, pipeline: str | None) -> str:
    """The parameter that holds the webhook for all pipelines or for one.

    WrongUse for a pipeline whose notices go where all go: its own parameter would never be read.
    """
    names = session.installation.names
    if pipeline is None:
        return names.webhook_parameter()
    settings = session.installation.pipeline(pipeline)
    own = names.webhook_parameter(pipeline)
    if settings.webhook_parameter != own:
        raise WrongUse(
            f"pipeline {pipeline!r} has no webhook of its own: set `notices.ownWebhook` to true in"
            " its configuration and deploy first"
        )
    return own


def checked(text: str, *, local: bool) -> str:
    """The address, if it is one of Slack's (in a local run: of this machine). Never shown."""
    address = text.strip()
    if _SLACK.fullmatch(address) or (local and _LOCAL.fullmatch(address)):
        return address
    allowed = "http://127.0.0.1:PORT/… or " if local else ""
    raise WrongUse(
        "what standard input holds is no Slack webhook: it must be one line,"
        f" {allowed}https://hooks.slack.com/services/…"
    )


def _read() -> str:
    if sys.stdin.isatty():
        return getpass("Slack webhook (not shown): ")
    return sys.stdin.buffer.read(10_000).decode("utf-8-sig", errors="replace")
