"""What EventBridge hears of builds: `CodeBuild Build State Change`, as AWS sends it.

A sample is in tests/events: CodeBuild user guide, "Build notifications input format reference", and
what people have caught since (`cache`, `build-number`). `build-status` has no words for a timeout
and a fault: both are FAILED there, and BatchGetBuilds tells them apart.
"""

from __future__ import annotations

import json
import time
from typing import Any

Data = dict[str, Any]

TOLD_AS = {"TIMED_OUT": "FAILED", "FAULT": "FAILED"}


def state_change(build: Data) -> Data:
    """The entry for EventBridge about a build as BatchGetBuilds shows it."""
    status = build["buildStatus"]
    detail = {
        "build-status": TOLD_AS.get(status, status),
        "project-name": build["projectName"],
        "build-id": build["arn"],
        "additional-information": _information(build),
        "current-phase": build["currentPhase"],
        "current-phase-context": "[]",
        "version": "1",
    }
    return {
        "Source": "aws.codebuild",
        "DetailType": "CodeBuild Build State Change",
        "Resources": [build["arn"]],
        "Detail": json.dumps(detail),
    }


def _information(build: Data) -> Data:
    environment, logs = build["environment"], build["logs"]
    return {
        "cache": {"type": "NO_CACHE"},
        "build-number": build["buildNumber"],
        "artifact": {"location": ""},
        "environment": {
            "image": environment.get("image", ""),
            "privileged-mode": bool(environment.get("privilegedMode")),
            "image-pull-credentials-type": environment.get("imagePullCredentialsType", "CODEBUILD"),
            "compute-type": environment.get("computeType", ""),
            "type": environment.get("type", ""),
            "environment-variables": environment.get("environmentVariables") or [],
        },
        "timeout-in-minutes": build["timeoutInMinutes"],
        "build-complete": build["buildComplete"],
        "initiator": build["initiator"],
        "build-start-time": moment(build["startTime"]),
        "source": {
            "type": build["source"].get("type", "NO_SOURCE"),
            "buildspec": build["source"].get("buildspec", ""),
        },
        "logs": {
            "group-name": logs.get("groupName", ""),
            "stream-name": logs.get("streamName", ""),
            "deep-link": logs.get("deepLink", ""),
        },
        "phases": [_phase(phase) for phase in build["phases"]],
    }


def _phase(phase: Data) -> Data:
    begun = {"start-time": moment(phase["startTime"]), "phase-type": phase["phaseType"]}
    if "endTime" not in phase:
        return begun
    contexts = [f"{one['statusCode']}: {one['message']}" for one in phase["contexts"]]
    return {
        **begun,
        "phase-context": contexts,
        "end-time": moment(phase["endTime"]),
        "duration-in-seconds": phase["durationInSeconds"],
        "phase-status": phase["phaseStatus"],
    }


def moment(seconds: float) -> str:
    """`Sep 1, 2017 4:12:29 PM`, in UTC."""
    return time.strftime("%b %-d, %Y %-I:%M:%S %p", time.gmtime(seconds))
