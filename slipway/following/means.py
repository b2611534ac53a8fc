"""The services of AWS that a follower's steps are taken with, its changes fenced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.contracts.installation import Installation
from slipway.rollout import RolloutPlan
from slipway.rollout.fence import Fence
from slipway.rollout.means import Means, Visit, visit_anywhere
from slipway.rollout.plan import Clock, Factory, Guard, OnProgress


def visits(installation: Installation) -> Visit | None:
    """What makes a smoke test's request: None for public addresses only, as everywhere in AWS."""
    return visit_anywhere if installation.mode == "local" else None


@dataclass(frozen=True, kw_only=True)
class RolloutClients:
    """`ecs` is a client of botocore's or boto3's, the others make one when it is needed; `fence` is
    around those that change something. `patience`: seconds for which a call is tried again; then
    the step is taken later.
    """

    ecs: Any
    fence: Fence
    clock: Clock
    patience: float
    ecr: Factory
    codedeploy: Factory
    balancing: Factory
    events: Factory
    scheduler: Factory
    cloudwatch: Factory | None = None
    visit: Visit | None = None

    def means(self, plan: RolloutPlan, guard: Guard, on_progress: OnProgress) -> Means:
        """What the steps of `plan` are taken with; each change is asked of `guard` first."""
        return Means(
            ecs=self.ecs,
            clock=self.clock,
            patience=min(self.patience, plan.timeouts.patience),
            ecr=self.ecr,
            codedeploy_client=self.codedeploy,
            balancing=self.balancing,
            events=self.events,
            scheduler=self.scheduler,
            cloudwatch_client=self.cloudwatch,
            visit=self.visit,
            on_progress=on_progress,
            guard=self.fence.noted(guard),
        )
