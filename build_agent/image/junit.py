"""What reports in JUnit's XML say, counted. The commit wrote them: nothing in them is trusted.

Entities and document types are refused (defusedxml), and a report that cannot be read is noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring
from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase

from slipway.contracts.wording import tidy

NAME_LIMIT = 120
MESSAGE_LIMIT = 300
NAMES_KEPT = 20
"""Failed tests whose names and messages are kept; the others are counted."""
NOTES_KEPT = 5


@dataclass(frozen=True)
class Failed:
    """A test that failed. `message`: its first words."""

    name: str
    message: str = ""


@dataclass
class Tally:
    """Of all reports. `failed`: the first ones of `failures`; `notes`: what could not be read."""

    reports: int = 0
    tests: int = 0
    skipped: int = 0
    failures: int = 0
    failed: list[Failed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, name: str, content: bytes) -> None:
        """Count one report, as a whole or not at all."""
        try:
            one = _count(content)
        except (ParseError, JUnitXmlError, ValueError, LookupError, RecursionError, MemoryError):
            self.note(f"{tidy(name, NAME_LIMIT)} is no JUnit XML")
            return
        self.reports += 1
        self.tests += one.tests
        self.skipped += one.skipped
        self.failures += one.failures
        self.failed = [*self.failed, *one.failed][:NAMES_KEPT]

    def note(self, what: str) -> None:
        """Keep what is to be told, of many the first."""
        if len(self.notes) < NOTES_KEPT and what not in self.notes:
            self.notes.append(what)


def _count(content: bytes) -> Tally:
    tally = Tally()
    for case in _cases(content):
        tally.tests += 1
        results = case.result
        bad = [one for one in results if isinstance(one, Failure | Error)]
        if bad:
            tally.failures += 1
            if len(tally.failed) < NAMES_KEPT:
                tally.failed.append(Failed(_name(case), _message(bad[0])))
        elif any(isinstance(one, Skipped) for one in results):
            tally.skipped += 1
    return tally


def _cases(content: bytes) -> Iterator[TestCase]:
    report = JUnitXml.fromroot(fromstring(content, forbid_dtd=True))
    for suite in report:
        yield from suite


def _name(case: TestCase) -> str:
    parts = (case.classname, case.name)
    return tidy(".".join(part for part in parts if part), NAME_LIMIT) or "(no name)"


def _message(result: Failure | Error) -> str:
    text = (result.message or result.text or "").strip()
    return tidy(text.partition("\n")[0], MESSAGE_LIMIT)
