"""From a push to the answer over HTTP in the local run, hop by hop, and what a repeat costs."""

from __future__ import annotations

import re
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contenders.original import original_steps
from bench.report import Bound, Section
from contracts.installation import Installation, load_installation
from contracts.messages import BuildRequest, sns_attributes
from contracts.table.deployments import DeploymentRow
from local.accounts import client_of
from local.down import take_down
from local.hops import Sources, Watch
from local.http import served_commit
from local.progress import Progress
from local.push import push_release
from local.state import State, read_state
from local.up import Options, bring_up
from local.waiting import wait_for
from local.workplace import Workplace

PIPELINE = "sample"
ROUNDS = 5
WORK = ("fetch", "build", "push", "wait")
"""Stages of a deployment that are git's, docker's and ECS's own work."""
ORIGINAL_SLEEP = 300.0


@dataclass(frozen=True)
class LocalRun:
    """A local run of the bench's own, with everything that answers there."""

    workplace: Workplace
    state: State
    installation: Installation
    sources: Sources

    @property
    def service_url(self) -> str:
        return self.state.pipelines[PIPELINE].service_url

    def client(self, service: str) -> Any:
        state = self.state
        return client_of(service, state.endpoint_url, state.prod_account, state.region)

    def hold(self, held: bool) -> None:
        """Keep the host awake between pushes, as a busy day does, or let it sleep."""
        hosts = self.sources.table.hosts
        for host in self.state.hosts:
            if held:
                hosts.hold(host.instance_id, "bench")
            else:
                hosts.release(host.instance_id)


@contextmanager
def local_run(work: Path) -> Iterator[LocalRun]:
    workplace = Workplace(work / "local")
    workplace.directory.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    bring_up(workplace, Options(), progress)
    try:
        state = read_state(workplace)
        installation = load_installation(workplace.installation_file)
        yield LocalRun(workplace, state, installation, Sources(state, installation))
    finally:
        take_down(workplace, progress)


def sections(work: Path) -> list[Section]:
    with local_run(work) as run:
        asleep = _push(run)
        run.hold(True)
        awake = [_push(run) for _ in range(ROUNDS)]
        pushing = _pushing_section(asleep, awake, original_steps(run, PIPELINE))
        rebuilding = _rebuilding_section(run)
    return [pushing, rebuilding]


# --- push to HTTP


@dataclass(frozen=True)
class Followed:
    """A push that answers over HTTP. Seconds since it began, by hop; seconds by stage."""

    total: float
    git_push: float
    hops: dict[str, float]
    stages: dict[str, float]

    @property
    def work(self) -> float:
        """What git, docker and ECS need by themselves."""
        return self.git_push + sum(self.stages.get(stage, 0.0) for stage in WORK)

    @property
    def overhead(self) -> float:
        return max(0.0, self.total - self.work)


def _push(run: LocalRun) -> Followed:
    pushed = push_release(run.workplace, PIPELINE, f"bench {uuid.uuid4().hex[:6]}")
    watch = Watch(run.sources, pushed)

    def through() -> bool:
        watch.look()
        return {"answers over HTTP", "close"} <= watch.sight.hops.keys()

    wait_for("the push's answer over HTTP", through, seconds=120, poll=0.05)
    deployment = _ended(run, pushed.commit_id)
    hops = {h.name: h.at - pushed.began_at for h in watch.sight.ordered}
    stages = dict(deployment.result.timings) if deployment.result else {}
    git_push = pushed.ended_at - pushed.began_at
    return Followed(hops["answers over HTTP"], git_push, hops, stages)


def _ended(run: LocalRun, commit_id: str) -> DeploymentRow:
    def ended() -> DeploymentRow | None:
        for row in run.sources.table.deployments.newest(PIPELINE, 10):
            if row.commit is not None and row.commit.id == commit_id and row.result is not None:
                return row
        return None

    return wait_for(f"the end of the deployment of {commit_id}", ended, seconds=120)


def _pushing_section(
    asleep: Followed, awake: Sequence[Followed], original: dict[str, float]
) -> Section:
    made = Section(
        title="Push to HTTP",
        about=(
            "The local run: real git, docker and containers; the emulator boots a host in one"
            " second, where EC2 needs twenty to forty. `host awake` is the median of"
            f" {len(awake)} pushes. The original's sequence is its own AWS CLI calls, git and"
            " docker, run on the same machine without its sleep, its host awake as well."
        ),
        columns=("since the push, s", "host asleep", "host awake"),
    )
    names = list(dict.fromkeys([*asleep.hops, *(n for one in awake for n in one.hops)]))
    for name in names:
        times = [one.hops[name] for one in awake if name in one.hops]
        made.rows.append(
            (name, asleep.hops.get(name, ""), statistics.median(times) if times else "")
        )
    stages = sorted({stage for one in awake for stage in one.stages})
    for stage in stages:
        taken = [one.stages.get(stage, 0.0) for one in awake]
        made.rows.append(
            (f"stage {stage} took", asleep.stages.get(stage, ""), statistics.median(taken))
        )
    total = statistics.median(one.total for one in awake)
    overhead = statistics.median(one.overhead for one in awake)
    made.rows.append(("**beyond git, docker and ECS**", asleep.overhead, overhead))
    for step, seconds in original.items():
        made.rows.append((f"original: {step}", "", seconds))
    whole = sum(original.values())
    made.rows.append(("original, without its sleep of 300 s", "", whole))
    made.remarks.append(
        f"Slipway {total:.2f} s, the original {whole:.2f} s and {ORIGINAL_SLEEP:.0f} s of sleep:"
        f" {whole / total:.1f} times and {(whole + ORIGINAL_SLEEP) / total:.0f} times as long."
    )
    build = statistics.median(one.stages.get("build", 0.0) for one in awake)
    made.bounds = [
        Bound("push to HTTP, warm: s beyond git, docker and ECS", 2.0, overhead),
        Bound("push to HTTP, warm: s more than docker build", 10.0, total - build),
    ]
    return made


