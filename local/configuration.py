"""The configuration of a local run: the same kind of file as cdk.json's, for one machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local.team import (
    CLUSTER,
    EVENTS_ROLE,
    EXECUTION_ROLE,
    NIGHTLY,
    SERVICES,
    WORKER,
    definition_file,
)
from slipway.contracts.names import Names

INSTALLATION = "slipway"
Sample = Literal["web", "whole"]
"""What the first pipeline deploys: a web service, or that with a worker and a nightly task."""
REGION = "us-east-1"
DEV_ACCOUNT = "111111111111"
PROD_ACCOUNT = "222222222222"
BRANCH = "production"
SAMPLE_PORT = 8080
NAMES = Names(INSTALLATION)
OPERATOR = "operator"
"""A role of the prod account that may ask for tips, as the commands do; who wants it makes it."""

HEALTH_COMMAND = [
    "CMD",
    "/bin/busybox",
    *("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{SAMPLE_PORT}/health"),
]

TESTED = {"test": {"target": "test", "reports": ["/reports/junit.xml"]}}

IDLE_PERIOD = 3
"""Seconds; an option of `up`, like those below."""
START_PERIOD = 0
OVERFLOW_AFTER = 10
LONGEST_START = 300
"""Seconds: ECS takes no longer start period of a health check."""
HEALTHY_TIMEOUT = 60
BREAKER_FAILURES = 3
"""So many tasks of a service with one task must fail before ECS's circuit breaker rolls back."""

LIMITS: dict[str, int] = {
    # Short enough to watch, long enough for a machine that is busy with a build.
    "heartbeat": 3,
    "visibility": 20,
    "lockTtl": 15,
    # Longer than the stopper can live: its function's timeout.
    "stopClaim": 60,
    # A lost event costs seconds, and a person who watches sees the looks.
    "followFirst": 1,
    "followLongest": 5,
    "noHeartbeat": 60,
    "noProgress": 300,
    "republishAfter": 60,
    "driftEvery": 30,
    "driftAge": 15,
    "giveUpAfter": 600,
    "maxAttempts": 5,
}

MACHINE_LIMITS: dict[str, int] = {
    # It boots, on a machine that may be busy: no agent is there before that.
    "noHeartbeat": 240,
}


@dataclass(frozen=True)
class PipelineNames:
    """What one pipeline of the local run is called everywhere. `whole`: it deploys the team's
    services; else one that the prod stack makes.
    """

    name: str
    whole: bool = False

    @property
    def repository(self) -> str:
        return self.name

    @property
    def image(self) -> str:
        return f"{INSTALLATION}/{self.name}"

    @property
    def cluster(self) -> str:
        return CLUSTER if self.whole else f"{INSTALLATION}-sample"

    @property
    def service(self) -> str:
        """The one that answers over HTTP."""
        return SERVICES[0] if self.whole else self.name


def pipeline_names(count: int, sample: Sample = "web") -> tuple[PipelineNames, ...]:
    """`sample`, `sample-2`, `sample-3` …; `sample` is of the first one."""
    others = (PipelineNames(f"sample-{number}") for number in range(2, count + 1))
    return (PipelineNames("sample", whole=sample == "whole"), *others)


