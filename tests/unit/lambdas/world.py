"""A small world for handlers: the table in memory, EC2, SNS and SQS as scripted fakes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from lambdas.shared.services import Services
from slipway.contracts.installation import (
    BuildersSettings,
    ImageSettings,
    Installation,
    PipelineSettings,
)
from slipway.contracts.messages import BuildRequest, CloseNotice, request_id_of
from slipway.contracts.table import Table
from tests.aws.answers import AwsFake
from tests.aws.builds import build_told, phases_told
from tests.places import EVENTS
from tests.simulation.dynamodb import FakeDynamoDB

HOST, OTHER = "i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"
START = 1_800_000_000.0
DEAD = "https://queue.example/slipway-build-dead"


def event(name: str) -> dict[str, Any]:
    return json.loads((EVENTS / f"{name}.json").read_text())


def sns_event(*messages: str, builder: str | None = None) -> dict[str, Any]:
    """SNS's event of messages whose attribute `builder` is as given, or absent."""
    envelope = event("sns_lambda")
    (record,) = envelope["Records"]
    attributes = dict(record["Sns"]["MessageAttributes"])
    if builder is not None:
        attributes["builder"] = {"Type": "String", "Value": builder}
    told = {**record["Sns"], "MessageAttributes": attributes}
    return {"Records": [{**record, "Sns": {**told, "Message": message}} for message in messages]}


def error(code: str, status: int = 400) -> ClientError:
    told = {"Code": code, "Message": "refused"}
    metadata = {"HTTPStatusCode": status}
    return ClientError({"Error": told, "ResponseMetadata": metadata}, "Operation")  # type: ignore[typeddict-item]


def pipeline(
    name: str = "shop", branch: str = "main", repository: str = "shop"
) -> PipelineSettings:
    return PipelineSettings(
        name=name,
        repository=repository,
        branch=branch,
        git_url=f"codecommit::us-east-1://{repository}",
        source_role_arn="arn:aws:iam::111111111111:role/slipway-source",
        tip_role_arn="arn:aws:iam::111111111111:role/slipway-tip",
        images=(ImageSettings(repository=name, repository_uri=f"registry.example/{name}"),),
        cluster="shops",
        service=name,
    )


def installation(*pipelines: PipelineSettings) -> Installation:
    return Installation(
        name="slipway",
        region="us-east-1",
        dev_region="eu-west-1",
        dev_account="111111111111",
        prod_account="222222222222",
        pipelines=pipelines or (pipeline(),),
    )


def request(pushed_at: float = START, *, name: str = "shop", seed: str = "1") -> BuildRequest:
    return BuildRequest(
        request_id=request_id_of(seed, name, str(pushed_at)),
        pipeline=name,
        commit_id="a" * 40,
        pushed_by="ada",
        pushed_at=pushed_at,
        reason="push",
    )


def idle_notice(boot: str, number: int, host: str = HOST) -> CloseNotice:
    return CloseNotice(
        kind="idle", notice_id=f"idle/{host}", host_id=host, boot=boot, idle_number=number
    )


@dataclass
class FakeSNS(AwsFake, service="sns"):
    """Keeps what was published; `failures` are raised first, one a call (None: succeed)."""

    published: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Exception | None] = field(default_factory=list)

    def publish(self, **arguments: Any) -> dict[str, Any]:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.published.append(arguments)
        return {"MessageId": str(len(self.published))}

    @property
    def requests(self) -> list[BuildRequest]:
        found = [p for p in self.published if p["TopicArn"].endswith("-request")]
        return [BuildRequest.from_json(p["Message"]) for p in found]

    @property
    def notices(self) -> list[CloseNotice]:
        found = [p for p in self.published if p["TopicArn"].endswith("-close")]
        return [CloseNotice.from_json(json.loads(p["Message"])["default"]) for p in found]


@dataclass
class FakeEC2(AwsFake, service="ec2"):
    """Instances as `host id: (state, launched at)`; calls are kept, failures scripted by host.

    `reasons`: why a host is stopped, if not by StopInstances.
    """

    instances: dict[str, tuple[str, float]] = field(default_factory=dict)
    start_failures: dict[str, Exception] = field(default_factory=dict)
    stop_failure: Exception | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def describe_instances(self, *, Filters: list[dict[str, Any]]) -> dict[str, Any]:
        (wanted,) = Filters
        assert wanted["Name"] == "instance-id"
        found = [
            {
                "InstanceId": host,
                "State": {"Name": state},
                "LaunchTime": datetime.fromtimestamp(launched, UTC),
                "StateReason": self._reason(host),
            }
            for host, (state, launched) in self.instances.items()
            if host in wanted["Values"]
        ]
        return {"Reservations": [{"Instances": found}]}

    def _reason(self, host: str) -> dict[str, str]:
        message = self.reasons.get(host, "Client.UserInitiatedShutdown: User initiated shutdown")
        return {"Code": message.partition(":")[0], "Message": message}

    def start_instances(self, *, InstanceIds: list[str]) -> dict[str, Any]:
        (host,) = InstanceIds
        if host in self.start_failures:
            raise self.start_failures[host]
        self.started.append(host)
        return {}

    def stop_instances(self, *, InstanceIds: list[str]) -> dict[str, Any]:
        if self.stop_failure is not None:
            raise self.stop_failure
        self.stopped += InstanceIds
        return {}


