"""The supervisor: what EC2 says of an instance happens to the agent's process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.supervisor import (
    MACHINE_GRACE_SECONDS,
    STOP_GRACE_SECONDS,
    Host,
    Supervisor,
    agent_environment,
    agent_module,
    decide,
    decide_machine,
)
from local.workplace import Workplace


@dataclass
class Process:
    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        return self.code


@dataclass
class World:
    """One instance, scripted; time stands still unless it is moved."""

    state: str = "stopped"
    boot: str = "1"
    now: float = 0.0
    started: list[Process] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    reported: dict[str, int | None] = field(default_factory=dict)

    def supervisor(self, off: Callable[[str], None] | None = None) -> Supervisor:
        return Supervisor(
            instances=lambda: [("i-1", self.state, self.boot)],
            start=self.start,
            send=lambda process, number: self.sent.append((process.pid, number)),
            report=self.reported.update,
            off=off,
            clock=lambda: self.now,
        )

    def start(self, _instance_id: str) -> Process:
        self.started.append(Process(pid=100 + len(self.started)))
        return self.started[-1]


def alive(boot: str = "1", terminated_at: float | None = None) -> Host:
    return Host(boot=boot, process=Process(1), terminated_at=terminated_at)


@pytest.mark.parametrize(
    ("state", "boot", "host", "now", "action"),
    [
        ("pending", "1", Host(), 0, "nothing"),
        ("running", "1", Host(), 0, "start"),
        ("running", "1", alive(), 0, "nothing"),
        ("stopping", "1", alive(), 0, "terminate"),
        ("stopping", "1", alive(terminated_at=0), STOP_GRACE_SECONDS - 1, "nothing"),
        ("stopping", "1", alive(terminated_at=0), STOP_GRACE_SECONDS, "kill"),
        ("stopped", "1", alive(), 0, "kill"),
        ("terminated", "1", alive(), 0, "kill"),
        ("running", "2", alive(boot="1"), 0, "kill"),
        ("stopped", "1", Host(), 0, "nothing"),
        ("running", "1", Host(boot="1", died_at=0), 0.5, "nothing"),
        ("running", "1", Host(boot="1", died_at=0), 1.0, "start"),
        ("running", "2", Host(boot="1", died_at=0), 0.5, "start"),
    ],
)
def test_what_happens_to_an_agent(
    state: str, boot: str, host: Host, now: float, action: str
) -> None:
    assert decide(state, boot, host, now) == action


@pytest.mark.parametrize(
    ("state", "boot", "host", "now", "action"),
    [
        ("running", "1", Host(), 0, "start"),
        ("running", "1", alive(), 0, "nothing"),
        ("stopping", "1", alive(), 0, "terminate"),
        ("stopping", "1", alive(terminated_at=0), STOP_GRACE_SECONDS, "nothing"),
        ("stopping", "1", alive(terminated_at=0), MACHINE_GRACE_SECONDS, "kill"),
        # It has shut down: as told to, by itself, or because it could not go on.
        ("stopping", "1", Host(boot="1", died_at=0), 0, "tell"),
        ("running", "1", Host(boot="1", died_at=0), 9, "tell"),
        ("stopped", "1", Host(boot="1", died_at=0), 0, "nothing"),
        ("running", "2", Host(boot="1", died_at=0), 0, "start"),
        ("stopped", "1", alive(), 0, "kill"),
        ("running", "2", alive(boot="1"), 0, "kill"),
    ],
)
def test_what_happens_to_a_machine(
    state: str, boot: str, host: Host, now: float, action: str
) -> None:
    assert decide_machine(state, boot, host, now) == action


def test_a_machine_that_is_off_tells_ec2_and_is_not_powered_on_again() -> None:
    # GIVEN a machine that shuts down by itself
    world = World(state="running")
    told: list[str] = []
    supervisor = world.supervisor(off=told.append)
    supervisor.step()
    world.started[0].code = 0

    # WHEN the supervisor looks, and looks again once EC2 has it as stopped
    supervisor.step()
    world.state = "stopped"
    supervisor.step()

    # THEN EC2 was told, once, and the next boot is a new machine
    assert told == ["i-1"]
    assert len(world.started) == 1
    world.state, world.boot = "running", "2"
    supervisor.step()
    assert len(world.started) == 2


def test_an_agent_that_dies_is_started_again_after_a_rest() -> None:
    # GIVEN a running instance whose agent ends by itself
    world = World(state="running")
    supervisor = world.supervisor()
    supervisor.step()
    world.started[0].code = 1

    # WHEN the supervisor looks at once, and again after the rest
    supervisor.step()
    assert len(world.started) == 1
    assert world.reported == {"i-1": None}
    world.now = 1.0
    supervisor.step()

    # THEN a new agent runs and is reported
    assert len(world.started) == 2
    assert world.reported == {"i-1": 101}


def test_a_stop_is_a_sigterm_first_and_only_once() -> None:
    world = World(state="running")
    supervisor = world.supervisor()
    supervisor.step()
    world.state = "stopping"

    supervisor.step()
    supervisor.step()
    assert world.sent == [(100, signal.SIGTERM)]

    world.state = "stopped"
    supervisor.step()
    assert world.sent == [(100, signal.SIGTERM), (100, signal.SIGKILL)]


def test_a_restarted_instance_gets_a_new_agent_after_the_old_one_is_gone() -> None:
    world = World(state="running")
    supervisor = world.supervisor()
    supervisor.step()

    world.boot = "2"
    supervisor.step()
    assert world.sent == [(100, signal.SIGKILL)]
    assert len(world.started) == 1
    world.started[0].code = -9
    supervisor.step()

    assert len(world.started) == 2


def test_no_agent_outlives_its_supervisor() -> None:
    world = World(state="running")
    supervisor = world.supervisor()
    supervisor.step()

    supervisor.stop()

    assert world.sent == [(100, signal.SIGKILL)]


def test_an_agent_gets_its_instances_metadata_and_no_credentials(tmp_path: Path) -> None:
    base = {
        "PATH": "/bin",
        "AWS_ACCESS_KEY_ID": "somebody's",
        "AWS_SECRET_ACCESS_KEY": "somebody's",
        "AWS_PROFILE": "somebody's",
        "DOCKER_HOST": "unix:///d.sock",
        "SLIPWAY_INSTALLATION": "/i.json",
        "SLIPWAY_LOCAL_RUN": "mark",
    }

    environment = agent_environment(
        base, instance_id="i-1", endpoint_url="http://127.0.0.1:1", region="r", home=tmp_path
    )

    assert environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == "http://127.0.0.1:1/imds/i-1"
    assert environment["SLIPWAY_LOCAL_RUN"] == "mark"
    assert "somebody's" not in environment.values()


def test_a_test_may_put_its_own_agent_in_place(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    assert agent_module(workplace) == "build_agent"

    workplace.agent_module_file.write_text("tests.an_agent\n")
    assert agent_module(workplace) == "tests.an_agent"
