"""What `slipway doctor` looks at for a pipeline's scheduled tasks and definitions alone."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.cli.aws.session import Session
from slipway.cli.doctor.findings import Finding, ok, wrong
from slipway.contracts.deployed_to import ScheduledTaskSettings
from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.wording import task_definition_name
from slipway.following.companions import scheduled_of
from slipway.rollout.clock import SystemClock
from slipway.rollout.means import Means
from slipway.rollout.plan import Scheduled
from slipway.rollout.scheduled import Lacking, read_target
from slipway.rollout.taskdef import describe

PATIENCE = 5.0
MEND = "deploy it, or correct the pipeline's configuration"


def scheduled_checks(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    """Each scheduled task with what it runs, and each family of its own."""
    means = Means(
        ecs=session.client("ecs"),
        clock=SystemClock(),
        patience=PATIENCE,
        events=lambda: session.client("events"),
        scheduler=lambda: session.client("scheduler"),
    )
    tasks = zip(pipeline.scheduled_tasks or (), scheduled_of(pipeline), strict=True)
    for task, scheduled in tasks:
        yield _task(means, task, scheduled)
    for one in pipeline.families:
        yield _family(means, str(one.family))


def _task(means: Means, task: ScheduledTaskSettings, scheduled: Scheduled) -> Finding:
    name = f"{task.kind} {task.name}"
    try:
        target = read_target(means, scheduled)
    except Lacking as error:
        return wrong("scheduled task", str(error), MEND)
    runs = f"{name} runs {task_definition_name(target.names)}"
    if target.role != task.target_role:
        text = f"{runs} with the role {target.role}, which may not be passed on"
        return wrong("scheduled task", text, "name that role as its targetRole, and deploy")
    return ok("scheduled task", runs)


def _family(means: Means, family: str) -> Finding:
    try:
        newest = describe(means.ecs, family)
    except WrongUse as error:
        return wrong("task definition", str(error), "register a first revision of that family")
    return ok("task definition", f"{task_definition_name(newest.arn or family)} is its newest")
