"""`slipway cost`: what a month of deployments costs, with Slipway and beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from slipway.cli.show.output import Output, wants_colour
from slipway.contracts.wording import counted
from slipway.cost.engines import SHARE, Builds, engines
from slipway.cost.model import MOST, Setup, Way, all_ways, break_even
from slipway.cost.prices import READ, with_others


@click.command()
@click.argument(
    "file", type=click.Path(dir_okay=False, path_type=Path), required=False, default=None
)
@click.option(
    "--deployments", type=click.IntRange(0, MOST), required=True, help="How many in a month."
)
@click.option(
    "--build-minutes",
    type=click.FloatRange(0, 480),
    required=True,
    help="How long fetch, build and push of one take.",
)
@click.option(
    "--overflow-percent",
    type=click.IntRange(0, 100),
    default=round(100 * SHARE),
    show_default=True,
    help="Of the deployments with `overflow`: how many go to CodeBuild.",
)
@click.option(
    "--price",
    "given",
    metavar="NAME=DOLLARS",
    multiple=True,
    help="Another price than AWS's, such as another region's. A wrong name lists all.",
)
@click.option(
    "--no-free-tiers",
    is_flag=True,
    help="As where other things of the account use AWS's free tiers up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path | None,
    deployments: int,
    build_minutes: float,
    overflow_percent: int,
    given: tuple[str, ...],
    no_free_tiers: bool,
    as_json: bool,
) -> None:
    """Say what so many deployments a month cost, and what they would cost without Slipway.

    Each choice of `builders.when` is told, then what else deploys to ECS. Counted are hosts, disks,
    addresses, metrics, alarms, polls of queues, builds of CodeBuild with their start, layers that
    travel in ECR, and the calls that follow a rollout. FILE is a configuration: its hosts and its
    builders are counted. Default: one host, or CodeBuild's small compute, as Slipway makes it. One
    pipeline is counted of CodePipeline. CodeBuild's 100 free minutes are counted for Slipway's
    builders; with the other ways an account has them, too. Needs neither AWS nor the CDK.

    \b
    Examples:
      slipway cost --deployments 40 --build-minutes 4
      slipway cost cdk.json --deployments 2000 --build-minutes 10 --price gp3_gb_month=0.0952
    """
    context.color = wants_colour()
    out = Output(as_json=as_json)
    setup, builds, when = _counted_of(file)
    prices, free = with_others(setup.prices, given), not no_free_tiers
    setup = replace(setup, prices=prices, free=free)
    builds = replace(builds, prices=prices, free=free)
    choices = engines(setup, builds, build_minutes, overflow_percent / 100)
    ways = all_ways(setup, build_minutes)
    least = break_even(setup, build_minutes)
    pushed = counted(deployments, "deployment")
    out.say(f"{pushed} a month, {build_minutes:g} min of build each ({READ})")
    out.table(
        ("WAY", "A MONTH", "STANDS", "A DEPLOYMENT"),
        [
            *(_row(_told(way, setup), deployments) for way in choices),
            *(_row(way, deployments) for way in ways[1:]),
        ],
    )
    if when is not None:
        (mine,) = [way for way in choices if way.name == when]
        out.say(f'builders.when is "{when}": ${mine.month(deployments):.2f} a month.')
    out.say(_cheapest_from(least))
    out.data(
        {
            "deployments": deployments,
            "buildMinutes": build_minutes,
            "prices": READ,
            "engines": [_as_json(way, deployments) for way in choices],
            "configured": when,
            "ways": [_as_json(way, deployments) for way in ways],
            "cheapestFrom": least,
        }
    )


def _counted_of(file: Path | None) -> tuple[Setup, Builds, str | None]:
    """Hosts, builders and choice of a configuration; InvalidConfiguration where it is wrong."""
    if file is None:
        return Setup(), Builds(), None
    from slipway.configuration import load
    from slipway.cost.configured import builds_of, setup_of

    configuration = load(file)
    return setup_of(configuration), builds_of(configuration), configuration.builders.when


def _told(way: Way, setup: Setup) -> Way:
    """A choice of `builders.when` in the words of the table."""
    hosts = f"Slipway, {counted(setup.hosts, 'host')}"
    names = {"hosts": hosts, "overflow": f"{hosts}, then CodeBuild"}
    return replace(way, name=names.get(way.name, "Slipway, CodeBuild"))


def _row(way: Way, deployments: int) -> tuple[str, str, str, str]:
    month, standing = f"${way.month(deployments):.2f}", f"${way.standing:.2f}"
    return way.name, month, standing, f"${way.deployment:.4f}"


def _as_json(way: Way, deployments: int) -> dict[str, str | float]:
    return {
        "way": way.name,
        "month": round(way.month(deployments), 4),
        "standing": round(way.standing, 4),
        "deployment": round(way.deployment, 6),
    }


def _cheapest_from(least: int | None) -> str:
    what = "a month of such builds"
    if least is None:
        return f"Slipway with hosts is not the cheapest up to {MOST} deployments {what}."
    pushed = counted(least, "deployment")
    return f"Slipway with hosts is the cheapest from {pushed} {what} on."
