"""Builds as BatchGetBuilds shows them, from their first phase to their last."""

from __future__ import annotations

import uuid
from typing import Any

from ministack.core.responses import get_region
from ministack.services import codebuild

Data = dict[str, Any]
CONSOLE = "https://console.aws.amazon.com/cloudwatch/home"


def new_build(project: Data, variables: dict[str, str], data: Data, now: float) -> Data:
    """A build that has just been asked for, as BatchGetBuilds shows it."""
    build_id = f"{project['name']}:{uuid.uuid4()}"
    numbers = [
        b["buildNumber"] for b in codebuild._builds.values() if b["projectName"] == project["name"]
    ]
    environment = {
        **project["environment"],
        "environmentVariables": [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
    }
    record = {
        "id": build_id,
        "arn": codebuild._build_arn(build_id),
        "buildNumber": max(numbers, default=0) + 1,
        "startTime": now,
        "currentPhase": "QUEUED",
        "buildStatus": "IN_PROGRESS",
        "projectName": project["name"],
        "phases": [],
        "source": project["source"],
        "artifacts": {"location": ""},
        "environment": environment,
        "serviceRole": project["serviceRole"],
        "logs": _logs(project, build_id),
        "timeoutInMinutes": data.get("timeoutInMinutesOverride") or project["timeoutInMinutes"],
        "queuedTimeoutInMinutes": project.get("queuedTimeoutInMinutes") or 480,
        "buildComplete": False,
        "initiator": "slipway-local",
        "encryptionKey": project["encryptionKey"],
    }
    enter_phase(record, "SUBMITTED", now)
    enter_phase(record, "QUEUED", now)
    return record


def _logs(project: Data, build_id: str) -> Data:
    """Where a build's output goes; nothing where the project wants no logs."""
    wanted = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    if wanted.get("status") == "DISABLED":
        return {}
    prefix = f"{wanted['streamName']}/" if wanted.get("streamName") else ""
    group = wanted.get("groupName") or f"/aws/codebuild/{project['name']}"
    stream = prefix + build_id.rpartition(":")[2]
    return {
        "groupName": group,
        "streamName": stream,
        "deepLink": f"{CONSOLE}?region={get_region()}#logEvent:group={group};stream={stream}",
        "cloudWatchLogs": {"status": "ENABLED", **wanted},
    }


def enter_phase(record: Data, phase: str, now: float) -> None:
    """The phase before has ended well."""
    _leave_phase(record, "SUCCEEDED", now, None)
    record["phases"].append({"phaseType": phase, "startTime": now})
    record["currentPhase"] = phase


def finish(record: Data, status: str, now: float, context: Data | None = None) -> None:
    """The build is over, in the phase that it was in; `context`: why."""
    _leave_phase(record, status, now, context)
    record["phases"].append({"phaseType": "COMPLETED", "startTime": now})
    record.update(currentPhase="COMPLETED", buildStatus=status, buildComplete=True, endTime=now)


def _leave_phase(record: Data, status: str, now: float, context: Data | None) -> None:
    for phase in record["phases"][-1:]:
        phase.update(
            phaseStatus=status,
            endTime=now,
            durationInSeconds=int(now - phase["startTime"]),
            contexts=[context] if context else [],
        )


def build_name(id_or_arn: str) -> str:
    """A build's id, `project:uuid`, of that or of its ARN."""
    return id_or_arn.rpartition(":build/")[2]


def denied(record: Data) -> Data:
    """Why a build ends whose role may not write the logs: the context of its phase."""
    message = (
        f"Service role {record['serviceRole']} does not allow AWS CodeBuild to create Amazon"
        f" CloudWatch Logs log streams for build {record['arn']}"
    )
    return {"statusCode": "ACCESS_DENIED", "message": message}
