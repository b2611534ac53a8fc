"""The report says which of its parts were measured after the whole."""

from __future__ import annotations

from bench.__main__ import measured_again


def test_a_part_that_is_measured_twice_on_a_day_is_named_once() -> None:
    whole: dict[str, str] = {}
    for again in (("notice", "cold"), ("rollback",), ("cost",), ("rollback",)):
        whole = {"measured again": measured_again(whole, again, "2026-11-26")}
    assert whole["measured again"] == (
        "notice, cold (2026-11-26); rollback (2026-11-26); cost (2026-11-26)"
    )
