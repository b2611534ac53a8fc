"""How soon `status` and `history` answer where 10,000 deployments are recorded."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.emulator import running_emulator
from bench.measure import in_turns, plain_environment, run_once
from bench.report import Bound, Section
from local.accounts import client_of
from local.emulator.extension.repositories import Repositories
from slipway.contracts.codec import encode
from slipway.contracts.messages import Commit, DeploymentResult
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.slipway.cli.world import (
    DEV,
    PROD,
    REGION,
    all_queues,
    deployment_id,
    make_table,
    settings,
)

RECORDED = 10_000
A_DAY = 25
"""So that the rows reach back 400 days: as long as they are kept."""
FAILS_EVERY = 10
EXTRA = 0.3
"""Seconds that an answer may take more than one call."""
PIPELINE = "shop"
ONE_ROW, ONE_CALL = "boto3, one GetItem", "boto3, one Query of the newest 20"
COMMANDS = {
    "slipway status": ("status",),
    "slipway history": ("history",),
    "slipway history --since 7d": ("history", "--since", "7d"),
    "slipway history --failed": ("history", "--failed"),
}
LONG = {
    "slipway report": ("report",),
    "slipway history --since 400d": ("history", "--since", "400d"),
}
"""They read many rows, the last one all; without a bound, and run once."""
BOTO3 = "import boto3; boto3.client('dynamodb').{call}"
GET = "get_item(TableName={table!r}, Key={{'pk': {{'S': 'PIPELINE'}}, 'sk': {{'S': {name!r}}}}})"
QUERY = (
    "query(TableName={table!r}, KeyConditionExpression='pk = :pk', Limit=20, ConsistentRead=True,"
    " ScanIndexForward=False, ExpressionAttributeValues={{':pk': {{'S': 'DEPLOYMENT#{name}'}}}})"
)


def section(*, rounds: int = 7) -> Section:
    """How long `status`, `history` and `report` take, beside the calls that they rest on."""
    made = Section(
        title="Answers at 10,000 recorded deployments",
        about=(
            f"One pipeline with {RECORDED:,} deployments in {RECORDED // A_DAY} days, every"
            f" {FAILS_EVERY}th failed, in the emulator's DynamoDB; each command is a process of its"
            " own, as are the scripts that import boto3 and make one call. The emulator takes a"
            " quarter of a second and more for any Query of so many items, which DynamoDB does not:"
            " so the Query is the call to compare with."
        ),
        columns=("command", "seconds", "more than the Query, s", "CPU s", "peak MB"),
    )
    table, slipway = settings(PIPELINE).names.table, str(Path(sys.executable).parent / "slipway")
    commands = {
        name: [sys.executable, "-c", BOTO3.format(call=call.format(table=table, name=PIPELINE))]
        for name, call in ((ONE_ROW, GET), (ONE_CALL, QUERY))
    }
    commands |= {name: [slipway, *words] for name, words in COMMANDS.items()}
    with tempfile.TemporaryDirectory() as folder, _installation(Path(folder)) as environment:
        run = partial(run_once, environment=environment)
        costs = in_turns(
            {name: partial(run, command) for name, command in commands.items()}, rounds=rounds
        )
        costs |= {name: run([slipway, *words]) for name, words in LONG.items()}
    for name, cost in costs.items():
        if cost.exit_code:
            raise RuntimeError(f"{name} ended with exit code {cost.exit_code}")
        extra = cost.wall - costs[ONE_CALL].wall
        made.rows.append((name, cost.wall, extra, cost.cpu, cost.peak_mb))
        if name in COMMANDS:
            made.bounds.append(Bound(f"{name}: seconds more than one call", EXTRA, extra))
    return made


@contextmanager
def _installation(folder: Path) -> Iterator[dict[str, str]]:
    """An installation whose table is full; the environment in which commands find it."""
    with running_emulator(folder / "emulator") as endpoint:
        _fill(endpoint, folder)
        yield plain_environment(
            AWS_ENDPOINT_URL=endpoint, SLIPWAY_INSTALLATION=str(folder / "installation.json")
        )


def _fill(endpoint: str, folder: Path) -> None:
    installation = settings(PIPELINE)
    (folder / "installation.json").write_text(installation.to_json(), encoding="utf-8")

    def prod(service: str) -> Any:
        return client_of(service, endpoint, PROD, REGION)

    for queue in all_queues(installation):
        prod("sqs").create_queue(QueueName=queue)
    tags = [{"Key": "Name", "Value": installation.names.host(1)}]
    prod("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )  # fmt: skip
    make_table(prod("dynamodb"), installation.names.table)
    table, now = Table(prod("dynamodb"), installation.names.table), time.time()
    rows = [_row(number, now - number * 86_400 / A_DAY) for number in range(1, RECORDED + 1)]
    table.store.put_many(
        {"pk": f"DEPLOYMENT#{PIPELINE}", "sk": row.deployment_id, **encode(row)} for row in rows
    )
    tip = _repository(endpoint, folder)
    table.pipelines.change(
        PIPELINE, running_commit=tip, running_deployment=rows[0].deployment_id,
        running_since=rows[0].ended_at, running_by="ada", handled_tip=tip,
    )  # fmt: skip


def _row(number: int, started: float) -> DeploymentRow:
    """A deployment of 101 s."""
    failed = number % FAILS_EVERY == 0
    about: dict[str, Any] = {
        "deployment_id": deployment_id(PIPELINE, started, number),
        "pipeline": PIPELINE,
        "request_id": f"{number:032x}",
        "reason": "push",
        "pushed_by": f"arn:aws:iam::{DEV}:user/ada",
        "pushed_at": started - 5,
        "started_at": started,
        "ended_at": started + 101,
        "status": "failed" if failed else "succeeded",
        "stage": "build" if failed else "close",
        "commit": Commit(
            id=f"{number:040x}", author="Ada Lovelace", subject=f"Change {number} of the basket",
            committed_at=started - 3600,
        ),
    }  # fmt: skip
    result = DeploymentResult(
        **about,
        timings={"fetch": 10.0, "build": 60.0, "wait": 30.0},
        image_digest=f"sha256:{number:064x}",
        now_running=f"{PIPELINE}:{number}",
        cause="RUN make all ended with exit code 2" if failed else None,
        log_tail=tuple(f"#9 {n}.0 compiling part {n} of 20" for n in range(20)) if failed else (),
    )
    stages = {"received": started, "fetch": started + 1, "build": started + 11}
    return DeploymentRow(**about, stages=stages, result=result)


def _repository(endpoint: str, folder: Path) -> str:
    """The dev account's repository and the role that may read its tip; the tip."""
    pipeline = settings(PIPELINE).pipelines[0]
    repositories = Repositories(folder / "emulator" / "git")
    path = repositories.create(DEV, REGION, pipeline.repository).path
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    tree = _git(path, "mktree")
    tip = _git(path, *identity, "commit-tree", "-m", "first", tree)
    _git(path, "update-ref", f"refs/heads/{pipeline.branch}", tip)
    iam = client_of("iam", endpoint, DEV, REGION)
    role = pipeline.tip_role_arn.rpartition("/")[2]
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=_allow(
        "sts:AssumeRole", Principal={"AWS": PROD}))  # fmt: skip
    iam.put_role_policy(RoleName=role, PolicyName="tip", PolicyDocument=_allow(
        "codecommit:GetBranch", Resource=f"arn:aws:codecommit:{REGION}:{DEV}:*"))  # fmt: skip
    return tip


def _allow(action: str, **whom: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, **whom}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _git(path: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=path, input="", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
