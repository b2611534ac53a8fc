"""What Slipway costs beside CodeBuild and CodePipeline, as a function of how much is deployed.

The model and the prices are `slipway/cost/`; here is what the page says of them, and of the idle
period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bench.report import Section
from slipway.cost.engines import (
    SHARE,
    START_SECONDS,
    Builds,
    code_build_only,
    dearer_than_pipeline,
    engines,
)
from slipway.cost.model import (
    BOOT_SECONDS,
    IDLE_SECONDS,
    MOST,
    POLLS,
    ROLLOUT_MINUTES,
    Setup,
    all_ways,
    break_even,
    codepipeline_v2,
)
from slipway.cost.model import (
    CACHE_GB as STORED_GB,
)
from slipway.cost.prices import INSTANCE_HOUR, OF_AWS, READ

BURST, GAP = 4.0, 240.0
"""Mean pushes in a burst and seconds between them: people push, mend, push again."""
SYSTEM_GB, CACHE_GB, FREE_GB = 4, 6, 2
"""Of the default disk: AMI and agent; BuildKit's cache at most; what a build finds free at least.
"""
AIMS = {2: 135, 10: 30}
"""By minutes of the build: deployments a month from which one host shall be cheaper than
CodePipeline V2 with CodeBuild."""
STANDS = 2.00
"""Dollars a month that one host shall cost at most while nothing is deployed."""


def waiting_host(minutes: float) -> float:
    """$ of the default host, awake for as long."""
    return Setup().hourly * minutes / 60


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


IDLES = tuple(Idle(seconds) for seconds in (60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1_800.0))


def boot_avoided(shorter: Idle, longer: Idle, setup: Setup, minutes: float) -> float:
    """$ for each boot that the longer period spares, beyond the shorter one."""
    dearer = longer.deployment(setup, minutes) - shorter.deployment(setup, minutes)
    return dearer / (shorter.boots - longer.boots)


def cheaper_than_v2_from(setup: Setup, minutes: float) -> int | None:
    """Deployments a month from which Slipway is cheaper than CodePipeline V2 with CodeBuild."""
    return break_even(setup, minutes, beside=[codepipeline_v2(minutes, setup.prices)])


def chosen_idle(setup: Setup, minutes: int = 2) -> Idle:
    """The longest period with which Slipway is cheaper than CodePipeline V2 where it shall be."""
    return [
        idle
        for idle in IDLES
        if (cheaper_than_v2_from(replace(setup, idle=idle.seconds), minutes) or MOST)
        <= AIMS[minutes]
    ][-1]


def over_the_aim(setup: Setup, minutes: int) -> float:
    """$ a month by which what stands is too much for the aim; below 0: it is reached."""
    saved = codepipeline_v2(minutes, setup.prices).deployment - setup.deployment(minutes)
    return setup.standing - AIMS[minutes] * saved


# --- the report


def sections() -> list[Section]:
    """The cost model, what each engine costs, and the idle period."""
    return [_months(), _engines(), _idle_periods()]


MOST_STANDING = 0.25
"""Dollars a month that may stand where CodeBuild alone builds."""


def _engines() -> Section:
    setup, builds = Setup(), Builds()
    made = Section(
        title="What each engine costs",
        about=(
            f"Dollars a month ({READ}), computed: `slipway/cost/engines.py`. `hosts`: one"
            f" {setup.instance} with {setup.disk_gb} GB. `overflow`: the same, and {SHARE:.0%} of"
            " the deployments go to CodeBuild. `codeBuild`: general1.small, by the started minute,"
            f" {START_SECONDS:.0f} s of start counted (taken, not measured), {STORED_GB} GB of"
            " layers in ECR, and AWS's 100 free minutes. With CodePipeline no start and no free"
            " minutes are counted."
        ),
        columns=(
            "build min", "deployments/month", "hosts", "overflow", "codeBuild",
            "codeBuild, no free tiers", "CodePipeline V2 + CodeBuild",
        ),
    )  # fmt: skip
    paid, all_paid = replace(setup, free=False), replace(builds, free=False)
    for minutes in (2, 4, 10):
        pipeline = codepipeline_v2(minutes, OF_AWS)
        ways = [
            *engines(setup, builds, minutes),
            code_build_only(paid, all_paid, minutes),
            pipeline,
        ]
        for deployments in (20, 40, 200, 1000):
            made.rows.append((minutes, deployments, *(way.month(deployments) for way in ways)))
    made.remarks = [_standing_bound(setup, builds), _deployment_bound(builds)]
    return made


def _standing_bound(setup: Setup, builds: Builds) -> str:
    """What stands with CodeBuild alone, beside the bound; and what free tiers do to it."""
    standing = code_build_only(setup, builds, 2).standing
    paid = code_build_only(replace(setup, free=False), replace(builds, free=False), 2).standing
    polls = setup.queues * POLLS * OF_AWS.sqs_request
    return (
        f"`codeBuild`: ${standing:.2f} stands a month; the bound is ${MOST_STANDING:.2f}. Where"
        f" other things of the account use AWS's free tiers up it is ${paid:.2f}: CloudWatch's"
        f" metrics and alarms, and ${polls:.2f} for Lambda's idle polls of {setup.queues} queues"
        f" (SQS, ${OF_AWS.sqs_request * 1e6:.2f} a million)."
    )


def _deployment_bound(builds: Builds) -> str:
    """Where a deployment is dearer than with CodePipeline V2 and CodeBuild small."""
    dearer = dearer_than_pipeline(builds)
    if dearer is None:
        return "A deployment of `codeBuild` is never dearer than CodePipeline V2 + CodeBuild small."
    first, last, most = dearer
    return (
        "A deployment of `codeBuild` is never dearer than CodePipeline V2 + CodeBuild small, but"
        f" for builds of {60 * first:.0f} to {60 * last:.0f} s: there the start, which is counted"
        " here and not there, begins one more of CodeBuild's minutes"
        f" (${OF_AWS.codebuild_minute}), and it is dearer by ${most:.4f}."
    )


def _months() -> Section:
    made = Section(
        title="Cost model",
        about=(
            f"Dollars ({READ}), computed, not measured: the formula is"
            f" `slipway/cost/model.py`. A host is awake {BOOT_SECONDS:.0f} s for its boot, the"
            f" build, and one idle period of {IDLE_SECONDS:.0f} s; a rollout of"
            f" {ROLLOUT_MINUTES} min is followed without it."
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
    for instance in INSTANCE_HOUR:
        setup = Setup(instance=instance)
        for minutes in (2, 10, 30):
            cheapest_from = break_even(setup, minutes) or "never"
            ways = all_ways(setup, minutes)
            for deployments in (20, 200, 2000):
                months = [way.month(deployments) for way in ways]
                made.rows.append(
                    (instance, minutes, deployments, ways[0].deployment, *months, cheapest_from)
                )
    default, quick = Setup(), Setup(instance="c7g.large")
    disk, gb = default.disk_gb * OF_AWS.gp3_gb_month, OF_AWS.gp3_gb_month
    left = default.disk_gb - SYSTEM_GB - CACHE_GB - FREE_GB
    made.remarks = [
        f"Default instance: {default.instance}, the cheapest for builds of up to five minutes. Of"
        " longer ones that keep both processors busy its credits cost more than a c7g.large does"
        f" (10 minutes: ${default.deployment(10):.3f} beside ${quick.deployment(10):.3f} a"
        f" deployment; 30: ${default.deployment(30):.3f} beside ${quick.deployment(30):.3f}), which"
        " is faster as well.",
        f"Default disk: {default.disk_gb} GB, ${disk:.2f} a month: {left}"
        f" GB for images and mirrors beside {SYSTEM_GB} for the system, at most {CACHE_GB} of build"
        f" cache, and {FREE_GB} that a build finds free. A GB is as dear as"
        f" {gb / default.deployment(2):.0f} deployments a month. What is pruned from a full disk is"
        " fetched from the build cache in ECR.",
        f"What stands, ${default.standing:.2f} a month (the aim was ${STANDS:.2f} at most), is"
        f" disk, {STORED_GB:g} GB of build cache in ECR for one image, and polls of queues. Without"
        f" AWS's free tiers it is ${replace(default, free=False).standing:.2f}. Below the last"
        " column's number it outweighs what sleeping saves: whoever deploys less pays Slipway for"
        " its speed and its safety, not for a lower bill.",
        *(_aim(default, minutes) for minutes in AIMS),
    ]
    return made


def _aim(setup: Setup, minutes: int) -> str:
    """Whether one host is cheaper than CodePipeline V2 where it shall be, and what forbids it."""
    least, aim = cheaper_than_v2_from(setup, minutes), AIMS[minutes]
    told = (
        f"With builds of {minutes} minutes one host is cheaper than CodePipeline V2 with CodeBuild,"
        f" its deploy action counted, from {least} deployments a month on; the aim was {aim}."
    )
    over = over_the_aim(setup, minutes)
    if over <= 0:
        return told
    prices = setup.prices
    return (
        f"{told} For that ${over:.2f} a month too much stands: AWS asks"
        f" ${setup.disk_gb * prices.gp3_gb_month:.2f} for the smallest disk (EBS, gp3,"
        f" ${prices.gp3_gb_month:g} a GB), which alone leaves"
        f" ${setup.standing - over - setup.disk_gb * prices.gp3_gb_month:.2f};"
        f" the polls of two queues beyond the free million cost"
        f" ${POLLS * prices.sqs_request - 0.4:.2f} (SQS, ${prices.sqs_request * 1e6:.2f} a million,"
        f" five pollers each), the build cache ${STORED_GB * prices.ecr_gb_month:.2f} (ECR,"
        f" ${prices.ecr_gb_month:g} a GB; `buildCache: false` spares it)."
    )


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
            "$ for each further boot avoided", "cheaper than V2 from (deployments/month)",
        ),
    )  # fmt: skip
    for shorter, idle in zip((None, *IDLES), IDLES, strict=False):
        further = boot_avoided(shorter, idle, setup, 2) if shorter else ""
        made.rows.append(
            (int(idle.seconds), f"{idle.awake_share:.0%}", idle.boots, idle.deployment(setup, 2),
             further, cheaper_than_v2_from(replace(setup, idle=idle.seconds), 2) or "never")
        )  # fmt: skip
    made.remarks.append(
        f"Default: {chosen_idle(setup).seconds:.0f} s, the longest of these with which one host is"
        f" cheaper than CodePipeline V2 with CodeBuild from {AIMS[2]} deployments a month on. A"
        f" deployment's own work, boot to outcome, costs ${work:.4f}: up to 300 s one more boot"
        " avoided costs less than that. Who deploys more often than the least, and would rather not"
        " wait for boots, sets `limits.idlePeriod: 300`."
    )
    return made
