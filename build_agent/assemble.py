"""Puts an agent together from boto3's clients, the host's identity and a folder on its disk."""

from __future__ import annotations

import fcntl
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from build_agent.host.capacity import build_slots, measure
from build_agent.host.clock import RolloutClock, SystemClock
from build_agent.host.identity import HostIdentity
from build_agent.host.parallel import Threads, ahead
from build_agent.host.process import run
from build_agent.host.slots import Slots
from build_agent.host.stop import Stop
from build_agent.image.build_cache import BuildCache
from build_agent.image.cache_records import Records
from build_agent.image.disk import Disk
from build_agent.image.docker import Docker, client_programs, find_client
from build_agent.image.images import Images
from build_agent.image.testing import Tests
from build_agent.means import Means
from build_agent.queue.inbox import AT_ONCE, Inbox
from build_agent.queue.lease import Keeper, KeeperThread
from build_agent.queue.pending_inbox import PendingInbox
from build_agent.service import Services
from build_agent.source.differences import assumed_differences
from build_agent.source.git_credentials import assumed_login
from build_agent.source.mirror import Source
from build_agent.telling.logs import DRAIN_SECONDS, CloudWatchShipper, Log
from build_agent.telling.shift import Shift
from build_agent.worker import Worker, WorkerParts
from slipway.contracts.errors import DeploymentFailed, WorldFailed, WrongUse
from slipway.contracts.installation import Installation
from slipway.contracts.requesting import publish_request
from slipway.contracts.table import Table
from slipway.following.closing import Closer
from slipway.following.containers import ContainersOutput
from slipway.following.ending import Ending
from slipway.following.follower import FollowerParts
from slipway.following.means import RolloutClients, visits
from slipway.following.messages import follow_queue
from slipway.following.record import Recorder
from slipway.following.registry import Registry
from slipway.rollout.fence import Fence

