"""The policy of a topic that a template made without one."""

from __future__ import annotations

from local.emulator.extension.topic_policies import for_its_account

ACCOUNT = "222222222222"
EVERYBODY = {"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": {"AWS": "*"}}


def test_the_default_is_for_the_account_alone() -> None:
    changed = for_its_account({"Version": "2008-10-17", "Statement": [EVERYBODY]}, ACCOUNT)

    owner = {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    assert changed == {"Version": "2008-10-17", "Statement": [{**EVERYBODY, "Condition": owner}]}


def test_a_statement_of_our_own_stays_as_it_is() -> None:
    own = {"Statement": [{"Sid": "PushesOfDev", "Effect": "Allow", "Principal": {"AWS": "*"}}]}

    assert for_its_account(own, ACCOUNT) == own
