"""A local run in the middle of a deployment, as the table and EC2 would tell it."""

from __future__ import annotations

from local.slack_page.status import Instance, Rows
from local.state import HostState, PipelineState, State
from slipway.contracts.messages import BuildRequest, Commit
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want

REQUEST = BuildRequest(
    request_id="0" * 32, pipeline="shop", pushed_by="ada", pushed_at=1.0, reason="push"
)


def state() -> State:
    def pipeline(port: int) -> PipelineState:
        return PipelineState(
            git_url="http://127.0.0.1:4566/v1/repos/shop",
            branch="main",
            service_url=f"http://127.0.0.1:{port}",
            cluster="shop",
            service="shop",
            ecr_repository="shop",
        )

    return State(
        endpoint_url="http://127.0.0.1:4566",
        region="us-east-1",
        dev_account="111111111111",
        prod_account="222222222222",
        pipelines={"shop": pipeline(8301), "blog": pipeline(8302)},
        slack_url="http://127.0.0.1:8300",
        queue_url="http://127.0.0.1:4566/222222222222/slipway-build",
        request_topic_arn="arn:aws:sns:us-east-1:222222222222:slipway-request",
        close_topic_arn="arn:aws:sns:us-east-1:222222222222:slipway-close",
        table="slipway-deployments",
        hosts=(HostState(instance_id="i-0abc1234"), HostState(instance_id="i-0def5678")),
        log_dir="log",
    )


def rows(now: float) -> Rows:
    """`shop` builds for the second time, `blog` failed ten minutes ago; one host of two works."""

    def row(pipeline: str, number: int, began: float, **values: object) -> DeploymentRow:
        return DeploymentRow(
            deployment_id=f"{pipeline}-2026112110{number:04}-0a1b2c",
            pipeline=pipeline,
            request_id="0" * 32,
            reason="push",
            started_at=began,
            **values,  # type: ignore[arg-type]
        )

    fix = Commit(id="3f2a9c41" * 5, author="Ada", subject="Fix the <basket>'s total")
    under_way = row(
        "shop",
        2,
        now - 21,
        commit=fix,
        stage="build",
        stages={"received": now - 21, "fetch": now - 20.6, "build": now - 20.1},
        detail="#7 [3/4] RUN make all",
    )
    done = row("shop", 1, now - 900, status="succeeded", ended_at=now - 858)
    failed = row(
        "blog",
        1,
        now - 640,
        commit=fix,
        status="failed",
        stage="rollout",
        ended_at=now - 600,
        stages={
            "fetch": now - 640,
            "build": now - 639,
            "push": now - 620,
            "rollout": now - 618,
            "record": now - 600,
        },
    )
    return Rows(
        pipelines={
            "shop": PipelineRow(
                pipeline="shop",
                running_commit="b" * 40,
                running_since=now - 858,
                running_by="arn:aws:iam::111111111111:user/ada",
            ),
            "blog": PipelineRow(pipeline="blog", failures=2, paused=True),
        },
        wants=(
            Want(
                pipeline="shop",
                request_id="0" * 32,
                pushed_at=1.0,
                noted_at=1.0,
                body=REQUEST.to_json(),
            ),
        ),
        hosts=(
            HostRow(
                host_id="i-0abc1234",
                boot="1",
                state="busy",
                slots=3,
                runs=(
                    HostRun(run=1, pipeline="shop", stage="build", progress_at=now - 4),
                    HostRun(run=2, pipeline="blog", stage="received", progress_at=now - 4, slots=0),
                ),
                heartbeat_at=now - 4,
            ),
        ),
        deployments={"shop": [under_way, done], "blog": [failed]},
        ec2={
            "i-0abc1234": Instance("running", launched_at=now - 60),
            "i-0def5678": Instance("stopped"),
        },
        waiting=0,
        held=1,
    )
