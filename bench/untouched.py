"""A push that touches none of its pipeline's paths: what it costs once it is fetched."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from bench.fetching import served
from bench.large_repository import BRANCH, COMMITS, add_commit, make, tip_of
from bench.report import Bound, Section
from build_agent.host.process import run
from build_agent.source.mirror import Source
from slipway.contracts.messages import Commit
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request

ROUNDS = 7
HERE, OLDER = "what runs is in the mirror", "what runs is older than the mirror"
KEYS = {"AWS_ACCESS_KEY_ID": "222222222222", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


class _Watched:
    """A source that remembers when its last fetch was over."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.fetched_at = self.spent = 0.0

    def fetch(self, *arguments: Any, **more: Any) -> Commit:
        found = self._source.fetch(*arguments, **more)
        self.fetched_at, self.spent = time.perf_counter(), _processor()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def section(work: Path) -> Section:
    """The agent's own worker, from the end of the fetch until the request is settled."""
    made = Section(
        title="A push that concerns another pipeline",
        about=(
            f"A repository of {COMMITS:,} commits, as for the fetch; each push changes a file that"
            " is none of the pipeline's `paths`. Measured is the agent's worker with real git, from"
            " the end of the fetch until the outcome is recorded, told and settled. The table and"
            " the queue are moto's in the same process. Docker and ECS are stand-ins that count."
        ),
        columns=(
            "",
            "seconds after the fetch",
            "of a processor",
            "docker builds",
            "rollouts",
        ),
    )
    remote = work / "large.git"
    make(remote)
    folder = work / "untouched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with served(work) as wire:
        url = f"{wire.url}/large.git"
        with patch.dict(os.environ, KEYS), mock_aws():
            here = _row(folder / "here", remote, url, lambda _world, _turn: None)
        with patch.dict(os.environ, KEYS), mock_aws():
            older = _row(folder / "older", remote, url, lambda w, n: _runs_older(w, remote, n))
    shutil.rmtree(folder)
    made.rows = [(HERE, *here), (OLDER, *older)]
    made.bounds = [
        Bound("a push of other paths: s after the fetch", 1.0, max(here[0], older[0])),
        Bound("a push of other paths: docker builds", 0.0, float(here[2] + older[2])),
    ]
    return made


def _row(
    folder: Path, remote: Path, url: str, prepare: Callable[[World, int], None]
) -> tuple[float, float, int, int]:
    """Seconds (medians: all, and of a processor), builds and rollouts of such pushes, after one
    that is built.
    """
    folder.mkdir()
    pipeline = make_pipeline(git_url=url, branch=BRANCH, paths=("src/**",))
    world = World(boto3.client, make_installation(pipelines=(pipeline,)))
    source = _Watched(Source(folder, run=run, login=lambda _url, _role: None, protocols=("git",)))
    world.source = source  # type: ignore[assignment]
    worker = world.worker()
    taken: list[tuple[float, float]] = []
    for turn in range(ROUNDS + 1):
        world.clock.pass_by(1)
        if turn:
            prepare(world, turn)
            add_commit(remote, turn)
        request = replace(make_request(turn + 1), pushed_at=world.clock.now())
        world.send(request)
        worker.step()
        taken.append((time.perf_counter() - source.fetched_at, _processor() - source.spent))
        expected = "unchanged" if turn else "succeeded"
        if world.outcome(request) != expected:
            raise RuntimeError(f"a push ended as {world.outcome(request)}, not {expected}")
    built, rolled_out = len(world.images.built) - 1, len(world.services.plans) - 1
    seconds, of_processor = (statistics.median(each) for each in zip(*taken[1:], strict=True))
    return seconds, of_processor, built, rolled_out


def _processor() -> float:
    """Seconds of a processor that this process and its commands have had."""
    used = (resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _runs_older(world: World, remote: Path, turn: int) -> None:
    """What runs laid out the same under the paths, and is another commit each time, on no branch:
    so it is fetched by its id.
    """
    tip = tip_of(remote)
    world.table.pipelines.change("web", running_commit=add_commit(remote, 1000 + turn, branch=""))
    if tip_of(remote) != tip:
        raise RuntimeError("the branch has moved")
