"""Messages go there and back, and whatever else comes is refused by the name of what is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import (
    Alert,
    BuildRequest,
    CloseNotice,
    Commit,
    DeploymentResult,
    Target,
    request_id_of,
)

COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)
TEXTS = st.text(max_size=50)
TIMES = st.floats(0, 4e9)
REQUESTS = st.builds(
    BuildRequest,
    request_id=st.text("0123456789abcdef", min_size=32, max_size=32),
    pipeline=st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True),
    commit_id=st.none() | COMMITS,
    pushed_by=TEXTS,
    pushed_at=TIMES,
    reason=st.sampled_from(["push", "drift", "redeploy"]),
    force_rebuild=st.booleans(),
)
RESULTS = st.builds(
    DeploymentResult,
    deployment_id=st.just("shop-20261120170531-abcdef"),
    pipeline=st.just("shop"),
    status=st.sampled_from(["succeeded", "failed", "rolled_back", "unchanged", "gave_up"]),
    stage=st.sampled_from(["fetch", "build", "close"]),
    reason=st.just("push"),
    request_id=st.just("1" * 32),
    commit=st.none() | st.builds(Commit, id=COMMITS, author=TEXTS, subject=TEXTS),
    started_at=TIMES,
    ended_at=TIMES,
    timings=st.dictionaries(TEXTS, TIMES, max_size=3),
    cause=st.none() | TEXTS,
    log_tail=st.lists(TEXTS, max_size=3).map(tuple),
)


@given(request=REQUESTS)
def test_a_request_goes_there_and_back(request):
    assert BuildRequest.from_json(request.to_json()) == request


@given(result=RESULTS)
def test_a_notice_goes_there_and_back(result):
    notice = CloseNotice(kind="deployment", notice_id=result.deployment_id, result=result)
    assert CloseNotice.from_json(notice.to_json()) == notice
    assert notice.attributes["status"] == result.status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(body=st.text(max_size=200) | JSON.map(json.dumps))
@pytest.mark.parametrize("message", [BuildRequest, CloseNotice])
def test_any_other_body_is_refused(message, body):
    with pytest.raises(InvalidMessage):
        message.from_json(body)


@given(request=REQUESTS, data=st.data())
def test_a_request_with_one_member_broken_is_refused_by_its_name(request, data):
    # GIVEN a valid request, WHEN one member is another value of another kind
    values = json.loads(request.to_json())
    member = data.draw(st.sampled_from(sorted(values)))
    values[member] = data.draw(st.sampled_from([[], {"a": 1}, [1], {}]))
    # THEN it is refused, and the member is named
    with pytest.raises(InvalidMessage) as refusal:
        BuildRequest.from_json(json.dumps(values))
    assert refusal.value.field.split(".")[0] == member


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": 2}, "schema"),
        ({"schema": True}, "schema"),
        ({"schema": None}, "schema"),
        ({"unknown": 1}, "unknown"),
        ({"pipeline": "Shop"}, "pipeline"),
        ({"pipeline": "shop\n"}, "pipeline"),
        ({"pipeline": "--upload-pack=x"}, "pipeline"),
        ({"commit_id": "HEAD"}, "commit_id"),
        ({"pushed_at": "now"}, "pushed_at"),
        ({"pushed_at": True}, "pushed_at"),
        ({"reason": "because"}, "reason"),
        ({"target": {"kind": "commit"}}, "target.commit_id"),
        ({"target": {"kind": "tip", "commit_id": "a" * 40}}, "target.commit_id"),
        ({"target": {"kind": "branch"}}, "target.kind"),
        ({"force_rebuild": 1}, "force_rebuild"),
    ],
)
def test_what_is_wrong_is_named(change, field):
    request = BuildRequest(
        request_id="1" * 32, pipeline="shop", pushed_by="ada", pushed_at=1.0, reason="push"
    )
    with pytest.raises(InvalidMessage) as refusal:
        BuildRequest.from_json(json.dumps({**json.loads(request.to_json()), **change}))
    assert refusal.value.field == field


def test_numbers_that_are_none_are_refused():
    body = BuildRequest(
        request_id="1" * 32, pipeline="shop", pushed_by="ada", pushed_at=1.0, reason="push"
    ).to_json()
    with pytest.raises(InvalidMessage, match="finite"):
        BuildRequest.from_json(body.replace("1.0", "NaN"))
    with pytest.raises(InvalidMessage, match="finite"):
        BuildRequest.from_json(body.replace("1.0", "9" * 400))


def test_a_body_nested_without_end_is_refused():
    with pytest.raises(InvalidMessage, match="not JSON"):
        BuildRequest.from_json("[" * 200_000)


@pytest.mark.parametrize(
    ("kind", "missing"), [("deployment", "result"), ("idle", "host_id"), ("alert", "alert")]
)
def test_a_notice_has_what_its_kind_needs(kind, missing):
    with pytest.raises(InvalidMessage) as refusal:
        CloseNotice(kind=kind, notice_id="n")
    assert refusal.value.field == missing


def test_an_alert_is_filtered_by_its_kind_alone():
    alert = Alert(kind="alarm", subject="queue", text="full", at=1.0)
    assert CloseNotice(kind="alert", notice_id="n", alert=alert).attributes == {"kind": "alert"}


def test_a_target_names_what_it_needs_and_no_more():
    assert Target(kind="commit", commit_id="a" * 40).commit_id
    with pytest.raises(InvalidMessage, match="deployment_id"):
        Target(kind="deployment")


def test_a_repeated_event_has_the_same_request_id():
    assert request_id_of("e", "r", "c") == request_id_of("e", "r", "c")
    assert request_id_of("e", "r", "c") != request_id_of("e", "rc", "")
