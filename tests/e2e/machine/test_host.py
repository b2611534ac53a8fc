"""The build host as a machine: its boots, its stops, its releases, and the plug.

The cases share one run and one disk and come in this order; each boot serves more than one of them.
"""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path

import psutil

from local.down import take_down
from local.machine.cgroup import Cgroup
from local.progress import Progress
from local.push import Pushed
from local.started import Ledger, marked_processes
from tests.e2e.machine.host import (
    BOOT_SECONDS,
    MachineHost,
    nothing_is_lost,
    template_s_user_data,
)


def in_stage(host: MachineHost, pushed: Pushed, stage: str) -> None:
    def there() -> bool:
        row = host.chain.deployment_of(pushed.commit_id)
        return row is not None and row.stage == stage

    host.chain.until(f"stage {stage}", there, BOOT_SECONDS, poll=0.05)


def test_the_first_boot_installs_the_agent_from_the_template_s_user_data(host: MachineHost) -> None:
    # GIVEN a run whose first commit was deployed by a machine that had never been on before
    chain = host.chain
    chain.until("its success", lambda: chain.deployments()[0].status == "succeeded")

    # THEN what cloud-init ran is the template's, and EC2 says the same
    wanted = template_s_user_data(chain.workplace.assembly_dir)
    (ran,) = (host.disk.upper / "var/lib/cloud/instances").glob("i-*/user-data.txt")
    assert ran.read_text(encoding="utf-8") == wanted
    told = chain.prod("ec2").describe_instance_attribute(
        InstanceId=host.instance_id, Attribute="userData"
    )
    assert base64.b64decode(told["UserData"]["Value"]).decode() == wanted

    # THEN the boot unit brought the release that the parameter names, and started its agent once
    assert host.log("boot").rstrip().endswith(f"slipway-boot: agent {host.release()['sha256']}")
    assert "Setting up git (" in host.log("boot")
    assert host.arrivals() == 1
    assert "Failed to start" not in host.console()


def test_a_stop_at_work_gives_back_and_a_release_that_does_not_start_is_left_aside(
    host: MachineHost,
) -> None:
    # GIVEN a host at work after its second boot, from the same disk: nothing is installed again
    good, chain = host.release(), host.chain
    chain.until_asleep()
    pushed = chain.push("stopped while it is built", "slow")
    in_stage(host, pushed, "build")
    assert host.log("boot").count("Setting up git (") == 1
    assert host.arrivals() == 2

    # WHEN it is stopped, and a release that does not start is deployed meanwhile
    host.put_release(host.release_that_does_not_start())
    host.stop()

    # THEN it went off in order, its agent gave back what it held, and so the next boot deploys it
    assert '"reason": "told to stop by a signal"' in host.log("agent").splitlines()[-1]
    nothing_is_lost(host, pushed)

    # THEN that was done by the last good release
    said = host.log("boot").rstrip().splitlines()[-1]
    assert said.endswith(f"the last good one runs: {good['sha256']}")
    host.put_release(good)


def test_a_power_cut_in_a_build_loses_nothing(host: MachineHost) -> None:
    # GIVEN a build under way
    pushed = host.chain.push("the plug is pulled", "slow")
    in_stage(host, pushed, "build")
    came_up = host.arrivals()

    # WHEN the plug is pulled
    host.pull_the_plug()

    # THEN the next boot, from the same disk, deploys it
    nothing_is_lost(host, pushed)
    assert host.arrivals() == came_up + 1


def test_an_installation_may_be_cut_and_holds_a_stop_back(host: MachineHost) -> None:
    # GIVEN a host with a new disk, cut off in the middle of its first installation
    host.chain.until_asleep()
    host.disk.wipe()
    pushed = host.chain.push("to a host with a new disk")
    host.hold_the_package_manager()
    host.pull_the_plug()
    assert not host.installed("git")

    # WHEN it is started again, and stopped in the middle of the mending
    held = host.hold_the_package_manager()
    host.stop()

    # THEN it was off only when the packages were whole: systemd let the package manager go on
    assert not held.is_running()
    assert host.installed("git")
    assert "an installation was interrupted" in host.log("boot")

    # THEN the boot after that deploys
    nothing_is_lost(host, pushed)


def test_nothing_is_left_of_a_machine_whose_supervisor_was_killed(host: MachineHost) -> None:
    # GIVEN a machine at work
    chain, cgroup = host.chain, host.cgroup
    pushed = chain.push("the last one", "slow")
    in_stage(host, pushed, "build")
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
