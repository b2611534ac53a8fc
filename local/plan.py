"""What a local run shall be, and where everything of it will be, before anything starts."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from local.configuration import (
    DEV_ACCOUNT,
    IDLE_PERIOD,
    OVERFLOW_AFTER,
    PROD_ACCOUNT,
    REGION,
    START_PERIOD,
    PipelineNames,
    Sample,
    pipeline_names,
)
from local.emulator.settings import HEALTH_INTERVAL, EmulatorSettings
from local.ports import reserved, reserved_ports
from local.workplace import Workplace

DEVELOPER = "developer"
Builders = Literal["hosts", "overflow", "codeBuild"]
MACHINE_OFF_SECONDS = 180.0
"""EC2 forces a machine off that is not off by then; the supervisor pulls the plug before."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may choose. `port`: the emulator's; None takes a free one.

    `stopping_seconds`, `pending_seconds`: how long an instance is in those states; a machine says
    itself when it is off. `builds`: build slots of each host; None: what this machine allows.
    `builders`: who builds; with `codeBuild` there is no host, and with `overflow` what has waited
    for one for `overflow_after` seconds goes to a build of CodeBuild. `build_limit`: so many of
    those at the same time. `machine`: hosts are machines, not just their agents. `idle_period`:
    seconds until a host without work says so. `start_period`: seconds in which a new container of
    a service may be unhealthy. `health_interval`: the longest pause between two of its checks until
    it is healthy. `paths`: of the last pipeline; none: every push is deployed.
    `sample`: what the first pipeline deploys. `scheduled`: scheduled tasks of the last pipeline, as
    in a configuration. `smoke`: what the first pipeline's service must tell of itself after a
    deployment; None: it is not asked.
    """

    port: int | None = None
    pipelines: int = 1
    hosts: int = 1
    builds: int | None = None
    builders: Builders = "hosts"
    overflow_after: int = OVERFLOW_AFTER
    build_limit: int = 20
    pending_seconds: float = 1.0
    stopping_seconds: float = 2.0
    internal_endpoints: bool = False
    wait_for_first: bool = True
    machine: bool = False
    idle_period: int = IDLE_PERIOD
    start_period: int = START_PERIOD
    health_interval: float = HEALTH_INTERVAL
    paths: tuple[str, ...] = ()
    sample: Sample = "web"
    scheduled: tuple[dict[str, Any], ...] = ()
    smoke: str | None = None

    @property
    def host_count(self) -> int:
        """How many hosts there are."""
        return 0 if self.builders == "codeBuild" else self.hosts


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything will be."""

    options: Options
    settings: EmulatorSettings
    slack_port: int
    service_ports: tuple[int, ...]
    pipelines: tuple[PipelineNames, ...]
    password: str

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self.slack_port}"

    @property
    def initial_image(self) -> str:
        """What services run until the first deployment: on this machine's daemon, nowhere else.

        Its registry is a port that nothing can listen on, so that nobody asks the internet for it.
        """
        return f"127.0.0.1:0/{self.settings.run_id}/initial:1"

    def git_url(self, names: PipelineNames) -> str:
        """With the developer's credentials: whoever has it can clone and push."""
        path = f"{self.settings.address}/v1/repos/{names.repository}"
        return f"http://{DEVELOPER}:{self.password}@{path}"


@dataclass(frozen=True)
class Ports:
    """What listens where: `services` has one for each pipeline."""

    emulator: int
    slack: int
    services: tuple[int, ...]


@contextlib.contextmanager
def ports_for(options: Options) -> Iterator[Ports]:
    """Reserved until the end of the block, in which their servers begin to listen.

    WorldFailed if the port that was asked for is taken.
    """
    with contextlib.ExitStack() as stack:
        asked = []  # first: else it could be one of those that are found
        if options.port is not None:
            asked.append(stack.enter_context(reserved(options.port, "the emulator")))
        found = stack.enter_context(reserved_ports(2 + options.pipelines - len(asked)))
        emulator, slack, *services = [*asked, *found]
        yield Ports(emulator, slack, tuple(services))


def make_plan(workplace: Workplace, options: Options, ports: Ports) -> Plan:
    """Where everything will be, with a new password."""
    password = secrets.token_hex(12)
    settings = EmulatorSettings(
        port=ports.emulator,
        data_dir=workplace.emulator_dir,
        docker_host="",
        region=REGION,
        dev_account=DEV_ACCOUNT,
        prod_account=PROD_ACCOUNT,
        pending_seconds=options.pending_seconds,
        stopping_seconds=MACHINE_OFF_SECONDS if options.machine else options.stopping_seconds,
        health_interval_seconds=options.health_interval,
        build_log_dir=workplace.log_dir,
        git_users=((DEVELOPER, password),),
        internal_endpoints=options.internal_endpoints,
    )
    return Plan(
        options=options,
        settings=settings,
        slack_port=ports.slack,
        service_ports=ports.services,
        pipelines=pipeline_names(options.pipelines, options.sample),
        password=password,
    )
