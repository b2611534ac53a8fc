"""The hops of one push, each seen where it happens and timed by whoever did it.

Nothing is inferred from the clock of the watcher where a source has a time of its own: the Lambdas'
log lines, the host row, the stages of the deployment row, and the Slack page's time of arrival.
Only EC2's states and the answer over HTTP are timed by looking, several times a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.accounts import client_of
from local.http import served_commit
from local.push import Pushed
from local.slack import SlackMessage, slack_messages
from local.state import State
from slipway.contracts.installation import Installation
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow

NEWEST = 20

# Stage of the deployment row to the name of the hop that it begins.
STAGE_HOPS = {
    "fetch": "fetch",
    "build": "build",
    "test": "tests",
    "push": "image push",
    "register": "register",
    "update": "update",
}
ORDER = (
    "push",
    "trigger",
    "request",
    "host starting",
    "host running",
    "agent",
    *STAGE_HOPS.values(),
    "steady",
    "failed",
    "answers over HTTP",
    "close",
    "Slack",
    "host stopping",
    "host stopped",
)


@dataclass(frozen=True)
class Hop:
    """One step of a push. `at`: seconds since the epoch; `source`: who says so."""

    name: str
    at: float
    source: str
    detail: str = ""


@dataclass
class Sight:
    """What has been seen of a push so far."""

    hops: dict[str, Hop] = field(default_factory=dict)
    request_id: str | None = None
    deployment: DeploymentRow | None = None
    message: SlackMessage | None = None

    def add(self, hop: Hop) -> bool:
        """Keep the first sight of each hop; whether it is new."""
        if hop.name in self.hops:
            return False
        self.hops[hop.name] = hop
        return True

    @property
    def ordered(self) -> list[Hop]:
        """By time; those of the same moment in the order in which they depend on each other."""
        return sorted(self.hops.values(), key=lambda hop: (hop.at, ORDER.index(hop.name)))


def log_lines(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The JSON lines that Powertools wrote, of CloudWatch Logs events."""
    found = []
    for event in events:
        try:
            line = json.loads(event["message"])
        except ValueError:
            continue
        if isinstance(line, dict) and "message" in line:
            found.append(line)
    return found


