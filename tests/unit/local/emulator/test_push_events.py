"""What a push tells, and to whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.emulator.extension.push_events import (
    Change,
    changes,
    payload,
    state_change,
    trial_payload,
    wanted,
)
from local.emulator.extension.repositories import Repository, Trigger
from tests.places import EVENTS

OLD, NEW = "a" * 40, "b" * 40
MAIN, TAG = "refs/heads/main", "refs/tags/v1"
REPOSITORY = Repository("111111111111", "us-east-1", "sample", "id", Path("/none"), 0.0)


def trigger(**given) -> Trigger:
    return Trigger(name="t", destination_arn="arn:aws:lambda:us-east-1:1:function:f", **given)


def test_changes_are_created_updated_and_deleted_references():
    # GIVEN two listings / WHEN
    found = changes({MAIN: OLD, "refs/heads/gone": OLD}, {MAIN: NEW, TAG: NEW})
    # THEN
    assert found == [
        Change("refs/heads/gone", OLD, None),
        Change(MAIN, OLD, NEW),
        Change(TAG, None, NEW),
    ]
    assert [change.event for change in found] == [
        "deleteReference",
        "updateReference",
        "createReference",
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [MAIN, "refs/heads/other", TAG]),
        ({"branches": ("main",)}, [MAIN]),
        ({"branches": ("main", "other")}, [MAIN, "refs/heads/other"]),
        ({"events": ("createReference",)}, ["refs/heads/other", TAG]),
        ({"events": ("updateReference",), "branches": ("other",)}, []),
    ],
    ids=["all", "a branch", "branches", "an event", "neither"],
)
def test_a_trigger_is_told_what_it_asks_for(asked, expected):
    # GIVEN a push of three references
    pushed = [
        Change(MAIN, OLD, NEW),
        Change("refs/heads/other", None, NEW),
        Change(TAG, None, NEW),
    ]
    # WHEN / THEN
    assert [change.reference for change in wanted(trigger(**asked), pushed)] == expected


@pytest.mark.parametrize(
    ("recorded", "change", "custom"),
    [
        ("codecommit_push.json", Change(MAIN, OLD, NEW), True),
        ("codecommit_created.json", Change(MAIN, None, NEW), True),
        ("codecommit_deleted.json", Change(MAIN, OLD, None), True),
    ],
)
def test_the_payload_has_the_members_of_the_recorded_ones(recorded, change, custom):
    # GIVEN CodeCommit's payload, as the Lambdas' tests have it
    known = json.loads((EVENTS / recorded).read_text())["Records"][0]
    # WHEN ours is made
    ours = payload(
        REPOSITORY,
        trigger(custom_data="c" if "customData" in known else ""),
        [change.record()],
        "arn:aws:iam::111111111111:user/alice",
    )["Records"][0]
    # THEN it has the same members, one by one
    assert ours.keys() == known.keys()
    assert ours["codecommit"]["references"][0].keys() == known["codecommit"]["references"][0].keys()
    assert ours["eventSourceARN"] == "arn:aws:codecommit:us-east-1:111111111111:sample"


def test_an_empty_repository_is_tested_with_zeros():
    # GIVEN a repository without a tip / WHEN
    event = trial_payload(REPOSITORY, trigger(branches=("prod",)), None)
    # THEN
    references = event["Records"][0]["codecommit"]["references"]
    assert references == [{"commit": "0" * 40, "ref": "refs/heads/prod"}]


def test_eventbridge_is_told_with_both_commits():
    # GIVEN the recorded event of an updated branch
    known = json.loads((EVENTS / "eventbridge_updated.json").read_text())
    # WHEN
    ours = state_change(REPOSITORY, Change(MAIN, OLD, NEW), "arn:aws:iam::1:user/a")
    # THEN
    detail = json.loads(ours["Detail"])
    assert ours["Source"] == known["source"]
    assert ours["DetailType"] == known["detail-type"]
    assert detail["event"] == "referenceUpdated"
    assert (detail["oldCommitId"], detail["commitId"]) == (OLD, NEW)
    assert detail["referenceType"] == "branch"
    assert known["detail"].keys() <= detail.keys() | {"repositoryId"}