_PATIENT = Config(
    retries={"mode": "standard", "max_attempts": 4},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=20,
)
PATIENCE = 10.0
"""Seconds for which a call of a rollout's step is tried again; then the step is taken later."""
THREADS = 2 * AT_ONCE
"""Messages are received and others deleted at the same time, as many calls each."""


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An assembled agent; `folder_lock` is held for as long as it lives. `ends_by_itself`: when
    nothing is left to do.
    """

    worker: Worker
    inbox: Inbox
    keeper: KeeperThread
    shipper: CloudWatchShipper
    threads: Threads
    stop: Stop
    folder_lock: IO[str]
    ends_by_itself: bool = False


@dataclass(frozen=True, kw_only=True)
class BuilderOf:
    """Whose builder an agent is: of a pipeline, in a generation (`BuilderRow`), as which build of
    CodeBuild; no build where it was started by hand.
    """

    pipeline: str
    generation: int
    build_id: str = ""


def assemble(
    installation: Installation,
    host: HostIdentity,
    folder: Path,
    log: Log,
    *,
    builder: BuilderOf | None = None,
) -> Agent:
    """An agent of `installation` on `host`, with its mirrors and scratch in `folder`.

    `builder`: it works for that pipeline alone, and ends. WrongUse where another agent uses
    `folder`; AWS's own errors where the queues are not there.
    """
    # git runs in the folder and is told paths inside it: a relative one would be another folder.
    folder = folder.resolve()
    folder_lock = own(folder)
    session = boto3.Session(region_name=host.region)
    client = clients(session)
    names, limits = installation.names, installation.limits
    clock, stop, parallel = SystemClock(), Stop(), Threads(THREADS)
    table = Table(client("dynamodb"), names.table)
    dead_letters = _queue_url(client("sqs"), names.build_dead_letters)
    slots = Slots(_build_slots(installation, folder))
    if builder is None:
        shift = None
        inbox = Inbox(
            client("sqs"),
            queue_url=_queue_url(client("sqs"), names.build_queue),
            dead_letters_url=dead_letters,
            visibility=limits.visibility,
            parallel=parallel,
        )
    else:
        inbox = pending = PendingInbox(
            client("sqs"), table, pipeline=builder.pipeline, generation=builder.generation,
            dead_letters_url=dead_letters, visibility=limits.visibility, now=clock.now,
            pause=stop.wait,
        )  # fmt: skip
        shift = Shift(
            pipeline=builder.pipeline, generation=builder.generation, build_id=builder.build_id,
            host=host, table=table, left=pending, clock=clock, log=log, stop=stop,
            slots=slots.count,
            takes_over=installation.pipeline(builder.pipeline).rollout.new_push == "takeOver",
        )  # fmt: skip
    keeper = Keeper(
        inbox=inbox, table=table, host=host, installation=installation, clock=clock, log=log,
        stop=stop,
    )  # fmt: skip
    closer = Closer(client("sns"), installation, host, clock)
    recorder = Recorder(table, installation=installation, host=host, closer=closer, clock=clock)
    shipper = CloudWatchShipper(client("logs"), names.build_log_group)
    # Its client is looked for while the first request is on its way.
    docker = Docker(ahead(lambda: _docker_program(stop, log)), run, folder / "docker")
    records = Records(folder / "build-cache.json")
    disk = Disk(
        docker, folder, prune_cache=installation.mode == "aws", on_pruned=records.forget_images,
        on_short=_disk_teller(table, host, log, clock.now),
    )  # fmt: skip
    fence = Fence(clock.now)
    registry = Registry(lambda: client("ecr"), names)
    rollouts = RolloutClients(
        ecs=fence.around(client("ecs")),
        fence=fence,
        clock=RolloutClock(stop),
        patience=PATIENCE,
        ecr=lambda: client("ecr"),
        codedeploy=lambda: fence.around(client("codedeploy")),
        balancing=lambda: client("elbv2"),
        events=lambda: fence.around(client("events")),
        scheduler=lambda: fence.around(client("scheduler")),
        cloudwatch=lambda: client("cloudwatch"),
        visit=visits(installation),
    )
    session_name = f"{installation.name}-{host.host_id}"[:64]
    means = Means(
        source=Source(
            folder,
            run=run,
            now=clock.now,
            region=installation.dev_region,
            login=assumed_login(
                client("sts"),
                session_name=session_name,
                region=installation.dev_region,
                now=clock.now,
            ),
            differences=assumed_differences(
                client("sts"),
                lambda credentials: code_commit_as(credentials, installation.dev_region),
                session_name=session_name,
            ),
        ),
        images=Images(
            docker=docker,
            ecr=client("ecr"),
            secret=lambda place: build_secret(client, place),
            clock=clock,
            folder=folder,
            names=names,
            builds=disk.builds,
            docker_hub=installation.docker_hub_secret,
            cache=BuildCache(client("ecr"), records, installation.name),
        ),
        tests=_tests(docker, folder / "tests"),
        services=Services(client("ecs")),
        disk=disk,
        recorder=recorder,
        keeper=keeper,
        clock=clock,
        shipper=shipper,
        parallel=parallel,
    )
    ending = Ending(
        installation=installation,
        table=table,
        now=clock.now,
        closer=closer,
        registry=registry,
        publish=lambda request, builder: publish_request(
            client("sns"), installation.request_topic_arn, request, builder=builder
        ),
        say=lambda deployment_id, lines: _ship(shipper, deployment_id, lines),
        dead_letter=inbox.dead_letter,
        log=log,
        containers=ContainersOutput(client("ecs"), lambda: client("logs"), region=host.region),
    )
    following = FollowerParts(
        name=f"host {host.name}",
        installation=installation,
        table=table,
        now=clock.now,
        means=rollouts.means,
        send=follow_queue(client("sqs"), names),
        ending=ending,
        jitter=random.random,
    )
    parts = WorkerParts(
        installation=installation, host=host, table=table, inbox=inbox, closer=closer,
        keeper=keeper, recorder=recorder, means=means, clock=clock, log=log, stop=stop,
        following=following, slots=slots, shift=shift,
    )  # fmt: skip
    return Agent(
        worker=Worker(parts),
        inbox=inbox,
        keeper=KeeperThread(keeper, limits.heartbeat),
        shipper=shipper,
        threads=parallel,
        stop=stop,
        folder_lock=folder_lock,
        ends_by_itself=builder is not None,
    )


def clients(session: boto3.Session) -> Callable[[str], Any]:
    """Makes each service's client once; a session makes one at a time (boto3, multithreading)."""
    made: dict[str, Any] = {}
    mutex = threading.Lock()

    def client(service: str) -> Any:
        with mutex:
            if service not in made:
                made[service] = session.client(service, config=_PATIENT)  # type: ignore[call-overload]
            return made[service]

    return client


