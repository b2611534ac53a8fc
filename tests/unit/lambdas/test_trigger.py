"""A push becomes a build request; everything else is skipped or said, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.trigger.handler import publish_pushes
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.installation import BuildersSettings
from tests.unit.lambdas.world import START, FakeSNS, error, event, installation, pipeline


def published(payload: dict, *pipelines, sns: FakeSNS | None = None) -> FakeSNS:
    sns = sns or FakeSNS()
    publish_pushes(payload, installation(*pipelines), sns, now=START)
    return sns


@pytest.mark.parametrize("name", ["codecommit_push", "codecommit_created"])
def test_a_push_is_published_as_a_request_for_its_pipeline(name):
    # GIVEN what CodeCommit sends for a push, WHEN the trigger has it
    sns = published(event(name))
    # THEN one request for the tip is on the prod account's topic, with attributes to filter on
    (call,) = sns.published
    (request,) = sns.requests
    assert call["TopicArn"] == "arn:aws:sns:us-east-1:222222222222:slipway-request"
    assert call["MessageAttributes"]["pipeline"]["StringValue"] == "shop"
    assert call["MessageAttributes"]["kind"]["StringValue"] == "request"
    assert request.is_tip
    assert request.commit_id == "4f2c9d1be3b0a7b1c5f06c3b5d0c2a9e8d7f6a51"
    assert (request.pushed_by, request.reason) == ("ada", "push")
    assert request.pushed_at == 1795194331.211


def test_with_codebuild_a_push_to_paths_is_compared_before_a_build_is_started():
    sns = FakeSNS()
    settings = replace(
        installation(replace(pipeline(), paths=("web/**",))),
        builders=BuildersSettings(when="codeBuild"),
    )
    publish_pushes(event("codecommit_push"), settings, sns, now=START)
    assert sns.published[0]["MessageAttributes"]["builder"]["StringValue"] == "no"
    assert published(event("codecommit_push")).published[0]["MessageAttributes"]["builder"][
        "StringValue"
    ] == ("yes")


def test_eventbridge_says_the_same():
    (request,) = published(event("eventbridge_updated")).requests
    assert request.commit_id == "9b0c6c1de2f34a5b8c7d6e5f4a3b2c1d0e9f8a7b"
    assert (request.pipeline, request.pushed_by) == ("shop", "ada")


@pytest.mark.parametrize(
    "name",
    [
        "codecommit_deleted",
        "codecommit_test_trigger",
        "codecommit_foreign_repository",
        "codecommit_foreign_account",
        "eventbridge_deleted",
        "eventbridge_tag",
    ],
)
def test_what_is_not_ours_is_skipped(name):
    assert published(event(name)).published == []


def test_every_record_and_every_reference_counts():
    # GIVEN two records, one with a foreign branch and a tag beside the branch
    sns = published(event("codecommit_several"))
    # THEN both pushes to our branch are published, by whom they were pushed
    assert [(r.commit_id[:4], r.pushed_by) for r in sns.requests] == [
        ("4f2c", "ada"),
        ("9b0c", "grace"),
    ]


def test_a_repeated_event_has_the_same_ids_and_two_pipelines_have_two():
    # GIVEN two pipelines on one branch, WHEN the event comes twice
    both = (pipeline("shop"), pipeline("shop-stage"))
    first, second = (published(event("codecommit_push"), *both).requests for _ in range(2))
    # THEN the ids repeat, and differ between the pipelines
    assert [r.request_id for r in first] == [r.request_id for r in second]
    assert len({r.request_id for r in first}) == 2


def test_a_failed_publish_raises_after_all_were_tried():
    # GIVEN a topic that refuses the first publish
    sns = FakeSNS(failures=[error("AuthorizationError", 403)])
    # WHEN two pushes come, THEN the second is published and the invocation fails, to be repeated
    with pytest.raises(WorldFailed, match="shop at 4f2c"):
        published(event("codecommit_several"), sns=sns)
    assert len(sns.requests) == 1


def test_an_unreadable_reference_raises_after_the_others_were_published():
    payload = event("codecommit_several")
    payload["Records"][0]["codecommit"]["references"][0]["commit"] = "not a commit; rm -rf /"
    sns = FakeSNS()
    with pytest.raises(InvalidMessage, match="commit"):
        published(payload, sns=sns)
    assert [r.commit_id[:4] for r in sns.requests] == ["9b0c"]


def test_a_push_whose_time_cannot_be_read_counts_as_now():
    payload = event("codecommit_push")
    payload["Records"][0]["eventTime"] = "yesterday"
    (request,) = published(payload).requests
    assert request.pushed_at == START


MEMBERS = ["Records", "codecommit", "references", "ref", "commit", "eventId", "eventSourceARN"]
MEMBERS += ["detail-type", "detail", "event", "id", "account", "eventTime", "repositoryName"]
BROKEN = ["eventSourceARN", "eventTime", "eventId", "userIdentityARN", "codecommit"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(payload=JSON)
def test_whatever_comes_is_published_or_refused_by_name(payload):
    sns = FakeSNS()
    try:
        published(payload, sns=sns)
    except InvalidMessage as refusal:
        assert refusal.field
    assert sns.published == []


@given(
    path=st.sampled_from(
        ["eventSourceARN", "eventTime", "eventId", "userIdentityARN", "codecommit"]
    ),
    value=JSON,
)
def test_a_record_with_any_member_broken_never_crashes(path, value):
    payload = event("codecommit_push")
    payload["Records"][0][path] = value
    try:
        published(payload)
    except InvalidMessage as refusal:
        assert refusal.field
