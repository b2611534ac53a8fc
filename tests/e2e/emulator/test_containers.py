"""Images and containers: the registry's door, what a task runs, and how a rollout ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from build_agent.host.clock import SystemClock
from build_agent.host.process import run as run_process
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Built, Images
from local import docker as local_docker
from local.configuration import HEALTH_COMMAND
from local.down import take_down
from local.emulator.extension.ecs_health import Check, Probe, health_check
from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.emulator.sweep import RUN_LABEL
from local.ports import free_ports
from local.progress import Progress
from local.sample_repository import Release
from local.started import Ledger
from local.waiting import wait_for, wait_until
from local.workplace import Workplace
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests.e2e.emulator.world import PROD, World
from tests.e2e.emulator.yard import (
    HEALTHY,
    PULL,
    PUSH,
    Yard,
    answers,
    build_images,
    deploy_service,
    follow,
    hear,
    image,
    register,
    roll_out,
    sample_digest,
    stopped,
    tasks,
)
from tests.unit.build_agent.world import make_pipeline


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    directory = tmp_path_factory.mktemp("yard")
    workplace = Workplace(directory / "run")
    workplace.directory.mkdir()
    ledger = Ledger.begin(workplace)
    docker = local_docker.provide(workplace, ledger)
    settings = EmulatorSettings(
        port=free_ports(1)[0], data_dir=directory / "emulator", docker_host=docker.host
    )
    emulator = start_emulator(settings)
    made = Yard(World(emulator), docker, directory)
    build_images(made)
    deploy_service(made.world)
    yield made
    emulator.stop()
    label = f"{RUN_LABEL}={emulator.run_id}"
    assert docker.run("ps", "--all", "--quiet", "--filter", f"label={label}") == ""
    local_docker.remove_images(docker, settings.address)
    if docker.private:
        take_down(workplace, Progress())


@pytest.fixture(scope="module")
def digests(yard: Yard) -> dict[str, str]:
    """Both images in the registry, pushed by a role that may just push; their digests."""
    pusher = yard.world.role("pusher")
    pusher.allow(*PUSH)
    yard.log_in(pusher)
    found = {}
    for version in ("one", "two"):
        done = yard.push(f"{yard.registry}/built:{version}", version)
        assert done.returncode == 0, done.stderr
        found[version] = done.stdout.rpartition("digest: ")[2].split()[0]
    return found


@pytest.fixture(scope="module")
def service(yard: Yard, digests: dict[str, str]) -> str:
    """A service that runs the first image, named as in AWS; its definition."""
    aws_name = f"{PROD}.dkr.ecr.us-east-1.amazonaws.com/sample@{digests['one']}"
    definition = register(yard, aws_name)
    yard.world.root("ecs").create_service(
        cluster="yard",
        serviceName="sample",
        taskDefinition=definition,
        desiredCount=1,
        deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    )
    wait_for("the first answer", lambda: answers(yard) == ["one  \n"] or None, seconds=30)
    return definition


CHECKS = {
    "ends well": ["CMD", "/bin/busybox", "true"],
    "ends badly": ["CMD", "/bin/busybox", "false"],
    "is answered": HEALTHY,
    "is not answered": [*HEALTHY[:-1], "http://127.0.0.1:8081/"],
    "is not there": ["CMD", "/bin/no-such-command"],
    "has no shell": ["CMD-SHELL", "exit 0"],
    "takes too long": ["CMD", "/bin/busybox", "sleep", "60"],
}
"""Health checks by what their command does in the image; it has no shell."""


def test_the_first_checks_find_what_docker_finds_with_its_own(yard: Yard) -> None:
    # GIVEN a container for each of the checks, whose server answers
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(
            contextlib.closing(docker.DockerClient(base_url=yard.docker.host))
        )
        probes = {}
        for what, command in CHECKS.items():
            defined = {"command": command, "interval": 1, "timeout": 1, "retries": 4}
            definition = {"healthCheck": defined}
            container = client.containers.run(
                f"{yard.registry}/built:one", detach=True, healthcheck=health_check(definition)
            )
            stack.callback(container.remove, force=True, v=True)
            check = Check.of(definition)
            assert check is not None
            probes[what] = (container.id, Probe(client.api, container.id, check))

        def dockers(container_id: str) -> str | None:
            state = client.api.inspect_container(container_id)["State"]
            word: str = state["Health"]["Status"]
            return None if word == "starting" else word

        # WHEN Docker has checked each by itself
        docker_says = {
            what: wait_for(f"Docker's word: {what}", partial(dockers, container_id), seconds=30)
            for what, (container_id, _) in probes.items()
        }
        # THEN the emulator, which asks for the same command, finds the same
        assert {
            what: "healthy" if probe.passes() else "unhealthy"
            for what, (_, probe) in probes.items()
        } == docker_says
        healthy = [what for what, word in docker_says.items() if word == "healthy"]
        assert healthy == ["ends well", "is answered"]


def test_nobody_pushes_without_a_login(yard):
    done = yard.push(f"{yard.registry}/built:one", "anonymous")
    assert "no basic auth credentials" in done.stderr


def test_who_may_only_log_in_may_not_push(yard):
    # GIVEN a login of a role that may do no more
    role = yard.world.role("visitor")
    role.allow("ecr:GetAuthorizationToken")
    yard.log_in(role)
    # WHEN / THEN
    done = yard.push(f"{yard.registry}/built:one", "visitor")
    assert "is not authorized to perform: ecr:" in done.stderr
    yard.run("logout", yard.registry)


def test_a_tag_stays_where_it_is_unless_it_is_excluded(yard, digests):
    # GIVEN a tag of the first image / WHEN it is pushed with the second
    moved = yard.push(f"{yard.registry}/built:two", "one")
    # THEN it stays, while `latest` moves
    assert "immutable" in moved.stderr
    assert yard.push(f"{yard.registry}/built:one", "latest").returncode == 0
    assert yard.push(f"{yard.registry}/built:two", "latest").returncode == 0


def test_a_new_revision_takes_over_when_it_is_healthy(yard, digests, service):
    # GIVEN a revision with environment, arguments and a health check
    definition = register(
        yard,
        image(yard, digests["two"]),
        entryPoint=["/bin/busybox", "sh", "/serve.sh"],
        command=["argument"],
        environment=[{"name": "GREETING", "value": "hello"}],
        healthCheck={"command": HEALTHY, "interval": 5},
    )
    hear(yard)
    # WHEN it is rolled out
    ended = roll_out(yard, definition)
    # THEN it is a success, EventBridge heard of both its ends, its digest is proved, only it runs
    assert ended["status"] == "SUCCESSFUL"
    assert [name for name, _ in hear(yard)] == ["IN_PROGRESS", "COMPLETED"]
    revision = yard.world.root("ecs").describe_service_revisions(
        serviceRevisionArns=[ended["targetServiceRevision"]["arn"]]
    )["serviceRevisions"][0]
    assert revision["taskDefinition"] == definition
    assert revision["containerImages"][0]["imageDigest"] == digests["two"]
    alone = wait_for("one task", lambda: tasks(yard) if len(tasks(yard)) == 1 else None, seconds=20)
    assert alone[0]["healthStatus"] == "HEALTHY"
    assert answers(yard) == ["two hello argument\n"]


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"entryPoint": ["/bin/busybox", "false"]}, "Essential container exited"),
        (
            {"healthCheck": {"command": ["CMD", "/bin/busybox", "false"], "retries": 1}},
            "Task failed container health checks",
        ),
    ],
    ids=["crashes", "unhealthy"],
)
def test_a_bad_revision_is_rolled_back(yard, digests, service, container, reason):
    # GIVEN a service that answers
    before = answers(yard)
    hear(yard)
    # WHEN a revision that cannot run is rolled out
    ended = roll_out(yard, register(yard, image(yard, digests["one"]), **container))
    # THEN the breaker rolls back, the tasks say why, and the old one answers
    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert "circuit breaker" in ended["statusReason"]
    assert reason in {task["stoppedReason"] for task in tasks(yard, "STOPPED")}
    assert answers(yard) == before
    # AND the service lists what it runs alone
    (listed,) = yard.world.root("ecs").describe_services(cluster="yard", services=["sample"])[
        "services"
    ][0]["deployments"]
    assert (listed["status"], listed["rolloutState"]) == ("PRIMARY", "COMPLETED")
    # AND EventBridge heard of the begin, the failure, the way back and its end, in AWS's words
    names, reasons = zip(*hear(yard), strict=True)
    assert names == ("IN_PROGRESS", "FAILED", "IN_PROGRESS", "COMPLETED")
    assert reasons[1] == "ECS deployment circuit breaker: tasks failed to start."
    assert "circuit breaker: rolling back to deploymentId ecs-svc/" in reasons[2]


@pytest.mark.parametrize(
    ("release", "start_period", "status", "reasons"),
    [
        (Release("slow", after=5), 60, "SUCCESSFUL", set()),
        (
            Release("slower", after=20),
            0,
            "ROLLBACK_SUCCESSFUL",
            {"Task failed container health checks"},
        ),
        (
            Release("late", "crash", after=5),
            60,
            "ROLLBACK_SUCCESSFUL",
            {"Essential container exited"},
        ),
    ],
    ids=["slow", "too slow", "crashes late"],
)
@pytest.mark.usefixtures("service")
def test_a_release_of_the_sample_takes_its_time(yard, release, start_period, status, reasons):
    # GIVEN the sample application, which is healthy, or crashes, some seconds after its start
    check = {"command": HEALTH_COMMAND, "interval": 5, "startPeriod": start_period}
    definition = register(yard, image(yard, sample_digest(yard, release)), healthCheck=check)
    # WHEN it is rolled out
    ended = roll_out(yard, definition)
    # THEN its time is waited for if the health check waits, and what it does then decides
    assert ended["status"] == status
    took = (ended["finishedAt"] - ended["createdAt"]).total_seconds()
    assert took > (5 if start_period else 0)
    mine = [task for task in tasks(yard, "STOPPED") if task["taskDefinitionArn"] == definition]
    assert {task["stoppedReason"] for task in mine} == reasons


def test_a_deployment_can_be_stopped(yard, digests, service):
    # GIVEN a deployment that will not end: its health check never does
    before = answers(yard)
    ecs = yard.world.root("ecs")
    endless = {"command": ["CMD", "/bin/busybox", "sleep", "60"], "timeout": 60}
    definition = register(yard, image(yard, digests["one"]), healthCheck=endless)
    updated = ecs.update_service(cluster="yard", service="sample", taskDefinition=definition)
    arn = updated["service"]["currentServiceDeployment"]
    hear(yard)
    # WHEN it is stopped with a rollback
    ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    # THEN the old revision runs on, and nobody hears of a failure: the breaker found none
    assert follow(yard, arn)["status"] == "ROLLBACK_SUCCESSFUL"
    assert answers(yard) == before
    assert [name for name, _ in hear(yard)] == ["IN_PROGRESS", "COMPLETED"]


@pytest.mark.parametrize("missing", PULL)
def test_an_execution_role_that_may_not_pull_starts_nothing(yard, digests, missing):
    # GIVEN a task whose execution role lacks one permission to pull
    role = yard.world.role(f"no-{missing.partition(':')[2]}")
    role.allow(*(action for action in PULL if action != missing))
    ecs = yard.world.root("ecs")
    definition = ecs.register_task_definition(
        family="no-pull",
        executionRoleArn=role.arn,
        containerDefinitions=[{"name": "app", "image": image(yard, digests["one"])}],
    )["taskDefinition"]["taskDefinitionArn"]
    # WHEN it is run
    task = ecs.run_task(cluster="yard", taskDefinition=definition)["tasks"][0]["taskArn"]
    # THEN it stops and says why
    ended = wait_for("the end of the task", lambda: stopped(yard, task), seconds=20)
    assert ended["stopCode"] == "TaskFailedToStart"
    assert "CannotPullContainerError" in ended["stoppedReason"]


def test_an_execution_role_that_may_not_log_starts_nothing(yard, digests):
    # GIVEN a task that writes its logs to a group, and whose execution role may only pull
    ecs = yard.world.root("ecs")
    options = {
        "awslogs-group": "/yard",
        "awslogs-region": "us-east-1",
        "awslogs-stream-prefix": "app",
    }
    logging = {"logDriver": "awslogs", "options": options}
    definition = register(yard, image(yard, digests["one"]), logConfiguration=logging)
    # WHEN it is run
    task = ecs.run_task(cluster="yard", taskDefinition=definition)["tasks"][0]["taskArn"]
    # THEN it stops and says why, and no container is left
    ended = wait_for("the end of the task", lambda: stopped(yard, task), seconds=20)
    assert "is not authorized to perform: logs:CreateLogStream" in ended["stoppedReason"]
    label = f"com.amazonaws.ecs.task-arn={task}"
    listing = ("ps", "--quiet", "--filter", f"label={label}")
    assert wait_until(lambda: yard.run(*listing).stdout == "", seconds=20)


def test_a_single_task_tells_its_exit_code(yard, digests):
    # GIVEN a task that leaves with 3
    ecs = yard.world.root("ecs")
    leaving = {"entryPoint": ["/bin/busybox", "sh", "-c", "exit 3"]}
    definition = register(yard, image(yard, digests["one"]), **leaving)
    # WHEN it is run
    task = ecs.run_task(cluster="yard", taskDefinition=definition)["tasks"][0]["taskArn"]

    # THEN
    def exit_code() -> int | None:
        found = ecs.describe_tasks(cluster="yard", tasks=[task])["tasks"][0]
        return found["containers"][0].get("exitCode")

    assert wait_for("the exit code", exit_code, seconds=20) == 3


def test_a_dockerfile_builds_on_a_private_image_whose_repository_is_named(
    yard: Yard, digests: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a Dockerfile whose FROM is in a registry that asks for a login, and not on this machine
    # (the last test of the file: others push that image)
    base = f"{yard.registry}/sample"
    (tmp_path / "Dockerfile").write_text(f"FROM {base}@{digests['one']}\nENV GREETING=built\n")
    known = yard.run("image", "inspect", "--format", "{{.Id}}", f"{yard.registry}/built:one")
    assert yard.run("image", "rm", "--force", known.stdout.strip()).returncode == 0
    yard.run("builder", "prune", "--force", "--all")
    monkeypatch.setenv("DOCKER_HOST", yard.docker.host)
    puller = yard.world.role("puller")
    puller.allow(*PULL)
    images = Images(
        docker=Docker(lambda: yard.docker.client, run_process, tmp_path / "docker"),
        ecr=puller.client("ecr"),
        secret=str,
        clock=SystemClock(),
        folder=tmp_path,
        names=Names("slipway"),
    )

    def build(named: tuple[str, ...]) -> Built:
        wanted = ImageSettings(
            repository="mine", repository_uri=f"{yard.registry}/mine", base_repositories=named
        )
        return images.build(
            make_pipeline(), wanted, Commit(id="1" * 40), tmp_path,
            tag="build-1", fresh=False, stop=Stop(), sink=print,
        )  # fmt: skip

    # WHEN the repository is not named, the registry refuses; when it is, the image is built on it
    with pytest.raises(DeploymentFailed, match="docker build failed"):
        build(())
    built = build((base,))
    assert "GREETING=built" in built.content["config"]["Env"]
    assert "VERSION=one" in built.content["config"]["Env"]
