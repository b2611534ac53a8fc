"""Who hears a request: the follow queue, where no builder may be needed, or the build queue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.contracts.installation import BuildersSettings
from slipway.contracts.requesting import may_need_no_builder, needs_builder, publish_request
from tests.unit.lambdas.world import FakeSNS, installation, pipeline, request

TOPIC = "arn:aws:sns:us-east-1:222222222222:slipway-request"


def said(**values: object) -> str:
    """The attribute that the queues' filters go by."""
    forced = {"builder": values.pop("builder")} if "builder" in values else {}
    sns = FakeSNS()
    publish_request(sns, TOPIC, replace(request(), **values), **forced)  # type: ignore[arg-type]
    (call,) = sns.published
    return str(call["MessageAttributes"]["builder"]["StringValue"])


@pytest.mark.parametrize("reason", ["rollback", "redeploy", "drift"])
def test_what_may_be_in_ecr_already_may_need_no_builder(reason):
    assert may_need_no_builder(replace(request(), reason=reason))
    assert said(reason=reason) == "no"


@pytest.mark.parametrize(
    "values", [{"reason": "push"}, {"reason": "redeploy", "force_rebuild": True}]
)
def test_a_push_and_a_forced_rebuild_need_one(values):
    assert not may_need_no_builder(replace(request(), **values))
    assert said(**values) == "yes"


@pytest.mark.parametrize(("builder", "expected"), [(True, "yes"), (False, "no")])
def test_who_knows_says_so(builder, expected):
    assert said(reason="redeploy", builder=builder) == expected
    assert said(reason="push", builder=builder) == expected


PATHS = ("web/**",)


@pytest.mark.parametrize(
    ("when", "paths", "values", "needed"),
    [
        ("codeBuild", PATHS, {"reason": "push"}, False),
        ("overflow", PATHS, {"reason": "push"}, False),
        ("hosts", PATHS, {"reason": "push"}, True),
        ("codeBuild", (), {"reason": "push"}, True),
        ("codeBuild", PATHS, {"reason": "redeploy", "force_rebuild": True}, True),
        ("codeBuild", PATHS, {"reason": "redeploy"}, False),
        ("hosts", (), {"reason": "drift"}, False),
    ],
)
def test_with_codebuild_paths_are_looked_at_before_a_build_is_started(when, paths, values, needed):
    settings = installation(replace(pipeline(), paths=paths))
    settings = replace(settings, builders=BuildersSettings(when=when))
    assert needs_builder(replace(request(), **values), settings) is needed
