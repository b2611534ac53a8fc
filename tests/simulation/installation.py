"""The installation that is simulated: some pipelines of one image each, some hosts."""

from __future__ import annotations

from dataclasses import replace

from slipway.contracts.deployed_to import (
    DefinitionSettings,
    ScheduledTaskSettings,
    ServiceSettings,
    SmokeSettings,
)
from slipway.contracts.installation import (
    BuildersSettings,
    ImageSettings,
    Installation,
    Limits,
    PipelineSettings,
    RolloutSettings,
)

IDLE_PERIOD = 300
"""Seconds: with the default of 120 more histories have hosts asleep, and fewer meet them awake."""
NAMES = ("shop", "blog", "wiki", *(f"app-{number}" for number in range(4, 201)))


def make_installation(
    pipelines: int,
    hosts: int,
    slots: int,
    *,
    stale: bool,
    builders: BuildersSettings,
    paths: bool = False,
    services: int = 1,
    together: bool = False,
    takes_over: bool = False,
    scheduled: bool = False,
    proofs: bool = False,
) -> Installation:
    """`slots`: builds that a host runs at once; `stale`: a newer push ends a build under way;
    `paths`: each pipeline has some, so that a push may concern another one.

    `services`: of each pipeline, one or two; `together`: two are rolled out side by side.
    `takes_over`: a push does not wait for the rollout under way. `scheduled`: each pipeline has
    scheduled tasks, and a definition alone. `proofs`: what is steady is proved.
    """
    return Installation(
        name="slipway",
        region="us-east-1",
        dev_region="us-east-1",
        dev_account="111111111111",
        prod_account="222222222222",
        host_count=hosts,
        builds=slots,
        builders=builders,
        limits=Limits(idle_period=IDLE_PERIOD),
        pipelines=tuple(
            _pipeline(
                name, stale, paths=paths, two=services > 1, together=together,
                takes_over=takes_over, scheduled=scheduled, proofs=proofs,
            )
            for name in NAMES[:pipelines]
        ),
    )  # fmt: skip


def _pipeline(
    name: str, stale: bool, *, paths: bool, two: bool, together: bool, takes_over: bool,
    scheduled: bool, proofs: bool,
) -> PipelineSettings:  # fmt: skip
    names = (name, f"{name}-worker")
    smoke = SmokeSettings(url=f"https://{name}.example/", within=30) if proofs else None
    services = tuple(ServiceSettings(cluster="prod", service=one, smoke=smoke) for one in names)
    rollout = RolloutSettings(
        cancel_stale_build=stale, new_push="takeOver" if takes_over else "wait"
    )
    if proofs:
        rollout = replace(rollout, post_deploy_command=("check",), alarms=("errors",), bake=120)
    return PipelineSettings(
        name=name,
        repository=name,
        branch="main",
        git_url=f"https://git.example/{name}",
        source_role_arn="arn:aws:iam::111111111111:role/slipway-source",
        tip_role_arn="arn:aws:iam::111111111111:role/slipway-tip",
        images=(ImageSettings(repository=name, repository_uri=f"registry.example/{name}"),),
        cluster="prod",
        service=name,
        paths=(f"{name}/**",) if paths else (),
        rollout=rollout,
        services=services if two else None,
        together=(together or None) if two else None,
        scheduled_tasks=_tasks(name) if scheduled else None,
        task_definitions=(DefinitionSettings(family=f"{name}-shell"),) if scheduled else None,
    )


def _tasks(name: str) -> tuple[ScheduledTaskSettings, ...]:
    """A rule with a family of its own, and a schedule that runs the service's."""
    return (
        ScheduledTaskSettings(kind="rule", name=f"{name}-nightly", family=f"{name}-job"),
        ScheduledTaskSettings(kind="schedule", name=f"{name}-mails", family=name),
    )