def line_time(line: dict[str, Any]) -> float:
    """Seconds since the epoch of a Powertools line: `2026-01-31 10:49:57,522+0000`."""
    return datetime.strptime(line["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp()


def trigger_hop(lines: Iterable[dict[str, Any]], commit_id: str) -> tuple[Hop, str] | None:
    """The trigger's line about the commit, and the request id that it made of it."""
    for line in lines:
        if line.get("commit") == commit_id and line.get("correlation_id"):
            hop = Hop("trigger", line_time(line), "log of the trigger Lambda")
            return hop, str(line["correlation_id"])
    return None


def request_hop(lines: Iterable[dict[str, Any]], request_id: str) -> Hop | None:
    """The starter's line about the request."""
    for line in lines:
        if line.get("correlation_id") == request_id:
            return Hop("request", line_time(line), "log of the starter Lambda", request_id[:8])
    return None


def deployment_hops(row: DeploymentRow) -> list[Hop]:
    """What a deployment row says: its stages, its end, its announcement."""
    source = "deployments table"
    hops = [
        Hop(STAGE_HOPS[stage], at, source)
        for stage, at in row.stages.items()
        if stage in STAGE_HOPS
    ]
    if row.result is not None and row.ended_at is not None:
        if row.result.status == "succeeded":
            steady = row.stages.get("record", row.ended_at)
            after = row.result.task_definition_after or ""
            hops.append(Hop("steady", steady, source, after.rpartition("/")[2]))
        else:
            hops.append(Hop("failed", row.ended_at, source, row.result.cause or ""))
    if row.announced_at is not None:
        hops.append(Hop("close", row.announced_at, source, row.status or ""))
    return hops


def host_hops(instance: dict[str, Any], pushed_at: float, now: float, *, closed: bool) -> list[Hop]:
    """What EC2's description of a host says. `closed`: the push's outcome was announced.

    A host that was started for the push may sleep before that: a rollout keeps nobody awake.
    """
    state, name = instance["State"]["Name"], instance["InstanceId"]
    # EC2's launch time has whole seconds: it says which boot this is, not when.
    ours = instance["LaunchTime"].timestamp() >= pushed_at - 1
    seen = []
    if ours and state in ("pending", "running"):
        seen.append("starting")
    if ours and state == "running":
        seen.append("running")
    if (ours or closed) and state in ("stopping", "stopped"):
        seen.append(state)
    return [Hop(f"host {each}", now, "EC2", name) for each in seen]


class Sources:
    """Where hops can be seen; made before the push, so that nothing of it is missed."""

    def __init__(self, state: State, installation: Installation) -> None:
        names = installation.names

        def client(service: str, account: str) -> Any:
            return client_of(service, state.endpoint_url, account, state.region)

        self.state = state
        self.dev_logs = client("logs", state.dev_account)
        self.prod_logs = client("logs", state.prod_account)
        self.ec2 = client("ec2", state.prod_account)
        self.table = Table(client("dynamodb", state.prod_account), state.table)
        self.trigger_log = f"/aws/lambda/{names.trigger_function}"
        self.starter_log = f"/aws/lambda/{names.function('starter')}"


class Watch:
    """Looks at all sources for one push; `look` answers what is new."""

    def __init__(
        self, sources: Sources, pushed: Pushed, clock: Callable[[], float] = time.time
    ) -> None:
        self._sources = sources
        self._pushed = pushed
        self._clock = clock
        self.sight = Sight()
        self.sight.add(Hop("push", pushed.began_at, "git", pushed.commit_id[:8]))

    def look(self) -> list[Hop]:
        """The hops that have happened since the last look, in the order of their times."""
        found = [*self._lambdas(), *self._hosts(), *self._deployment(), *self._ends()]
        return [hop for hop in sorted(found, key=lambda hop: hop.at) if self.sight.add(hop)]

    @property
    def host_stopped(self) -> bool:
        return "host stopped" in self.sight.hops

    def _lambdas(self) -> list[Hop]:
        hops: list[Hop] = []
        if self.sight.request_id is None:
            seen = trigger_hop(
                self._lines(self._sources.dev_logs, self._sources.trigger_log),
                self._pushed.commit_id,
            )
            if seen is None:
                return []
            hop, self.sight.request_id = seen
            hops.append(hop)
        if "request" not in self.sight.hops:
            lines = self._lines(self._sources.prod_logs, self._sources.starter_log)
            request = request_hop(lines, self.sight.request_id)
            hops += [request] if request else []
        return hops

    def _lines(self, logs: Any, group: str) -> list[dict[str, Any]]:
        # The emulator's log events carry whole milliseconds; a second's slack loses none.
        since = int((self._pushed.began_at - 1) * 1000)
        return log_lines(logs.filter_log_events(logGroupName=group, startTime=since)["events"])

    def _hosts(self) -> list[Hop]:
        if self.host_stopped:
            return []
        now, hops = self._clock(), list[Hop]()
        ids = [host.instance_id for host in self._sources.state.hosts]
        if not ids:  # builds of CodeBuild alone
            return self._arrivals()
        answer = self._sources.ec2.describe_instances(InstanceIds=ids)
        for instance in (i for r in answer["Reservations"] for i in r["Instances"]):
            hops += host_hops(
                instance, self._pushed.began_at, now, closed="close" in self.sight.hops
            )
        return [*hops, *self._arrivals()]

    def _arrivals(self) -> list[Hop]:
        return [
            Hop("agent", row.arrived_at, "host row", row.host_id)
            for row in self._sources.table.hosts.all()
            if row.arrived_at >= self._pushed.began_at
        ]

    def _deployment(self) -> list[Hop]:
        if self.sight.deployment is not None and self.sight.deployment.announced_at is not None:
            return []
        for row in self._sources.table.deployments.newest(self._pushed.pipeline, NEWEST):
            if row.commit is not None and row.commit.id == self._pushed.commit_id:
                self.sight.deployment = row
                return deployment_hops(row)
        return []

    def _ends(self) -> list[Hop]:
        hops = []
        url = self._sources.state.pipelines[self._pushed.pipeline].service_url
        awaited = "update" in self.sight.hops and "answers over HTTP" not in self.sight.hops
        if awaited and served_commit(url) == self._pushed.commit_id:
            hops.append(Hop("answers over HTTP", self._clock(), "the service", url))
        if "close" in self.sight.hops and self.sight.message is None:
            for message in slack_messages(self._sources.state.slack_url):
                if message.at >= self._pushed.began_at and message.names(self._pushed.commit_id):
                    self.sight.message = message
                    hops.append(Hop("Slack", message.at, "the Slack page"))
                    break
        return hops


def table_rows(hops: Iterable[Hop]) -> list[dict[str, Any]]:
    """The hops as JSON values: since the push, since the hop before, who says so."""
    rows: list[dict[str, Any]] = []
    first = before = None
    for hop in hops:
        first = hop.at if first is None else first
        before = hop.at if before is None else before
        rows.append(
            {
                "hop": hop.name,
                "at": datetime.fromtimestamp(hop.at, UTC).isoformat(timespec="milliseconds"),
                "since_push": round(hop.at - first, 3),
                "since_hop_before": round(hop.at - before, 3),
                "source": hop.source,
                "detail": hop.detail,
            }
        )
        before = hop.at
    return rows
