"""The machine that is a local run's build host, as the tests see and break it."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.push import Pushed
from local.started import Ledger
from tests.e2e.chain import Chain

BOOT_SECONDS = 150.0
OFF_SECONDS = 90.0
THAT_ENDS = b"""
def read_identity(*_):
    raise SystemExit(3)
"""
DEPLOYED_SECONDS = 300.0
PACKAGE_MANAGER = "dpkg"


@dataclass(frozen=True)
class MachineHost:
    """The first host of a run that was brought up with machines."""

    chain: Chain

    @property
    def instance_id(self) -> str:
        return self.chain.state.hosts[0].instance_id

    @property
    def disk(self) -> Disk:
        return self.chain.workplace.disk(self.instance_id)

    @property
    def cgroup(self) -> Cgroup:
        ledger = Ledger.load(self.chain.workplace)
        assert ledger is not None
        return Cgroup(f"{ledger.started.cgroup}/{self.instance_id}")

    # --- looking

    def log(self, name: str) -> str:
        """A log of Slipway's units: `boot`, `agent`."""
        place = self.disk.logs / "slipway" / f"{name}.log"
        return place.read_text(encoding="utf-8", errors="replace") if place.exists() else ""

    def console(self) -> str:
        """All that the machine has said since its first power on."""
        place = self.chain.workplace.log_dir / f"console-{self.instance_id}.log"
        return place.read_text(encoding="utf-8", errors="replace") if place.exists() else ""

    def arrivals(self) -> int:
        """How often an agent has come up here."""
        return self.log("agent").count('"message": "arrived"')

    def processes(self, name: str) -> list[psutil.Process]:
        """Those of that name that run in the machine now."""
        found = []
        for pid in self.cgroup.processes() if self.cgroup.place.exists() else []:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                found += [process] if process.name() == name else []
        return found

    def installed(self, package: str) -> bool:
        """Whether the machine's package manager says that this is whole."""
        status = self.disk.upper / "var/lib/dpkg/status"
        entries = status.read_text(encoding="utf-8").split("\n\n") if status.exists() else []
        (found,) = [e for e in entries if e.startswith(f"Package: {package}\n")] or [""]
        return "Status: install ok installed" in found

    # --- doing

    def stop(self) -> None:
        """An operator stops the instance, which is its power button; until it is off."""
        boot = self._boot()
        self.chain.prod("ec2").stop_instances(InstanceIds=[self.instance_id])
        self._until_off(boot)

    def pull_the_plug(self) -> None:
        """Every process of the machine is gone at once; until EC2 knows that it is off."""
        boot = self._boot()
        self.cgroup.kill()
        self._until_off(boot)

    def _until_off(self, boot: Any) -> None:
        """Stopped; or whoever has work for it has started it again already."""

        def off() -> bool:
            return self.chain.host_states() == ["stopped"] or self._boot() != boot

        self.chain.until("power off", off, OFF_SECONDS)

    def _boot(self) -> Any:
        """The instance's launch time, which is another one at each boot."""
        found = self.chain.prod("ec2").describe_instances(InstanceIds=[self.instance_id])
        return found["Reservations"][0]["Instances"][0]["LaunchTime"]

    def hold_the_package_manager(self) -> psutil.Process:
        """Stop it as soon as it runs, in the middle of its work; whoever continues it goes on."""
        found = self.chain.until(
            "the package manager at work",
            lambda: self.processes(PACKAGE_MANAGER),
            BOOT_SECONDS,
            poll=0.02,
        )
        found[0].send_signal(signal.SIGSTOP)
        return found[0]

    # --- releases

    def release(self) -> dict[str, str]:
        """Where the agent's parameter says that the agent is."""
        name = self.chain.names.agent_parameter
        text = self.chain.prod("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        found: dict[str, str] = json.loads(text)
        return found

    def put_release(self, release: dict[str, str]) -> None:
        """From now on hosts that wake shall run that one."""
        self.chain.prod("ssm").put_parameter(
            Name=self.chain.names.agent_parameter,
            Value=json.dumps(release),
            Type="String",
            Overwrite=True,
        )

    def release_that_does_not_start(self) -> dict[str, str]:
        """Today's, in S3 as `cdk deploy` would put it, whose agent ends before it has come up."""
        now, s3 = self.release(), self.chain.prod("s3")
        whole = s3.get_object(Bucket=now["bucket"], Key=now["key"])["Body"].read()
        broken = _with(whole, "build_agent/host/identity.py", THAT_ENDS)
        made = {"bucket": now["bucket"], "key": "broken.tar", "sha256": sha256(broken).hexdigest()}
        s3.put_object(Bucket=made["bucket"], Key=made["key"], Body=broken)
        return made


def _with(archive: bytes, name: str, more: bytes) -> bytes:
    """The tar archive, with `more` at the end of one of its files."""
    made = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for entry in old:
            content = old.extractfile(entry)
            assert content is not None
            data = content.read() + (more if entry.name == name else b"")
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def template_s_user_data(assembly: Path) -> str:
    """What `cdk synth` gave the first host to begin with."""
    template = json.loads((assembly / "slipway-prod.template.json").read_text(encoding="utf-8"))
    (host, *_) = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::EC2::Instance"
    ]
    text: str = host["UserData"]["Fn::Base64"]
    return text


def nothing_is_lost(host: MachineHost, pushed: Pushed) -> None:
    """The push is served; one outcome, told once; nothing waits any more."""
    chain = host.chain
    row = chain.until_ended(pushed, DEPLOYED_SECONDS)
    assert row.status == "succeeded", row.result
    chain.until("the commit", lambda: chain.serves() == pushed.commit_id)
    chain.until("an empty queue", lambda: chain.depth(chain.names.build_queue) == 0)
    chain.until("no wants", lambda: chain.table.wants.all() == [])
    chain.until("the notice", lambda: chain.notices(pushed.commit_id[:7], since=pushed.began_at))
    assert len(chain.notices(pushed.commit_id[:7], since=pushed.began_at)) == 1
    of_commit = [d for d in chain.deployments() if d.commit and d.commit.id == pushed.commit_id]
    assert len(of_commit) == 1
    assert chain.depth(chain.names.build_dead_letters) == 0
