"""The roles hold exactly what the chain needs. Runs last: it looks back at all other tests."""

from __future__ import annotations

from tests.e2e.chain import Chain
from tests.e2e.permissions import NOT_ASKED, SELDOM, asked, granted


def test_nothing_was_denied(chain: Chain) -> None:
    denied = sorted(asked(chain.state, allowed=False))
    assert not denied, "\n".join(denied)


def test_every_granted_action_is_asked_for_or_listed(chain: Chain) -> None:
    unused = granted(chain.state) - asked(chain.state, allowed=True)
    unknown = sorted(unused - NOT_ASKED.keys() - SELDOM.keys())
    assert not unknown, "granted, never asked for, not listed:\n" + "\n".join(unknown)


def test_no_action_is_listed_that_is_asked_for_or_not_granted(chain: Chain) -> None:
    unused = granted(chain.state) - asked(chain.state, allowed=True)
    stale = sorted((NOT_ASKED.keys() - unused) | (SELDOM.keys() - granted(chain.state)))
    assert not stale, "listed, but asked for or not granted:\n" + "\n".join(stale)
