"""Plays EC2's hardware: what EC2 says of an instance happens to a process of this machine.

Without `--image` an instance is its agent alone. One that turns `running` boots: its agent starts,
as systemd would start it, with nothing but the instance's own metadata service for credentials.
`stopping` is a shutdown: SIGTERM, and SIGKILL after a grace time. `stopped` is power off. An agent
that dies is started again while its instance runs.

With `--image` an instance is a machine (`local.machine`), and its agent is systemd's there. SIGTERM
is the power button, SIGKILL the plug. A machine that has gone off tells EC2 so.

Neither outlives its supervisor.

    python -m local.supervisor --directory .local --endpoint-url URL [--image DIR --cgroup NAME]
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
from botocore.exceptions import BotoCoreError, ClientError

from local.accounts import client_of
from local.machine.image import in_use
from local.machine.machines import Machines
from local.processes import HostProcess, die_with_parent, send_to_group
from local.started import MARK_VARIABLE
from local.state import HostState, read_state, write_state
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import PATH_VARIABLE, Installation, load_installation

POLL_SECONDS = 0.2
STOP_GRACE_SECONDS = 30.0  # the unit's TimeoutStopSec is longer; nobody wants to wait for it here
MACHINE_GRACE_SECONDS = 150.0  # EC2 forces a stop after some minutes
RESTART_SECONDS = 1.0

log = logging.getLogger("supervisor")
Action = Literal["start", "terminate", "kill", "tell", "nothing"]


@dataclass
class Host:
    """What is known of one instance's process. Times are seconds of the monotonic clock."""

    boot: str = ""
    process: HostProcess | None = None
    terminated_at: float | None = None
    died_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


def decide_machine(state: str, boot: str, host: Host, now: float) -> Action:
    """The same where the process is a machine: it is off when it says so, and stays off."""
    ended_in_this_boot = host.died_at is not None and boot == host.boot
    if not host.alive and (state == "stopping" or (state == "running" and ended_in_this_boot)):
        return "tell"
    return decide(state, boot, host, now, grace=MACHINE_GRACE_SECONDS)


def decide(
    state: str, boot: str, host: Host, now: float, *, grace: float = STOP_GRACE_SECONDS
) -> Action:
    """What happens to the process of an instance in this EC2 state and boot."""
    if not host.alive:
        rested = host.died_at is None or now - host.died_at >= RESTART_SECONDS
        return "start" if state == "running" and (rested or boot != host.boot) else "nothing"
    if state == "running" and boot == host.boot:
        return "nothing"
    if state == "stopping" and boot == host.boot:
        if host.terminated_at is None:
            return "terminate"
        return "kill" if now - host.terminated_at >= grace else "nothing"
    return "kill"  # powered off, terminated, or already another boot


