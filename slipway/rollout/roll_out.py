"""The rollout, from top to bottom: read, verify, register, update, wait, put right, prune.

What only some rollouts need (CodeDeploy, one-off tasks, pruning, reasons of a failure) is imported
where it is needed: the command line pays for every module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.contracts.errors import Interrupted, WrongUse
from slipway.rollout.api import Api, Changes, Unanswered
from slipway.rollout.ending import failed, succeeded
from slipway.rollout.follow import History, follow, known_deployments
from slipway.rollout.judge import Ours
from slipway.rollout.plan import (
    Clock,
    Factory,
    Guard,
    OnProgress,
    Progress,
    RolloutPlan,
    RolloutResult,
    short,
)
from slipway.rollout.request import (
    base_given,
    base_name,
    check_plan,
    planned_images,
    request_for,
)
from slipway.rollout.restore import Previous
from slipway.rollout.run import Run
from slipway.rollout.service import (
    CODE_DEPLOY,
    Service,
    containers_of_revision,
    parse_service,
    read_service,
)
from slipway.rollout.settings import as_request, asked_for, of_service
from slipway.rollout.taskdef import (
    Definition,
    Described,
    describe,
    differences,
    images_of,
    register,
    request_of,
)
from slipway.rollout.unfinished import Unfinished, left_behind
from slipway.rollout.verify import any_in_ecr, raise_if_wrong, service_problems, verify_images
from slipway.rollout.watch import Limits


def roll_out(
    plan: RolloutPlan,
    *,
    ecs: Any,
    clock: Clock,
    ecr: Factory | None = None,
    codedeploy_client: Factory | None = None,
    balancing: Factory | None = None,
    on_progress: OnProgress | None = None,
    guard: Guard | None = None,
) -> RolloutResult:
    """Do what `plan` says and tell how it ended.

    `ecs` is a boto3 (or botocore) client; `ecr`, `codedeploy_client` and `balancing` (of Elastic
    Load Balancing v2) make one when it is needed. Without `balancing`, what is behind a load
    balancer is healthy only once ECS says that the deployment is done. `guard` is called right
    before every change in ECS, and raises to stop it.

    Raises WrongUse where the plan cannot be right, and WorldFailed where AWS or the network failed
    for longer than the patience: both only where nothing was changed. What fails after a change is
    Unfinished; Interrupted is passed on. Every other end is a RolloutResult.
    """
    changes = Changes()
    run = Run(
        plan=plan,
        api=Api(ecs, clock, guard=guard, patience=plan.timeouts.patience, changes=changes),
        clock=clock,
        guard=guard,
        ecr=ecr,
        codedeploy=codedeploy_client,
        balancing=balancing,
        on_progress=on_progress or (lambda _progress: None),
        begun=clock.now(),
    )
    check_plan(plan)
    try:
        return _rolled_out(run)
    except Interrupted:
        raise
    except Exception as error:
        if not run.has_begun:
            raise
        return _ended_early(run, error)


def _ended_early(run: Run, error: Exception) -> RolloutResult:
    """Something failed after a change: a refusal is our failure, all else leaves it unwatched.

    What AWS says cannot be right, before the service changed, fails at every try: `failed`.
    Raises Unfinished for the rest.
    """
    begun = run.begun_changes
    text = f"{error}; {left_behind(begun)}"
    members = {"before": begun.before, "after": begun.after, "deployment": begun.deployment}
    if isinstance(error, WrongUse) and not begun.service_changed:
        return run.result("failed", text, running=begun.before, **members)
    running = None if begun.service_changed else begun.before
    result = run.result("unwatched", text, running=running, **members)
    raise Unfinished(text, result=result, goes_on=begun.service_changed) from error


def _rolled_out(run: Run) -> RolloutResult:
    plan = run.plan
    if plan.service is None:
        return _register_only(run)
    run.step("read")
    service = read_service(run.api, plan.cluster, plan.service)
    run.before = service.proven
    raise_if_wrong(service_problems(plan, service))
    if plan.force:
        return _update(run, service, service.task_definition, request=None)
    if plan.target is not None:
        return _go_to(run, service, plan.target)
    base, request = _request(run, service)
    _verify(run, request)
    run.changes = differences(base, request)
    if plan.dry_run:
        return _planned(run, service.proven)
    if service.controller == CODE_DEPLOY:
        from slipway.rollout.by_codedeploy import find_group

        find_group(run, service)
    run.step("register", note="registering a new revision")
    run.after = register(run.api, request)
    return _update(run, service, run.after, request=request)


def _base(run: Run, service: Service | None) -> Described:
    return base_given(run.plan, service) or describe(run.api, base_name(run.plan, service))


def _request(
    run: Run, service: Service | None, base: Described | None = None
) -> tuple[Definition, Definition]:
    """The base as it would be registered again, and with the plan's images."""
    plan = run.plan
    found = base if base is not None else _base(run, service)
    again = request_of(found, run.model, tags=plan.copy_tags)
    request = request_for(plan, again)
    if plan.task is not None:
        from slipway.rollout.oneoff import check

        check(plan.task, request, service)
    return again, request