@dataclass
class FakeSQS(AwsFake, service="sqs"):
    """The build queue's counts and messages (bodies by receipt), and what was sent, by queue and
    body. `silence` is raised in place of what is received or sent.
    """

    visible: int = 0
    in_flight: int = 0
    sent: list[tuple[str, str]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    silence: Exception | None = None
    _held: set[str] = field(default_factory=set)

    def put(self, body: str) -> None:
        self.messages[f"receipt-{len(self.messages)}"] = body

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        WaitTimeSeconds: int,
        VisibilityTimeout: int,
    ) -> dict[str, Any]:
        if self.silence is not None:
            raise self.silence
        free = [receipt for receipt in self.messages if receipt not in self._held]
        found = free[:MaxNumberOfMessages]
        self._held |= set(found)
        return {
            "Messages": [
                {"MessageId": f"id of {r}", "ReceiptHandle": r, "Body": self.messages[r]}
                for r in found
            ]
        }

    def delete_message_batch(
        self, *, QueueUrl: str, Entries: list[dict[str, str]]
    ) -> dict[str, Any]:
        for entry in Entries:
            del self.messages[entry["ReceiptHandle"]]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, MessageAttributes: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        if self.silence is not None:
            raise self.silence
        self.sent.append((QueueUrl, MessageBody))
        return {"MessageId": str(len(self.sent)), "MD5OfMessageBody": "0" * 32}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(self.visible),
                "ApproximateNumberOfMessagesNotVisible": str(self.in_flight),
            }
        }


@dataclass
class FakeCodeCommit(AwsFake, service="codecommit"):
    """Tips by branch; a problem is raised in place of an answer."""

    tips: dict[str, str] = field(default_factory=dict)
    problem: Exception | None = None

    def get_branch(self, *, repositoryName: str, branchName: str) -> dict[str, Any]:
        if self.problem is not None:
            raise self.problem
        return {"branch": {"branchName": branchName, "commitId": self.tips[branchName]}}


@dataclass
class FakeCodeBuild(AwsFake, service="codebuild"):
    """Builds by id with their status and variables; `problem` is raised in place of a start,
    `silence` in place of an answer about builds. `machines`: since when a build has one.
    """

    builds: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    problem: Exception | None = None
    silence: Exception | None = None
    machines: dict[str, float] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)

    def stop_build(self, *, id: str) -> dict[str, Any]:
        if self.problem is not None:
            raise self.problem
        self.stopped.append(id)
        _, variables = self.builds[id]
        self.builds[id] = ("STOPPED", variables)
        return {"build": build_told(id, [], buildStatus="STOPPED")}

    def start_build(
        self,
        *,
        projectName: str,
        idempotencyToken: str,
        environmentVariablesOverride: list[dict[str, str]],
    ) -> dict[str, Any]:
        if self.problem is not None:
            raise self.problem
        self.tokens.append(idempotencyToken)
        build_id = f"{projectName}:{len(self.tokens)}"
        variables = {each["name"]: each["value"] for each in environmentVariablesOverride}
        self.builds[build_id] = ("IN_PROGRESS", variables)
        return {"build": {"id": build_id}}

    def batch_get_builds(self, *, ids: list[str]) -> dict[str, Any]:
        if self.silence is not None:
            raise self.silence
        there = {name: self.builds[name] for name in ids if name in self.builds}
        return {
            "builds": [
                build_told(
                    name,
                    ({"name": key, "value": value} for key, value in variables.items()),
                    buildStatus=status,
                    phases=phases_told(self.machines.get(name)),
                )
                for name, (status, variables) in there.items()
            ],
            "buildsNotFound": [name for name in ids if name not in there],
        }

    def list_builds_for_project(self, *, projectName: str, sortOrder: str) -> dict[str, Any]:
        return {"ids": list(reversed(self.builds))}


class World:
    """Everything that a handler touches, and the clock."""

    def __init__(
        self,
        *pipelines: PipelineSettings,
        hosts: tuple[str, ...] = (HOST,),
        builders: BuildersSettings | None = None,
    ) -> None:
        self.now = START
        self.sns, self.ec2, self.sqs = FakeSNS(), FakeEC2(), FakeSQS()
        self.codebuild = FakeCodeBuild()
        self.codecommit = FakeCodeCommit(tips={"main": "a" * 40})
        self.table = Table(FakeDynamoDB(), "slipway-deployments")
        self.services = Services(
            installation=replace(installation(*pipelines), builders=builders or BuildersSettings()),
            now=lambda: self.now,
            sns=self.sns,
            table=self.table,
            ec2=self.ec2,
            sqs=self.sqs,
            codecommit_as=lambda pipeline: self.codecommit,
            hosts=hosts,
            queue_url="https://queue.example/slipway-build",
            follow_queue_url="https://queue.example/slipway-follow",
            dead_letters_url="https://queue.example/slipway-build-dead",
            codebuild=self.codebuild,
            builder_project="slipway-builder",
        )
        for host in hosts:
            self.ec2.instances[host] = ("stopped", START - 7200)

    def boot(self, host: str = HOST, *, boot: str = "boot-1", busy: bool = False) -> None:
        """The host runs since a minute and has arrived, idle(0) or busy."""
        self.ec2.instances[host] = ("running", self.now - 60)
        assert self.table.hosts.arrive(host, boot, self.now - 30)
        if busy:
            assert self.table.hosts.begin_work(host, boot, self.now)

    def note(self, *requests: BuildRequest) -> None:
        for each in requests:
            assert self.table.wants.note(each, self.now)
