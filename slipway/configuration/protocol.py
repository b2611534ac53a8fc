"""The protocol's times, and when somebody is woken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.values import Seconds


class Alarms(Part):
    """When somebody is woken."""

    oldest_request_minutes: int = Field(
        default=90, ge=5, description="A request that waits longer raises an alarm."
    )
    awake_hours: int = Field(
        default=4, ge=1, le=24, description="A host that is awake longer raises an alarm."
    )


class LimitSettings(Part):
    """The protocol's times, in seconds."""

    idle_period: Seconds = Field(
        default=300,
        description="A host without work says it is idle. The default is the longest at which a "
        "boot avoided costs less than a deployment's work (`docs/benchmarks.md`, idle period).",
    )
    heartbeat: Seconds = Field(default=30, description="Between two signs of life of a host.")
    visibility: Annotated[int, Field(ge=10, le=43200)] = Field(
        default=360, description="A held request comes back this long after its last renewal."
    )
    lock_ttl: Seconds = Field(default=330, description="A pipeline lock ends without renewal.")
    stop_claim: Annotated[int, Field(ge=60, le=3600)] = Field(
        default=120, description="A claim to stop a host ends; longer than the stopper can live."
    )
    no_heartbeat: Seconds = Field(default=600, description="A silent host is stopped.")
    no_progress: Seconds = Field(default=3900, description="A host stuck in a stage is stopped.")
    awake_long: Seconds = Field(default=14400, description="A host is said to be awake long.")
    republish_after: Seconds = Field(default=900, description="A lost request is sent again.")
    drift_every: Seconds = Field(default=900, description="Between two looks at the tips.")
    drift_age: Seconds = Field(default=300, description="How old a missed tip has to be.")
    give_up_after: Seconds = Field(default=21600, description="A request is given up.")
    max_attempts: Annotated[int, Field(ge=1, le=50)] = Field(
        default=8, description="Failed attempts (not seconds) after which it is given up."
    )
    settled_kept: Annotated[int, Field(ge=40 * 86400, le=400 * 86400)] = Field(
        default=40 * 86400,
        description="Settled ids are known: longer than SNS and SQS together can hold a duplicate.",
    )
    deployments_kept: Annotated[int, Field(ge=86400, le=3 * 366 * 86400)] = Field(
        default=400 * 86400, description="Deployments are kept for `history` and `report`."
    )
