"""Notices with hostile texts in every member that a stranger can fill."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

from slipway.contracts.messages import (
    Alert,
    AlertKind,
    CloseNotice,
    Commit,
    DeploymentResult,
    Status,
)
from slipway.contracts.messages import Reason as Reasons
from slipway.contracts.messages import Stage as Stages
from tests.unit.lambdas.notifier.samples import AFTER, BEFORE

NASTY = (
    "x" * 10_000,
    "`" * 5 + "```" + "a" * 10_000 + "```",
    "<!channel> <!here> <@U012345> <#C012345> <!subteam^S1> <!date^0^{date}|x>",
    "&" * 10_000,
    "<" * 10_000,
    "*bold* _it_ ~struck~ :boom: > quote <https://evil.example|click>",
    "\u202egnirts desrever\u202c \u2066isolate\u2069 مرحبا بالعالم שלום",
    "👩‍👩‍👧‍👦" * 2_000,
    "\x00\x01\x1b[31mred\x1b[0m\r\n\ttab\x7f\u2028\u2029",
    "\ud800 lone surrogate \udfff",
    "z̷̛̬" * 1_000,
    "",
    " ",
    "\n" * 10_000,
)
texts = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=200), st.text("`<>&*_~|!@#\n", max_size=80)
)
times = st.floats(allow_nan=False, allow_infinity=False)
hexes = st.text("0123456789abcdef", min_size=40, max_size=40)
commits = st.builds(Commit, id=hexes, author=texts, subject=texts, committed_at=st.none() | times)
results: st.SearchStrategy[DeploymentResult] = st.builds(
    DeploymentResult,
    deployment_id=st.just("shop-20261121094000-0a1b2c"),
    pipeline=st.sampled_from(["shop", "a" * 40]),
    status=st.sampled_from(get_args(Status)),
    stage=st.sampled_from(get_args(Stages)),
    reason=st.sampled_from(get_args(Reasons)),
    request_id=st.just("0" * 32),
    commit=st.none() | commits,
    pushed_by=texts,
    pushed_at=st.none() | times,
    started_at=times,
    ended_at=times,
    image_digest=st.none() | texts,
    task_definition_before=st.none() | st.just(BEFORE) | texts,
    task_definition_after=st.none() | st.just(AFTER) | texts,
    now_running=st.none() | st.just(BEFORE) | texts,
    timings=st.dictionaries(texts, times, max_size=12),
    cause=st.none() | texts,
    log_tail=st.lists(texts, max_size=60).map(tuple),
    log_link=st.none() | texts | st.just("https://logs.example/?a=1&b=<2>|x"),
    commits_since=st.lists(commits, max_size=60).map(tuple),
    commits_since_count=st.none() | st.integers(),
    failures_before=st.integers(min_value=0),
)
alerts: st.SearchStrategy[Alert] = st.builds(
    Alert,
    kind=st.sampled_from(get_args(AlertKind)),
    subject=texts,
    text=texts,
    at=times,
    recovered=st.booleans(),
)


def _of_result(result: DeploymentResult) -> CloseNotice:
    return CloseNotice(kind="deployment", notice_id="n", result=result)


def _of_alert(alert: Alert) -> CloseNotice:
    return CloseNotice(kind="alert", notice_id="n", alert=alert)


notices: st.SearchStrategy[CloseNotice] = results.map(_of_result) | alerts.map(_of_alert)
