"""The installation that is simulated: some pipelines of one image each, some hosts."""

from __future__ import annotations

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
) -> Installation:
    """`slots`: builds that a host runs at once; `stale`: a newer push ends a build under way;
    `paths`: each pipeline has some, so that a push may concern another one.
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
        pipelines=tuple(_pipeline(name, stale, paths=paths) for name in NAMES[:pipelines]),
    )


def _pipeline(name: str, stale: bool, *, paths: bool) -> PipelineSettings:
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
        rollout=RolloutSettings(cancel_stale_build=stale),
        paths=(f"{name}/**",) if paths else (),
    )
