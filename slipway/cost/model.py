"""What a deployment and a month cost: Slipway's hosts, CodeBuild, CodePipeline.

A build is taken to need the same minutes everywhere and to keep both processors busy; the host is
awake for its boot, the build, and one idle period before it stops. Its rollout is followed without
it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from slipway.contracts.installation import Limits
from slipway.cost.following import followed
from slipway.cost.prices import BASELINE, OF_AWS, Prices

BOOT_SECONDS = 35.0
ROLLOUT_MINUTES = 1.5
IDLE_SECONDS = float(Limits().idle_period)
METRICS = 10
"""Custom metrics of an installation."""
ALARMS = 8
"""Alarms of an installation in prod, one of each host not counted."""
FREE = 10
"""Custom metrics that CloudWatch does not charge, and alarms."""
QUEUES = 2
"""Queues that Lambda polls with hosts: those of notices and of rollouts to follow."""
POLLS = 5 * 3 * 60 * 730
"""Calls of SQS in a month for one of them while nothing happens: Lambda has five pollers, 20 s at a
time (AWS: 'Using Lambda with Amazon SQS').
"""
FREE_CALLS = 1_000_000
"""Calls of SQS a month that AWS does not charge."""
MOST = 100_000
"""Deployments a month up to which a break-even is looked for."""


@dataclass(frozen=True)
class Setup:
    """What is counted of an installation.

    `disk_gb`: of each host's disk; `queues`: those that Lambda polls; `idle`: seconds of the idle
    period; `prices`: dollars; `free`: whether AWS's free tiers, which an account has once, are
    there for it.
    """

    instance: str = "t4g.medium"
    disk_gb: int = 50
    hosts: int = 1
    queues: int = QUEUES
    idle: float = IDLE_SECONDS
    prices: Prices = OF_AWS
    free: bool = True

    @property
    def metrics(self) -> int:
        return METRICS

    @property
    def alarms(self) -> int:
        return ALARMS + self.hosts

    @property
    def hourly(self) -> float:
        """$ of a host that is awake, its address counted."""
        return self.prices.host_hour(self.instance) + self.prices.public_ipv4_hour

    @property
    def standing(self) -> float:
        """$ a month while nothing is deployed: disks, metrics, alarms, and polls of queues."""
        prices = self.prices
        watched = self._paid(self.metrics, FREE) * prices.metric_month
        watched += self._paid(self.alarms, FREE) * prices.alarm_month
        polled = self._paid(self.queues * POLLS, FREE_CALLS) * prices.sqs_request
        return self.hosts * self.disk_gb * prices.gp3_gb_month + watched + polled

    def _paid(self, count: int, free: int) -> int:
        """How many of them AWS charges."""
        return max(0, count - free) if self.free else count

    def deployment(self, minutes: float, *, boots: float = 1.0, idle: float | None = None) -> float:
        """$ of one deployment with a build of so many minutes.

        `boots`: boots a deployment, below 1 if some find the host awake; `idle`: seconds of it.
        """
        awake = BOOT_SECONDS * boots + 60 * minutes + (self.idle if idle is None else idle)
        host = awake * self.hourly / 3600 + self._credits(minutes, awake)
        return host + followed(ROLLOUT_MINUTES, self.prices)

    def _credits(self, minutes: float, awake: float) -> float:
        """$ for what a burstable instance uses above its baseline."""
        if self.instance not in BASELINE:
            return 0.0
        above = 2 * (60 * minutes - BASELINE[self.instance] * awake)
        return max(0.0, above) * self.prices.credit_hour / 3600


@dataclass(frozen=True)
class Way:
    """One way to deploy, in dollars: what stands by the month, and what a deployment adds.

    `free_of`: what of a deployment AWS's free tier takes over; `spared`: how much of it a month.
    """

    name: str
    standing: float
    deployment: float
    free_of: float = 0.0
    spared: float = 0.0

    def month(self, deployments: int) -> float:
        """$ a month with so many deployments."""
        free = min(self.spared, deployments * self.free_of)
        return self.standing + deployments * self.deployment - free


def slipway(setup: Setup, minutes: float) -> Way:
    """Slipway with its hosts."""
    hosts = "1 host" if setup.hosts == 1 else f"{setup.hosts} hosts"
    return Way(f"Slipway, {hosts}", setup.standing, setup.deployment(minutes))


def codebuild(minutes: float, prices: Prices) -> Way:
    """CodeBuild alone: one run builds, deploys and waits."""
    run = math.ceil(minutes + ROLLOUT_MINUTES) * prices.codebuild_minute
    return Way("CodeBuild alone", 0.0, run)


def codepipeline_v1(minutes: float, prices: Prices) -> Way:
    """A V1 pipeline, CodeBuild building and the ECS action deploying."""
    build = math.ceil(minutes) * prices.codebuild_minute
    return Way("CodePipeline V1 + CodeBuild", prices.codepipeline_v1_month, build)


def codepipeline_v2(minutes: float, prices: Prices) -> Way:
    """A V2 pipeline, CodeBuild building and the ECS action deploying."""
    actions = math.ceil(minutes + ROLLOUT_MINUTES) * prices.codepipeline_v2_action_minute
    build = math.ceil(minutes) * prices.codebuild_minute
    return Way("CodePipeline V2 + CodeBuild", 0.0, build + actions)


def all_ways(setup: Setup, minutes: float) -> list[Way]:
    """Slipway, and after it what else deploys to ECS, at the same prices."""
    others = (codebuild, codepipeline_v1, codepipeline_v2)
    return [slipway(setup, minutes), *(made(minutes, setup.prices) for made in others)]


def break_even(setup: Setup, minutes: float) -> int | None:
    """Deployments a month from which Slipway is the cheapest; None: not within MOST."""
    ours, *theirs = all_ways(setup, minutes)
    for deployments in range(1, MOST + 1):
        if ours.month(deployments) <= min(way.month(deployments) for way in theirs):
            return deployments
    return None
