"""`slipway release`: give a held host back."""

from __future__ import annotations

import click

from slipway.cli.aws.ask import publish
from slipway.cli.aws.begun import begun
from slipway.cli.aws.hosts import chosen
from slipway.cli.aws.session import Session
from slipway.cli.options import verb
from slipway.cli.show.output import Output


@click.command()
@click.argument("host", required=False)
@verb
def command(session: Session, out: Output, host: str | None) -> None:
    """Give a held build host back: Slipway starts it for work, and stops it when idle.

    HOST is its instance id, name or number. Leave it out if there is only one.

    \b
    Example:
      slipway release i-0123456789abcdef0
    """
    found = chosen(session, host)
    session.table.hosts.release(found.host_id)
    with begun(lambda: f"{found.name} is released: the next look wakes it for what waits"):
        waiting = [want for want in session.table.wants.all() if want.builder]
        if found.state == "stopped":
            for want in waiting:
                # said again under its own id, so that the host is woken now, not at the next look
                publish(session, want.request, builder=True)
    out.data({"host": found.host_id, "name": found.name, "held": False, "waiting": len(waiting)})
    out.say(f"{found.name} ({found.host_id}), {found.state}: released")
