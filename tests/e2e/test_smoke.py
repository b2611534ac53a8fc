"""A version that is healthy for ECS, and is not what it should be: one notice, and the old one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.plan import Options
from tests.e2e.chain import Chain, local_chain


@pytest.fixture
def proved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A local run whose service must tell of a release, with its first commit deployed."""
    with local_chain(tmp_path_factory.mktemp("proved"), Options(smoke="release")) as chain:
        yield chain


def test_a_smoke_test_that_fails_puts_back_what_ran_with_one_notice(proved: Chain) -> None:
    # GIVEN a release that passed its smoke test
    before = proved.serves()
    # WHEN one is pushed that runs well, and fails it
    bad = proved.push("something else")
    row = proved.until_ended(bad)
    # THEN what ran before serves again, and one notice says so
    assert row.status == "rolled_back"
    assert proved.serves() == before
    assert row.result is not None
    assert "the smoke test failed: GET http://127.0.0.1" in str(row.result.cause)
    assert "answered 200 without 'release'" in str(row.result.cause)
    assert "prove" in row.stages
    notices = proved.until("its notice", lambda: proved.notices("something else"))
    assert len(notices) == 1
    assert "smoke test failed" in notices[0].text
    # AND the next good one passes
    good = proved.push("the second release")
    assert proved.until_ended(good).status == "succeeded"
    assert proved.serves() == good.commit_id
