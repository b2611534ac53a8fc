"""`python -m tests.infra.reference`: all templates and pages; exits with 1 if AWS would object."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.infra.reference.exceptions import unexcused
from tests.infra.reference.judge import judge
from tests.infra.reference.pages import pages, printed_statements, unknown_names
from tests.infra.reference.policies import Statement, of_stacks
from tests.infra.templates import (
    CODE_BUILD,
    EXAMPLE,
    FULL,
    LOCAL,
    OVERFLOW,
    synthesize_file,
)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        statements = [*_statements(Path(folder)), *printed_statements()]
    findings, needless = unexcused(f for s in statements for f in judge(s))
    problems = [
        *map(str, findings),
        *(f"the exception for {e.action} is needed by nothing" for e in needless),
        *(f"{n}: AWS has no {name}" for n, page in pages() for name in unknown_names(page)),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(statements)} IAM statements against AWS's reference: {len(problems)} findings")
    return 1 if problems else 0


def _statements(folder: Path) -> Iterator[Statement]:
    for path in (EXAMPLE, FULL, LOCAL, OVERFLOW, CODE_BUILD):
        name = path.stem
        yield from of_stacks(name, synthesize_file(path, folder / name))


if __name__ == "__main__":
    sys.exit(main())
