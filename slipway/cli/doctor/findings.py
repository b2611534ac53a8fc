"""What `slipway doctor` finds: OK, wrong or skipped, each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from slipway.cli.aws.errors import DENIED, MISSING, translate

Verdict = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's answer. `mend`: what to do, empty where nothing is to be done."""

    part: str
    check: str
    verdict: Verdict
    detail: str
    mend: str = ""


def ok(check: str, detail: str) -> Finding:
    """The check found what it should."""
    return Finding(part="", check=check, verdict="ok", detail=detail)


def wrong(check: str, detail: str, mend: str) -> Finding:
    """Something is wrong; `mend` says what to do."""
    return Finding(part="", check=check, verdict="wrong", detail=detail, mend=mend)


def skipped(check: str, detail: str, mend: str = "") -> Finding:
    """It could not be looked at, and why."""
    return Finding(part="", check=check, verdict="skipped", detail=detail, mend=mend)


Look = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A look at one thing; `mend` is for when it does not exist."""

    part: str
    name: str
    look: Look
    mend: str


def carried_out(checks: Iterable[Check]) -> Iterator[Finding]:
    """Each check's findings; an error of AWS's is a finding, too.

    What does not exist is wrong. What may not be looked at, or is not answered, is skipped: it says
    nothing about the installation.
    """
    for check in checks:
        try:
            for finding in check.look():
                yield replace(finding, part=check.part)
        except (ClientError, BotoCoreError) as error:
            yield replace(_of_error(check, error), part=check.part)


def _of_error(check: Check, error: Exception) -> Finding:
    said = str(translate(error) or error)
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
    if code in MISSING:
        return wrong(check.name, said, check.mend)
    if code in DENIED:
        return skipped(check.name, said, "look with credentials that may")
    return skipped(check.name, f"could not be looked at: {said}")
