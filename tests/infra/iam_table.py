"""All IAM statements of an installation as a table that a reviewer can read.

`python -m tests.infra.iam_table` writes the snapshot `tests/infra/iam.md` anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.infra.templates import (
    CODE_BUILD,
    EXAMPLE,
    FULL,
    OVERFLOW,
    Stacks,
    Statement,
    Template,
    identity_statements,
    resource_statements,
    synthesize_file,
    trust_statements,
)

SNAPSHOT = Path(__file__).parent / "iam.md"
HEAD = """# Who may do what

Every IAM statement of both stacks: first of the example in cdk.json, then of a configuration that
uses everything (`tests/infra/configurations/full.json`); then of the prod stack where CodeBuild
builds what hosts do not get to (`overflow.json`), and where it alone builds (`code-build.json`).
Written by `python -m tests.infra.iam_table`; a test holds the templates to it.
"""


def table_of(example: Stacks, full: Stacks, overflow: Stacks, code_build: Stacks) -> str:
    """The whole document."""
    parts = [HEAD]
    for title, stacks in (("The example", example), ("Everything", full)):
        for account, template in (("dev", stacks.dev), ("prod", stacks.prod)):
            parts.append(f"## {title}, {account} account\n\n{_section(template)}")
    for title, stacks in (("Hosts, then CodeBuild", overflow), ("CodeBuild alone", code_build)):
        parts.append(f"## {title}, prod account\n\n{_section(stacks.prod)}")
    return "\n".join(parts)


def _section(template: Template) -> str:
    return "\n".join(
        [
            "| Role | statement | actions | on | if |",
            "|---|---|---|---|---|",
            *_identity_rows(identity_statements(template)),
            "",
            "| Role | trusts | for | if |",
            "|---|---|---|---|",
            *_trust_rows(trust_statements(template)),
            "",
            "| Key, queue or topic | lets | do | if |",
            "|---|---|---|---|",
            *_trust_rows(resource_statements(template)),
            "",
        ]
    )


def _identity_rows(statements: Iterable[Statement]) -> list[str]:
    return [
        _row(s.owner, s.raw["Sid"], _lines(s.actions), _lines(s.resources), s.conditions)
        for s in statements
    ]


def _trust_rows(statements: Iterable[Statement]) -> list[str]:
    return [_row(s.owner, _effect(s), _lines(s.actions), s.conditions) for s in statements]


def _effect(statement: Statement) -> str:
    refused = statement.raw["Effect"] == "Deny"
    return f"refuses {statement.principal}" if refused else statement.principal


def _lines(values: list[str]) -> str:
    return "<br>".join(values)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        example = synthesize_file(EXAMPLE, Path(folder, "example"))
        full = synthesize_file(FULL, Path(folder, "full"))
        overflow = synthesize_file(OVERFLOW, Path(folder, "overflow"))
        code_build = synthesize_file(CODE_BUILD, Path(folder, "code-build"))
    text = table_of(example, full, overflow, code_build)
    SNAPSHOT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
