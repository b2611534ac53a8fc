"""`slipway local push`: a visible change to the sample application, pushed as a developer would."""

from __future__ import annotations

import time
from dataclasses import dataclass

from local.sample_repository import SampleRepository
from local.state import read_state
from local.workplace import Workplace
from slipway.contracts.errors import WrongUse


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What was pushed. Times in seconds since the epoch: when git began and was done."""

    pipeline: str
    branch: str
    commit_id: str
    message: str
    began_at: float
    ended_at: float


def push_release(
    workplace: Workplace,
    pipeline: str,
    message: str | None = None,
    behaviour: str = "works",
    *,
    after: int = 0,
    greeting: str | None = None,
) -> Pushed:
    """Commit the next release and push it.

    `after`: seconds from its start until it is healthy, or crashes. `greeting`: a variable of the
    repository's own task definitions; None: as it is. WrongUse for a pipeline that is
    not there, and where the service's health check would not wait so long.
    """
    state = read_state(workplace)
    if pipeline not in state.pipelines:
        known = ", ".join(state.pipelines)
        raise WrongUse(f"pipeline {pipeline!r} is not in this run; there are: {known}")
    if after > state.start_period:
        raise WrongUse(
            f"--after {after}: a container of this run may be unhealthy for {state.start_period} s,"
            f" and is replaced then: `slipway local up --start-period {after}`"
        )
    branch = state.pipelines[pipeline].branch
    repository = SampleRepository(workplace.sample_dir / pipeline)
    repository.pull(branch)
    if greeting is not None:
        repository.greet(greeting)
    commit_id = repository.change(message, behaviour, after)
    began_at = time.time()
    repository.push(branch)
    return Pushed(
        pipeline=pipeline,
        branch=branch,
        commit_id=commit_id,
        message=repository.git("log", "-1", "--format=%s"),
        began_at=began_at,
        ended_at=time.time(),
    )