class Supervisor:
    """One pass of `step` brings every process in line with its instance."""

    def __init__(
        self,
        *,
        instances: Callable[[], list[tuple[str, str, str]]],
        start: Callable[[str], HostProcess],
        send: Callable[[HostProcess, int], None],
        report: Callable[[dict[str, int | None]], None],
        off: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`instances` answers (instance id, EC2 state, boot); `report` takes the processes' ids.

        `off`, where the processes are machines: tells EC2 that an instance's machine is off.
        """
        self._instances = instances
        self._start = start
        self._send = send
        self._report = report
        self._off = off
        self._decide = decide if off is None else decide_machine
        self._clock = clock
        self.hosts: dict[str, Host] = {}

    def step(self) -> None:
        """Look at EC2 once and act."""
        for instance_id, state, boot in self._instances():
            host = self.hosts.setdefault(instance_id, Host())
            self._note_death(instance_id, host)
            self._act(self._decide(state, boot, host, self._clock()), instance_id, boot, host)
        self._report(
            {
                instance_id: host.process.pid if host.process is not None and host.alive else None
                for instance_id, host in self.hosts.items()
            }
        )

    def stop(self) -> None:
        """The supervisor goes: so does every process, at once."""
        for host in self.hosts.values():
            if host.process is not None and host.alive:
                self._send(host.process, signal.SIGKILL)

    def _note_death(self, instance_id: str, host: Host) -> None:
        if host.process is not None and not host.alive:
            log.info("%s ended with code %s", instance_id, host.process.poll())
            host.process, host.terminated_at, host.died_at = None, None, self._clock()

    def _act(self, action: Action, instance_id: str, boot: str, host: Host) -> None:
        if action == "tell" and self._off is not None:
            log.info("%s is off", instance_id)
            self._off(instance_id)
        elif action == "start":
            host.process, host.boot, host.terminated_at = self._start(instance_id), boot, None
            log.info("%s started as process %d", instance_id, host.process.pid)
        elif action != "nothing" and host.process is not None:
            number = signal.SIGTERM if action == "terminate" else signal.SIGKILL
            log.info("%s gets %s", instance_id, number.name)
            if action == "terminate":
                host.terminated_at = self._clock()
            self._send(host.process, number)


# --- the real effects


def instances_of(ec2: Any, installation: Installation) -> list[tuple[str, str, str]]:
    """(instance id, state, launch time) of the installation's build hosts."""
    names = [installation.names.host(n + 1) for n in range(installation.host_count)]
    if not names:
        return []
    answer = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": names}])
    return [
        (found["InstanceId"], found["State"]["Name"], str(found["LaunchTime"]))
        for reservation in answer["Reservations"]
        for found in reservation["Instances"]
        if found["State"]["Name"] != "terminated"
    ]


def agent_environment(
    base: Mapping[str, str], *, instance_id: str, endpoint_url: str, region: str, home: Path
) -> dict[str, str]:
    """What an agent gets: the way to docker and to its instance's metadata, and no credentials."""
    passed = ("PATH", "LANG", "LC_ALL", "DOCKER_HOST", "DOCKER_BUILDKIT", MARK_VARIABLE)
    return {
        **{name: base[name] for name in passed if name in base},
        PATH_VARIABLE: base[PATH_VARIABLE],
        "HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONUNBUFFERED": "1",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{endpoint_url}/imds/{instance_id}",
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_DEFAULT_REGION": region,
    }


def agent_module(workplace: Workplace) -> str:
    """`build_agent`, unless a test has put another module's name in its place for a while."""
    with contextlib.suppress(FileNotFoundError):
        return workplace.agent_module_file.read_text(encoding="utf-8").strip()
    return "build_agent"


def start_agent(workplace: Workplace, instance_id: str, endpoint_url: str, region: str) -> Any:
    """The agent of an instance as a child of its own session that dies with this process."""
    home = workplace.hosts_dir / instance_id
    home.mkdir(parents=True, exist_ok=True)
    environment = agent_environment(
        os.environ, instance_id=instance_id, endpoint_url=endpoint_url, region=region, home=home
    )
    with (workplace.log_dir / f"agent-{instance_id}.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", agent_module(workplace), "run"],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
        )


class StateReport:
    """Writes the agents' processes to state.json when they change."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def __call__(self, agents: dict[str, int | None]) -> None:
        if not self._workplace.state_file.exists():
            return  # `up` is not that far, or `down` has begun
        state = read_state(self._workplace)
        wanted = state
        for instance_id, pid in agents.items():
            if HostState(instance_id=instance_id, agent_pid=pid) not in wanted.hosts:
                wanted = wanted.with_agent(instance_id, pid)
        if wanted != state:
            write_state(self._workplace, wanted)


def run(supervisor: Supervisor, stopping: threading.Event) -> None:
    """Pass after pass until told to stop; an emulator that does not answer is asked again."""
    try:
        while not stopping.is_set():
            try:
                supervisor.step()
            except (OSError, WorldFailed, BotoCoreError, ClientError) as error:
                log.warning("%s", error)
            stopping.wait(POLL_SECONDS)
    finally:
        supervisor.stop()


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), required=True)
@click.option("--endpoint-url", required=True)
@click.option(
    "--image", type=click.Path(path_type=Path), help="Hosts are machines, booted from it."
)
@click.option("--cgroup", default="", help="With --image: the run's cgroup.")
def main(directory: Path, endpoint_url: str, image: Path | None, cgroup: str) -> None:
    """Keep the build hosts in line with EC2 until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    workplace = Workplace(directory.resolve())
    installation = load_installation(workplace.installation_file)
    os.environ[PATH_VARIABLE] = str(workplace.installation_file)
    ec2 = client_of("ec2", endpoint_url, installation.prod_account, installation.region)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    instances = lambda: instances_of(ec2, installation)  # noqa: E731
    if image is None:
        supervisor = Supervisor(
            instances=instances,
            start=lambda i: start_agent(workplace, i, endpoint_url, installation.region),
            send=send_to_group,
            report=StateReport(workplace),
        )
        run(supervisor, stopping)
        return
    machines = Machines(workplace, image=image, cgroup=cgroup, endpoint_url=endpoint_url)
    supervisor = Supervisor(
        instances=instances,
        start=machines.start,
        send=machines.send,
        off=machines.off,
        # Their agents are the machines' own: state.json has no process of this machine for them.
        report=lambda _: None,
    )
    with in_use(image):
        run(supervisor, stopping)


if __name__ == "__main__":
    main()
