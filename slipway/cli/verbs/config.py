"""`slipway config`: is the configuration right? Told before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.show.output import json_text
from slipway.contracts.errors import InvalidConfiguration, WrongUse

if TYPE_CHECKING:
    from slipway.configuration import Configuration

DEFAULT = Path("cdk.json")


@click.group()
def command() -> None:
    """The configuration of an installation."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT)
@click.option(
    "--deployments",
    type=click.IntRange(0),
    default=40,
    show_default=True,
    help="What so many in a month cost is told.",
)
@click.option(
    "--build-minutes",
    type=click.FloatRange(0, 480),
    default=4.0,
    show_default=True,
    help="How long fetch, build and push of one take.",
)
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
def check(file: Path, *, deployments: int, build_minutes: float, as_json: bool) -> None:
    """Check FILE (default: cdk.json's context key `slipway`) and say all that is wrong.

    What is left of the example counts as wrong: its account numbers, its image. Each fault is told
    by file and line, path, value, and what is allowed. FILE is JSON, or YAML where its name ends so
    (that needs PyYAML). Of one that is right it tells what its choice of `builders.when` costs a
    month (`slipway cost` tells more). Needs neither AWS nor the CDK.

    \b
    Examples:
      slipway config check
      slipway config check ../ours/stage.yaml
      slipway config check ../ours/stage.yaml --deployments 400 --build-minutes 10
    """
    from slipway.configuration import load
    from slipway.configuration.placeholders import placeholders
    from slipway.configuration.resolve import resolve

    try:
        configuration = load(file, also=placeholders)
        installation = resolve(configuration)
    except InvalidConfiguration as error:
        if not as_json:
            for sentence in error.told():
                click.echo(sentence)
            raise InvalidConfiguration([(str(file), _count(len(error.problems)))]) from None
        problems = [
            {"path": path, "line": error.lines.get(path), "problem": problem}
            for path, problem in error.problems
        ]
        _say({"valid": False, "problems": problems})
        raise SystemExit(error.exit_code) from None
    month, costs = _costs(configuration, deployments, build_minutes)
    if as_json:
        _say({"valid": True, "problems": [], "month": month})
        return
    pipelines = ", ".join(p.name for p in installation.pipelines)
    click.echo(
        f"{file} is valid: installation {installation.name}, pipelines {pipelines}, "
        f"dev {installation.dev_account}, prod {installation.prod_account}"
    )
    click.echo(costs)


def _costs(c: Configuration, deployments: int, minutes: float) -> tuple[float | None, str]:
    """Dollars a month of the configured choice, and a sentence; None where a price is not known."""
    from slipway.contracts.wording import counted
    from slipway.cost.configured import chosen

    choice = f'builders.when is "{c.builders.when}"'
    try:
        month = chosen(c, minutes).month(deployments)
    except WrongUse as error:
        return None, f"{choice}: {error}"
    pushed = counted(deployments, "deployment")
    return round(month, 4), f"{choice}: ${month:.2f} a month for {pushed} of {minutes:g} min build"


@command.command()
def schema() -> None:
    """Print the configuration's JSON Schema, for editors that complete and check.

    \b
    Examples:
      slipway config schema > slipway.schema.json    # then "$schema": "./slipway.schema.json"
    """
    from slipway.configuration.schema import json_schema_text

    click.echo(json_schema_text(), nl=False)


def _count(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _say(value: dict[str, Any]) -> None:
    click.echo(json_text(value, indent=1))
