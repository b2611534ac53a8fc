"""The build host as a machine: its boots, its stops, its releases, and the plug.

The cases share one run and one disk and come in this order; each boot serves more than one of them.
"""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path

import psutil
import pytest

from local.down import take_down
from local.machine.cgroup import Cgroup
from local.progress import Progress
from local.push import Pushed
from local.started import Ledger, marked_processes
from tests.e2e.machine import (
    BOOT_SECONDS,
    MachineHost,
    nothing_is_lost,
    template_s_user_data,
)

# The first of them makes the image, where there is none yet.
pytestmark = pytest.mark.timeout(900)


def in_stage(machine: MachineHost, pushed: Pushed, stage: str) -> None:
    def there() -> bool:
        row = machine.chain.deployment_of(pushed.commit_id)
        return row is not None and row.stage == stage

    machine.chain.until(f"stage {stage}", there, BOOT_SECONDS, poll=0.05)


def test_the_first_boot_installs_the_agent_from_the_template_s_user_data(
    machine: MachineHost,
) -> None:
    # GIVEN a run whose first commit was deployed by a machine that had never been on before
    chain = machine.chain
    chain.until("its success", lambda: chain.deployments()[0].status == "succeeded")

    # THEN what cloud-init ran is the template's, and EC2 says the same
    wanted = template_s_user_data(chain.workplace.assembly_dir)
    (ran,) = (machine.disk.upper / "var/lib/cloud/instances").glob("i-*/user-data.txt")
    assert ran.read_text(encoding="utf-8") == wanted
    told = chain.prod("ec2").describe_instance_attribute(
        InstanceId=machine.instance_id, Attribute="userData"
    )
    assert base64.b64decode(told["UserData"]["Value"]).decode() == wanted

    # THEN the boot unit brought the release that the parameter names, and started its agent once
    assert (
        machine.log("boot").rstrip().endswith(f"slipway-boot: agent {machine.release()['sha256']}")
    )
    assert "Setting up git (" in machine.log("boot")
    assert machine.arrivals() == 1
    assert "Failed to start" not in machine.console()


def test_a_stop_at_work_gives_back_and_a_release_that_does_not_start_is_left_aside(
    machine: MachineHost,
) -> None:
    # GIVEN a host at work after its second boot, from the same disk: nothing is installed again
    good, chain = machine.release(), machine.chain
    chain.until_asleep()
    pushed = chain.push("stopped while it is built", "slow")
    in_stage(machine, pushed, "build")
    assert machine.log("boot").count("Setting up git (") == 1
    assert machine.arrivals() == 2

    # WHEN it is stopped, and a release that does not start is deployed meanwhile
    machine.put_release(machine.release_that_does_not_start())
    machine.stop()

    # THEN it went off in order, its agent gave back what it held, and so the next boot deploys it
    assert '"reason": "told to stop by a signal"' in machine.log("agent").splitlines()[-1]
    nothing_is_lost(machine, pushed)

    # THEN that was done by the last good release
    said = machine.log("boot").rstrip().splitlines()[-1]
    assert said.endswith(f"the last good one runs: {good['sha256']}")
    machine.put_release(good)


def test_a_power_cut_in_a_build_loses_nothing(machine: MachineHost) -> None:
    # GIVEN a build under way
    pushed = machine.chain.push("the plug is pulled", "slow")
    in_stage(machine, pushed, "build")
    came_up = machine.arrivals()

    # WHEN the plug is pulled
    machine.pull_the_plug()

    # THEN the next boot, from the same disk, deploys it
    nothing_is_lost(machine, pushed)
    assert machine.arrivals() == came_up + 1


def test_an_installation_may_be_cut_and_holds_a_stop_back(machine: MachineHost) -> None:
    # GIVEN a host with a new disk, cut off in the middle of its first installation
    machine.chain.until_asleep()
    machine.disk.wipe()
    pushed = machine.chain.push("to a host with a new disk")
    machine.hold_the_package_manager()
    machine.pull_the_plug()
    assert not machine.installed("git")

    # WHEN it is started again, and stopped in the middle of the mending
    held = machine.hold_the_package_manager()
    machine.stop()

    # THEN it was off only when the packages were whole: systemd let the package manager go on
    assert not held.is_running()
    assert machine.installed("git")
    assert "an installation was interrupted" in machine.log("boot")

    # THEN the boot after that deploys
    nothing_is_lost(machine, pushed)


def test_nothing_is_left_of_a_machine_whose_supervisor_was_killed(machine: MachineHost) -> None:
    # GIVEN a machine at work
    chain, cgroup = machine.chain, machine.cgroup
    pushed = chain.push("the last one", "slow")
    in_stage(machine, pushed, "build")
    ledger = Ledger.load(chain.workplace)
    assert ledger is not None
    (supervisor,) = [note for note in ledger.started.processes if note.name == "supervisor"]
    (keeper,) = psutil.Process(supervisor.pid).children()
    apart = {Path(f"/proc/{keeper.pid}/ns/{kind}").readlink() for kind in ("net", "mnt")}
    assert len(apart & namespaces()) == 2

    # WHEN its supervisor is killed
    os.kill(supervisor.pid, signal.SIGKILL)

    # THEN the machine goes with it, and `down` takes the rest
    chain.until("its end", lambda: not cgroup.processes())
    take_down(chain.workplace, Progress())
    assert marked_processes(ledger.started.mark) == []
    assert not cgroup.place.exists()
    assert not Cgroup(str(ledger.started.cgroup)).place.exists()
    assert not apart & namespaces()
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    assert str(chain.workplace.directory) not in mounts
    assert sorted(p.name for p in chain.workplace.directory.iterdir()) == ["lock", "log"]


def namespaces() -> set[Path]:
    """The network and mount namespaces that any process of this machine is in."""
    found = set()
    for process in psutil.process_iter():
        for kind in ("net", "mnt"):
            try:
                found.add(Path(f"/proc/{process.pid}/ns/{kind}").readlink())
            except OSError:
                continue
    return found