def _verify(run: Run, request: Definition) -> None:
    """Say all that is wrong before anything is registered."""
    new = set(images_of(request).values()) & planned_images(run.plan, request)
    if run.ecr is None or not any_in_ecr(new):
        return
    run.step("verify", note="checking that the image is in ECR")
    patience = run.plan.timeouts.patience
    found = verify_images(new, run.ecr, lambda client: Api(client, run.clock, patience=patience))
    run.skipped.extend(found.skipped)
    raise_if_wrong(found.problems)


def _planned(run: Run, before: str) -> RolloutResult:
    cause = "nothing was changed (dry run)"
    return run.result("planned", cause, before=before, running=before)


def _register_only(run: Run) -> RolloutResult:
    """No service: register, and run the task if one is asked for. ECR is never asked."""
    plan = run.plan
    run.step("read")
    given = _base(run, None)
    run.before = given.arn
    base, request = _request(run, None, given)
    run.changes = differences(base, request)
    if plan.dry_run:
        return run.result("planned", "nothing was changed (dry run)", before=given.arn)
    run.step("register", note="registering a new revision")
    arn = run.after = register(run.api, request)
    failed = _run_task(run, arn, request, service=None)
    if failed is not None:
        return run.result("failed", failed, before=given.arn, after=arn)
    return run.result("registered", f"{short(arn)} is registered", before=given.arn, after=arn)


def _run_task(
    run: Run, arn: str, request: Definition | None, service: Service | None
) -> str | None:
    """Run the plan's one-off task; what went wrong, or None."""
    task = run.plan.task
    if task is None:
        return None
    from slipway.rollout.oneoff import run_once

    run.step("pre_deploy", note="running a task of the new revision", task_definition=arn)
    definition = request if request is not None else describe(run.api, arn).definition
    ended = run_once(
        run.api,
        task,
        definition=definition,
        task_definition=arn,
        cluster=run.plan.cluster,
        service=service,
        timeout=run.plan.timeouts.task,
    )
    run.tell(Progress(step="pre_deploy", elapsed=0.0, note=ended.text, task_definition=arn))
    return None if ended.ok else ended.text


def _go_to(run: Run, service: Service, target: str) -> RolloutResult:
    """Go to an existing task definition, or follow the service that is on its way there."""
    primary = service.primary
    if ":task-definition/" not in target:
        target = _arn(run, target)
    if run.plan.dry_run:
        return _planned(run, service.proven)
    is_there = primary is not None and primary.task_definition == target
    if not is_there or primary is None or run.plan.desired_count not in (None, service.desired):
        return _update(run, service, target, request=None)
    if service.is_settled:
        cause = f"{short(target)} runs already"
        return run.result(
            "unchanged", cause, before=target, after=target, running=target, deployment=primary.id
        )
    before = run.plan.previous or _previous_of(service, target)
    run.before, run.after, run.deployment = before, target, primary.id
    ours = Ours(
        id=primary.id,
        task_definition=target,
        known_before=frozenset(d.id for d in service.deployments if d.id != primary.id),
        previous=before,
        created_at=primary.created_at,
    )
    history = History(run.api, ours)
    return _see_through(run, service, ours, history, _previous(run, service, before))


