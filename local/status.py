"""`slipway local status`: what of a local run is alive, and what its services serve."""

from __future__ import annotations

import time
from typing import Any

from lambdas.decide.codebuild import PIPELINE_VARIABLE
from local.accounts import client_of
from local.http import served_commit
from local.started import Ledger
from local.state import HostState, State, read_state
from local.workplace import Workplace
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow


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
    lines += _builds(state)
    dynamodb = client_of("dynamodb", state.endpoint_url, state.prod_account, state.region)
    table = Table(dynamodb, state.table)
    for name, pipeline in state.pipelines.items():
        commit = served_commit(pipeline.service_url) or "nothing"
        newest = table.deployments.newest(name, 1)
        lines.append(f"{name}: {pipeline.service_url}/ serves {commit}")
        lines += [f"  {line}" for row in newest if (line := rollout_line(row, time.time()))]
    return lines


def _builds(state: State) -> list[str]:
    """The builds of CodeBuild that are not over, and how many are."""
    if state.builder_project is None:
        return []
    codebuild = client_of("codebuild", state.endpoint_url, state.prod_account, state.region)
    ids = codebuild.list_builds_for_project(projectName=state.builder_project)["ids"]
    newest = codebuild.batch_get_builds(ids=ids)["builds"] if ids else []
    live = [build for build in newest if not build["buildComplete"]]
    told = [f"builds of CodeBuild: {len(live)} at work, {len(newest) - len(live)} over"]
    return told + [f"  {build['id']}: {build['currentPhase']}{_for(build)}" for build in live]


def _for(build: dict[str, Any]) -> str:
    variables = build["environment"]["environmentVariables"]
    found = [each["value"] for each in variables if each["name"] == PIPELINE_VARIABLE]
    return f", for {found[0]}" if found else ""


def rollout_line(row: DeploymentRow, now: float) -> str | None:
    """Who follows the deployment's rollout, and when the next look is; None: nobody needs to."""
    by = row.followed_by(now)
    if by is None:
        return None
    wait = max(0.0, (row.next_look or now) - now)
    return f"{row.deployment_id}: followed by {by}, next look in {wait:.0f} s"


def _played_by(host: HostState, workplace: Workplace) -> str:
    disk = workplace.disk(host.instance_id)
    if disk.exists:
        return f"a machine (logs: {disk.logs})"
    return f"agent {host.agent_pid}" if host.agent_pid else "no agent"
