"""Topics and queues under one key of the customer's: all of them, and for those it concerns."""

from __future__ import annotations

from typing import Any

from infra.permissions.statements import USE_KEY
from slipway.configuration import read
from tests.infra.templates import (
    FULL,
    Stacks,
    Template,
    identity_statements,
    resource_statements,
    resources,
    text,
)

SENDS_OR_RECEIVES = {"sns:Publish", "sqs:SendMessage", "sqs:ReceiveMessage"}
THROUGH_BOTH = (
    "StringEquals kms:ViaService = sns.eu-central-1.amazonaws.com, sqs.eu-central-1.amazonaws.com"
)


def test_without_one_queues_are_under_sqs_s_own_and_topics_under_none(example: Stacks) -> None:
    assert "customerKey" in read(FULL)
    for template in example.both:
        assert not resources(template, "AWS::KMS::Key")
        assert all(q["SqsManagedSseEnabled"] is True for q in _queues(template))
        assert not any("KmsMasterKeyId" in t for t in _topics(template))


def test_with_one_every_topic_and_queue_of_prod_is_under_it(full: Stacks) -> None:
    for encrypted in (*_topics(full.prod), *_queues(full.prod)):
        assert text(encrypted["KmsMasterKeyId"]).startswith("${CustomerKey")
    # AND dev's own queues, which another account's key is nothing for, under SQS's
    assert all(q["SqsManagedSseEnabled"] is True for q in _queues(full.dev))


def test_the_key_rotates_stays_and_has_a_name_that_dev_knows(full: Stacks) -> None:
    (key,) = [r for r in full.prod["Resources"].values() if r["Type"] == "AWS::KMS::Key"]
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["DeletionPolicy"] == "RetainExceptOnCreate"
    assert key["UpdateReplacePolicy"] == "Retain"
    (alias,) = resources(full.prod, "AWS::KMS::Alias").values()
    assert alias["AliasName"] == "alias/slipway-stage"


def test_every_role_of_prod_that_sends_or_receives_may_use_it_through_sns_and_sqs(
    full: Stacks,
) -> None:
    statements = list(identity_statements(full.prod))
    concerned = {s.owner for s in statements if SENDS_OR_RECEIVES & set(s.actions)}
    using = {s.owner: s for s in statements if s.raw["Sid"] == "UseKey"}
    assert set(using) == concerned
    for statement in using.values():
        assert statement.actions == list(USE_KEY)
        assert statement.resources == ["${CustomerKey.Arn}"]
        assert statement.conditions == THROUGH_BOTH


def test_the_trigger_s_role_may_use_it_in_both_accounts_policies(full: Stacks) -> None:
    # GIVEN AWS's rule: across accounts both the identity's policy and the key's have to allow it
    (own,) = [s for s in identity_statements(full.dev) if s.raw["Sid"] == "UseKey"]
    assert own.owner == "slipway-stage-trigger"
    assert own.actions == list(USE_KEY)
    assert own.resources == ["arn:aws:kms:eu-central-1:222222222222:key/*"]
    through_sns = "StringEquals kms:ViaService = sns.eu-central-1.amazonaws.com"
    assert own.conditions == (
        f"ForAnyValue:StringEquals kms:ResourceAliases = alias/slipway-stage; {through_sns}"
    )
    theirs = _let_in(full.prod)["PushesOfDev"]
    assert theirs.principal == "arn:aws:iam::111111111111:root"
    assert "aws:PrincipalArn = arn:aws:iam::111111111111:role/slipway-stage-trigger" in (
        theirs.conditions
    )
    assert "kms:ViaService = sns.eu-central-1.amazonaws.com" in theirs.conditions


def test_the_key_s_policy_lets_in_the_services_that_write_for_their_sources(full: Stacks) -> None:
    let_in = _let_in(full.prod)
    account = let_in.pop("AccountByItsPolicies")
    assert account.principal == "arn:aws:iam::222222222222:root"
    assert {"kms:PutKeyPolicy", *USE_KEY} <= set(account.actions)
    assert {sid: (s.principal, s.actions) for sid, s in let_in.items()} == {
        "PushesOfDev": ("arn:aws:iam::111111111111:root", list(USE_KEY)),
        "TopicsToQueues": ("sns.amazonaws.com", list(USE_KEY)),
        "AlarmsToTopic": ("cloudwatch.amazonaws.com", list(USE_KEY)),
        "EventsToQueue": ("events.amazonaws.com", list(USE_KEY)),
    }
    topics = ", ".join(
        f"arn:aws:sns:eu-central-1:222222222222:slipway-stage-{name}"
        for name in ("request", "close", "alarm")
    )
    assert let_in["TopicsToQueues"].conditions == f"ArnEquals aws:SourceArn = {topics}"
    assert let_in["AlarmsToTopic"].conditions == (
        "StringEquals aws:SourceAccount = 222222222222, 111111111111; "
        "ArnLike aws:SourceArn = arn:aws:cloudwatch:eu-central-1:222222222222:alarm:slipway-stage-*"
        ", arn:aws:cloudwatch:eu-central-1:111111111111:alarm:slipway-stage-*"
    )


def _let_in(template: Template) -> dict[str, Any]:
    """The key's statements by Sid."""
    (key,) = resources(template, "AWS::KMS::Key")
    return {
        s.raw["Sid"]: s
        for s in resource_statements(template)
        if s.owner == text({"Ref": key})[2:-1]
    }


def _queues(template: Template) -> list[dict[str, Any]]:
    return list(resources(template, "AWS::SQS::Queue").values())


def _topics(template: Template) -> list[dict[str, Any]]:
    return list(resources(template, "AWS::SNS::Topic").values())
