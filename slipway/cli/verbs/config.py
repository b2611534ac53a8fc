"""`slipway config`: is the configuration right? Told before anything is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slipway.cli.show.output import json_text
from slipway.contracts.errors import InvalidConfiguration

DEFAULT = Path("cdk.json")


@click.group()
def command() -> None:
    """The configuration of an installation."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT)
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
def check(file: Path, as_json: bool) -> None:
    """Check FILE (default: cdk.json's context key `slipway`) and say all that is wrong.

    What is left of the example counts as wrong: its account numbers, its image. Each fault is told
    by file and line, path, value, and what is allowed. FILE is JSON, or YAML where its name ends so
    (that needs PyYAML). Needs neither AWS nor the CDK.

    \b
    Examples:
      slipway config check
      slipway config check ../ours/stage.yaml
    """
    from slipway.configuration import load
    from slipway.configuration.placeholders import placeholders
    from slipway.configuration.resolve import resolve

    try:
        installation = resolve(load(file, also=placeholders))
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
    if as_json:
        _say({"valid": True, "problems": []})
        return
    pipelines = ", ".join(p.name for p in installation.pipelines)
    click.echo(
        f"{file} is valid: installation {installation.name}, pipelines {pipelines}, "
        f"dev {installation.dev_account}, prod {installation.prod_account}"
    )


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
