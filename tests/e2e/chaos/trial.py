"""One case of chaos: what was done in words, and the same end for all of them.

After each: the last commit answers over HTTP; every accepted request has one recorded outcome;
every outcome has one row and one notice; the queue is empty, nothing is wanted, the host sleeps;
and nothing was built or rolled out again that ECR held or the service ran.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from local.push import Pushed
from local.waiting import wait_for
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.chain import DEPLOY_SECONDS, Chain
from tests.e2e.chaos.agent import DIE_AT, HOLD_AT, JOURNAL
from tests.e2e.chaos.witness import Witness

PIPELINE = "sample"
END_SECONDS = 180.0
NOTICE_SECONDS = 400.0
"""A notifier that is killed leaves its claim for three minutes, its message for up to five."""
ENDLESS = 1_000_000
"""A fault with an end in time has so many answers that it never runs out of them."""
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The most that a commit may cost: builds begun, rollouts begun, revisions registered."""

    builds: int = 1
    rollouts: int = 1
    revisions: int = 1


@dataclass
class Trial:
    """One case under way; `say` tells a reader what happens."""

    chain: Chain
    witness: Witness
    say: Say
    began: float = field(default_factory=time.time)
    journal_kept: bool = True
    """Whether the agent is the one that notes its points: without them builds are not counted."""
    pipeline: str = PIPELINE
    patience: float = END_SECONDS
    """Seconds until each of the things that have to come at the end."""

    def __post_init__(self) -> None:
        self.requests_before = set(self.witness.look())
        self.rows_before = {row.deployment_id for row in self.chain.deployments(self.pipeline)}
        self.services_before = {d["serviceDeploymentArn"] for d in self.service_deployments()}

    # --- doing

    @property
    def host(self) -> str:
        return self.chain.state.hosts[0].instance_id

    @property
    def home(self) -> Path:
        """The directory of the host's agent."""
        return self.chain.workplace.hosts_dir / self.host

    def push(self, message: str, behaviour: str = "works", after: int = 0) -> Pushed:
        pushed = self.chain.push(message, behaviour, self.pipeline, after)
        self.say(f"pushed {pushed.commit_id[:7]} {message!r}")
        return pushed

    def push_commit(self, commit_id: str, message: str, *, quietly: bool = False) -> Pushed:
        """Push one commit of the repository's clone as the branch's tip."""
        branch = self.chain.pipeline(self.pipeline).branch
        began = time.time()
        repository = self.chain.repository(self.pipeline)
        repository.git("push", "--quiet", "origin", f"{commit_id}:refs/heads/{branch}")
        if not quietly:
            self.say(f"pushed {commit_id[:7]} {message!r}")
        return Pushed(
            pipeline=self.pipeline,
            branch=branch,
            commit_id=commit_id,
            message=message,
            began_at=began,
            ended_at=time.time(),
        )

    def die_at(self, point: str, passes: int = 1) -> None:
        """The agent is killed (SIGKILL) the moment it passes `point` for the `passes`th time."""
        self.home.mkdir(parents=True, exist_ok=True)
        order = json.dumps({"point": point, "passes": passes})
        (self.home / DIE_AT).write_text(order, encoding="utf-8")

    @contextmanager
    def holding(self, points: Mapping[str, str]) -> Iterator[Callable[[], bool]]:
        """Agents that pass one of these points in that pipeline's work hold there until their end.

        `points`: by pipeline. Answers whether all are held.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        order = self.home / HOLD_AT
        order.write_text(json.dumps(dict(points)), encoding="utf-8")
        try:
            yield lambda: {p["pipeline"] for p in self.journal() if p["held"]} == set(points)
        finally:
            order.unlink()

    @contextmanager
    def installed(self, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Agents that start meanwhile read settings that `change` has changed in place."""
        place = self.chain.workplace.installation_file
        usual = place.read_text(encoding="utf-8")
        settings = json.loads(usual)
        change(settings)
        place.write_text(json.dumps(settings), encoding="utf-8")
        try:
            yield
        finally:
            place.write_text(usual, encoding="utf-8")

    def is_dead(self) -> bool:
        """Whether the order to die was carried out."""
        return not (self.home / DIE_AT).exists()

    def kill_agent(self) -> None:
        """kill -9, from outside."""
        pid = self.chain.until("an agent", lambda: self.chain.state.hosts[0].agent_pid)
        os.kill(pid, signal.SIGKILL)
        self.say(f"kill -9 {pid}: the agent")

    def fault(self, service: str, action: str = "", **how: Any) -> None:
        """AWS answers this service's calls with errors: `times` of them, or for `seconds`."""
        self.say(f"{service} {action or '(all calls)'} fails: {how}")
        order = {"service": service, "action": action, "times": ENDLESS, **how}
        self.internal("POST", "faults", order)

    def until_felt(self, service: str, *, timed: bool) -> None:
        """A call has met the `timed` fault, or all of its `times` have been used up.

        Without this a case could pass because nothing ever met its fault.
        """

        def felt() -> bool:
            faults = self.internal("GET", "faults")
            left = [fault["times"] for fault in faults if fault["service"] == service]
            return any(n < ENDLESS for n in left) if timed else not any(left)

        self._until(f"a call that {service} refuses", felt)

    def sudden_death(self) -> None:
        """The instance loses its power."""
        self.internal("POST", f"ec2/{self.host}/die", {})
        self.say(f"{self.host} loses its power")

    def until_stage(self, pushed: Pushed, stage: str) -> DeploymentRow:
        """The deployment of that push is in this stage."""

        def there() -> DeploymentRow | None:
            row = self.chain.deployment_of(pushed.commit_id, self.pipeline)
            return row if row is not None and row.stage == stage else None

        return wait_for(f"stage {stage}", there, seconds=DEPLOY_SECONDS, poll=0.03)

    def internal(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the emulator itself (`local/emulator/extension/internal.py`)."""
        url = f"{self.chain.state.endpoint_url}/_slipway/{path}"
        data = json.dumps(body).encode() if body is not None else None
        request = Request(url, data=data, method=method)  # noqa: S310 - our own http URL
        with urlopen(request, timeout=5) as answer:  # noqa: S310
            return json.load(answer)

    # --- the end of every case

    def ends_well(self, last: Pushed, cost: Cost | None = None) -> None:
        """All that must hold after a case whose last push was `last`."""
        self._ends(last, last.commit_id, cost or Cost())

    def ends_taken_back(self, last: Pushed, before: str | None, cost: Cost | None = None) -> None:
        """The same where `last` cannot run: what ran before it runs again."""
        self.chain.until_ended(last, self.patience)
        self._ends(last, before, cost or Cost())

    def _ends(self, last: Pushed, runs: str | None, allowed: Cost) -> None:
        chain, short = self.chain, (runs or "nothing")[:7]
        self._until("the last commit", lambda: chain.serves(self.pipeline) == runs)
        served = time.time() - last.ended_at
        chain.until_ended(last, self.patience)
        self._until("an empty queue", lambda: chain.depth(chain.names.build_queue) == 0)
        self._until("no wants", lambda: chain.table.wants.all() == [])
        chain.until("the notices", self._all_noticed, NOTICE_SECONDS)
        self.until_at_rest()
        at_rest = time.time() - last.ended_at
        requests = self._every_request_has_its_outcome()
        rows = self._every_outcome_has_one_row_and_one_notice()
        self._until("the last commit, still", lambda: chain.serves(self.pipeline) == runs)
        assert chain.depth(chain.names.build_dead_letters) == 0
        assert chain.depth(chain.names.follow_dead_letters) == 0
        self._every_success_is_one_for_ecs_too()
        spent = self._cost(last.commit_id)
        self.say(
            f"{short} answers {served:.0f} s after the push, {self.rests} after"
            f" {at_rest:.0f} s; {requests} request(s), {rows} outcome(s); rollouts"
            f" {spent.rollouts}{self._noted(spent)}"
        )
        assert spent.builds <= allowed.builds, "built again"
        assert spent.rollouts <= allowed.rollouts, "rolled out again"
        assert spent.revisions <= allowed.revisions, "registered again"

    rests = "the host sleeps"

    def until_at_rest(self) -> None:
        """Who built has nothing to do, and costs nothing."""
        self.chain.until_asleep()

    def _noted(self, spent: Cost) -> str:
        builds = f", builds {spent.builds}" if self.journal_kept else ""
        return f", revisions {spent.revisions}{builds}"

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        self.chain.until(what, condition, self.patience)

    def rows(self) -> list[DeploymentRow]:
        """The case's deployments, newest first."""
        found = self.chain.deployments(self.pipeline)
        return [row for row in found if row.deployment_id not in self.rows_before]

    def asked(self) -> set[str]:
        """The ids of the case's requests."""
        return {
            request_id
            for request_id, request in self.witness.look().items()
            if request_id not in self.requests_before and request.pipeline == self.pipeline
        }

    def builds_begun(self) -> int:
        """Of all commits of the case."""
        return len([point for point in self.journal() if point["point"] == "in build"])

    def _all_noticed(self) -> bool:
        """As many notices as outcomes, and none under way."""
        wanted = Counter(commit_of(row) for row in self.rows() if row.status != "superseded")
        noticed = {commit: len(self._notices(commit)) for commit in wanted}
        waiting = self.chain.depth(self.chain.names.notices_queue)
        return waiting == 0 and all(noticed[commit] >= n for commit, n in wanted.items())

    def _notices(self, commit: str) -> list[str]:
        """Those that name it in their headline: a later one lists it among its commits."""
        found = self.chain.notices(commit[:7], since=self.began)
        return [m.text for m in found if commit[:7] in m.text.partition("\n")[0]]

    def _every_request_has_its_outcome(self) -> int:
        """Exactly one: the table holds one row for each, or none."""
        asked = self.asked()
        assert asked, "no request was accepted"
        settled = self.chain.table.requests.settled(asked)
        assert set(settled) == asked, "a request without an outcome"
        return len(asked)

    def _every_outcome_has_one_row_and_one_notice(self) -> int:
        rows = self.rows()
        assert all(row.status and row.announced_at for row in rows), rows
        per_request = Counter(row.request_id for row in rows)
        assert max(per_request.values()) == 1, f"two rows for one request: {per_request}"
        told = Counter(commit_of(row) for row in rows if row.status != "superseded")
        for commit, outcomes in told.items():
            assert len(self._notices(commit)) == outcomes, self._notices(commit)
        return len(rows)

    def _every_success_is_one_for_ecs_too(self) -> None:
        """ECS finished a rollout of the very digest that a deployment calls a success."""
        done = [d for d in self.service_deployments() if d["status"] == "SUCCESSFUL"]
        for row in self.rows():
            if row.status == "succeeded":
                digest = row.result.image_digest if row.result else None
                assert digest is not None
                assert any(self._runs(deployment, digest) for deployment in done), row

    # --- what it cost

    def _cost(self, commit: str) -> Cost:
        row = self.chain.deployment_of(commit, self.pipeline)
        assert row is not None
        points = self.journal()
        builds = [p for p in points if p["point"] == "in build" and p["about"] == row.deployment_id]
        fresh = [
            d
            for d in self.service_deployments()
            if d["serviceDeploymentArn"] not in self.services_before
        ]
        digest = row.result.image_digest if row.result else None
        assert digest is not None
        return Cost(
            builds=len(builds),
            rollouts=len([d for d in fresh if self._runs(d, digest)]),
            revisions=len([r for r in self._revisions(row) if self._has(r, digest)]),
        )

    def journal(self) -> list[dict[str, Any]]:
        """The points that agents passed since the case began."""
        path = self.home / JOURNAL
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        points = [json.loads(line) for line in lines]
        return [point for point in points if point["at"] >= self.began]

    def service_deployments(self) -> list[dict[str, Any]]:
        """ECS's own history of the service: one entry per rollout that was begun."""
        pipeline = self.chain.pipeline(self.pipeline)
        answer = self.chain.prod("ecs").list_service_deployments(
            cluster=pipeline.cluster, service=pipeline.service, maxResults=100
        )
        found: list[dict[str, Any]] = answer["serviceDeployments"]
        return found

    def _revisions(self, row: DeploymentRow) -> list[str]:
        """The newest of the family of what the row rolled out, in use or not."""
        family = (row.task_definition_after or "").rpartition("/")[2].partition(":")[0]
        ecs, found = self.chain.prod("ecs"), []
        for status in ("ACTIVE", "INACTIVE"):
            found += ecs.list_task_definitions(
                familyPrefix=family, status=status, sort="DESC", maxResults=10
            )["taskDefinitionArns"]
        return found

    def _runs(self, deployment: dict[str, Any], digest: str) -> bool:
        """Whether that rollout was one of this digest."""
        (revision,) = self.chain.prod("ecs").describe_service_revisions(
            serviceRevisionArns=[deployment["targetServiceRevisionArn"]]
        )["serviceRevisions"]
        return self._has(revision["taskDefinition"], digest)

    def _has(self, task_definition: str, digest: str) -> bool:
        """Whether a container of that revision runs this digest."""
        described = self.chain.prod("ecs").describe_task_definition(taskDefinition=task_definition)
        containers = described["taskDefinition"]["containerDefinitions"]
        return any(container["image"].endswith(digest) for container in containers)


def commit_of(row: DeploymentRow) -> str:
    """The commit of a deployment that got as far as one."""
    return row.commit.id if row.commit is not None else ""
