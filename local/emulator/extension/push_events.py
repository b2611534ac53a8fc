"""Gap closed: nothing happens after a push.

A push runs the repository's triggers (an asynchronous invocation of a Lambda, with CodeCommit's
own payload: one record that lists every reference of the push) and tells EventBridge, one event
per reference.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from local.emulator.extension import lambda_delivery
from local.emulator.extension.repositories import NO_COMMIT, Repository, Trigger

log = logging.getLogger("slipway.push")

BRANCH = "refs/heads/"
TAG = "refs/tags/"


@dataclass(frozen=True)
class Change:
    """A reference before and after a push; None where it did not exist."""

    reference: str
    old: str | None
    new: str | None

    @property
    def event(self) -> str:
        """CodeCommit's trigger event name."""
        if self.old is None:
            return "createReference"
        return "deleteReference" if self.new is None else "updateReference"

    def record(self) -> dict[str, Any]:
        """As it stands in a trigger's payload; `created` and `deleted` only where they hold."""
        listed: dict[str, Any] = {"commit": self.new or self.old, "ref": self.reference}
        if self.old is None:
            listed["created"] = True
        if self.new is None:
            listed["deleted"] = True
        return listed


def changes(before: dict[str, str], after: dict[str, str]) -> list[Change]:
    """What differs between two listings of references."""
    return [
        Change(reference, before.get(reference), after.get(reference))
        for reference in sorted(before.keys() | after.keys())
        if before.get(reference) != after.get(reference)
    ]


def wanted(trigger: Trigger, pushed: list[Change]) -> list[Change]:
    """The changes that a trigger asks for; one with branches is not told about tags."""
    branches = {BRANCH + name for name in trigger.branches}
    return [
        change
        for change in pushed
        if (not branches or change.reference in branches)
        and ("all" in trigger.events or change.event in trigger.events)
    ]


def payload(
    repository: Repository, trigger: Trigger, references: list[dict[str, Any]], user_arn: str
) -> dict[str, Any]:
    """The event that CodeCommit sends to a trigger's Lambda."""
    record: dict[str, Any] = {
        "awsRegion": repository.region,
        "codecommit": {"references": references},
        "eventId": str(uuid.uuid4()),
        "eventName": "ReferenceChanges",
        "eventPartNumber": 1,
        "eventSource": "aws:codecommit",
        "eventSourceARN": repository.arn,
        "eventTime": _event_time(time.time()),
        "eventTotalParts": 1,
        "eventTriggerConfigId": str(uuid.uuid5(uuid.NAMESPACE_URL, repository.arn + trigger.name)),
        "eventTriggerName": trigger.name,
        "eventVersion": "1.0",
        "userIdentityARN": user_arn,
    }
    if trigger.custom_data:
        record["customData"] = trigger.custom_data
    return {"Records": [record]}


def _event_time(seconds: float) -> str:
    milliseconds = int(seconds * 1000) % 1000
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{milliseconds:03d}+0000"


def pushed(repository: Repository, changed: list[Change], user_arn: str) -> None:
    """Tell everybody who is to know of a push; an empty one is told to nobody."""
    if not changed:
        return
    for trigger in repository.triggers:
        asked = [change.record() for change in wanted(trigger, changed)]
        if asked:
            run_trigger(repository, trigger, payload(repository, trigger, asked, user_arn))
    with request_scope(repository.account, repository.region):
        for change in changed:
            event = state_change(repository, change, user_arn)
            eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


def run_trigger(repository: Repository, trigger: Trigger, event: dict[str, Any]) -> bool:
    """Invoke the trigger's Lambda asynchronously; False when it cannot be invoked."""
    if ":lambda:" not in trigger.destination_arn:
        log.warning("trigger %s: only Lambda destinations are run locally", trigger.name)
        return False
    return lambda_delivery.deliver(
        trigger.destination_arn, "codecommit.amazonaws.com", repository.arn, event
    )


def trial_payload(repository: Repository, trigger: Trigger, tip: str | None) -> dict[str, Any]:
    """TestRepositoryTriggers: the tip of the first branch, all zero in an empty repository."""
    branch = trigger.branches[0] if trigger.branches else "main"
    reference = {"commit": tip or NO_COMMIT, "ref": BRANCH + branch}
    user = f"arn:aws:iam::{repository.account}:root"
    return payload(repository, trigger, [reference], user)


def state_change(repository: Repository, change: Change, user_arn: str) -> dict[str, Any]:
    """The entry for EventBridge's `CodeCommit Repository State Change`."""
    kind = "branch" if change.reference.startswith(BRANCH) else "tag"
    name = change.reference.removeprefix(BRANCH).removeprefix(TAG)
    happened = {
        "createReference": "referenceCreated",
        "updateReference": "referenceUpdated",
        "deleteReference": "referenceDeleted",
    }
    detail = {
        "event": happened[change.event],
        "repositoryName": repository.name,
        "repositoryId": repository.repository_id,
        "referenceType": kind,
        "referenceName": name,
        "referenceFullName": change.reference,
        "callerUserArn": user_arn,
    }
    if change.new is not None:
        detail["commitId"] = change.new
    if change.old is not None:
        detail["oldCommitId"] = change.old
    return {
        "Source": "aws.codecommit",
        "DetailType": "CodeCommit Repository State Change",
        "Resources": [repository.arn],
        "Detail": json.dumps(detail),
    }
