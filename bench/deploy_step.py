"""The deploy step alone: register a revision with another image, update the service, wait."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session

from bench.ecs_service import RealClock, scripted_service
from bench.measure import Cost, call_once, in_turns, plain_environment, run_once
from bench.report import Bound, Section
from slipway.rollout import RolloutPlan, Timeouts, roll_out
from tests.scripted_ecs import CLUSTER, IMAGE, SERVICE, becomes_healthy

NEW_IMAGE = f"{IMAGE}:v8"
CONTENDERS = Path(__file__).parent / "contenders"
SLIPWAY, SMALLEST, FABFUEL, CLI, AGENT, CALLS = (
    "slipway deploy",
    "smallest boto3 script",
    "fabfuel ecs-deploy",
    "AWS CLI sequence",
    "agent's rollout, in process",
    "the same calls alone, in process",
)


@dataclass
class Commands:
    """The command of each contender for a deployment of `NEW_IMAGE`."""

    peers: Path
    every: float = 10.0
    timeout: int = 60
    table: dict[str, Sequence[str]] = field(init=False)

    def __post_init__(self) -> None:
        python = sys.executable
        region = ["--region", "us-east-1"]
        self.table = {
            SLIPWAY: [
                str(Path(python).parent / "slipway"), "deploy", "-c", CLUSTER, "-n", SERVICE,
                "-i", NEW_IMAGE, "-t", str(self.timeout),
            ],
            SMALLEST: [python, str(CONTENDERS / "smallest_boto3.py"), CLUSTER, SERVICE, NEW_IMAGE],
            FABFUEL: [
                str(self.peers / "ecs"), "deploy", CLUSTER, SERVICE, "--tag", "v8",
                "--timeout", str(self.timeout), *region,
            ],
            CLI: [
                python, str(CONTENDERS / "aws_cli_sequence.py"), str(self.peers / "aws"),
                CLUSTER, SERVICE, NEW_IMAGE, str(self.every),
            ],
        }  # fmt: skip


def section(peers: Path, *, rounds: int = 9) -> Section:
    """One deployment by each tool, against a service that is healthy at once."""
    calls: dict[str, int] = {}
    contenders: dict[str, Callable[[], Cost]] = {
        name: _command(name, command, calls) for name, command in Commands(peers).table.items()
    }
    contenders[AGENT] = _in_process(AGENT, _roll_out, calls)
    contenders[CALLS] = _in_process(CALLS, _calls_alone, calls)
    costs = in_turns(contenders, rounds=rounds)
    made = Section(
        title="Deploy step",
        about=(
            "A service of no tasks, healthy at once, behind a scripted ECS endpoint: what is"
            " measured is the tool. Wall and CPU in seconds, peak memory in MB, calls to AWS."
        ),
        columns=("", "wall s", "CPU s", "peak MB", "AWS calls", "× slipway"),
    )
    for name, cost in costs.items():
        ratio = cost.wall / costs[SLIPWAY].wall
        peak = "" if name in (AGENT, CALLS) else cost.peak_mb
        made.rows.append((name, cost.wall, cost.cpu, peak, calls[name], ratio))
    wall = {name: cost.wall for name, cost in costs.items()}
    made.bounds = [
        Bound("deploy: slipway / fabfuel, wall", 0.8, wall[SLIPWAY] / wall[FABFUEL]),
        Bound("deploy: slipway / AWS CLI sequence, wall", 0.15, wall[SLIPWAY] / wall[CLI]),
        Bound("deploy: slipway / smallest boto3 script", 1.25, wall[SLIPWAY] / wall[SMALLEST]),
        Bound("deploy: agent / the calls alone", 1.5, wall[AGENT] / wall[CALLS]),
        Bound("deploy: AWS calls (fabfuel makes 8)", 7, float(calls[SLIPWAY])),
    ]
    return made


def _command(name: str, command: Sequence[str], calls: dict[str, int]) -> Callable[[], Cost]:
    def measured() -> Cost:
        with scripted_service(becomes_healthy(0.0), tasks=0) as (ecs, url):
            cost = run_once(command, environment=plain_environment(AWS_ENDPOINT_URL=url))
            calls[name] = len(ecs.calls)
        if cost.exit_code:
            raise RuntimeError(f"{name} ended with {cost.exit_code}")
        return cost

    return measured


def _in_process(
    name: str, deploy: Callable[[Any, dict[str, Any]], object], calls: dict[str, int]
) -> Callable[[], Cost]:
    """Clients live on in the agent: making them, and their first connection, is not counted."""

    def measured() -> Cost:
        with scripted_service(becomes_healthy(0.0), tasks=0) as (ecs, url):
            client = _client(url)
            client.describe_services(cluster=CLUSTER, services=[SERVICE])
            before = len(ecs.calls)
            cost = call_once(lambda: deploy(client, {}))
            calls[name] = len(ecs.calls) - before
        return cost

    return measured


def _roll_out(client: Any, _state: dict[str, Any]) -> object:
    plan = RolloutPlan(
        cluster=CLUSTER, service=SERVICE, images={"web": NEW_IMAGE}, timeouts=Timeouts(healthy=60)
    )
    result = roll_out(plan, ecs=client, clock=RealClock())
    if result.outcome != "succeeded":
        raise RuntimeError(f"the rollout ended {result.outcome}: {result.cause}")
    return result


def _calls_alone(client: Any, _state: dict[str, Any]) -> object:
    """The calls that the rollout makes, with nothing between them."""
    arn = client.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]
    described = client.describe_task_definition(
        taskDefinition=arn["taskDefinition"], include=["TAGS"]
    )["taskDefinition"]
    new = client.register_task_definition(
        family=described["family"], containerDefinitions=described["containerDefinitions"]
    )["taskDefinition"]["taskDefinitionArn"]
    client.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=new)
    found = client.list_service_deployments(cluster=CLUSTER, service=SERVICE)
    return client.describe_service_deployments(
        serviceDeploymentArns=[found["serviceDeployments"][0]["serviceDeploymentArn"]]
    )


def _client(url: str) -> Any:
    session = botocore.session.Session()
    session.set_credentials("222222222222", "bench")
    return session.create_client("ecs", region_name="us-east-1", endpoint_url=url)
