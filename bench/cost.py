"""What Slipway costs beside CodeBuild and CodePipeline, as a function of how much is deployed.

Prices: us-east-1, on demand, US dollars, from the AWS price pages. A build is taken to need the
same minutes everywhere and to keep both processors busy; the host is awake for its boot, the
build, and one idle period before it stops. Its rollout is followed without it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from bench.following import followed
from bench.report import Section
from slipway.contracts.installation import Limits

BOOT_SECONDS = 35.0
ROLLOUT_MINUTES = 1.5
IDLE_SECONDS = float(Limits().idle_period)
BURST, GAP = 4.0, 240.0
"""Mean pushes in a burst and seconds between them: people push, mend, push again."""

INSTANCES = {"t4g.medium": 0.0336, "t4g.large": 0.0672, "c7g.large": 0.0725, "c7g.xlarge": 0.1450}
"""$ an hour."""
BASELINE = {"t4g.medium": 0.2, "t4g.large": 0.3}
"""Share of its two processors that an instance of this family may use on and on."""
CREDIT_HOUR = 0.04  # of a processor above the baseline (T4g, unlimited mode, the default)
GP3_GB_MONTH = 0.08
PUBLIC_IPV4_HOUR = 0.005
CUSTOM_METRIC_MONTH = 0.30
ALARM_MONTH, COMPOSITE_MONTH = 0.10, 0.50
CODEBUILD_SMALL_MINUTE = 0.005  # general1.small, two processors; billed by the started minute
CODEPIPELINE_V1_MONTH = 1.0  # per active pipeline
CODEPIPELINE_V2_ACTION_MINUTE = 0.002
SYSTEM_GB, CACHE_GB, FREE_GB = 4, 8, 2
"""Of the disk: AMI and agent; BuildKit's cache at most; what a build finds free at least."""


@dataclass(frozen=True)
class Setup:
    """What is counted: disk in GB, CloudWatch metrics and alarms of the default installation."""

    instance: str = "t4g.medium"
    disk_gb: int = 50
    metrics: int = 22
    alarms: int = 19

    @property
    def hourly(self) -> float:
        return INSTANCES[self.instance] + PUBLIC_IPV4_HOUR

    @property
    def standing(self) -> float:
        """$ a month while nothing is deployed; the first 10 alarms and metrics are free."""
        metrics = max(0, self.metrics - 10) * CUSTOM_METRIC_MONTH
        alarms = max(0, self.alarms - 10) * ALARM_MONTH + COMPOSITE_MONTH
        return self.disk_gb * GP3_GB_MONTH + metrics + alarms

    def deployment(
        self, minutes: float, *, boots: float = 1.0, idle: float = IDLE_SECONDS
    ) -> float:
        """$ of one deployment with a build of so many minutes.

        `boots`: boots a deployment, below 1 if some find the host awake; `idle`: seconds of it.
        """
        awake = BOOT_SECONDS * boots + 60 * minutes + idle
        host = awake * self.hourly / 3600 + self._credits(minutes, awake)
        return host + followed(ROLLOUT_MINUTES)

    def _credits(self, minutes: float, awake: float) -> float:
        """$ for what a burstable instance uses above its baseline."""
        if self.instance not in BASELINE:
            return 0.0
        above = 2 * (60 * minutes - BASELINE[self.instance] * awake)
        return max(0.0, above) * CREDIT_HOUR / 3600


def waiting_host(minutes: float) -> float:
    """$ of the default host, awake for as long."""
    return Setup().hourly * minutes / 60


def codebuild(minutes: float) -> float:
    """$ of one CodeBuild run that builds, deploys and waits."""
    return math.ceil(minutes + ROLLOUT_MINUTES) * CODEBUILD_SMALL_MINUTE


def codepipeline_v1_month(deployments: int, minutes: float) -> float:
    """$ a month: a V1 pipeline, CodeBuild building and the ECS action deploying."""
    return CODEPIPELINE_V1_MONTH + deployments * math.ceil(minutes) * CODEBUILD_SMALL_MINUTE


def codepipeline_v2(minutes: float) -> float:
    """$ of one run of a V2 pipeline, CodeBuild building and the ECS action deploying."""
    actions = math.ceil(minutes + ROLLOUT_MINUTES) * CODEPIPELINE_V2_ACTION_MINUTE
    return math.ceil(minutes) * CODEBUILD_SMALL_MINUTE + actions


def slipway_month(setup: Setup, deployments: int, minutes: float) -> float:
    """$ a month: what stands, and what so many deployments cost."""
    return setup.standing + deployments * setup.deployment(minutes)


def cheapest_other(deployments: int, minutes: float) -> float:
    """$ a month of the cheapest of CodeBuild alone and CodePipeline V1 and V2 with it."""
    return min(
        deployments * codebuild(minutes),
        codepipeline_v1_month(deployments, minutes),
        deployments * codepipeline_v2(minutes),
    )


def break_even(setup: Setup, minutes: float) -> int | None:
    """Deployments a month from which Slipway is the cheapest; None: not within 100,000."""
    for deployments in range(1, 100_001):
        if slipway_month(setup, deployments, minutes) <= cheapest_other(deployments, minutes):
            return deployments
    return None


# --- the idle period


