"""From the plan to the change of the service: read, verify, register, run the task, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.actions import Register, Tell, UpdateService
from slipway.rollout.api import Unanswered
from slipway.rollout.definition_diff import same_definition
from slipway.rollout.follow import following
from slipway.rollout.judge import STALE, Ours
from slipway.rollout.looks import Answer, Look, Preparation, Survey, of_kind
from slipway.rollout.pace import pause
from slipway.rollout.plan import RolloutPlan, RolloutResult, short
from slipway.rollout.request import check_plan, planned_images, request_for
from slipway.rollout.service import CODE_DEPLOY, Service, parse_service
from slipway.rollout.settings import as_request, asked_for, of_service
from slipway.rollout.state import (
    Advanced,
    Before,
    Place,
    RolloutState,
    StepName,
    intend,
    on,
    sure,
)
from slipway.rollout.taskdef import Definition, differences, images_of
from slipway.rollout.telling import enter, finish, over
from slipway.rollout.verify import any_in_ecr, raise_if_wrong, service_problems


def begin(plan: RolloutPlan, now: float, identifier: str) -> Advanced:
    """The rollout of `plan` at its beginning; WrongUse for a plan that contradicts itself.

    `identifier`: its own, of at most 64 letters and digits.
    """
    check_plan(plan)
    step: StepName = "base" if plan.service is None else "read"
    if plan.is_companion:
        step = "sight"
    state = RolloutState(id=identifier, plan=plan, begun=now, look_at=now, step=step)
    state, told = enter(state, "read", now)
    return on(state, told)


def read(state: RolloutState, look: Preparation, now: float) -> Advanced:
    """The service: what can be known to be wrong, and what ran before."""
    plan, service = state.plan, sure(look.service)
    state = replace(
        state,
        place=Place(
            service=service.arn,
            name=service.name,
            cluster=service.cluster,
            controller=service.controller,
        ),
        before=service.proven,
        was=Before(
            deployments=frozenset(d.id for d in service.deployments),
            service_deployments=frozenset(filter(None, [service.service_deployment])),
            settings=of_service(service),
        ),
    )
    raise_if_wrong(service_problems(plan, service))
    if plan.force:
        return _go_to(state, service.task_definition, now)
    if plan.target is None:
        return on(replace(state, step="base"))
    if ":task-definition/" not in plan.target:
        return on(replace(state, step="target"))
    return _at_or_to(state, service, plan.target, now)


def target(state: RolloutState, look: Preparation, now: float) -> Advanced:
    """The ARN of the revision that the plan names."""
    if look.base_arn is None:
        raise WrongUse(f"task definition {state.plan.target!r} has no ARN")
    return _at_or_to(state, sure(look.service), look.base_arn, now)


def base(state: RolloutState, look: Preparation, now: float) -> Advanced:
    """What the new revision is made from: with the plan's images, and whether those are there."""
    request = _request(state, look)
    state = replace(state, base=look.base_arn)
    if state.plan.service is None:
        return _verified(replace(state, before=look.base_arn), look, now)
    if look.asks_ecr and any_in_ecr(new_images(state.plan, request)):
        state, told = enter(state, "verify", now, note="checking that the image is in ECR")
        return on(replace(state, step="verify"), told)
    return _verified(state, look, now)


def verify(state: RolloutState, look: Preparation, now: float) -> Advanced:
    """Whether the images are in ECR."""
    if look.verified is not None:
        state = replace(state, skipped=(*state.skipped, *look.verified.skipped))
        raise_if_wrong(look.verified.problems)
    return _verified(state, look, now)


def group(state: RolloutState, look: Preparation, now: float) -> Advanced:
    """What makes the deployments of a service that CodeDeploy deploys."""
    state = replace(state, group=look.group)
    return register(state, look, now) if state.registers else _registered(state, now)


def register(state: RolloutState, look: Look, now: float) -> Advanced:
    """Register the new revision, unless it is registered already: then its answer was lost."""
    if isinstance(look, Answer):
        return _registered(replace(state, after=arn_of(look)), now)
    look = of_kind(Preparation, look)
    request = _request(state, look)
    if state.intent is not None:
        if look.newest is not None and same_definition(look.newest, request):
            return _registered(replace(state, after=look.newest_arn), now)
        return intend(state, now, Register(request=request))
    state, told = enter(state, "register", now, note="registering a new revision")
    return intend(replace(state, step="register"), now, told, Register(request=request))


