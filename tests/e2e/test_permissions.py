"""The roles hold exactly what the chain needs. Runs last: it looks back at all other tests."""

from __future__ import annotations

from tests.e2e.chain import Chain
from tests.e2e.permissions import NOT_ASKED, asked, granted


def test_nothing_was_denied(chain: Chain) -> None:
    assert sorted(asked(chain.state, allowed=False)) == []


def test_every_granted_action_is_needed_or_listed(chain: Chain) -> None:
    unused = granted(chain.state) - asked(chain.state, allowed=True)
    assert unused == NOT_ASKED.keys()
