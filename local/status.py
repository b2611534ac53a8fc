"""`slipway local status`: what of a local run is alive, and what its services serve."""

from __future__ import annotations

from local.accounts import client_of
from local.http import served_commit
from local.started import Ledger
from local.state import HostState, read_state
from local.workplace import Workplace


def describe(workplace: Workplace) -> list[str]:
    """Lines for a person; WrongUse where nothing runs."""
    state = read_state(workplace)
    ledger = Ledger.load(workplace)
    lines = [f"emulator {state.endpoint_url}   Slack {state.slack_url}/"]
    for name, alive in ledger.services().items() if ledger else ():
        lines.append(f"  {name:12} {'runs' if alive else 'has ended'}")
    ec2 = client_of("ec2", state.endpoint_url, state.prod_account, state.region)
    for host in state.hosts:
        found = ec2.describe_instances(InstanceIds=[host.instance_id])
        name = found["Reservations"][0]["Instances"][0]["State"]["Name"]
        lines.append(f"host {host.instance_id}: {name}, {_played_by(host, workplace)}")
    for name, pipeline in state.pipelines.items():
        commit = served_commit(pipeline.service_url) or "nothing"
        lines.append(f"{name}: {pipeline.service_url}/ serves {commit}")
    return lines


def _played_by(host: HostState, workplace: Workplace) -> str:
    disk = workplace.disk(host.instance_id)
    if disk.exists:
        return f"a machine (logs: {disk.logs})"
    return f"agent {host.agent_pid}" if host.agent_pid else "no agent"