def survey(state: RolloutState, look: Survey, now: float) -> Advanced:
    """What an older deployment must not be taken for, and what a moving tag was when it ran."""
    was = replace(
        state.was,
        service_deployments=state.was.service_deployments | look.known,
        containers=look.containers,
    )
    return update(replace(state, was=was), None, now)


def update(state: RolloutState, look: Look | None, now: float) -> Advanced:
    """Set the deployment going, unless it is on its way already: then its answer was lost."""
    if isinstance(look, Answer):
        return _updated(state, parse_service(look.value["service"]), now)
    if isinstance(look, Survey) and state.intent is not None:
        ours = found_ours(state, look)
        if ours is not None:
            return wait_for(state, ours, now)
        if state.plan.force and now - state.intent.at < STALE:
            return on(replace(state, look_at=now + pause(state.id, now, 0.0)))  # it may be there
    told: tuple[Tell, ...] = ()
    if state.intent is None:
        note = "updating the service"
        state, line = enter(state, "update", now, note=note, task_definition=state.after)
        told = (line,)
    request = update_request(state)
    return intend(replace(state, step="update"), now, *told, UpdateService(request=request))


def found_ours(state: RolloutState, look: Survey) -> Ours | None:
    """The deployment of an update whose answer was lost; None: there is none (yet)."""
    if look.ours is None:
        return None
    found = look.service.deployment(look.ours)
    created = found.created_at if found is not None else sure(state.intent).at
    return _ours(state, look.ours, state.after or "", created)


def update_request(state: RolloutState) -> dict[str, Any]:
    """What UpdateService is asked: nothing that the plan did not say."""
    place = sure(state.place)
    request: dict[str, Any] = {"cluster": place.cluster, "service": place.name}
    if state.plan.force:
        request["forceNewDeployment"] = True
    else:
        request["taskDefinition"] = state.after
    return request | as_request(asked_for(state.plan))


def wait_for(state: RolloutState, ours: Ours, now: float) -> Advanced:
    """Follow our deployment, which was set going (now, or by an earlier rollout)."""
    note = "waiting for the new tasks"
    state, told = enter(state, "wait", now, note=note, task_definition=ours.task_definition)
    followed = following(ours, now, known=state.was.service_deployments)
    state = replace(
        state, step="wait", deployment=ours.id, following=followed, intent=None, look_at=now
    )
    return on(state, told)


def new_images(plan: RolloutPlan, request: Definition) -> set[str]:
    """The images of `request` that the plan put there: only those are asked about."""
    return set(images_of(request).values()) & planned_images(plan, request)


def to_service(state: RolloutState, now: float) -> Advanced:
    """All is ready: on to the change of the service itself."""
    if sure(state.place).controller == CODE_DEPLOY:
        return on(replace(state, step="create", intent=None))
    if not state.registers:
        return on(replace(state, step="survey", intent=None))
    return update(replace(state, intent=None), None, now)


def arn_of(answer: Answer) -> str:
    """The new revision's ARN, as RegisterTaskDefinition answers it."""
    return str(answer.value["taskDefinition"]["taskDefinitionArn"])


def _verified(state: RolloutState, look: Preparation, now: float) -> Advanced:
    request = _request(state, look)
    state = replace(state, changes=differences(sure(look.base), request))
    if state.plan.dry_run:
        return _planned(state, now)
    if state.place is not None and state.place.controller == CODE_DEPLOY:
        return on(replace(state, step="group"))
    return register(state, look, now)


def _planned(state: RolloutState, now: float) -> Advanced:
    running = state.before if state.place is not None else None
    cause = "nothing was changed (dry run)"
    return over(state, now, outcome="planned", cause=cause, before=state.before, running=running)


def _request(state: RolloutState, look: Preparation) -> Definition:
    """What is to be registered; WrongUse where the plan does not fit its base."""
    request = request_for(state.plan, sure(look.base))
    if state.plan.task is not None:
        from slipway.rollout.oneoff import check

        check(state.plan.task, request, look.service)
    if state.plan.post_task is not None:
        from slipway.rollout.oneoff import check

        check(state.plan.post_task, request, look.service)
    return request


