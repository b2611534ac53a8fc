"""`slipway hold`: keep a host as it is, to look at it."""

from __future__ import annotations

import click

from slipway.cli.aws.hosts import chosen
from slipway.cli.aws.session import Session
from slipway.cli.options import verb
from slipway.cli.show.output import Output
from slipway.contracts.wording import person


@click.command()
@click.argument("host", required=False)
@verb
def command(session: Session, out: Output, host: str | None) -> None:
    """Keep a build host as it is: Slipway neither stops nor starts it until `slipway release`.

    HOST is its instance id, name or number. Leave it out if there is only one. A host that is
    awake goes on deploying what is pushed.

    \b
    Examples:
      slipway hold
      slipway hold i-0123456789abcdef0
    """
    found = chosen(session, host)
    session.table.hosts.hold(found.host_id, session.caller)
    out.data({"host": found.host_id, "name": found.name, "held": True, "held_by": session.caller})
    out.say(
        f"{found.name} ({found.host_id}), {found.state}: held by {person(session.caller)};"
        f" `slipway release {found.host_id}` ends it"
    )
