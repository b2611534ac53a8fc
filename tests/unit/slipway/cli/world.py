"""An installation in moto: what the commands look at, and hands to change it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from click.testing import CliRunner, Result

from slipway.cli.aws.session import Clock
from slipway.cli.main import main
from slipway.cli.show.moments import stamp
from slipway.contracts.installation import ImageSettings, Installation, PipelineSettings
from slipway.contracts.messages import Commit, DeploymentResult
from slipway.contracts.requesting import BUILD_QUEUE_TAKES, FOLLOW_QUEUE_TAKES
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow

PROD, DEV, REGION = "222222222222", "111111111111", "us-east-1"
NOW = 1_795_000_000.0  # 2026-11-18 11:06:40 UTC


def pipeline_settings(name: str) -> PipelineSettings:
    return PipelineSettings(
        name=name,
        repository=f"{name}-repository",
        branch="production",
        git_url=f"codecommit::us-east-1://{name}-repository",
        source_role_arn=f"arn:aws:iam::{DEV}:role/slipway-source",
        tip_role_arn=f"arn:aws:iam::{DEV}:role/slipway-tip",
        images=(
            ImageSettings(
                repository=name,
                repository_uri=f"{PROD}.dkr.ecr.{REGION}.amazonaws.com/{name}",
            ),
        ),
        cluster="main",
        service=name,
    )


def settings(*pipelines: str) -> Installation:
    return Installation(
        name="slipway",
        region=REGION,
        dev_region=REGION,
        dev_account=DEV,
        prod_account=PROD,
        pipelines=tuple(pipeline_settings(name) for name in pipelines),
    )


class ScriptedClock(Clock):
    """Time that passes only by waiting; `then` runs the next event at each wait."""

    def __init__(self, now: float = NOW) -> None:
        self.at = now
        self.events: list[Any] = []
        self.waits = 0

    def now(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.waits += 1
        assert self.waits < 500, "the command waits for ever"
        if self.events:
            self.events.pop(0)()

    def then(self, event: Any) -> None:
        self.events.append(event)


def commit_of(number: int) -> Commit:
    return Commit(
        id=f"{number:040x}",
        author="Ada",
        subject=f"Change {number}",
        committed_at=NOW - 86400 * 30 + number,
    )


@dataclass
class World:
    """One installation with its rows; `clock` is the commands' clock."""

    installation: Installation
    path: Path
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    tips: dict[str, str] = field(default_factory=dict)
    """Branch tips by repository; other repositories do not exist."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What AWS operations answer in moto's place: by name, functions of the request."""
    calls: list[str] = field(default_factory=list)
    """The operations that were called, in order."""

    def __post_init__(self) -> None:
        self.path.write_text(self.installation.to_json(), encoding="utf-8")
        self.table = Table(self.client("dynamodb"), self.names.table)
        self.queues: dict[str, str] = {}

    @property
    def names(self) -> Any:
        return self.installation.names

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)

    def build(self) -> None:
        """Make what the stacks would make, as far as the commands see it."""
        make_table(self.client("dynamodb"), self.names.table)
        sqs, sns = self.client("sqs"), self.client("sns")
        for name in all_queues(self.installation):
            self.queues[name] = sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in (self.names.request_topic, self.names.close_topic):
            sns.create_topic(Name=name)
        for queue, takes in (
            (self.names.build_queue, BUILD_QUEUE_TAKES),
            (self.names.follow_queue, FOLLOW_QUEUE_TAKES),
        ):
            sns.subscribe(
                TopicArn=self.installation.request_topic_arn,
                Protocol="sqs",
                Endpoint=f"arn:aws:sqs:{REGION}:{PROD}:{queue}",
                Attributes={"RawMessageDelivery": "true", "FilterPolicy": json.dumps(takes)},
            )
        self.client("logs").create_log_group(logGroupName=self.names.build_log_group)

    def add_host(self, number: int = 1) -> str:
        ec2 = self.client("ec2")
        tags = [{"Key": "Name", "Value": self.names.host(number)}]
        answer = ec2.run_instances(
            ImageId="ami-760aaa0f",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )
        return str(answer["Instances"][0]["InstanceId"])

    def begin(self, pipeline: str, number: int, **changes: Any) -> DeploymentRow:
        """A deployment that is under way; `number` orders them in time."""
        started = changes.pop("started_at", NOW - 86400 + number * 600)
        row = replace(
            DeploymentRow(
                deployment_id=deployment_id(pipeline, started, number),
                pipeline=pipeline,
                request_id=f"{number:032x}",
                reason="push",
                pushed_by="arn:aws:iam::111111111111:user/ada",
                pushed_at=started - 5,
                started_at=started,
                stage="received",
                stages={"received": started},
                commit=commit_of(number),
            ),
            **changes,
        )
        assert self.table.deployments.start(row, kept=86400 * 400)
        return row

    def end(
        self, row: DeploymentRow, status: str, *, at: float, **changes: Any
    ) -> DeploymentResult:
        result = replace(result_of(row, status, at), **changes)
        assert self.table.deployments.finish(result)
        return result

    def deployed(
        self, pipeline: str, number: int, status: str = "succeeded", **changes: Any
    ) -> str:
        """A deployment that is over: fetch 10 s, build 60 s, wait 30 s."""
        row = self.begin(pipeline, number, **changes)
        start = row.started_at
        for stage, offset in (("fetch", 1), ("build", 11), ("wait", 71)):
            self.table.deployments.enter_stage(row.deployment_id, stage, start + offset)
        self.end(row, status, at=start + 101)
        return row.deployment_id

    def runs(self, pipeline: str, deployment: str) -> None:
        row = self.table.deployments.get(deployment)
        assert row and row.commit
        self.table.pipelines.change(
            pipeline,
            running_commit=row.commit.id,
            running_deployment=deployment,
            running_digest=f"sha256:{int(row.commit.id, 16):064x}",
            running_since=row.ended_at,
            running_by=row.pushed_by,
            handled_tip=row.commit.id,
        )

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        environment = {"SLIPWAY_INSTALLATION": str(self.path)}
        return CliRunner().invoke(
            main, list(arguments), obj=self.clock, env=environment, input=stdin
        )


def deployment_id(pipeline: str, started: float, number: int) -> str:
    return f"{pipeline}-{stamp(started)}-{number:06x}"


def result_of(row: DeploymentRow, status: str, at: float) -> DeploymentResult:
    number = int(row.commit.id, 16) if row.commit else 0
    failed = status in ("failed", "rolled_back", "gave_up")
    return DeploymentResult(
        deployment_id=row.deployment_id,
        pipeline=row.pipeline,
        status=status,  # type: ignore[arg-type]
        stage="close" if not failed else "wait" if status == "rolled_back" else "build",
        reason=row.reason,  # type: ignore[arg-type]
        request_id=row.request_id,
        commit=row.commit,
        pushed_by=row.pushed_by,
        pushed_at=row.pushed_at,
        started_at=row.started_at,
        ended_at=at,
        image_digest=f"sha256:{number:064x}" if not failed else None,
        task_definition_after=f"app:{number}",
        now_running=f"app:{number}",
        cause="the command `make` failed" if failed else None,
    )


def make_table(client: Any, name: str) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def all_queues(installation: Installation) -> list[str]:
    names = installation.names
    return [
        names.build_queue,
        names.build_dead_letters,
        names.follow_queue,
        names.follow_dead_letters,
        names.notices_queue,
        names.notices_dead_letters,
        names.failures,
        names.undelivered,
    ]
