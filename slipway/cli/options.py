"""What every verb shares: its options, its session, its errors, and completion of names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from slipway.cli.aws.begun import LeftBehind
from slipway.cli.aws.errors import plainly
from slipway.cli.aws.locate import locate
from slipway.cli.aws.session import Clock, Session
from slipway.cli.show.output import Output, wants_colour
from slipway.cli.user.ending import goes_on
from slipway.contracts.errors import SlipwayError, WrongUse

F = Callable[..., Any]


def verb(function: F) -> F:
    """Give a verb `--installation`, `--profile`, `--region`, `--json`; call it with both sides.

    The function gets `session` and `out` before its own parameters. What botocore raises becomes
    one sentence; the group turns that into an exit code.
    """

    @click.option(
        "--installation",
        "installation_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Settings file (installation.json, cdk.json or a configuration). Default:"
        " $SLIPWAY_INSTALLATION, the local run, or the cdk.json of this folder.",
    )
    @click.option("--profile", help="AWS profile. Default: as for the AWS CLI.")
    @click.option("--region", help="AWS region. Default: the installation's.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(function)
    def run(
        context: click.Context,
        /,
        installation_file: Path | None,
        profile: str | None,
        region: str | None,
        as_json: bool,
        **parameters: Any,
    ) -> Any:
        context.color = wants_colour()
        session = Session(
            installation=installation_file,
            profile=profile,
            region=region,
            clock=context.find_object(Clock),
        )
        out = Output(as_json=as_json)
        try:
            with plainly(_where(session)):
                return function(session, out, **parameters)
        except LeftBehind as error:
            out.event({"error": str(error), "left": error.left})
            raise
        except KeyboardInterrupt as ended:
            if goes_on(ended):
                out.event({"error": "interrupted", "left": goes_on(ended)})
            raise

    return run


def _where(session: Session) -> str:
    settings = session.installation
    place = session.endpoint or f"account {settings.prod_account}"
    return f"installation {settings.name!r}, {place}, {settings.region}"


def complete_pipeline(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The configured pipelines' names, for the shell; none where nothing is configured."""
    try:
        found = locate(context.params.get("installation_file"))
    except SlipwayError:
        return []
    names = (pipeline.name for pipeline in found.installation.pipelines)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def waiting(function: F) -> F:
    """`--no-wait` and `--timeout` of the verbs that ask for a deployment."""
    timeout = click.option(
        "--timeout", type=click.FloatRange(min=0), help="Seconds to wait. Default: 6 hours."
    )
    no_wait = click.option("--no-wait", is_flag=True, help="Ask, and do not wait for the end.")
    decorated: F = no_wait(timeout(function))
    return decorated


pipeline_argument = click.argument(
    "pipeline", required=False, default=None, shell_complete=complete_pipeline
)
"""`[PIPELINE]`: may be left out where `only_pipeline` can tell which is meant."""


def only_pipeline(session: Session, pipeline: str | None) -> str:
    """The named pipeline, or the only one there is; WrongUse for an unknown or a missing name."""
    if pipeline is not None:
        return session.installation.pipeline(pipeline).name
    names = [p.name for p in session.installation.pipelines]
    if len(names) != 1:
        raise WrongUse(f"name a pipeline; configured: {', '.join(names) or 'none'}")
    return names[0]


def named_pipelines(session: Session, pipeline: str | None) -> list[str]:
    """The named pipeline alone, or all; WrongUse for an unknown name."""
    if pipeline is not None:
        return [session.installation.pipeline(pipeline).name]
    return [p.name for p in session.installation.pipelines]
