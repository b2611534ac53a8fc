"""Lifecycle hooks: a deployment that waits for a person or a function, in ECS's own words.

Source: ECS API reference, DeploymentLifecycleHookDetail and ContinueServiceDeployment; ECS
developer guide, 'Pause hooks for Amazon ECS service deployments'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ACTIVE = frozenset({"AWAITING_ACTION", "IN_PROGRESS"})
DEFAULT_MINUTES = 1440
"""How long ECS waits for a hook that says nothing else (`timeoutInMinutes`)."""


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One entry of a service deployment's `lifecycleHookDetails`. Times are epoch seconds.

    `kind` is PAUSE or AWS_LAMBDA, `stage` where the deployment stands. `since`: from when it
    waits, as far as it can be told.
    """

    id: str
    kind: str
    status: str
    stage: str
    target: str = ""
    since: float | None = None
    expires_at: float | None = None
    timeout_action: str = ""

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def is_pause(self) -> bool:
        return self.kind == "PAUSE"

    @property
    def waits(self) -> str:
        """What the deployment waits for, since when, until when and what then."""
        whom = (
            "a person (ecs:ContinueServiceDeployment)"
            if self.is_pause
            else f"the hook's function {self.target.rpartition(':')[2]}".rstrip()
        )
        since = f" since {moment(self.since)}" if self.since is not None else ""
        until = ""
        if self.expires_at is not None:
            then = "goes on" if self.timeout_action == "CONTINUE" else "rolls back"
            until = f"; at {moment(self.expires_at)} ECS {then}"
        return f"stage {self.stage} waits for {whom}{since}{until}"

    @property
    def ended(self) -> str:
        """How it ended, for a deployment that has gone on or back since."""
        name = f"the {'pause' if self.is_pause else 'hook'} at {self.stage}"
        if self.status == "TIMED_OUT":
            then = "went on" if self.timeout_action == "CONTINUE" else "rolled back"
            return f"{name} timed out and ECS {then}"
        if self.status == "FAILED":
            return f"{name} was answered with a rollback" if self.is_pause else f"{name} failed"
        if self.status == "SUCCEEDED":
            return f"{name} was continued" if self.is_pause else f"{name} succeeded"
        return f"{name} is over"


def hooks_of(raw: Mapping[str, Any]) -> tuple[Hook, ...]:
    """The hooks of one entry of DescribeServiceDeployments."""
    stage = raw.get("lifecycleStage") or "?"
    return tuple(
        Hook(
            id=detail.get("hookId") or f"{stage} {detail.get('targetArn') or ''}",
            kind=detail.get("targetType") or "AWS_LAMBDA",
            status=detail.get("status") or "",
            stage=stage,
            target=detail.get("targetArn") or "",
            since=_since(raw, detail, stage),
            expires_at=_seconds(detail.get("expiresAt")),
            timeout_action=detail.get("timeoutAction") or "",
        )
        for detail in raw.get("lifecycleHookDetails") or []
    )


def moment(seconds: float) -> str:
    """RFC 3339 in UTC to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _since(raw: Mapping[str, Any], detail: Mapping[str, Any], stage: str) -> float | None:
    """From when a hook waits: its end less its length, else when the deployment last changed."""
    expires = _seconds(detail.get("expiresAt"))
    kind = detail.get("targetType") or "AWS_LAMBDA"
    configured = (raw.get("deploymentConfiguration") or {}).get("lifecycleHooks") or []
    minutes = {
        (hook.get("timeoutConfiguration") or {}).get("timeoutInMinutes") or DEFAULT_MINUTES
        for hook in configured
        if (hook.get("targetType") or "AWS_LAMBDA") == kind
        and stage in (hook.get("lifecycleStages") or [])
        and hook.get("hookTargetArn") == detail.get("targetArn")
    }
    if expires is not None and len(minutes) == 1:
        return expires - 60.0 * minutes.pop()
    return _seconds(raw.get("updatedAt"))


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)