def _arn(run: Run, name: str) -> str:
    arn = describe(run.api, name).arn
    if arn is None:
        raise WrongUse(f"task definition {name!r} has no ARN")
    return arn


def _previous_of(service: Service, target: str) -> str:
    """What ran before a deployment that is under way already."""
    others = [d for d in service.deployments if d.task_definition != target]
    done = [d for d in others if d.state == "COMPLETED"]
    return (done or others)[0].task_definition if others else target


def _previous(run: Run, service: Service, before: str) -> Previous:
    containers: Mapping[str, tuple[str, str]] = {}
    if run.plan.force:
        containers = _running_containers(run, service)
    return Previous(
        task_definition=before,
        forced=run.plan.force,
        containers=containers,
        settings=of_service(service),
        asked=asked_for(run.plan),
    )


def _running_containers(run: Run, service: Service) -> Mapping[str, tuple[str, str]]:
    """Container to (image, digest) of what runs: a moving tag does not say what to go back to."""
    for revision in service.revisions[:1]:
        containers = containers_of_revision(run.api, revision)
        if containers:
            return containers
    from slipway.rollout.tasks import containers_of_tasks

    return containers_of_tasks(run.api, service)


def _update(
    run: Run, service: Service, target: str, *, request: Definition | None
) -> RolloutResult:
    """Bring the service to `target` and see it through."""
    if run.plan.dry_run:
        return _planned(run, service.proven)
    run.before, run.after = service.proven, target
    failed = _run_task(run, target, request, service)
    if failed is not None:
        before = service.proven
        return run.result("failed", failed, before=before, after=target, running=before)
    previous = _previous(run, service, service.proven)
    known = frozenset({service.service_deployment})
    if request is None and service.controller != CODE_DEPLOY:
        known |= known_deployments(run.api, service)
    run.step("update", note="updating the service", task_definition=target)
    if service.controller == CODE_DEPLOY:
        from slipway.rollout.by_codedeploy import by_codedeploy

        return by_codedeploy(run, service, target)
    answer = run.api.change("update_service", **update_request(run.plan, service, target))
    updated = parse_service(answer["service"])
    primary = updated.primary
    if primary is None:
        raise Unanswered("ecs:UpdateService answered without a primary deployment")
    run.deployment = primary.id
    ours = Ours(
        id=primary.id,
        task_definition=primary.task_definition or target,
        known_before=frozenset(d.id for d in service.deployments) - {primary.id},
        previous=previous.task_definition,
        created_at=primary.created_at,
    )
    history = History(run.api, ours, known=known)
    return _see_through(run, updated, ours, history, previous)


def update_request(plan: RolloutPlan, service: Service, target: str) -> dict[str, Any]:
    """What UpdateService is asked: nothing that the plan did not say."""
    request: dict[str, Any] = {"cluster": service.cluster, "service": service.name}
    if plan.force:
        request["forceNewDeployment"] = True
    else:
        request["taskDefinition"] = target
    return request | as_request(asked_for(plan))


def _see_through(
    run: Run, service: Service, ours: Ours, history: History, previous: Previous
) -> RolloutResult:
    """Follow our deployment to its end and put right what it left wrong."""
    timeouts = run.plan.timeouts
    limits = Limits(
        healthy=timeouts.healthy,
        drain=timeouts.drain,
        rollback=timeouts.rollback,
        wait_drain=run.plan.wait_drain,
    )
    run.step("wait", note="waiting for the new tasks", task_definition=ours.task_definition)
    tell = run.look_teller(ours.task_definition, ours.id)
    followed = follow(
        run.api,
        ours,
        history,
        service=service,
        limits=limits,
        tell=tell,
        balancing=run.balancing,
    )
    if history.skipped:
        run.skipped.append(history.skipped)
    if followed.outcome == "succeeded":
        return succeeded(run, ours, previous, followed)
    return failed(run, ours, history, previous, followed)
