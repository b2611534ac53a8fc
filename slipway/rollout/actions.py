"""What a step of a rollout has done: one call that changes something, or a word to who watches.

Values: `carrying.py` makes the calls. `operation` is botocore's name of it, `request` what it is
asked. Each is safe to repeat after a lost answer, for the reason that its docstring gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from slipway.rollout.plan import Progress, Scheduled


@dataclass(frozen=True, kw_only=True)
class Tell:
    """Say how far it is. `is_new`: it differs from what was told last."""

    progress: Progress
    is_new: bool = True


@dataclass(frozen=True, kw_only=True)
class Change:
    """One call. The state holds its intent before it is made."""

    operation: ClassVar[str] = ""
    service: ClassVar[str] = "ecs"
    request: Mapping[str, Any] = field(default_factory=dict)


class Register(Change):
    """Repeated only where the family's newest revision is not the same already."""

    operation = "register_task_definition"


class RunTask(Change):
    """ECS knows a repetition by its client token."""

    operation = "run_task"


class StopTask(Change):
    """A stopped task stays stopped."""

    operation = "stop_task"


class UpdateService(Change):
    """Repeated only where the service has no deployment of it; the same one changes nothing."""

    operation = "update_service"


class StopServiceDeployment(Change):
    """Repeated only while the deployment can still be stopped."""

    operation = "stop_service_deployment"


class CreateDeployment(Change):
    """Repeated only where the group's last deployments are not ours, by their description."""

    operation = "create_deployment"
    service = "codedeploy"


class StopDeployment(Change):
    """Repeated only while the deployment goes on."""

    operation = "stop_deployment"
    service = "codedeploy"


@dataclass(frozen=True, kw_only=True)
class SetTarget(Change):
    """The whole target of `scheduled`, which named `names` and had the checksum `seen` when it was
    read. It is read once more right before the call: AWS has no condition for it.
    """

    scheduled: Scheduled
    names: str
    seen: str


class PutTarget(SetTarget):
    """Of a rule. Repeated only while it is as it was read."""

    operation = "put_targets"
    service = "events"


class UpdateSchedule(SetTarget):
    """The whole schedule. Repeated only while it is as it was read."""

    operation = "update_schedule"
    service = "scheduler"


@dataclass(frozen=True, kw_only=True)
class Deregister(Change):
    """Several calls, one a revision, the oldest first. Repeated for those that are still ACTIVE."""

    operation = "deregister_task_definition"
    revisions: tuple[str, ...] = ()


Action = Tell | Change
