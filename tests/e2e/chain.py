"""One local run as the tests use it: push, ask, look, wait for a condition with a deadline."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

from local.accounts import client_of
from local.demo import await_sleep
from local.down import take_down
from local.http import fetch, served_commit
from local.plan import Options
from local.progress import Progress
from local.push import Pushed, push_release
from local.sample_repository import SampleRepository
from local.slack import SlackMessage, slack_messages
from local.state import PipelineState, State, read_state
from local.up import bring_up
from local.waiting import wait_for
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import Installation, load_installation
from slipway.contracts.messages import TIP, BuildRequest
from slipway.contracts.names import Names
from slipway.contracts.requesting import publish_request
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.evidence import evidence
from tests.places import EVENTS

T = TypeVar("T")

DEPLOY_SECONDS = 180.0
"""Nothing here is measured by its time. A machine that stands still for longer than a lock lasts in
the local run (15 s) makes an agent give its request back for a minute (`LOCKED_DELAY`).
"""
NEWEST = 50
NO_DOCUMENTS = ("**", "!**/*.md")
"""Paths of a pipeline that documents do not concern."""
RUNS = 3  # an asynchronous run and its two retries


@dataclass(frozen=True)
class Chain:
    """A running local run in `directory`."""

    directory: Path

    @property
    def workplace(self) -> Workplace:
        return Workplace(self.directory)

    @property
    def state(self) -> State:
        """As it is now: the agents' processes change."""
        return read_state(self.workplace)

    @cached_property
    def installation(self) -> Installation:
        return load_installation(self.workplace.installation_file)

    @cached_property
    def names(self) -> Names:
        return self.installation.names

    @cached_property
    def table(self) -> Table:
        return Table(self.prod("dynamodb"), self.state.table)

    def prod(self, service: str) -> Any:
        return client_of(service, self.state.endpoint_url, self.state.prod_account, "us-east-1")

    def dev(self, service: str) -> Any:
        return client_of(service, self.state.endpoint_url, self.state.dev_account, "us-east-1")

    def pipeline(self, name: str) -> PipelineState:
        return self.state.pipelines[name]

    def repository(self, pipeline: str) -> SampleRepository:
        return SampleRepository(self.workplace.sample_dir / pipeline)

    # --- doing

    def push(
        self,
        message: str | None = None,
        behaviour: str = "works",
        pipeline: str = "sample",
        after: int = 0,
    ) -> Pushed:
        return push_release(self.workplace, pipeline, message, behaviour, after=after)

    def push_to(self, pipelines: list[str], message: str, behaviour: str = "works") -> list[Pushed]:
        """Push to all at once, each with its own message: repositories that are alike would make
        one and the same commit of one message in the same second.
        """
        with ThreadPoolExecutor(len(pipelines)) as pool:
            return list(
                pool.map(lambda name: self.push(f"{name}: {message}", behaviour, name), pipelines)
            )

    def push_document(self, pipeline: str = "sample") -> Pushed:
        """A push that changes README.md alone."""
        repository, branch = self.repository(pipeline), self.pipeline(pipeline).branch
        repository.pull(branch)
        readme = repository.directory / "README.md"
        readme.write_text(readme.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
        began_at, commit_id = time.time(), repository.commit("more words")
        repository.push(branch)
        return Pushed(
            pipeline=pipeline, branch=branch, commit_id=commit_id, message="more words",
            began_at=began_at, ended_at=time.time(),
        )  # fmt: skip

    def request(self, pipeline: str, reason: str = "redeploy") -> BuildRequest:
        """Ask for the pipeline's tip, as an operator would."""
        request = BuildRequest(
            request_id=uuid.uuid4().hex,
            pipeline=pipeline,
            target=TIP,
            pushed_by="a test",
            pushed_at=time.time(),
            reason=reason,  # type: ignore[arg-type]
        )
        publish_request(self.prod("sns"), self.state.request_topic_arn, request)
        return request

    def slack_fault(self, status: int, count: int, retry_after: int | None = None) -> None:
        """The Slack page's next `count` answers are `status`."""
        fault = {"status": status, "count": count, "retry_after": retry_after}
        body = json.dumps({k: v for k, v in fault.items() if v is not None}).encode()
        url = f"{self.state.slack_url}/_fault"
        request = Request(url, data=body, method="POST")  # noqa: S310 - our own http URL
        with urlopen(request, timeout=5) as answer:  # noqa: S310
            assert answer.status == 200

    def kill_runs(self, *functions: str) -> None:
        """The next run of each function dies, and its two retries: the event is lost to it."""
        for function in functions:
            self._fault({"service": "lambda-run", "action": function, "times": RUNS})

    def call(self, function: str, *, wait: bool, client: Any | None = None) -> bool:
        """Run a function with the schedule's event; False if it failed. Not waited for: True."""
        answer = (client or self.prod("lambda")).invoke(
            FunctionName=function,
            InvocationType="RequestResponse" if wait else "Event",
            Payload=(EVENTS / "schedule.json").read_bytes(),
        )
        return "FunctionError" not in answer

    def _fault(self, fault: dict[str, Any]) -> None:
        url = f"{self.state.endpoint_url}/_slipway/faults"
        request = Request(url, data=json.dumps(fault).encode(), method="POST")  # noqa: S310
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200

    # --- looking

    def serves(self, pipeline: str = "sample") -> str | None:
        return served_commit(self.pipeline(pipeline).service_url)

    def version(self, pipeline: str = "sample") -> dict[str, str]:
        text = fetch(f"{self.pipeline(pipeline).service_url}/version.json")
        found: dict[str, str] = json.loads(text) if text else {}
        return found

    def deployments(self, pipeline: str = "sample") -> list[DeploymentRow]:
        """Newest first."""
        return self.table.deployments.newest(pipeline, NEWEST)

    def deployment_of(self, commit_id: str, pipeline: str = "sample") -> DeploymentRow | None:
        """The newest one of the commit, but for those whose push an earlier one told of."""
        for row in self.deployments(pipeline):
            told_before = row.result is not None and row.result.told_by
            commit = row.commit or (row.result and row.result.commit)
            if commit and commit.id == commit_id and not told_before:
                return row
        return None

    def notices(self, *words: str, since: float = 0.0) -> list[SlackMessage]:
        """The Slack messages since a time that hold all of these words."""
        return [
            message
            for message in slack_messages(self.state.slack_url)
            if message.at >= since and all(word in message.text for word in words)
        ]

    def host_states(self) -> list[str]:
        ids = [host.instance_id for host in self.state.hosts]
        answer = self.prod("ec2").describe_instances(InstanceIds=ids)
        return [i["State"]["Name"] for r in answer["Reservations"] for i in r["Instances"]]

    def launches(self) -> list[float]:
        """When each host was launched last, seconds since the epoch; EC2 says whole seconds."""
        found = self.prod("ec2").describe_instances()
        instances = [i for r in found["Reservations"] for i in r["Instances"]]
        return sorted(instance["LaunchTime"].timestamp() for instance in instances)

    def depth(self, queue: str, sqs: Any | None = None) -> int:
        """Messages of a queue of the prod account (or of `sqs`'s), those in flight included."""
        sqs = sqs or self.prod("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        counts = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(counts))["Attributes"]
        return sum(int(found.get(name, 0)) for name in counts)

    def dead_letters(self) -> list[str]:
        """The bodies in the build queue's dead-letter queue, taken out of it."""
        sqs = self.prod("sqs")
        url = sqs.get_queue_url(QueueName=self.names.build_dead_letters)["QueueUrl"]
        bodies: list[str] = []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    # --- waiting

    def until(
        self,
        what: str,
        condition: Callable[[], T | None],
        seconds: float = DEPLOY_SECONDS,
        poll: float = 0.2,
    ) -> T:
        """The condition's first true answer; a failure says what did not happen, and what did."""
        began_at = time.time()
        try:
            return wait_for(what, condition, seconds=seconds, poll=poll)
        except WorldFailed as late:
            late.add_note(evidence(self, began_at))
            raise

    def until_ended(self, pushed: Pushed, seconds: float = DEPLOY_SECONDS) -> DeploymentRow:
        """The deployment of that push, once it is announced."""

        def ended() -> DeploymentRow | None:
            row = self.deployment_of(pushed.commit_id, pushed.pipeline)
            return row if row is not None and row.announced_at is not None else None

        return self.until(f"the end of the deployment of {pushed.message!r}", ended, seconds)

    def until_asleep(self) -> None:
        """Every build host is stopped."""
        await_sleep(self.state)


@contextmanager
def local_chain(directory: Path, options: Options) -> Iterator[Chain]:
    """A local run in `directory`: up, and down at the end."""
    workplace, progress = Workplace(directory), Progress()
    bring_up(workplace, options, progress)
    try:
        yield Chain(directory)
    finally:
        take_down(workplace, progress)
