"""kill -9 of an agent with a run in each stage at the same time: each ends as if it were alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from local.plan import Options
from tests.e2e.chain import local_chain
from tests.e2e.chaos.conftest import listened_to
from tests.e2e.chaos.trial import END_SECONDS, Cost, Say, Trial


@dataclass(frozen=True)
class Held:
    """Where a run is when its agent dies, and what its push may cost then."""

    point: str
    cost: Cost


HELD = (
    Held("in fetch", Cost()),
    Held("in build", Cost(builds=2)),
    Held("in push", Cost(builds=2)),
    Held("handed over", Cost()),
)


@pytest.fixture
def trials(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[list[Trial]]:
    """A host with a build slot for each of its pipelines; a trial of each, all asleep."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(pipelines=len(HELD), builds=len(HELD), internal_endpoints=True)
    directory = tmp_path_factory.mktemp("several")
    with local_chain(directory, options) as chain, listened_to(chain) as witness:
        yield [Trial(chain, witness, say, pipeline=name) for name in chain.state.pipelines]


@pytest.mark.chaos
def test_kill_an_agent_with_a_run_in_each_stage(trials: list[Trial], say: Say) -> None:
    # GIVEN pushes to all pipelines at once, and an agent each of whose runs is in another stage
    first, points = trials[0], [held.point for held in HELD]
    where = dict(zip([trial.pipeline for trial in trials], points, strict=True))
    with first.holding(where) as all_held:
        with ThreadPoolExecutor(len(trials)) as pool:
            pushes = list(pool.map(lambda trial: trial.push(f"killed {trial.pipeline}"), trials))
        first.chain.until("a run in each stage", all_held, END_SECONDS)
    rows = {name: first.chain.deployments(name)[0].stage for name in where}
    say(f"held: {where}; the rows say {rows}")

    # WHEN
    first.kill_agent()

    # THEN all end as if nothing had happened: no second rollout, one notice each
    for trial, pushed, held in zip(trials, pushes, HELD, strict=True):
        trial.ends_well(pushed, held.cost)
