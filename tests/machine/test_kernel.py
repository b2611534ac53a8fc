"""`make machine`: what only a build host with a kernel of its own shows, in QEMU.

The power button as EC2 presses it, in the first installation, at work and in an upgrade; memory
that runs out. The cases share one machine and come in this order; each says how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from local.docker import provide_busybox
from local.machine import kernel, qemu
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed
from tests.machine.booted import Emulated
from tests.machine.cloud import Cloud
from tests.skipping import cannot_run

pytestmark = pytest.mark.qemu

AGENT, BOOT, UPDATES = (f"slipway-{name}.service" for name in ("agent", "boot", "updates"))
MARK = "/opt/slipway/packages.unfinished"
# The package manager takes as long as the test likes, and tells what it sees meanwhile. It asks by
# the machine's way out alone: what else there is may be stopped already.
DNF = """#!/bin/bash
say() { curl -s "@outside@/said/$1"; }
say "$1-begun"
until curl -sf "@outside@/gate/$1"; do
  [[ $(systemctl is-system-running) == stopping ]] && say "$1-in-a-stop"
  grep -qs ended /var/log/agents && say "$1-after-the-agent"
  sleep 0.5
done
[[ $1 == upgrade ]] || dpkg --install /var/cache/dnf/*.deb
say "$1-ended"
"""
# The image's own takes most of a minute here; it is in use in the other tests.
AWS = """#!/bin/bash
case "$1 $2" in
  "ssm get-parameter")
    curl -sf --header 'X-Amz-Target: AmazonSSM.GetParameter' --data "{\\"Name\\": \\"$4\\"}" \\
      "$AWS_ENDPOINT_URL/" |
      python3 -c 'import json, sys; print(json.load(sys.stdin)["Parameter"]["Value"])' ;;
  "s3 cp") curl -sf --output "$5" "$AWS_ENDPOINT_URL/${4#s3://}" ;;
esac
"""
EATER = """FROM scratch
COPY busybox /busybox
RUN ["/busybox", "tail", "/dev/zero"]
"""


@pytest.fixture(scope="module")
def machine(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """A machine that was never on."""
    workplace = Workplace(tmp_path_factory.mktemp("image"))
    try:
        kernel.prepare()
    except WorldFailed as error:
        cannot_run(str(error))
    image = kernel.provide(workplace, Ledger.begin(workplace))
    found = Emulated(image, tmp_path_factory.mktemp("machine"), cloud.endpoint_url)
    outside = cloud.endpoint_url.replace("127.0.0.1", kernel.OUTSIDE)
    found.put(
        {
            "/usr/bin/dnf": DNF.replace("@outside@", outside),
            "/usr/local/bin/aws": AWS,
            "/opt/eater/Dockerfile": EATER,
            "/opt/eater/busybox": provide_busybox().read_bytes(),
        }
    )
    yield found
    found.pull()


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    began = time.monotonic()
    yield
    with capsys.disabled():
        print(f"\n{request.node.name}: {time.monotonic() - began:.0f} s")


def off(machine: Emulated) -> float:
    """Wait for it; seconds."""
    began = time.monotonic()
    machine.until("power off", machine.is_off)
    return time.monotonic() - began


def interrupted(machine: Emulated) -> str:
    """The mark of a cut package transaction, empty if there is none."""
    return qemu.read(machine.machine.disk.folder / kernel.DISK, MARK)


def test_the_power_key_waits_for_the_first_installation(machine: Emulated, cloud: Cloud) -> None:
    # GIVEN a host in its first boot, whose packages are being installed
    cloud.publish("one")
    machine.power_on()
    machine.until("the installation", lambda: "install-begun" in cloud.said)
    # WHEN the key is pressed
    machine.press()
    # THEN the host stops, but for the package manager
    machine.until("the stop", lambda: "install-in-a-stop" in cloud.said)
    assert not machine.is_off()
    assert "install-ended" not in cloud.said
    # AND it is off when that has ended, its packages whole
    cloud.gates.add("install")
    off(machine)
    assert "install-ended" in cloud.said
    assert interrupted(machine) == ""
    assert machine.agents() == []


def test_the_next_boot_ends_the_installation_and_starts_the_agent(machine: Emulated) -> None:
    began = time.monotonic()
    machine.power_on_fully()
    print(f"power on to the end of the boot unit: {time.monotonic() - began:.0f} s")
    assert machine.agents() == [("started", "one")]
    # AND what systemd was told of memory is what the kernel knows
    pid = machine.says("systemctl", "show", "--property=MainPID", "--value", AGENT)
    assert machine.says("cat", f"/proc/{pid}/oom_score_adj") == "-900"


def test_a_build_that_eats_all_memory_is_killed_and_the_agent_is_not(machine: Emulated) -> None:
    pid = machine.says("systemctl", "show", "--property=MainPID", "--value", AGENT)
    # WHEN a build takes what it can get
    code, _ = machine.run("env", "DOCKER_BUILDKIT=1", "docker", "build", "/opt/eater")
    # THEN the kernel ends that, and it fails; the agent and docker go on
    assert code != 0
    assert "Out of memory: Killed process" in machine.says("dmesg")
    assert machine.says("systemctl", "show", "--property=MainPID", "--value", AGENT) == pid
    assert machine.agents() == [("started", "one")]
    assert machine.run("docker", "info")[0] == 0


def test_the_power_key_is_not_swallowed_by_an_upgrade(machine: Emulated, cloud: Cloud) -> None:
    # GIVEN an upgrade under way
    machine.does("systemctl", "start", "--no-block", UPDATES)
    machine.until("the upgrade", lambda: "upgrade-begun" in cloud.said)
    # WHEN the key is pressed
    machine.press()
    # THEN the agent ends at once, before the upgrade does
    machine.until("the agent's end", lambda: "upgrade-after-the-agent" in cloud.said)
    assert not machine.is_off()
    assert "upgrade-ended" not in cloud.said
    # AND the host is off when the packages are whole
    cloud.gates.add("upgrade")
    off(machine)
    assert "upgrade-ended" in cloud.said
    assert interrupted(machine) == ""


def test_the_power_key_at_work_ends_the_agent_and_then_the_host(
    machine: Emulated, cloud: Cloud
) -> None:
    # GIVEN a host at work, its updates waiting for it
    cloud.publish("two", "works")
    machine.power_on_fully()
    machine.does("systemctl", "start", "--no-block", UPDATES)
    # WHEN the key is pressed, THEN the agent is told, gives back what it holds, and the host is off
    machine.press()
    print(f"power key to off: {off(machine):.0f} s")
    assert "given-back-by-two" in cloud.said
    assert machine.agents() == [("started", "two"), ("ended", "two")]
    assert interrupted(machine) == ""


def test_a_plug_pulled_right_after_an_update_leaves_a_release_that_is_whole(
    machine: Emulated, cloud: Cloud
) -> None:
    # GIVEN a host that has just taken a release, which its kernel would write half a minute later
    cloud.gates |= {"install", "upgrade"}
    cloud.publish("three")
    machine.power_on_fully()
    cloud.publish("four")
    machine.does("systemctl", "restart", BOOT)
    assert machine.agents()[-1] == ("started", "four")
    # WHEN its plug is pulled
    machine.pull()
    # THEN the next boot, from what is on the disk, starts that release
    machine.power_on_fully()
    assert machine.agents() == [("started", "four")]
    assert "left aside" not in machine.log("slipway/boot.log").splitlines()[-1]
