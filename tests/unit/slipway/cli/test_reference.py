"""docs/cli.md says what the commands' help says."""

from __future__ import annotations

from slipway.cli.reference import ELSEWHERE, TARGET, document


def test_the_page_is_written_from_the_commands() -> None:
    """`python -m slipway.cli.reference` writes docs/cli.md anew."""
    assert TARGET.read_text(encoding="utf-8") == document()


def test_pages_that_it_points_to_exist() -> None:
    for link in ELSEWHERE.values():
        assert (TARGET.parent / link.partition("(")[2].rstrip(")")).exists(), link
