"""Pushes to several pipelines of a local run at once: what each took, and how many slots it had."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.local_run import LocalRun
from local.http import served_commit
from local.sample_repository import SAMPLE, SampleRepository
from local.state import read_state
from local.waiting import wait_for
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow

END = 400.0
POLL = 0.25


@dataclass(frozen=True)
class Live:
    """Of one push. Seconds since the first push of all began.

    `begun`: a run had it; `built`: its image was pushed, and its slot was free; `live`: it answers
    over HTTP. `stages`: when each began.
    """

    begun: float
    built: float
    live: float
    stages: dict[str, float]

    @property
    def build(self) -> float:
        """Seconds for which it had a slot."""
        return self.built - self.begun

    @property
    def rollout(self) -> float:
        return self.live - self.built


def push_all(
    run: LocalRun,
    pipelines: Sequence[str],
    behaviour: str = "works",
    *,
    after: int = 0,
    files: Mapping[str, str] | None = None,
) -> list[Pushing]:
    """Push to all at the same moment; the commits are made before.

    `files`: what this release has in place of the sample's own; the next has those again.
    """
    commits: dict[str, str] = {}
    for name in pipelines:
        repository, branch = _repository(run, name), run.state.pipelines[name].branch
        repository.pull(branch)
        for file in SAMPLE.glob("*.sh"):
            text = (files or {}).get(file.name, file.read_text(encoding="utf-8"))
            (repository.directory / file.name).write_text(text, encoding="utf-8")
        commits[name] = repository.change(f"bench {time.time_ns():x}", behaviour, after)
    began = time.time()
    with ThreadPoolExecutor(len(pipelines)) as threads:
        list(threads.map(lambda name: _push(run, name), pipelines))
    return [Pushing(run, name, commits[name], began, after) for name in pipelines]


class Pushing:
    """A push under way, and what has been seen of it. `row`: its deployment as last read, once it
    has fetched.
    """

    def __init__(self, run: LocalRun, pipeline: str, commit: str, began: float, after: int) -> None:
        self._url = run.state.pipelines[pipeline].service_url
        self.deployments = run.sources.table.deployments
        self.pipeline = pipeline
        self._commit = commit
        self._began = began
        self._after = after
        self._asked: Future[None] | None = None
        self._live: float | None = None
        self.row: DeploymentRow | None = None

    @property
    def is_built(self) -> bool:
        return self.row is not None and "rollout" in self.row.stages

    @property
    def is_live(self) -> bool:
        """Whether it has answered over HTTP."""
        return self._live is not None

    @property
    def has_ended(self) -> bool:
        return self.row is not None and self.row.announced_at is not None

    def find(self) -> None:
        """Look for its deployment, of which nothing is known yet."""
        for row in self.deployments.newest(self.pipeline, 5):
            if row.commit is not None and row.commit.id == self._commit:
                self.row = row

    def ask(self, threads: ThreadPoolExecutor) -> None:
        """Ask the service which commit it serves, once it can be this one, and once at a time."""
        waits = self.row is not None and self.row.stages.get("wait")
        may_answer = waits and time.time() >= waits + self._after
        if may_answer and not self.is_live and (self._asked is None or self._asked.done()):
            self._asked = threads.submit(self._ask)

    def _ask(self) -> None:
        if served_commit(self._url) == self._commit:
            self._live = time.time()

    def seen(self) -> Live:
        """What it took; it is live, and has an outcome."""
        if self.row is None or self._live is None:
            raise AssertionError(f"{self.pipeline} is not live")
        stages = {stage: at - self._began for stage, at in self.row.stages.items()}
        begun = self.row.started_at - self._began
        return Live(begun, stages["rollout"], self._live - self._began, stages)


def until_live(pushes: Sequence[Pushing]) -> list[Live]:
    """All, once each answers and has its outcome; in the order in which they are live."""
    with ThreadPoolExecutor(len(pushes)) as threads:  # an address that is silent takes seconds

        def are_live() -> bool:
            _read([push for push in pushes if not push.has_ended])
            for push in pushes:
                push.ask(threads)
            return all(push.is_live and push.has_ended for push in pushes)

        wait_for("an answer of each, and its outcome", are_live, seconds=END, poll=POLL)
    return sorted((push.seen() for push in pushes), key=lambda live: live.live)


def until_built(push: Pushing) -> None:
    """Its rollout is handed over: it has no slot any more."""

    def is_built() -> bool:
        _read([push])
        return push.is_built

    wait_for("the hand-over", is_built, seconds=END, poll=POLL)


def _read(pushes: Sequence[Pushing]) -> None:
    """The deployments of all in one call, so that measuring leaves the machine to what is measured.

    What one push takes is seen to POLL.
    """
    known = {push.row.deployment_id: push for push in pushes if push.row is not None}
    if known:
        for identity, row in pushes[0].deployments.get_many(known).items():
            known[identity].row = row
    for push in pushes:
        if push.row is None:
            push.find()


def with_slots(run: LocalRun, builds: int) -> None:
    """Start the host's agent anew, with so many build slots."""
    place = run.workplace.installation_file
    settings: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    place.write_text(json.dumps({**settings, "builds": builds}), encoding="utf-8")
    before = agent_of(run)
    os.kill(before, signal.SIGTERM)
    wait_for("another agent", lambda: agent_of(run, other_than=before), seconds=60)
    wait_for("its slots", lambda: host_of(run).slots == builds, seconds=60)


def agent_of(run: LocalRun, *, other_than: int | None = None) -> int:
    """The process of the host's agent; 0 while there is none, or only that one."""
    pid = read_state(run.workplace).hosts[0].agent_pid
    return pid if pid is not None and pid != other_than else 0


def host_of(run: LocalRun) -> HostRow:
    """The row of the run's one host."""
    row = run.sources.table.hosts.get(run.state.hosts[0].instance_id)
    if row is None:
        raise AssertionError("the host has no row")
    return row


def _push(run: LocalRun, pipeline: str) -> None:
    _repository(run, pipeline).push(run.state.pipelines[pipeline].branch)


def _repository(run: LocalRun, pipeline: str) -> SampleRepository:
    return SampleRepository(run.workplace.sample_dir / pipeline)
