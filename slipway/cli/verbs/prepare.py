"""`slipway prepare`: what the prod account must have and tell before the first deployment.

Nothing is done twice: what was found is kept in cdk.context.json beside the configuration, and only
checked after that.
"""

from __future__ import annotations

from pathlib import Path

import click

from slipway.cli.aws.session import Session
from slipway.cli.options import verb
from slipway.cli.show.output import Output


@click.command()
@click.option(
    "--context",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where what is found is kept. Default: cdk.context.json beside the configuration.",
)
@verb
def command(session: Session, out: Output, *, context: Path | None) -> None:
    """Find what the configuration leaves out, once, and keep it for `cdk deploy`.

    It finds the newest Amazon Linux 2023 for the hosts, a zone that offers their type, and the size
    of the disks that they have. It keeps them in cdk.context.json beside the configuration; commit
    both files. To have one found anew, remove its key there. Another image, zone or size replaces
    the hosts. If the stack makes a
    sample service, and the account has no service-linked role for ECS, it makes that role.

    \b
    Examples:
      slipway prepare --profile prod-admin
      slipway prepare --installation ../ours/stage.yaml --profile prod-admin
    """
    from slipway.cli.aws.prod_account import prepare
    from slipway.configuration import load
    from slipway.configuration.place import FILE_NAME, found_for, read_context

    file = session.located.path
    configuration = load(file)
    kept = read_context(context) if context else found_for(file)
    prepared = prepare(session, configuration, kept, context or file.with_name(FILE_NAME))
    for what, (value, how) in prepared.items():
        out.say(f"{what}: {value} ({how})")
    out.data({what: {"value": value, "how": how} for what, (value, how) in prepared.items()})
