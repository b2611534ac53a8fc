"""A case of chaos for one pipeline whose builders are builds of CodeBuild.

Several run side by side in one local run without a host: each pipeline has its own place for the
order to die and for the journal. All must hold that holds elsewhere; and at the end no build runs,
no row waits for one, nobody holds the lock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.push import Pushed
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.table.builders import BuilderRow
from tests.e2e.builds import builds, live, pipeline_of
from tests.e2e.chain import Chain
from tests.e2e.chaos import agent
from tests.e2e.chaos.trial import Cost, Say, Trial
from tests.e2e.chaos.witness import Witness

LONG = 400.0
"""Seconds: five builds at once on two processors, and the schedule's minute before."""
PYTHON_VARIABLE = "SLIPWAY_PYTHON"
PYTHON = """#!/bin/bash
# Python as a builder's script calls it; the agent is the one that notes its points.
if [ "$1 $2" = "-m build_agent" ]; then
  shift 2
  export {variable}="{place}/$SLIPWAY_PIPELINE" PYTHONPATH="$PYTHONPATH:{repository}"
  exec "{python}" -m {module} "$@"
fi
exec "{python}" "$@"
"""


@contextmanager
def noting_builds(chain: Chain) -> Iterator[Witness]:
    """Every request is seen, and builds that start run the agent that notes its points."""
    codebuild, name = chain.prod("codebuild"), chain.names.builder_project
    (project,) = codebuild.batch_get_projects(names=[name])["projects"]
    usual = project["environment"]
    given = {"name": PYTHON_VARIABLE, "value": str(_write_python(chain)), "type": "PLAINTEXT"}
    noting = {**usual, "environmentVariables": [*usual["environmentVariables"], given]}
    codebuild.update_project(name=name, environment=noting)
    witness = Witness(chain)
    witness.begin()
    yield witness
    witness.end()
    codebuild.update_project(name=name, environment=usual)


def _write_python(chain: Chain) -> Path:
    place = place_of(chain.workplace)
    place.mkdir()
    script = place / "python3"
    text = PYTHON.format(
        variable=agent.DIRECTORY_VARIABLE, place=place, repository=REPOSITORY,
        python=sys.executable, module=agent.MODULE,
    )  # fmt: skip
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def place_of(workplace: Workplace) -> Path:
    return workplace.directory / "chaos"


@dataclass
class BuilderTrial(Trial):
    """One pipeline's part of a case."""

    patience: float = LONG
    rests = "its builds are over"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.home.mkdir(exist_ok=True)
        self.builds_before = {build["id"] for build in self._builds()}

    @property
    def home(self) -> Path:
        return place_of(self.chain.workplace) / self.pipeline

    @property
    def row(self) -> BuilderRow:
        return self.chain.table.builders.get(self.pipeline)

    def fresh_builds(self) -> list[dict[str, Any]]:
        """The case's builds of the pipeline, oldest first."""
        fresh = [build for build in self._builds() if build["id"] not in self.builds_before]
        return sorted(fresh, key=lambda build: build["buildNumber"])

    def ended_builds(self) -> list[str]:
        """How they ended."""
        return [build["buildStatus"] for build in self.fresh_builds()]

    def ends(self, pushed: Pushed, cost: Cost) -> None:
        self.ends_well(pushed, cost)
        self.say(f"{self.pipeline}: builds {', '.join(self.ended_builds())}")

    def until_at_rest(self) -> None:
        self._until("the end of its builds", self._is_at_rest)

    def _is_at_rest(self) -> bool:
        table = self.chain.table
        lock = table.locks.get(self.pipeline)
        return not (
            live(self.chain, self.pipeline)
            or self.row.is_live
            or table.pending.of(self.pipeline)
            or lock.holder
            or lock.again
        )

    def _builds(self) -> list[dict[str, Any]]:
        return [build for build in builds(self.chain) if pipeline_of(build) == self.pipeline]


@dataclass(frozen=True)
class Trials:
    """The case's parts, one for each pipeline, and what is done to all of them at once."""

    chain: Chain
    each: list[BuilderTrial]
    say: Say

    @classmethod
    def of(cls, chain: Chain, witness: Witness, say: Say) -> Trials:
        return cls(
            chain,
            [BuilderTrial(chain, witness, say, pipeline=name) for name in chain.state.pipelines],
            say,
        )

    def push(self, message: str, behaviour: str = "works") -> list[Pushed]:
        """To all at once; equal commits of repositories that are alike would be told of twice."""
        with ThreadPoolExecutor(len(self.each)) as pool:
            return list(
                pool.map(lambda t: t.push(f"{t.pipeline}: {message}", behaviour), self.each)
            )

    def full(self, builds: int | None) -> None:
        """The account may have so many builds at the same time; None: as many as it likes."""
        self.each[0].internal("POST", "codebuild/limit", {"builds": builds})

    def until_dead(self) -> None:
        """All orders to die were carried out."""
        for trial in self.each:
            self.chain.until(f"the death in {trial.pipeline}", trial.is_dead, LONG)

    def end_well(self, pushes: list[Pushed], costs: list[Cost] | None = None) -> None:
        """Each as if it had been alone; and no build runs."""
        given = costs or [Cost()] * len(self.each)
        with ThreadPoolExecutor(len(self.each)) as pool:
            list(
                pool.map(
                    lambda of_one: of_one[0].ends(*of_one[1:]),
                    zip(self.each, pushes, given, strict=True),
                )
            )
        assert live(self.chain) == []
        assert self.chain.table.pending.all() == []
        assert self.chain.depth(self.chain.names.build_queue) == 0
