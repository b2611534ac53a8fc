"""What Slipway costs beside CodeBuild and CodePipeline, as a function of how much is deployed.

Prices: us-east-1, on demand, US dollars, from the AWS price pages (see each constant). A build is
taken to need the same minutes on each; the host is awake for its boot, the build and rollout, and
one idle period before it stops, and EC2 bills at least 60 s (EC2 on-demand billing).
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.report import Section

HOURS = 730.0  # in a month, as the AWS price calculator counts
BOOT_SECONDS = 35.0
IDLE_SECONDS = 300.0
ROLLOUT_MINUTES = 1.5

INSTANCES = {"t3.medium": 0.0416, "c7g.large": 0.0725, "c7g.xlarge": 0.1450}  # $ an hour
GP3_GB_MONTH = 0.08
PUBLIC_IPV4_HOUR = 0.005
CUSTOM_METRIC_MONTH = 0.30
ALARM_MONTH = 0.10
CODEBUILD_SMALL_MINUTE = 0.005  # general1.small; a build is billed by started minute
CODEPIPELINE_V1_MONTH = 1.0  # per active pipeline
CODEPIPELINE_V2_ACTION_MINUTE = 0.002


@dataclass(frozen=True)
class Setup:
    """What is counted: disk in GB, CloudWatch metrics and alarms of the default installation."""

    instance: str = "c7g.large"
    disk_gb: int = 50
    metrics: int = 20
    alarms: int = 18

    @property
    def standing(self) -> float:
        """$ a month while nothing is deployed; the first 10 alarms and metrics are free."""
        metrics = max(0, self.metrics - 10) * CUSTOM_METRIC_MONTH
        alarms = max(0, self.alarms - 10) * ALARM_MONTH
        return self.disk_gb * GP3_GB_MONTH + metrics + alarms

    def deployment(self, build_minutes: float, *, share_of_idle: float = 1.0) -> float:
        """$ of one deployment; `share_of_idle`: 1 if each deployment wakes the host anew."""
        awake = BOOT_SECONDS + 60 * (build_minutes + ROLLOUT_MINUTES) + IDLE_SECONDS * share_of_idle
        hourly = INSTANCES[self.instance] + PUBLIC_IPV4_HOUR
        return max(60.0, awake) * hourly / 3600


def codebuild(build_minutes: float) -> float:
    """$ of one CodeBuild run that builds, deploys and waits."""
    started_minutes = -(-(build_minutes + ROLLOUT_MINUTES) // 1)
    return started_minutes * CODEBUILD_SMALL_MINUTE


def codepipeline_month(deployments: int, build_minutes: float) -> float:
    """$ a month: CodePipeline V1 with CodeBuild building and the ECS action deploying."""
    return CODEPIPELINE_V1_MONTH + deployments * -(-build_minutes // 1) * CODEBUILD_SMALL_MINUTE


def slipway_month(setup: Setup, deployments: int, build_minutes: float) -> float:
    return setup.standing + deployments * setup.deployment(build_minutes)


def break_even(setup: Setup, build_minutes: float) -> int | None:
    """Deployments a month from which Slipway is cheaper than CodePipeline V1 + CodeBuild."""
    saved = -(-build_minutes // 1) * CODEBUILD_SMALL_MINUTE - setup.deployment(build_minutes)
    if saved <= 0:
        return None
    return max(0, int((setup.standing - CODEPIPELINE_V1_MONTH) / saved) + 1)


def section() -> Section:
    made = Section(
        title="Cost model",
        about=(
            "Dollars (us-east-1), computed, not measured: the formula is `bench/cost.py`. A host"
            f" is awake {BOOT_SECONDS:.0f} s for its boot, the build, {ROLLOUT_MINUTES} min of"
            f" rollout, and one idle period of {IDLE_SECONDS:.0f} s. CodePipeline is V1 with"
            " CodeBuild general1.small. `per deployment` leaves out what stands by the month."
        ),
        columns=(
            "instance",
            "build min",
            "deployments/month",
            "Slipway $/deployment",
            "Slipway $/month",
            "CodeBuild alone $/month",
            "CodePipeline + CodeBuild $/month",
            "cheaper from (deployments/month)",
        ),
    )
    for instance in INSTANCES:
        setup = Setup(instance=instance)
        for build_minutes in (2, 10, 30):
            for deployments in (20, 200, 2000):
                made.rows.append(
                    (
                        instance,
                        build_minutes,
                        deployments,
                        setup.deployment(build_minutes),
                        slipway_month(setup, deployments, build_minutes),
                        deployments * codebuild(build_minutes),
                        codepipeline_month(deployments, build_minutes),
                        break_even(setup, build_minutes) or "never",
                    )
                )
    return made
