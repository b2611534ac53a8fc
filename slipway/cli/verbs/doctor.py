"""`slipway doctor`: is this installation whole, from the push to the running service?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from slipway.cli.aws.session import Session
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.output import BAD, DIM, GOOD, Output
from slipway.contracts.codec import encode

MARKS = {
    "ok": click.style("OK     ", fg=GOOD),
    "wrong": click.style("wrong  ", fg=BAD),
    "skipped": click.style("skipped", fg=DIM),
}


@click.command()
@pipeline_argument
@click.option("--dev-profile", help="AWS profile of the dev account, to look at the triggers too.")
@verb
def command(
    session: Session, out: Output, *, pipeline: str | None, dev_profile: str | None
) -> None:
    """Check the installation end to end, and say how to mend what is wrong.

    It changes nothing. It skips what your credentials may not look at. Exits with 0 if nothing is
    wrong, with 1 otherwise.

    \b
    Examples:
      slipway doctor
      slipway doctor shop --dev-profile dev-admin
    """
    from slipway.cli.doctor.boundary_checks import boundary_checks
    from slipway.cli.doctor.findings import carried_out
    from slipway.cli.doctor.installation_checks import installation_checks
    from slipway.cli.doctor.pipeline_checks import pipeline_checks

    session.client("sts").get_caller_identity()  # without credentials there is nothing to check
    dev = _dev_account(session, dev_profile) if dev_profile else None
    checks = [*installation_checks(session), *boundary_checks(session)]
    for name in named_pipelines(session, pipeline):
        checks += pipeline_checks(session, session.installation.pipeline(name), dev)
    findings = []
    part = None
    for finding in carried_out(checks):
        findings.append(finding)
        if finding.part != part:
            part = finding.part
            out.say(click.style(part, bold=True))
        out.say(f"  {MARKS[finding.verdict]} {finding.check}: {finding.detail}")
        if finding.mend and finding.verdict != "ok":
            out.say(f"          to mend: {finding.mend}")
    counts = {v: sum(1 for f in findings if f.verdict == v) for v in ("ok", "wrong", "skipped")}
    out.data({"findings": [encode(finding) for finding in findings], "counts": counts})
    out.say()
    out.say(f"{counts['ok']} OK, {counts['wrong']} wrong, {counts['skipped']} skipped")
    click.get_current_context().exit(1 if counts["wrong"] else 0)


def _dev_account(session: Session, profile: str) -> Callable[[str], Any]:
    """Makes clients in the dev account with the operator's own profile there."""
    other = Session(
        installation=session.located.path,
        profile=profile,
        region=session.installation.dev_region,
        clock=session.clock,
    )
    return other.client
