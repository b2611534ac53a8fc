"""`.local/state.json`: where the parts of a local run are, for tools (DESIGN section 9)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from local.workplace import Workplace, write_json
from slipway.contracts.codec import decode, encode
from slipway.contracts.errors import InvalidMessage, WorldFailed, WrongUse


@dataclass(frozen=True, kw_only=True)
class PipelineState:
    """Where one pipeline's parts are. `service_url` stays the same across revisions."""

    git_url: str
    branch: str
    service_url: str
    cluster: str
    service: str
    ecr_repository: str


@dataclass(frozen=True, kw_only=True)
class HostState:
    """A build host, and the process of its agent while that runs."""

    instance_id: str
    agent_pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """The whole file. `start_period`: seconds in which a new container may be unhealthy.

    `builder_project`: CodeBuild's, whose builds are builders; None where hosts alone build.
    """

    endpoint_url: str
    region: str
    dev_account: str
    prod_account: str
    pipelines: dict[str, PipelineState]
    slack_url: str
    queue_url: str
    request_topic_arn: str
    close_topic_arn: str
    table: str
    hosts: tuple[HostState, ...]
    log_dir: str
    start_period: int = 0
    builder_project: str | None = None

    def with_agent(self, instance_id: str, agent_pid: int | None) -> State:
        """The same, with that host's agent process (a host not named so far is added)."""
        others = tuple(host for host in self.hosts if host.instance_id != instance_id)
        hosts = (*others, HostState(instance_id=instance_id, agent_pid=agent_pid))
        return replace(self, hosts=tuple(sorted(hosts, key=lambda host: host.instance_id)))


def read_state(workplace: Workplace) -> State:
    """What runs; WrongUse (saying how to start it) where nothing does."""
    try:
        text = workplace.state_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WrongUse("nothing runs here: start it with `slipway local up`") from None
    try:
        return decode(State, json.loads(text))
    except (ValueError, InvalidMessage) as error:
        raise WorldFailed(f"{workplace.state_file} is damaged: {error}") from None


def write_state(workplace: Workplace, state: State) -> None:
    """Replace the file as a whole; a host without an agent has `agent_pid` null, not missing."""
    value = encode(state)
    value["hosts"] = [
        {"instance_id": host.instance_id, "agent_pid": host.agent_pid} for host in state.hosts
    ]
    write_json(workplace.state_file, value)
