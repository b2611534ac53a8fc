"""What a service runs, which containers an image is for, and which architecture fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from build_agent.host.stop import Stop
from build_agent.service import Services
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import RolloutSettings
from slipway.following.deployed import Deployed
from slipway.following.progress import stage_of
from slipway.following.service import (
    Running,
    check_architecture,
    containers_of,
    plan_of,
    runs_already,
    runtime_architecture,
)
from slipway.rollout import Live
from slipway.rollout.plan import Step
from tests.aws.answers import instead
from tests.unit.build_agent.fakes import URI, definition
from tests.unit.build_agent.world import make_pipeline

D1, D2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64
IMAGE = make_pipeline().images[0]
RUNNING = Running(
    task_definition=definition(1),
    steady=True,
    images={"app": f"{URI}@{D1}", "worker": f"{URI}@{D1}", "proxy": "nginx", "bad": "::"},
)


def deployed(running: Running = RUNNING) -> Deployed:
    return Deployed.of(make_pipeline(), lambda _pipeline: running)


def test_an_image_is_for_the_containers_of_its_repository_or_those_named() -> None:
    assert containers_of(IMAGE, RUNNING) == ("app", "worker")
    assert containers_of(replace(IMAGE, containers=("proxy",)), RUNNING) == ("proxy",)


@pytest.mark.parametrize(
    "changes",
    [{"containers": ("nope",)}, {"repository_uri": "other/app"}, {"repository_uri": "app"}],
)
def test_no_container_is_an_error_that_says_which_there_are(changes: dict[str, Any]) -> None:
    with pytest.raises(DeploymentFailed, match=r"there are: app \(127.*proxy \(nginx\)") as error:
        containers_of(replace(IMAGE, **changes), RUNNING)
    assert error.value.stage == "rollout"


def test_a_service_runs_an_image_already_only_when_steady_on_its_digest() -> None:
    (same,) = deployed()._wanted([(IMAGE, D1)])
    assert same == {"app": f"{URI}@{D1}", "worker": f"{URI}@{D1}"}
    assert runs_already(same, RUNNING)
    assert not runs_already(same, replace(RUNNING, steady=False))
    (other,) = deployed()._wanted([(IMAGE, D2)])
    assert not runs_already(other, RUNNING)


def test_containers_that_name_different_digests_have_no_running_one() -> None:
    assert deployed().digest(IMAGE) == D1
    mixed = replace(RUNNING, images={"app": f"{URI}@{D1}", "worker": f"{URI}@{D2}"})
    assert deployed(mixed).digest(IMAGE) is None
    tagged = replace(RUNNING, images={"app": f"{URI}:latest"})
    assert deployed(tagged).digest(IMAGE) is None


@pytest.mark.parametrize(
    ("members", "architecture"),
    [
        ({"runtimePlatform": {"cpuArchitecture": "ARM64"}}, "ARM64"),
        ({"requiresCompatibilities": ["FARGATE"]}, "X86_64"),
        ({"requiresCompatibilities": ["EC2"]}, None),
        ({}, None),
    ],
)
def test_the_architecture_that_a_definition_runs_on(
    members: dict[str, Any], architecture: str | None
) -> None:
    assert runtime_architecture(members) == architecture


@pytest.mark.parametrize(
    ("built", "runs", "fits"),
    [
        ("amd64", "X86_64", True),
        ("linux/amd64", "X86_64", True),
        ("linux/arm64/v8", "ARM64", True),
        ("arm64", "X86_64", False),
        ("linux/amd64", "ARM64", False),
        ("riscv64", "X86_64", False),
        ("riscv64", None, True),
    ],
)
def test_an_image_must_fit_the_runtime_platform(built: str, runs: str | None, fits: bool) -> None:
    running = replace(RUNNING, architecture=runs)
    if fits:
        check_architecture(built, running)
    else:
        with pytest.raises(DeploymentFailed, match="nothing was rolled out"):
            check_architecture(built, running)


def test_every_step_of_a_rollout_has_a_stage() -> None:
    assert {stage_of(step) for step in get_args(Step)} == {
        "rollout", "register", "update", "wait", "prove",
    }  # fmt: skip


def test_a_plan_takes_the_pipelines_settings() -> None:
    settings = RolloutSettings(
        healthy_timeout=60, drain_timeout=30, max_definitions=5, pre_deploy_command=("migrate",)
    )
    pipeline = make_pipeline(rollout=settings)
    plan = plan_of(pipeline, images={"app": "x"})
    assert (plan.cluster, plan.service, plan.max_definitions) == ("prod", "web", 5)
    assert (plan.timeouts.healthy, plan.timeouts.drain) == (60, 30)
    assert plan.task is not None and plan.task.command == ("migrate",)
    # To go back or to follow runs no migration.
    assert plan_of(pipeline, target=definition(1)).task is None


def test_a_service_that_is_not_there_is_the_commits_fault(aws: Any) -> None:
    ecs = aws("ecs", region_name="us-east-1")
    ecs.create_cluster(clusterName="prod")
    services = Services(ecs)
    with pytest.raises(DeploymentFailed, match="there is no service 'web'"):
        services.running(make_pipeline(), stop=Stop())


def test_what_a_service_runs_is_read_from_its_task_definition(aws: Any) -> None:
    ecs = aws("ecs", region_name="us-east-1")
    ecs.create_cluster(clusterName="prod")
    ecs.register_task_definition(
        family="web",
        containerDefinitions=[{"name": "app", "image": f"{URI}@{D1}", "memory": 64}],
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        networkMode="awsvpc",
    )
    instead(ecs, "list_service_deployments", lambda **_members: {"serviceDeployments": []})
    ecs.create_service(cluster="prod", serviceName="web", taskDefinition="web", desiredCount=0)
    services = Services(ecs)
    running = services.running(make_pipeline(), stop=Stop())
    assert running.images == {"app": f"{URI}@{D1}"}
    assert running.architecture == "X86_64"
    assert running.task_definition.endswith("task-definition/web:1")


FILE: dict[str, Any] = {
    "family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc",
    "requiresCompatibilities": ["FARGATE"],
    "containerDefinitions": [
        {
            "name": "app", "image": f"{URI}@{D1}", "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
        }
    ],
    "volumes": [{"name": "data"}],
    "tags": [{"key": "team", "value": "a"}],
}  # fmt: skip
"""As it may stand in a repository."""


@pytest.fixture
def ecs(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service that runs `FILE`. moto knows no service deployments, which `live` asks for."""
    client = aws("ecs", region_name="us-east-1")
    registered = client.register_task_definition(**FILE)["taskDefinition"]["taskDefinitionArn"]
    runs = Live(
        service="web", task_definition=registered, revision=None, steady=True, digests={}, images={}
    )
    monkeypatch.setattr("slipway.following.service.live", lambda *_, **__: runs)
    return client


def test_what_was_registered_of_a_file_is_found_the_same(ecs: Any) -> None:
    running = Services(ecs).running(make_pipeline(), stop=Stop())
    assert running.compared(FILE).base is None
    assert running.compared({**FILE, "cpu": "512"}).base_changes == ("cpu: 256 → 512",)


def test_the_familys_newest_revision_is_the_base_where_that_is_asked_for(ecs: Any) -> None:
    services, by_family = Services(ecs), make_pipeline(base="family")
    ecs.register_task_definition(**{**FILE, "memory": "1024"})
    # WHEN the service is looked at
    plain, running = (services.running(p, stop=Stop()) for p in (make_pipeline(), by_family))
    # THEN only who asks for the family sees what is newer
    assert plain.base is None
    assert running.base_changes == ("memory: 512 → 1024",)
    (wanted,) = deployed(running)._wanted([(IMAGE, D1)])
    assert runs_already(wanted, plain) and not runs_already(wanted, running)
    assert plan_of(by_family, images=wanted).base == "family"