def _registered(state: RolloutState, now: float) -> Advanced:
    """The revision is there: run the task if one is asked for, then go on.

    Alarms that are to stay quiet afterwards are looked for first.
    """
    state = replace(state, intent=None)
    if state.plan.alarms:
        state, told = enter(state, "verify", now, note="looking for the alarms")
        return on(replace(state, step="alarms"), told)
    return run_task_or_go_on(state, now)


def run_task_or_go_on(state: RolloutState, now: float) -> Advanced:
    """The task before the deployment, or what comes after it."""
    if state.plan.task is not None:
        note = "running a task of the new revision"
        state, told = enter(state, "pre_deploy", now, note=note, task_definition=state.after)
        return on(replace(state, step="task"), told)
    return with_task_run(state, now)


def with_task_run(state: RolloutState, now: float, *told: Tell) -> Advanced:
    """The task has run, or none was asked for."""
    if state.place is None:
        cause = f"{short(state.after)} is registered"
        members = {"before": state.before, "after": state.after}
        return over(state, now, *told, outcome="registered", cause=cause, **members)
    advanced = to_service(state, now)
    return advanced._replace(actions=(*told, *advanced.actions))


def _go_to(state: RolloutState, definition: str, now: float) -> Advanced:
    """Bring the service to a revision that exists."""
    if state.plan.dry_run:
        return _planned(state, now)
    state = replace(state, after=definition)
    if state.place is not None and state.place.controller == CODE_DEPLOY:
        return on(replace(state, step="group"))
    return _registered(state, now)


def _at_or_to(state: RolloutState, service: Service, wanted: str, now: float) -> Advanced:
    """Go to an existing task definition, or follow the service that is on its way there."""
    plan, primary = state.plan, service.primary
    if plan.dry_run:
        return _planned(state, now)
    is_there = primary is not None and primary.task_definition == wanted
    if not is_there or primary is None or plan.desired_count not in (None, service.desired):
        return _go_to(state, wanted, now)
    if service.is_settled:
        cause = f"{short(wanted)} runs already"
        ending = RolloutResult(
            outcome="unchanged", cause=cause, before=wanted, after=wanted, running=wanted,
            deployment=primary.id,
        )  # fmt: skip
        if plan.post_task is not None or plan.bake is not None:  # of all services of a pipeline
            from slipway.rollout.afterwards import prove

            return prove(replace(state, before=wanted, after=wanted), ending, now)
        return finish(state, now, ending)
    before = plan.previous or _previous_of(service, wanted)
    state = replace(
        state, before=before, after=wanted, was=replace(state.was, service_deployments=frozenset())
    )
    ours = Ours(
        id=primary.id,
        task_definition=wanted,
        known_before=frozenset(d.id for d in service.deployments if d.id != primary.id),
        previous=before,
        created_at=primary.created_at,
    )
    return wait_for(state, ours, now)


def _previous_of(service: Service, wanted: str) -> str:
    """What ran before a deployment that is under way already."""
    others = [d for d in service.deployments if d.task_definition != wanted]
    done = [d for d in others if d.state == "COMPLETED"]
    return (done or others)[0].task_definition if others else wanted


def _updated(state: RolloutState, service: Service, now: float) -> Advanced:
    """UpdateService's answer names our deployment."""
    primary = service.primary
    if primary is None:
        raise Unanswered("ecs:UpdateService answered without a primary deployment")
    definition = primary.task_definition or state.after or ""
    return wait_for(state, _ours(state, primary.id, definition, primary.created_at), now)


def _ours(state: RolloutState, identifier: str, definition: str, created_at: float | None) -> Ours:
    return Ours(
        id=identifier,
        task_definition=definition,
        known_before=state.was.deployments - {identifier},
        previous=state.before or "",
        created_at=created_at,
    )


STEPS: Mapping[str, Any] = {
    "read": read,
    "target": target,
    "base": base,
    "verify": verify,
    "group": group,
    "register": register,
    "survey": survey,
    "update": update,
}
"""Which function takes the look of which step."""
