"""The machines of a local run, as its supervisor handles them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

from local.machine.cgroup import Cgroup
from local.machine.keeper import Machine, command
from local.processes import HostProcess, die_with_parent, send_to_group
from local.workplace import REPOSITORY, Workplace


class Machines:
    """The effects of a supervisor whose hosts are machines of one image."""

    def __init__(
        self, workplace: Workplace, *, image: Path, cgroup: str, endpoint_url: str
    ) -> None:
        self._workplace = workplace
        self._image = image
        self._cgroup = cgroup
        self._endpoint_url = endpoint_url
        self._instances: dict[int, str] = {}

    def machine(self, instance_id: str) -> Machine:
        """The machine that is this instance, on or off."""
        return Machine(
            instance_id=instance_id,
            image=self._image,
            disk=self._workplace.disk(instance_id),
            cgroup=Cgroup(f"{self._cgroup}/{instance_id}"),
            endpoint_url=self._endpoint_url,
        )

    def start(self, instance_id: str) -> HostProcess:
        """Power on."""
        with (self._workplace.log_dir / f"console-{instance_id}.log").open("ab") as console:
            keeper = subprocess.Popen(
                command(self.machine(instance_id)),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self._instances[keeper.pid] = instance_id
        return keeper

    def send(self, keeper: HostProcess, number: int) -> None:
        """SIGTERM: the power button. SIGKILL: the plug, for all that runs there."""
        send_to_group(keeper, number)
        if number == signal.SIGKILL:
            self.machine(self._instances[keeper.pid]).cgroup.end()

    def off(self, instance_id: str) -> None:
        """Tell the emulator's EC2 that this machine has gone off."""
        url = f"{self._endpoint_url}/_slipway/ec2/{instance_id}/off"
        with urlopen(Request(url, data=b"", method="POST"), timeout=5):  # noqa: S310 - our own
            pass
