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
    workplace: Workplace, pipeline: str, message: str | None = None, behaviour: str = "works"
) -> Pushed:
    """Commit the next release and push it; WrongUse for a pipeline that is not there."""
    state = read_state(workplace)
    if pipeline not in state.pipelines:
        known = ", ".join(state.pipelines)
        raise WrongUse(f"pipeline {pipeline!r} is not in this run; there are: {known}")
    branch = state.pipelines[pipeline].branch
    repository = SampleRepository(workplace.sample_dir / pipeline)
    repository.pull(branch)
    commit_id = repository.change(message, behaviour)
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
