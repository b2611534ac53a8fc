"""One example of every kind of notice, as the agent and the reconciler publish them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from slipway.contracts.messages import Alert, CloseNotice, Commit, DeploymentResult, ServiceOutcome

AT = 1_795_256_400.0  # 2026-11-21 09:40:00 UTC
COMMIT = Commit(
    id="3f2a9c41d07be85a6f1e2c3b4d5a69788796a5b4",
    author="Ada Lovelace",
    subject="Fix the basket's total",
    committed_at=AT - 7500,
)
OLDER = (
    COMMIT,
    Commit(id="b" * 40, author="Grace Hopper", subject="Rename the price column"),
    Commit(id="c" * 40, author="Ada Lovelace", subject="Add a test for the total"),
)
BUILD_LOG = (
    "#6 [2/4] COPY . /src",
    "#6 DONE 0.1s",
    "#7 [3/4] RUN make all",
    "#7 0.312 cc -o shop shop.c",
    "#7 0.402 shop.c:12:5: error: use of undeclared identifier 'totl'",
    '#7 ERROR: process "/bin/sh -c make all" did not complete successfully: exit code: 2',
    "------",
    " > [3/4] RUN make all:",
    "------",
    "Dockerfile:7",
    "--------------------",
    "   7 | >>> RUN make all",
    "--------------------",
)
BEFORE = "arn:aws:ecs:us-east-1:222222222222:task-definition/shop:41"
AFTER = "arn:aws:ecs:us-east-1:222222222222:task-definition/shop:42"
RESULT = DeploymentResult(
    deployment_id="shop-20261121094000-0a1b2c",
    pipeline="shop",
    status="succeeded",
    stage="close",
    reason="push",
    request_id="0123456789abcdef0123456789abcdef",
    commit=COMMIT,
    pushed_by="arn:aws:iam::111111111111:user/ada",
    pushed_at=AT - 48.2,
    started_at=AT - 42.0,
    ended_at=AT,
    image_digest="sha256:" + "0123456789ab" + "f" * 52,
    task_definition_before=BEFORE,
    task_definition_after=AFTER,
    now_running=AFTER,
    timings={"fetch": 0.41, "build": 31.2, "push": 2.04, "rollout": 8.1},
    log_link="https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logs",
    commits_since=OLDER,
    commits_since_count=3,
)


def deployment(**changes: Any) -> CloseNotice:
    """A notice of `RESULT` with members changed; another change is another deployment."""
    number = hashlib.sha256(repr(changes).encode("utf-8", "replace")).hexdigest()[:6]
    result = replace(RESULT, **{"deployment_id": f"shop-20261121094000-{number}", **changes})
    return CloseNotice(
        kind="deployment", notice_id=f"deployment/{result.deployment_id}", result=result
    )


def alert(**values: Any) -> CloseNotice:
    defaults: dict[str, Any] = {"at": AT, "text": "Something is to be looked at."}
    made = Alert(**{**defaults, **values})
    notice_id = f"alert/{made.kind}/{int(made.at)}/{made.recovered}"
    return CloseNotice(kind="alert", notice_id=notice_id, alert=made)


HOST = "i-0abc1234def567890"
NOTICES: dict[str, CloseNotice] = {
    "succeeded": deployment(),
    "drift": deployment(reason="drift", pushed_by=""),
    "redeployed": deployment(reason="redeploy", commits_since=(), commits_since_count=0),
    "rollback by an operator": deployment(
        reason="rollback", now_running=BEFORE, commits_since=(), commits_since_count=None
    ),
    "recovered": deployment(failures_before=3),
    "with a warning": deployment(warning="reports of the tests: <x>.xml is no JUnit XML"),
    "with tests": deployment(tests="416 passed, 2 skipped"),
    "failed in the tests": deployment(
        status="failed",
        stage="test",
        cause="the tests ended with exit code 1: 2 of 418 failed: shop.pays, shop.<adds>",
        task_definition_after=None,
        now_running=BEFORE,
        log_tail=("FAILED test_shop.py::test_pays", "2 failed, 416 passed in 3.1s"),
    ),
    "failed in build": deployment(
        status="failed",
        stage="build",
        cause="The image could not be built: RUN make all ended with exit code 2",
        log_tail=BUILD_LOG,
        now_running=BEFORE,
        task_definition_after=None,
        image_digest=None,
    ),
    "failed before a commit was known": deployment(
        status="failed",
        stage="fetch",
        cause="The branch 'main' does not exist in repository 'shop'",
        commit=None,
        now_running=None,
        task_definition_before=None,
        task_definition_after=None,
        image_digest=None,
        commits_since=(),
        commits_since_count=None,
        timings={"fetch": 0.3},
    ),
    "failed in rollout": deployment(
        status="failed",
        stage="rollout",
        cause="2 tasks stopped: Essential container in task exited (web: exit code 1)",
        now_running=AFTER,
        log_tail=("web: panic: no database", "web: exit status 1"),
    ),
    "rolled back": deployment(
        status="rolled_back",
        stage="rollout",
        cause="2 tasks stopped: Essential container in task exited (web: exit code 1)",
        now_running=BEFORE,
        log_tail=("web: panic: no database", "web: exit status 1"),
    ),
    "one of two services failed": deployment(
        status="rolled_back",
        stage="wait",
        cause="worker: 2 tasks stopped: Essential container in task exited (worker: exit code 1)",
        task_definition_before="shop:41, worker:16",
        now_running="shop:41, worker:16",
        services=(
            ServiceOutcome(
                cluster="prod", service="shop", before="shop:41", after="shop:42", now="shop:41"
            ),
            ServiceOutcome(
                cluster="prod",
                service="worker",
                before="worker:16",
                after="worker:17",
                now="worker:16",
            ),
        ),
    ),
    "services of different versions": deployment(
        status="failed",
        stage="wait",
        cause="worker: a <deployment> *failed*",
        warning="the services run versions of different deployments: shop shop:42",
        now_running=None,
        services=(
            ServiceOutcome(
                cluster="prod", service="shop", before="shop:41", after="shop:42", now="shop:42"
            ),
            ServiceOutcome(cluster="prod", service="worker", before="worker:16", touched=False),
            ServiceOutcome(cluster="jobs", service="worker", before="w:1", after="w:2"),
            ServiceOutcome(cluster="jobs", service="cron", before="c:1", after="c:2", now="c:9"),
        ),
    ),
    "unchanged": deployment(status="unchanged", commits_since=(), commits_since_count=0),
    "untouched": deployment(
        status="unchanged",
        stage="fetch",
        untouched_since="5c0ffee0" * 5,
        image_digest=None,
        commits_since=(),
        commits_since_count=0,
    ),
    "superseded": deployment(status="superseded", stage="received", now_running=None),
    "gave up": deployment(
        status="gave_up",
        stage="push",
        cause="ECR did not answer in 5 attempts",
        now_running=BEFORE,
        failures_before=4,
    ),
    "cancelled": deployment(
        status="cancelled",
        stage="build",
        cause="cancelled by eve",
        cancelled_by="arn:aws:iam::222222222222:user/eve",
        now_running=None,
        image_digest=None,
        task_definition_after=None,
    ),
    "cancelled in the rollout": deployment(
        status="rolled_back",
        stage="rollout",
        cause="cancelled by eve; the previous version was put back",
        cancelled_by="arn:aws:iam::222222222222:user/eve",
        now_running=BEFORE,
    ),
    "dead letter": alert(
        kind="dead_letter",
        subject="slipway-build-dead-letters",
        text="a message on the build queue cannot be read and was given up on:"
        " invalid message: it is not JSON",
    ),
    "host silent": alert(
        kind="no_heartbeat", subject=HOST, text="no heartbeat for 10 min, in 2 boots in a row"
    ),
    "host stuck": alert(
        kind="no_progress", subject=HOST, text="no progress for 1 h 5 min in stage build of shop"
    ),
    "start failed": alert(
        kind="start_failed", subject=HOST, text="EC2 says InsufficientInstanceCapacity"
    ),
    "awake long": alert(kind="awake_long", subject=HOST, text="awake for 4 h"),
    "drift skipped": alert(
        kind="drift_skipped",
        subject="shop",
        text="a lost push would not be found: CodeCommit is silent",
    ),
    "not followed": alert(
        kind="not_followed",
        subject="shop",
        text="the state of a rollout is of version 2, known is 1: nothing was dropped",
    ),
    "alarm": alert(
        kind="alarm",
        subject="slipway-oldest-request",
        text="Threshold crossed: 1 datapoint (1900.0) was greater than 1800.0",
    ),
    "alarm over": alert(
        kind="alarm", subject="slipway-oldest-request", text="Back to normal", recovered=True
    ),
    "idle": CloseNotice(
        kind="idle", notice_id=f"idle/{HOST}/1", host_id=HOST, boot="1795256000", idle_number=1
    ),
}