@dataclass(frozen=True)
class Idle:
    """What an idle period of so many seconds means for a deployment, pushes coming in bursts."""

    seconds: float

    @property
    def awake_share(self) -> float:
        """Of the pushes that follow another one: how many find the host awake."""
        return 1 - math.exp(-self.seconds / GAP)

    @property
    def boots(self) -> float:
        return 1 - (1 - 1 / BURST) * self.awake_share

    @property
    def idled(self) -> float:
        """Seconds: up to the next push of the burst, or the whole period after its last one."""
        return (1 - 1 / BURST) * GAP * self.awake_share + self.seconds / BURST

    def deployment(self, setup: Setup, minutes: float) -> float:
        return setup.deployment(minutes, boots=self.boots, idle=self.idled)


IDLES = tuple(Idle(seconds) for seconds in (60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0))


def boot_avoided(shorter: Idle, longer: Idle, setup: Setup, minutes: float) -> float:
    """$ for each boot that the longer period spares, beyond the shorter one."""
    dearer = longer.deployment(setup, minutes) - shorter.deployment(setup, minutes)
    return dearer / (shorter.boots - longer.boots)


def chosen_idle(setup: Setup, minutes: float = 2) -> Idle:
    """The longest period at which a boot avoided costs less than the work of a deployment."""
    work = setup.deployment(minutes, idle=0.0)
    worth = [IDLES[0]]
    for shorter, longer in itertools.pairwise(IDLES):
        if boot_avoided(shorter, longer, setup, minutes) < work:
            worth.append(longer)
    return worth[-1]


# --- the report


def sections() -> list[Section]:
    """The cost model and the idle period."""
    return [_months(), _idle_periods()]


def _months() -> Section:
    made = Section(
        title="Cost model",
        about=(
            "Dollars (us-east-1), computed, not measured: the formula is `bench/cost.py`. A host"
            f" is awake {BOOT_SECONDS:.0f} s for its boot, the build, and one idle period of"
            f" {IDLE_SECONDS:.0f} s; a rollout of {ROLLOUT_MINUTES} min is followed without it."
            " Builds keep both processors busy, which a t4g pays for above its baseline. CodeBuild"
            " is general1.small. `per deployment` leaves out what stands by the month."
        ),
        columns=(
            "instance",
            "build min",
            "deployments/month",
            "Slipway $/deployment",
            "Slipway $/month",
            "CodeBuild alone",
            "CodePipeline V1 + CodeBuild",
            "CodePipeline V2 + CodeBuild",
            "cheapest from (deployments/month)",
        ),
    )
    for instance in INSTANCES:
        setup = Setup(instance=instance)
        for minutes in (2, 10, 30):
            cheapest_from = break_even(setup, minutes) or "never"
            for deployments in (20, 200, 2000):
                made.rows.append(
                    (
                        instance,
                        minutes,
                        deployments,
                        setup.deployment(minutes),
                        slipway_month(setup, deployments, minutes),
                        deployments * codebuild(minutes),
                        codepipeline_v1_month(deployments, minutes),
                        deployments * codepipeline_v2(minutes),
                        cheapest_from,
                    )
                )
    default, quick = Setup(), Setup(instance="c7g.large")
    left = default.disk_gb - SYSTEM_GB - CACHE_GB - FREE_GB
    made.remarks = [
        f"Default instance: {default.instance}, the cheapest for builds of 2 and of 10 minutes. At"
        f" 30 minutes of both processors its credits cost more than a c7g.large does"
        f" (${default.deployment(30):.3f} beside ${quick.deployment(30):.3f} a deployment), which"
        " is faster as well.",
        f"Default disk: {default.disk_gb} GB, ${default.disk_gb * GP3_GB_MONTH:.2f} a month: {left}"
        f" GB for images and mirrors beside {SYSTEM_GB} for the system, at most {CACHE_GB} of build"
        f" cache, and {FREE_GB} that a build finds free. A GB is as dear as"
        f" {GP3_GB_MONTH / default.deployment(2):.0f} deployments a month: one pipeline with small"
        " images is well served by 20.",
        f"What stands, ${default.standing:.2f} a month, is disk, metrics and alarms. Below the last"
        " column's number it outweighs what sleeping saves: whoever deploys less pays Slipway for"
        " its speed and its safety, not for a lower bill.",
    ]
    return made


def _idle_periods() -> Section:
    setup = Setup()
    work = setup.deployment(2, idle=0.0)
    made = Section(
        title="The idle period",
        about=(
            f"Pushes in bursts of {BURST:.0f}, {GAP:.0f} s apart on average, builds of 2 minutes on"
            f" a {setup.instance}. A longer period finds more pushes awake and pays for it."
        ),
        columns=(
            "idle period s", "next push finds it awake", "boots/deployment", "$/deployment",
            "$ for each further boot avoided",
        ),
    )  # fmt: skip
    for shorter, idle in zip((None, *IDLES), IDLES, strict=False):
        further = boot_avoided(shorter, idle, setup, 2) if shorter else ""
        made.rows.append(
            (int(idle.seconds), f"{idle.awake_share:.0%}", idle.boots, idle.deployment(setup, 2),
             further)
        )  # fmt: skip
    made.remarks.append(
        f"Default: {chosen_idle(setup).seconds:.0f} s, the longest at which one more boot avoided"
        f" costs less than a deployment's own work, boot to outcome: ${work:.4f}."
    )
    return made