# --- rebuilding


def _rebuilding_section(run: LocalRun) -> Section:
    made = Section(
        title="Rebuilding",
        about=(
            "One deployment each in the local run. `Restart`: the host was stopped and started,"
            " its disk kept. Seconds from the request's receipt to the recorded outcome."
        ),
        columns=(
            "after", "status", "seconds", "build s", "steps built", "steps cached",
            "layers pushed", "layers there already",
        ),
    )  # fmt: skip
    changed = _push_row(run)
    same = _redeploy(run)
    run.hold(False)
    _await_sleep(run)
    restarted = _push_row(run)
    for name, row in (
        ("a change of one line", changed),
        ("no change (redeploy)", same),
        ("a change, and a restart", restarted),
    ):
        made.rows.append(_rebuilt(run, name, row))
    lines = _log(run, same)
    made.bounds = [
        Bound("unchanged commit: docker builds", 0.0, float(_built(lines) > 0)),
        Bound("unchanged commit: s in all", 2.0, _seconds(same)),
    ]
    return made


def _push_row(run: LocalRun) -> DeploymentRow:
    pushed = push_release(run.workplace, PIPELINE, f"bench {uuid.uuid4().hex[:6]}")
    row = _ended(run, pushed.commit_id)
    wait_for("the answer", lambda: served_commit(run.service_url) == pushed.commit_id, seconds=30)
    return row


def _redeploy(run: LocalRun) -> DeploymentRow:
    request = BuildRequest(
        request_id=uuid.uuid4().hex, pipeline=PIPELINE, pushed_by="bench", pushed_at=time.time(),
        reason="redeploy",
    )  # fmt: skip
    run.client("sns").publish(
        TopicArn=run.state.request_topic_arn,
        Message=request.to_json(),
        MessageAttributes=sns_attributes({"kind": "request", "pipeline": PIPELINE}),
    )

    def ended() -> DeploymentRow | None:
        for row in run.sources.table.deployments.newest(PIPELINE, 5):
            if row.request_id == request.request_id and row.result is not None:
                return row
        return None

    return wait_for("the redeployment's end", ended, seconds=60)


def _await_sleep(run: LocalRun) -> None:
    ids = [host.instance_id for host in run.state.hosts]

    def asleep() -> bool:
        answer = run.sources.ec2.describe_instances(InstanceIds=ids)
        states = [i["State"]["Name"] for r in answer["Reservations"] for i in r["Instances"]]
        return all(state == "stopped" for state in states)

    wait_for("the host's stop", asleep, seconds=120)


def _rebuilt(run: LocalRun, name: str, row: DeploymentRow) -> tuple[Any, ...]:
    lines = _log(run, row)
    build = row.result.timings.get("build", 0.0) if row.result else 0.0
    return (
        name, row.status, _seconds(row), build, _built(lines), _count(lines, r"#\d+ CACHED"),
        _count(lines, r"[0-9a-f]{12}: Pushed"), _count(lines, r"[0-9a-f]{12}: Layer already"),
    )  # fmt: skip


def _seconds(row: DeploymentRow) -> float:
    return (row.ended_at or 0.0) - row.started_at


def _built(lines: Sequence[str]) -> int:
    """Steps of the Dockerfile that ran: those named `[2/4] …` that were not cached."""
    steps = {m[1] for line in lines if (m := re.match(r"#(\d+) \[.*\d+/\d+\] ", line))}
    cached = {m[1] for line in lines if (m := re.match(r"#(\d+) CACHED", line))}
    return len(steps - cached)


def _count(lines: Sequence[str], pattern: str) -> int:
    return sum(bool(re.search(pattern, line)) for line in lines)


def _log(run: LocalRun, row: DeploymentRow) -> list[str]:
    """The deployment's log, once the agent has shipped all of it."""
    logs = run.client("logs")
    group = run.installation.names.build_log_group

    def lines() -> list[str]:
        answer = logs.filter_log_events(
            logGroupName=group, logStreamNames=[row.deployment_id], limit=10_000
        )
        return [str(event["message"]) for event in answer["events"]]

    return wait_for("the deployment's log", lines, seconds=15)
