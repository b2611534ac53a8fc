"""The host's units under a real systemd, begun by cloud-init with the template's own user data.

The agents are a few lines, so that they can be made to fail. The cases share one machine and come
in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine.booted import Booted, Spawned
from tests.machine.cloud import Cloud

AGENT, BOOT, UPDATES = (f"slipway-{name}.service" for name in ("agent", "boot", "updates"))
UNITS = "/etc/systemd/system"
# A package manager that takes as long as the test likes.
DNF = """#!/bin/bash
[[ $1 == upgrade ]] || exit 0
touch /var/log/dnf-begun
until [[ -e /var/log/dnf-may-end ]]; do sleep 0.1; done
touch /var/log/dnf-ended
"""


@pytest.fixture(scope="module")
def machine(
    image: Path, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Booted]:
    """A machine that was never on, with shorter patience than a host's."""
    found = Spawned(image, tmp_path_factory.mktemp("machine"), cloud.endpoint_url)
    found.put(
        {
            f"{UNITS}/{BOOT}.d/quick.conf": "[Service]\nRestartSec=1\n",
            f"{UNITS}/{AGENT}.d/quick.conf": "[Service]\nTimeoutStartSec=3\n",
            "/usr/bin/dnf": DNF,
        }
    )
    yield found
    found.pull()


def test_a_first_boot_whose_first_call_fails_is_tried_again(machine: Booted, cloud: Cloud) -> None:
    # GIVEN a host that has never been on, and a cloud whose first answer is an error
    cloud.publish("one")
    cloud.failures = 1
    # WHEN it is powered on, THEN the second try brings the agent, and the log tells of both
    machine.power_on_fully()
    assert machine.agents() == [("started", "one")]
    said = machine.log("slipway/boot.log")
    assert "there is no agent that starts" in said
    assert "slipway-boot: agent " in said.splitlines()[-1]
    # AND nothing of ours has failed
    assert "slipway" not in machine.says("systemctl", "list-units", "--failed", "--plain")


def test_a_later_boot_starts_the_agent_once_and_the_right_one(
    machine: Booted, cloud: Cloud
) -> None:
    # WHEN it is stopped, and started with the same release
    machine.power_off()
    assert machine.agents() == [("started", "one"), ("ended", "one")]
    machine.power_on_fully()
    # THEN its agent was started once
    assert machine.agents() == [("started", "one")]
    # AND with another release, that one is, and the old one never
    machine.power_off()
    cloud.publish("two")
    machine.power_on_fully()
    assert machine.agents() == [("started", "two")]


def test_the_boot_unit_run_again_lets_the_agent_work(machine: Booted) -> None:
    machine.does("systemctl", "restart", BOOT)
    assert machine.agents() == [("started", "two")]


@pytest.mark.parametrize("behaviour", ["ends", "hangs"])
def test_a_release_that_does_not_come_up_is_left_aside(
    machine: Booted, cloud: Cloud, behaviour: str
) -> None:
    # GIVEN a release whose agent ends, or says nothing
    cloud.publish("bad", behaviour)
    before = len(machine.agents())
    # WHEN the host boots
    machine.does("systemctl", "restart", BOOT)
    # THEN the last good one runs again
    assert machine.says("systemctl", "is-active", AGENT) == "active"
    was = machine.agents()[before:]
    assert (was[0], was[1], was[-1]) == (("ended", "two"), ("started", "bad"), ("started", "two"))
    assert "does not start and is left aside" in machine.log("slipway/boot.log").splitlines()[-1]
    cloud.publish("two")


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_a_unit_has_a_place_for_its_log_whatever_became_of_it(machine: Booted, how: str) -> None:
    # GIVEN a host whose folder of logs somebody has removed
    machine.does("rm", "-r", "/var/log/slipway")
    before = len(machine.agents())
    # WHEN the agent is started again, by hand or by systemd
    if how == "restart":
        machine.does("systemctl", "restart", AGENT)
    else:
        machine.run("systemctl", "kill", "--signal=SIGKILL", AGENT)
    # THEN it comes up, and its log is there
    machine.until("another agent", lambda: ("started", "two") in machine.agents()[before:])
    machine.until("its log", lambda: "started two" in machine.log("slipway/agent.log"))


def test_a_log_that_has_grown_is_put_aside_when_its_unit_starts(machine: Booted) -> None:
    said = machine.log("slipway/agent.log")
    machine.run("truncate", "--size=21M", "/var/log/slipway/agent.log")
    machine.does("systemctl", "restart", AGENT)
    assert machine.log("slipway/agent.log.1").startswith(said)
    machine.until("a new log", lambda: "started two" in machine.log("slipway/agent.log"))
    assert len(machine.log("slipway/agent.log")) < 1000


def test_a_stop_waits_for_an_upgrade_under_way(machine: Booted) -> None:
    # GIVEN a host whose agent rests, so that an upgrade has begun
    machine.run("systemctl", "start", "--no-block", UPDATES)
    machine.until("dnf", (machine.place / "log" / "dnf-begun").exists)
    # WHEN it is stopped
    machine.press()
    # THEN the agent ends at once, the package manager in its own time, and the host after it
    machine.until("the agent's end", lambda: machine.agents()[-1] == ("ended", "two"))
    assert not machine.is_off()
    assert not (machine.place / "log" / "dnf-ended").exists()
    (machine.place / "log" / "dnf-may-end").touch()
    machine.until("power off", machine.is_off)
    assert (machine.place / "log" / "dnf-ended").exists()
    # AND no mark says that it was cut
    assert not (machine.machine.disk.upper / "opt/slipway/packages.unfinished").exists()


def test_a_stop_does_not_wait_for_an_upgrade_that_has_not_begun(
    machine: Booted, cloud: Cloud
) -> None:
    # GIVEN a host whose updates wait for an agent at work
    for name in ("dnf-begun", "dnf-ended", "dnf-may-end"):
        (machine.place / "log" / name).unlink()
    cloud.publish("three", "works")
    machine.power_on_fully()
    machine.run("systemctl", "start", "--no-block", UPDATES)
    machine.until(
        "the wait", lambda: machine.says("systemctl", "is-active", UPDATES) == "activating"
    )
    # WHEN it is stopped, THEN it goes off with its agent
    machine.power_off()
    assert machine.agents() == [("started", "three"), ("ended", "three")]
    assert "given-back-by-three" in cloud.said
    assert not (machine.place / "log" / "dnf-begun").exists()
