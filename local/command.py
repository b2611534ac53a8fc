"""The commands of `slipway local`: the same pipeline on one machine, with nothing of AWS."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from local.configuration import IDLE_PERIOD, LONGEST_START, OVERFLOW_AFTER, START_PERIOD
from local.emulator.settings import HEALTH_INTERVAL
from slipway.cli.show.output import json_text
from slipway.cli.user.ending import going_on
from slipway.contracts.errors import WrongUse

_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the run keeps its things; default: .local, or what SLIPWAY_LOCAL says.",
)

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _workplace(directory: Path | None) -> Any:
    from local.workplace import Workplace

    return Workplace(directory.resolve()) if directory else Workplace.default()


@click.group(name="local")
def command() -> None:
    """The same pipeline on this machine, with nothing of AWS."""


@command.command()
@_directory
@click.option("--port", type=click.IntRange(1, 65535), help="The emulator's; default: a free one.")
@click.option("--pipelines", type=click.IntRange(1, 20), default=1, show_default=True)
@click.option("--hosts", type=click.IntRange(1, 5), default=1, show_default=True)
@click.option(
    "--builds",
    type=click.IntRange(1, 64),
    help="Builds that a host runs at once; default: what this machine allows.",
)
@click.option(
    "--builders",
    type=click.Choice(["hosts", "overflow", "codeBuild"]),
    default="hosts",
    show_default=True,
    help="Who builds: hosts; hosts first, then builds of CodeBuild; those alone, and no host.",
)
@click.option(
    "--overflow-after",
    type=click.IntRange(0),
    default=OVERFLOW_AFTER,
    show_default=True,
    metavar="SECONDS",
    help="With --builders overflow: what has waited so long for a host goes to a build.",
)
@click.option(
    "--machine", is_flag=True, help="Hosts are machines that boot, not processes (needs root)."
)
@click.option(
    "--idle-period",
    type=click.IntRange(1),
    default=IDLE_PERIOD,
    show_default=True,
    metavar="SECONDS",
    help="A host without work waits so long before it says so and is stopped.",
)
@click.option(
    "--start-period",
    type=click.IntRange(0, LONGEST_START),
    default=START_PERIOD,
    show_default=True,
    metavar="SECONDS",
    help="A new container may be unhealthy for so long, for `push --after`.",
)
@click.option(
    "--health-interval",
    type=click.FloatRange(0.1, 5.0),
    default=HEALTH_INTERVAL,
    show_default=True,
    metavar="SECONDS",
    help="A new container's health is looked at so often until it is healthy; ECS: 5 at least.",
)
@click.option(
    "--paths",
    multiple=True,
    metavar="PATTERN",
    help="The paths that concern the last pipeline, as in a configuration; several times for more.",
)
@click.option(
    "--sample",
    type=click.Choice(["web", "whole"]),
    default="web",
    show_default=True,
    help="What the first pipeline deploys: a web service; or that, a worker, and a nightly task.",
)
@click.option(
    "--internal-endpoints", is_flag=True, help="Open the emulator's fault switches (for tests)."
)
def up(
    *,
    directory: Path | None,
    port: int | None,
    pipelines: int,
    hosts: int,
    builds: int | None,
    builders: Any,
    overflow_after: int,
    machine: bool,
    idle_period: int,
    start_period: int,
    health_interval: float,
    paths: tuple[str, ...],
    sample: Any,
    internal_endpoints: bool,
) -> None:
    """Start it in the background; returns when a push would be deployed.

    Where everything is stands in DIRECTORY/state.json, for programs.

    \b
    Examples:
      slipway local up
      slipway local up --machine
      slipway local up --directory other --pipelines 2 --builds 2
      slipway local up --builders codeBuild --pipelines 5
      slipway local up --start-period 150
      slipway local up --pipelines 5 --health-interval 5
      slipway local up --paths '**' --paths '!**/*.md'
      slipway local up --sample whole
    """
    from local.plan import Options
    from local.progress import Progress
    from local.up import AlreadyRunning, bring_up

    if builders == "codeBuild" and (machine or builds is not None):
        raise WrongUse("--machine and --builds are of hosts: with --builders codeBuild is none")
    options = Options(
        port=port,
        pipelines=pipelines,
        hosts=hosts,
        builds=builds,
        builders=builders,
        overflow_after=overflow_after,
        machine=machine,
        idle_period=idle_period,
        start_period=start_period,
        health_interval=health_interval,
        paths=paths,
        sample=sample,
        internal_endpoints=internal_endpoints,
    )
    workplace, progress = _workplace(directory), Progress()
    try:
        with going_on(lambda: "everything is taken down"):
            state = bring_up(workplace, options, progress)
    except AlreadyRunning as running:
        click.echo(str(running))
        return
    progress.say("ready: a push to a remote below is deployed")
    for name, pipeline in state.pipelines.items():
        click.echo(f"\n{name}  branch {pipeline.branch}")
        click.echo(f"  git clone {pipeline.git_url}")
        click.echo(f"  {pipeline.service_url}/")
    click.echo(f"\nSlack: {state.slack_url}/   next: slipway local push, slipway local down")


@command.command()
@_directory
def down(directory: Path | None) -> None:
    """End every process and container that `up` started, and nothing else.

    \b
    Example:
      slipway local down
    """
    from local.down import take_down
    from local.progress import Progress

    workplace = _workplace(directory)
    with workplace.locked():
        if not take_down(workplace, Progress()):
            click.echo("nothing runs here")


@command.command()
@_directory
@click.option("--message", help="The commit's message, which the service then serves.")
@click.option(
    "--break",
    "behaviour",
    type=click.Choice(["build", "crash", "health", "tests", "smoke", "worker"]),
    help="A release whose build fails, whose process ends, or whose health check fails; with"
    " `up --sample whole` also: whose tests or smoke test fail, or whose worker ends.",
)
@click.option(
    "--greeting",
    metavar="TEXT",
    help="With `up --sample whole`: the variable GREETING in the repository's task definitions.",
)
@click.option(
    "--after",
    type=click.IntRange(0, LONGEST_START),
    default=0,
    metavar="SECONDS",
    help="It is healthy (with --break crash: it ends) only so long after its start.",
)
@click.option("--pipeline", default="sample", show_default=True)
@_json
def push(
    *,
    directory: Path | None,
    message: str | None,
    behaviour: str | None,
    greeting: str | None,
    after: int,
    pipeline: str,
    as_json: bool,
) -> None:
    """Commit a visible change to the sample application and push it.

    \b
    Examples:
      slipway local push --message "my words"
      slipway local push --break build
      slipway local push --after 120
      slipway local push --greeting "good morning"
    """
    from local.push import push_release

    done = push_release(
        _workplace(directory),
        pipeline,
        message,
        behaviour or "works",
        after=after,
        greeting=greeting,
    )
    if as_json:
        click.echo(json_text(asdict(done)))
        return
    click.echo(f"pushed {done.commit_id} to {done.branch} of {done.pipeline}: {done.message}")


@command.command()
@_directory
@_json
def status(directory: Path | None, as_json: bool) -> None:
    """What runs here: processes, hosts and what each service serves.

    With --json: where everything is, as in DIRECTORY/state.json.

    \b
    Example:
      slipway local status
    """
    from local.state import read_state
    from local.status import describe

    if as_json:
        click.echo(json.dumps(asdict(read_state(_workplace(directory))), indent=1))
        return
    for line in describe(_workplace(directory)):
        click.echo(line)
