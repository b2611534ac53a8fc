"""`slipway cost`: what a month of deployments costs, with Slipway and beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from slipway.cli.show.output import Output, wants_colour
from slipway.cost.model import MOST, Setup, Way, all_ways, break_even
from slipway.cost.prices import READ, Prices, with_others


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
    given: tuple[str, ...],
    no_free_tiers: bool,
    as_json: bool,
) -> None:
    """Say what so many deployments a month cost, and what they would cost without Slipway.

    Counted are hosts, disks, addresses, metrics, alarms, polls of queues, the build cache in ECR
    and the calls that follow a rollout. FILE is a configuration: its hosts and images are counted.
    Default: one host as Slipway makes it, and one image. One pipeline is counted of CodePipeline.
    Needs neither AWS nor the CDK.

    \b
    Examples:
      slipway cost --deployments 40 --build-minutes 4
      slipway cost cdk.json --deployments 2000 --build-minutes 10 --price gp3_gb_month=0.0952
    """
    context.color = wants_colour()
    out = Output(as_json=as_json)
    setup = _setup(file)
    setup = replace(setup, prices=with_others(setup.prices, given), free=not no_free_tiers)
    ways = all_ways(setup, build_minutes)
    least = break_even(setup, build_minutes)
    out.say(f"{_counted(deployments)} a month, {build_minutes:g} min of build each ({READ})")
    out.table(
        ("WAY", "A MONTH", "STANDS", "A DEPLOYMENT"),
        [_row(way, deployments) for way in ways],
    )
    out.say(_cheapest_from(least))
    out.data(
        {
            "deployments": deployments,
            "buildMinutes": build_minutes,
            "prices": READ,
            "ways": [_as_json(way, deployments) for way in ways],
            "cheapestFrom": least,
        }
    )


def _setup(file: Path | None) -> Setup:
    """What the configuration has of hosts; InvalidConfiguration where it is not right."""
    if file is None:
        return Setup()
    from slipway.configuration import load
    from slipway.configuration.hosts import DISK_GB
    from slipway.configuration.place import disk_of, found_for

    configuration = load(file)
    host = configuration.build_host
    return Setup(
        instance=host.instance_type,
        disk_gb=disk_of(configuration, found_for(file).get, otherwise=DISK_GB),
        cached_images=sum(i.build_cache for p in configuration.pipelines for i in p.images),
        hosts=host.count,
        idle=configuration.limits.idle_period,
        prices=Prices(instance_hour=host.price_per_hour),
    )


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


def _counted(deployments: int) -> str:
    return "1 deployment" if deployments == 1 else f"{deployments} deployments"


def _cheapest_from(least: int | None) -> str:
    if least is None:
        return f"Slipway is not the cheapest up to {MOST} deployments a month of such builds."
    return f"Slipway is the cheapest from {_counted(least)} a month of such builds on."
