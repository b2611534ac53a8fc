"""The rollout of a service whose deployments CodeDeploy makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout import codedeploy
from slipway.rollout.api import Api
from slipway.rollout.ending import done
from slipway.rollout.plan import Outcome, Progress, RolloutResult, short
from slipway.rollout.run import Run
from slipway.rollout.service import Service, look_again


def find_group(run: Run, service: Service) -> tuple[Api, Any]:
    """CodeDeploy, and its group that deploys the service: found before anything is changed."""
    if run.codedeploy is None:
        raise WrongUse("a CODE_DEPLOY service needs access to CodeDeploy")
    api = run.api_of(run.codedeploy())
    named = run.plan.code_deploy
    group = named or codedeploy.group_of(api, service)
    if named is not None:
        codedeploy.check_group(api, named, service)
    run.group = (api, group)
    return run.group


def by_codedeploy(run: Run, service: Service, target: str) -> RolloutResult:
    """The same for a service whose deployments CodeDeploy makes."""
    plan, before = run.plan, service.proven
    api, group = run.group or find_group(run, service)

    def tell(seen: codedeploy.Watched) -> None:
        stage, waits = seen.event or seen.status, seen.waits
        run.tell(
            Progress(step="wait", elapsed=0.0, task_definition=target, stage=stage, waits=waits)
        )

    run.deployment = codedeploy.begin(api, group, service, target, rollback=plan.rollback)
    ended = codedeploy.see_through(
        api,
        service,
        run.deployment,
        timeouts=plan.timeouts,
        rollback=plan.rollback,
        wait_drain=plan.wait_drain,
        tell=tell,
    )
    now = look_again(run.api, service) or service
    running = now.primary.task_definition if now.primary else now.task_definition
    members = {"before": before, "after": target, "deployment": ended.deployment}
    if ended.outcome == "succeeded" and running == target:
        result = done(
            run, now, target=target, before=before, cause=ended.cause, drained=ended.drained
        )
        return replace(result, deployment=ended.deployment)
    outcome: Outcome = "superseded" if ended.outcome == "succeeded" else ended.outcome
    cause = f"{ended.cause}; {short(running)} runs now"
    return run.result(outcome, cause, running=running, restored=ended.restored, **members)
