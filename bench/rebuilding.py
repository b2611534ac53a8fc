"""What a repeat costs: after a change of one line, after none, and after the host's restart."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Sequence

from bench.local_run import PIPELINE, LocalRun
from bench.report import Bound, Section
from local.http import served_commit
from local.waiting import wait_for
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import publish_request
from slipway.contracts.table.deployments import DeploymentRow


def section(run: LocalRun) -> Section:
    """The host is held awake before, and is left asleep and free."""
    made = Section(
        title="Rebuilding",
        about=(
            "One deployment each in the local run. `Restart`: the host was stopped and started,"
            " its disk kept. Seconds from the request's receipt to the recorded outcome; bytes of"
            " the layers and the configuration that the registry did not have before."
        ),
        columns=(
            "after", "status", "seconds", "build s", "steps built", "steps cached", "kB pushed",
        ),
    )  # fmt: skip
    changed, bytes_changed = _pushed(run)
    known = _blobs(run)
    same = _redeployed(run)
    bytes_same = _new_bytes(known, _blobs(run))
    run.hold(False)
    run.await_sleep()
    restarted, bytes_restarted = _pushed(run)
    for name, row, pushed in (
        ("a change of one line", changed, bytes_changed),
        ("no change (redeploy)", same, bytes_same),
        ("a change of one line, and a restart", restarted, bytes_restarted),
    ):
        lines = _log(run, row)
        build = row.result.timings.get("build", 0.0) if row.result else 0.0
        made.rows.append(
            (name, row.status, _seconds(row), build, _built(lines),
             _count(lines, r"#\d+ CACHED"), pushed / 1e3)
        )  # fmt: skip
    made.bounds = [
        Bound("unchanged commit: docker builds", 0.0, float(_builds(_log(run, same)))),
        Bound("unchanged commit: s in all", 2.0, _seconds(same)),
    ]
    return made


def _pushed(run: LocalRun) -> tuple[DeploymentRow, int]:
    """The deployment of one more push, and the bytes that it brought to the registry."""
    before = _blobs(run)
    pushed = run.push()
    row = run.ended(commit=pushed.commit_id)
    url = run.pipeline.service_url
    wait_for("the answer", lambda: served_commit(url) == pushed.commit_id, seconds=30)
    return row, _new_bytes(before, _blobs(run))


def _redeployed(run: LocalRun) -> DeploymentRow:
    request = BuildRequest(
        request_id=uuid.uuid4().hex, pipeline=PIPELINE, pushed_by="bench", pushed_at=time.time(),
        reason="redeploy",
    )  # fmt: skip
    # The follower would find the image by itself; here a build host's time is measured.
    publish_request(run.client("sns"), run.state.request_topic_arn, request, builder=True)
    return run.ended(request=request.request_id)


def _seconds(row: DeploymentRow) -> float:
    return (row.ended_at or 0.0) - row.started_at


# --- what the registry holds


def _blobs(run: LocalRun) -> dict[str, int]:
    """Digest to bytes of every layer and configuration in the pipeline's repository."""
    ecr, repository = run.client("ecr"), run.pipeline.ecr_repository
    digests = {
        image["imageDigest"]
        for page in ecr.get_paginator("list_images").paginate(repositoryName=repository)
        for image in page["imageIds"]
    }
    ids = [{"imageDigest": digest} for digest in digests]
    images = [
        image
        for start in range(0, len(ids), 100)
        for image in ecr.batch_get_image(
            repositoryName=repository, imageIds=ids[start : start + 100]
        )["images"]
    ]
    manifests = [json.loads(image["imageManifest"]) for image in images]
    return {
        blob["digest"]: int(blob["size"])
        for manifest in manifests
        for blob in (manifest["config"], *manifest["layers"])
    }


def _new_bytes(before: dict[str, int], after: dict[str, int]) -> int:
    return sum(size for digest, size in after.items() if digest not in before)


# --- what BuildKit said


def _builds(lines: Sequence[str]) -> int:
    """How many builds the log tells of: each loads its Dockerfile once."""
    return _count(lines, r"#\d+ \[internal\] load build definition")


def _built(lines: Sequence[str]) -> int:
    """Steps of the Dockerfile that ran: those named `[2/4] …` that were not cached."""
    steps = {m[1] for line in lines if (m := re.match(r"#(\d+) \[.*\d+/\d+\] ", line))}
    cached = {m[1] for line in lines if (m := re.match(r"#(\d+) CACHED", line))}
    return len(steps - cached)


def _count(lines: Sequence[str], pattern: str) -> int:
    return sum(bool(re.search(pattern, line)) for line in lines)


def _log(run: LocalRun, row: DeploymentRow) -> list[str]:
    """The deployment's log, once the agent has shipped all of it."""
    logs = run.client("logs")
    group = run.installation.names.build_log_group

    def lines() -> list[str]:
        answer = logs.filter_log_events(
            logGroupName=group, logStreamNames=[row.deployment_id], limit=10_000
        )
        return [str(event["message"]) for event in answer["events"]]

    return wait_for("the deployment's log", lines, seconds=15)