def code_commit_as(credentials: Mapping[str, str], region: str) -> Any:
    """CodeCommit under a role's temporary credentials, anew each time: they last for minutes."""
    session = boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"],
        region_name=region,
    )  # fmt: skip
    return session.client("codecommit", config=_PATIENT)


def own(folder: Path) -> IO[str]:
    """Make `folder` this process's alone; WrongUse where another agent has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "agent.lock").open("w")
    except OSError as error:
        raise WrongUse(f"--work-dir {str(folder)!r} cannot be used: {error}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise WrongUse(f"--work-dir {str(folder)!r} is in use by another agent") from None
    return lock


def build_secret(client: Callable[[str], Any], place: str) -> str:
    """The value of an SSM parameter, or of a Secrets Manager secret named by its ARN.

    DeploymentFailed where there is none: the configuration names it.
    """
    try:
        if ":secretsmanager:" in place:
            answer = client("secretsmanager").get_secret_value(SecretId=place)
            return str(answer["SecretString"])
        answer = client("ssm").get_parameter(Name=place, WithDecryption=True)
        return str(answer["Parameter"]["Value"])
    except KeyError:
        raise DeploymentFailed(f"build secret {place} is not a text", stage="build") from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("ParameterNotFound", "ResourceNotFoundException"):
            raise DeploymentFailed(f"there is no build secret {place}", stage="build") from None
        raise WorldFailed(f"build secret {place} cannot be read ({code})") from None


def _build_slots(installation: Installation, folder: Path) -> int:
    found = measure(folder, own_disk=installation.mode == "aws")
    return build_slots(
        installation.builds, processors=found.processors, memory=found.memory, disk=found.disk
    )


def _tests(docker: Docker, folder: Path) -> Tests:
    """Tests, and what a killed agent left of its own is removed meanwhile."""
    tests = Tests(docker, folder)
    if tests.left_behind:
        ahead(tests.remove_left_behind)
    return tests


def _disk_teller(
    table: Table, host: HostIdentity, log: Log, now: Callable[[], float]
) -> Callable[[int, int], None]:
    """Says in the host's row that its disk is too small; the build goes on whether or not."""

    def tell(free: int, total: int) -> None:
        log.warning("the disk is too small for what is built here", free=free, total=total)
        gb, free_gb = total / (1 << 30), free / (1 << 30)
        try:
            table.hosts.note_short_disk(host.host_id, now(), gb=gb, free_gb=free_gb)
        except (BotoCoreError, ClientError) as error:
            log.warning("the host's row does not tell of it", error=str(error))

    return tell


def _ship(shipper: CloudWatchShipper, stream: str, lines: Iterable[str]) -> None:
    """A rollout's lines, beside those of its build; shipped before its outcome is recorded."""
    for line in lines:
        shipper.ship(stream, line)
    shipper.drain(stream, DRAIN_SECONDS)


def _queue_url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _docker_program(stop: Stop, log: Log) -> str:
    """The docker client; without a good one the agent lives on, and each build says so."""
    try:
        return find_client(run, client_programs(), stop=stop)
    except WorldFailed as error:
        log.error("docker cannot build here", error=str(error))
        return "docker"
