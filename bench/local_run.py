"""A local run of the bench's own: real git, docker and containers, and everything that answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.accounts import client_of
from local.down import take_down
from local.hops import Sources
from local.plan import Options
from local.progress import Progress
from local.push import Pushed, push_release
from local.state import PipelineState, State, read_state
from local.up import bring_up
from local.waiting import wait_for
from local.workplace import Workplace
from slipway.contracts.installation import Installation, load_installation
from slipway.contracts.table.deployments import DeploymentRow

PIPELINE = "sample"


@dataclass(frozen=True)
class LocalRun:
    """A local run that is up, and what is measured in it."""

    workplace: Workplace
    state: State
    installation: Installation
    sources: Sources

    @property
    def pipeline(self) -> PipelineState:
        return self.state.pipelines[PIPELINE]

    def client(self, service: str) -> Any:
        state = self.state
        return client_of(service, state.endpoint_url, state.prod_account, state.region)

    def push(self) -> Pushed:
        """Change a line of the sample application and push it."""
        return push_release(self.workplace, PIPELINE, f"bench {uuid.uuid4().hex[:6]}")

    def keep_awake(self) -> None:
        """Wake the host by a push, and hold it: after its push the host may sleep at any time."""
        commit = self.push().commit_id
        wait_for(f"the build of {commit}", lambda: self._of(commit=commit), seconds=120)
        self.hold(True)
        self.ended(commit=commit)

    def hold(self, held: bool) -> None:
        """Keep the host as it is: asleep, or awake between pushes, as on a busy day."""
        hosts = self.sources.table.hosts
        for host in self.state.hosts:
            if held:
                hosts.hold(host.instance_id, "bench")
            else:
                hosts.release(host.instance_id)

    def pause(self) -> None:
        """Let pushes wait from now on."""
        self.sources.table.pipelines.change(PIPELINE, paused=True, paused_by="bench")

    def await_sleep(self) -> None:
        ids = [host.instance_id for host in self.state.hosts]

        def asleep() -> bool:
            answer = self.sources.ec2.describe_instances(InstanceIds=ids)
            states = [i["State"]["Name"] for r in answer["Reservations"] for i in r["Instances"]]
            return all(state == "stopped" for state in states)

        wait_for("the host's stop", asleep, seconds=120)

    def ended(self, *, commit: str = "", request: str = "") -> DeploymentRow:
        """The deployment of `commit`, or of `request`, once it has an outcome."""

        def found() -> DeploymentRow | None:
            row = self._of(commit=commit, request=request)
            return row if row is not None and row.result is not None else None

        return wait_for(f"the end of {commit or request}", found, seconds=120)

    def _of(self, *, commit: str = "", request: str = "") -> DeploymentRow | None:
        for row in self.sources.table.deployments.newest(PIPELINE, 10):
            if row.request_id == request or (row.commit and row.commit.id == commit):
                return row
        return None


@contextmanager
def local_run(work: Path, options: Options | None = None) -> Iterator[LocalRun]:
    """Up, and down at the end."""
    workplace = Workplace(work / "local")
    workplace.directory.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    bring_up(workplace, options or Options(), progress)
    try:
        state = read_state(workplace)
        installation = load_installation(workplace.installation_file)
        yield LocalRun(workplace, state, installation, Sources(state, installation))
    finally:
        take_down(workplace, progress)
