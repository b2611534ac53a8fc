"""The protocol's times, and when somebody is woken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.values import Seconds

Delay = Annotated[int, Field(ge=1, le=900)]
"""Seconds that a message may wait in SQS before it is read."""


class Alarms(Part):
    """When somebody is woken."""

    oldest_request_minutes: int = Field(
        default=90, ge=5, description="A request that waits for so many minutes raises an alarm."
    )
    awake_hours: int = Field(
        default=4,
        ge=1,
        le=24,
        description="A host that is awake for so many hours raises an alarm.",
    )


class LimitSettings(Part):
    """The protocol's times, in seconds."""

    idle_period: Seconds = Field(
        default=120,
        description="A host without work waits so long before it says that it is idle, and is "
        "stopped. The default is the longest with which one host is cheaper than CodePipeline V2 "
        "with CodeBuild from 135 deployments a month on (`docs/benchmarks.md`, the idle period).",
    )
    heartbeat: Seconds = Field(
        default=30, description="The time between two signs of life of a host."
    )
    visibility: Annotated[int, Field(ge=10, le=43200)] = Field(
        default=360,
        description="A request that a host holds comes back to the queue so long after the "
        "host last renewed it.",
    )
    lock_ttl: Seconds = Field(
        default=330,
        description="A pipeline lock, and a claim to follow a rollout, end so long after they "
        "were last renewed.",
    )
    follow_first: Delay = Field(
        default=5,
        description="The follower's first look at a rollout comes so long after the one before; "
        "each pause is longer than the last. Events of ECS bring it earlier.",
    )
    follow_longest: Delay = Field(
        default=60,
        description="The longest time between two looks of the follower. Where an event is lost, "
        "a rollout's end is told so much later at most.",
    )
    stop_claim: Annotated[int, Field(ge=60, le=3600)] = Field(
        default=120,
        description="A claim to stop a host ends after so long. It must be longer than the "
        "stopper can live.",
    )
    no_heartbeat: Seconds = Field(
        default=600, description="A host without a sign of life for so long is stopped."
    )
    no_progress: Seconds = Field(
        default=3900,
        description="A run that makes no progress for so long is ended. A host none of whose runs "
        "makes progress is stopped two heartbeats later.",
    )
    awake_long: Seconds = Field(
        default=14400, description="A host that is awake for so long is told of."
    )
    republish_after: Seconds = Field(
        default=900, description="A request that seems lost for so long is sent again."
    )
    drift_every: Seconds = Field(
        default=900, description="The time between two looks at the tips of the branches."
    )
    drift_age: Seconds = Field(
        default=300, description="A tip that nobody asked for is deployed once it is so old."
    )
    give_up_after: Seconds = Field(
        default=21600, description="A request is given up on after so long."
    )
    max_attempts: Annotated[int, Field(ge=1, le=50)] = Field(
        default=8,
        description="A request is given up on after so many failed attempts, or after so many "
        "builds of CodeBuild that ended while they worked on it. (A number, not seconds.)",
    )
    settled_kept: Annotated[int, Field(ge=40 * 86400, le=400 * 86400)] = Field(
        default=40 * 86400,
        description="So long it is remembered that a request is dealt with: longer than SNS "
        "and SQS can hold a second copy of it.",
    )
    deployments_kept: Annotated[int, Field(ge=86400, le=3 * 366 * 86400)] = Field(
        default=400 * 86400,
        description="So long deployments are kept for `slipway history` and `slipway report`.",
    )