def local_configuration(
    *,
    endpoint_url: str,
    registry: str,
    initial_image: str,
    pipelines: tuple[PipelineNames, ...],
    hosts: int = 1,
    builds: int | None = None,
    builders: str = "hosts",
    overflow_after: int = OVERFLOW_AFTER,
    build_limit: int = 20,
    machine: bool = False,
    idle_period: int = IDLE_PERIOD,
    start_period: int = START_PERIOD,
    paths: Sequence[str] = (),
    scheduled: Sequence[dict[str, Any]] = (),
    smoke: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The configuration as JSON values, for the CDK app's `-c configuration=FILE`.

    `builds`: build slots of each host; None: what this machine allows. `builders`: who builds;
    with `codeBuild` no host. `overflow_after`, `build_limit`: of builds of CodeBuild, in seconds
    and at the same time. `start_period`: seconds in which a new container may be unhealthy.
    `paths`, `scheduled`: paths and scheduled tasks of the last pipeline. `smoke`: of the first
    one's service.
    """
    made = [_pipeline(names, initial_image, start_period) for names in pipelines]
    if scheduled:
        made[-1]["scheduledTasks"] = list(scheduled)
    if paths:
        made[-1]["paths"] = list(paths)
    if smoke is not None:
        first = made[0]["services"][0] if pipelines[0].whole else made[0]["service"]
        first["smoke"] = smoke
    return {
        "name": INSTALLATION,
        "region": REGION,
        "dev": {
            "account": DEV_ACCOUNT,
            "operators": [f"arn:aws:iam::{PROD_ACCOUNT}:role/{OPERATOR}"],
        },
        "prod": {"account": PROD_ACCOUNT},
        "pipelines": made,
        **_who_builds(builders, hosts, builds, overflow_after, build_limit),
        "network": {"availabilityZone": f"{REGION}a"},
        "lambdas": {"reconcileEveryMinutes": 1, "logRetentionDays": 1},
        "limits": {
            **LIMITS,
            **(MACHINE_LIMITS if machine else {}),
            "idlePeriod": idle_period,
        },
        "local": {"registry": registry, "gitBaseUrl": f"{endpoint_url}/v1/repos"},
    }


def _pipeline(names: PipelineNames, initial_image: str, start_period: int) -> dict[str, Any]:
    image = {
        "repository": {"name": names.image, "create": True},
        "buildArguments": {"environment": "local", "commit": "{commit}"},
        "containers": ["app"],
    }
    service = {
        "sample": True,
        "port": SAMPLE_PORT,
        "initialImage": initial_image,
        "healthCommand": HEALTH_COMMAND,
        "healthStartPeriod": start_period,
    }
    return {
        "name": names.name,
        "repository": {"name": names.repository, "create": True},
        "branch": BRANCH,
        "images": [{**image, **TESTED} if names.whole else image],
        **(_of_the_team() if names.whole else {"service": service}),
        "rollout": {
            # Where a crash may come as late as that, the breaker still comes before the timeout.
            "healthyTimeout": HEALTHY_TIMEOUT + BREAKER_FAILURES * start_period,
            "drainTimeout": 30,
            "maxDefinitions": 3,
        },
    }


def _of_the_team() -> dict[str, Any]:
    """Its services, whose task definitions stand in the repository, and its nightly task."""
    roles = [_role(EXECUTION_ROLE)]
    services = [
        {
            "cluster": CLUSTER,
            "name": service,
            "roles": roles,
            "taskDefinition": definition_file(service),
        }
        for service in SERVICES
    ]
    nightly = {"rule": NIGHTLY, "family": WORKER, "targetRole": _role(EVENTS_ROLE)}
    return {"services": services, "scheduledTasks": [nightly]}


def _role(name: str) -> str:
    return f"arn:aws:iam::{PROD_ACCOUNT}:role/{name}"


def _who_builds(
    builders: str, hosts: int, builds: int | None, overflow_after: int, build_limit: int
) -> dict[str, Any]:
    """`buildHost` and `builders`, each where it counts."""
    processor = _processor(platform.machine())
    configured: dict[str, Any] = {}
    if builders != "codeBuild":
        configured["buildHost"] = {
            "count": hosts,
            **({} if builds is None else {"builds": builds}),
            "ami": "ami-00000000000000000",
            **processor,
        }
    if builders != "hosts":
        configured["builders"] = {
            "when": builders,
            **({"overflowAfter": overflow_after} if builders == "overflow" else {}),
            "codeBuild": {"limit": build_limit, "architecture": processor["architecture"]},
        }
    return configured


def _processor(machine: str) -> dict[str, str]:
    if machine in ("aarch64", "arm64"):
        return {"architecture": "arm64", "instanceType": "t4g.medium"}
    return {"architecture": "x86_64", "instanceType": "t3.medium"}
