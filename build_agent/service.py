"""The ECS service as a build looks at it: what it runs."""

from __future__ import annotations

from typing import Any

from build_agent.host.clock import RolloutClock
from build_agent.host.stop import Stop
from slipway.contracts.installation import PipelineSettings
from slipway.following.service import Running, running_now


class Services:
    """ECS services, by pipeline. `ecs` is boto3's client."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs

    def running(self, pipeline: PipelineSettings, *, stop: Stop) -> Running:
        """What the pipeline's service runs; DeploymentFailed where there is no such service."""
        return running_now(self._ecs, pipeline, RolloutClock(stop))

    @property
    def model(self) -> Any:
        """botocore's service model of ECS."""
        return self._ecs.meta.service_model
