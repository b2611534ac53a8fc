"""Reads what the next step of a rollout looks at. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.api import NO_ANSWER, Api
from slipway.rollout.beginning import new_images
from slipway.rollout.finding import History, known_deployments
from slipway.rollout.follow import limits_of, wants_tasks
from slipway.rollout.looks import (
    CodeDeploySeen,
    DeploymentSeen,
    Look,
    Pinnable,
    Preparation,
    Reasons,
    Revisions,
    ServiceSeen,
    Survey,
    TaskSeen,
    TaskToRun,
)
from slipway.rollout.means import Means
from slipway.rollout.request import base_given, base_name, request_for
from slipway.rollout.service import (
    Service,
    containers_of_revision,
    look_again,
    read_service,
)
from slipway.rollout.state import Place, RolloutState, TaskUnderWay, started_by, sure
from slipway.rollout.taskdef import Definition, Described, describe, request_of
from slipway.rollout.verify import verify_images


def look(means: Means, state: RolloutState) -> Look:
    """What `next_look(state)` names, as it is now.

    Raises Refused, Denied and WrongForAws where AWS refuses, Unanswered once the patience is at its
    end, WrongUse where what is asked for is not there.
    """
    if state.step in _LOOKS:
        return _LOOKS[state.step](means, state)
    from slipway.rollout.looking_after import LOOKS_AFTER

    return LOOKS_AFTER[state.step](means, state)


def _service(means: Means, state: RolloutState) -> Preparation:
    means.service = read_service(means.ecs, state.plan.cluster, str(state.plan.service))
    return Preparation(service=means.service)


def _target(means: Means, state: RolloutState) -> Preparation:
    found = means.definition(str(state.plan.target))
    return Preparation(service=_recent(means, state), base_arn=found.arn)


def _base(means: Means, state: RolloutState) -> Preparation:
    """The base, and what else the step needs: of the images, the group, the newest revision."""
    service = _recent(means, state) if state.place is not None else None
    if not state.registers:
        return Preparation(service=service, group=_group(means, state, service))
    given = base_given(state.plan, service)
    described = given or means.definition(state.base or base_name(state.plan, service))
    base = _again(means, state, described)
    newest = _newest(means, base) if state.intent is not None else None
    return Preparation(
        service=service,
        base=base,
        base_arn=described.arn,
        asks_ecr=means.ecr is not None,
        verified=_verified(means, state, base) if state.step == "verify" else None,
        group=_group(means, state, service),
        newest=None if newest is None else _again(means, state, newest),
        newest_arn=None if newest is None else newest.arn,
    )


def _verified(means: Means, state: RolloutState, base: Definition) -> Any:
    images = new_images(state.plan, request_for(state.plan, base))
    return verify_images(
        images, means.ecr, lambda client: Api(client, means.clock, patience=means.patience)
    )


def _group(means: Means, state: RolloutState, service: Service | None) -> Any:
    """CodeDeploy's group that deploys the service: found before anything is changed."""
    if state.step != "group" or service is None:
        return state.group
    from slipway.rollout import codedeploy

    named = state.plan.code_deploy
    if named is None:
        return codedeploy.group_of(means.codedeploy, service)
    codedeploy.check_group(means.codedeploy, named, service)
    return named


def _again(means: Means, state: RolloutState, described: Described) -> Definition:
    """What would register it again."""
    return request_of(described, means.model, tags=state.plan.copy_tags)


def _newest(means: Means, base: Definition) -> Described | None:
    """The newest revision of a family; None where there is none."""
    try:
        return describe(means.ecs, str(base.get("family")))
    except WrongUse:
        return None


def task_to_run(means: Means, state: RolloutState) -> TaskToRun:
    """What a task of the new revision is made of."""
    from slipway.rollout.oneoff import volumes

    definition = means.definition(str(state.after)).definition
    service = _recent(means, state) if state.place is not None else None
    return TaskToRun(
        definition=definition,
        service=service,
        volumes=volumes(means.model, definition, service),
    )


def _task(means: Means, state: RolloutState) -> TaskSeen:
    return task_seen(means, state, sure(state.task))


def task_seen(means: Means, state: RolloutState, task: TaskUnderWay) -> TaskSeen:
    """A task that is under way."""
    where = {} if state.plan.cluster is None else {"cluster": state.plan.cluster}
    means.ecs.deadline = task.begun + state.plan.timeouts.task
    try:
        answer = means.ecs.read("describe_tasks", **where, tasks=[task.arn])
    finally:
        means.ecs.deadline = None
    return TaskSeen(task=next(iter(answer.get("tasks") or []), None))


def _task_to_cancel(means: Means, state: RolloutState) -> TaskSeen:
    return task_to_cancel(means, state, sure(state.task), state.id)


def task_to_cancel(means: Means, state: RolloutState, task: TaskUnderWay, token: str) -> TaskSeen:
    """The task, by what RunTask was asked to write on it where its answer was lost."""
    if task.arn:
        return task_seen(means, state, task)
    where = {} if state.plan.cluster is None else {"cluster": state.plan.cluster}
    found = means.ecs.read("list_tasks", **where, startedBy=started_by(token)).get("taskArns")
    return TaskSeen(task={"taskArn": found[0]} if found else None)


def _survey(means: Means, state: RolloutState) -> Survey:
    service = _recent(means, state)
    containers = _running_containers(means.ecs, service) if state.plan.force else {}
    return Survey(
        service=service, containers=containers, known=known_deployments(means.ecs, service)
    )


def _survey_back(means: Means, state: RolloutState) -> Survey:
    service = _recent(means, state)
    return Survey(service=service, known=known_deployments(means.ecs, service))


def _updated(means: Means, state: RolloutState) -> Survey:
    """Whether an update whose answer was lost was taken."""
    service = fresh_service(means, state)
    return Survey(service=service, ours=_ours(means.ecs, state, service))


def _ours(api: Api, state: RolloutState, service: Service) -> str | None:
    """The id of the deployment that this rollout has set going; None where there is none yet.

    One that is gone again (rolled back) is found among the service deployments: in practice ECS
    numbers a service revision like its deployment.
    """
    listed = [
        d
        for d in service.deployments
        if d.id not in state.was.deployments and d.task_definition == state.after
    ]
    if listed:
        return max(listed, key=lambda d: d.created_at or 0.0).id
    try:
        for arn in sorted(known_deployments(api, service) - state.was.service_deployments):
            found = api.look("describe_service_deployments", serviceDeploymentArns=[arn])
            for deployment in found.get("serviceDeployments") or []:
                revision = (deployment.get("targetServiceRevision") or {}).get("arn") or ""
                brought = api.look("describe_service_revisions", serviceRevisionArns=[revision])
                for described in brought.get("serviceRevisions") or []:
                    number = f"ecs-svc/{revision.rpartition('/')[2]}"
                    is_new = number not in state.was.deployments
                    if is_new and described.get("taskDefinition") == state.after:
                        return number
    except NO_ANSWER:
        return None
    return None


def _back_updated(means: Means, state: RolloutState) -> Survey:
    return Survey(service=fresh_service(means, state))


def _deployment(means: Means, state: RolloutState) -> DeploymentSeen:
    """The service, our service deployment, and the tasks where they must prove something."""
    followed = sure(state.following)
    api, ours = means.ecs, followed.watch.ours
    api.deadline = followed.watch.deadline(limits_of(state))
    try:
        service = fresh_service(means, state)
        history = History(api, ours, followed.finding)
        mine = history.read(service)
        tasks = None
        if wants_tasks(state, service, mine, means.clock.now()):
            from slipway.rollout.proving import tasks_seen

            tasks = tasks_seen(api, means.balancing, service, ours, followed.proof)
        return DeploymentSeen(service=service, ours=mine, finding=history.finding, tasks=tasks)
    finally:
        api.deadline = None


def _primary(means: Means, state: RolloutState) -> DeploymentSeen:
    """Who is primary now; and of ours whether it can be stopped, where it is."""
    followed = sure(state.following)
    service = fresh_service(means, state)
    history = History(means.ecs, followed.watch.ours, followed.finding)
    primary = service.primary
    is_ours = primary is None or primary.id == followed.watch.ours.id
    mine = history.read(service) if is_ours or state.intent is not None else None
    return DeploymentSeen(service=service, ours=mine, finding=history.finding)


def _reasons(means: Means, state: RolloutState) -> Reasons:
    from slipway.rollout.reasons import stopped_reasons

    service = _recent(means, state)
    return Reasons(reasons=stopped_reasons(means.ecs, service, str(state.after)))


def _pinnable(means: Means, state: RolloutState) -> Pinnable:
    base = request_of(means.definition(str(state.before)), means.model)
    newest = _newest(means, base) if state.intent is not None else None
    return Pinnable(
        base=base,
        newest=None if newest is None else request_of(newest, means.model),
        newest_arn=None if newest is None else newest.arn,
    )


def _seen(means: Means, state: RolloutState) -> ServiceSeen:
    return ServiceSeen(service=fresh_service(means, state))


def _revisions(means: Means, state: RolloutState) -> Revisions:
    from slipway.rollout.prune import outdated_of
    from slipway.rollout.revisions import active_revisions, used_in_cluster

    service = fresh_service(means, state)
    active = tuple(active_revisions(means.ecs, service))
    outdated = outdated_of(state, service, active)
    used = used_in_cluster(means.ecs, service) if outdated else frozenset()
    if outdated:
        used |= _named_by_scheduled(means, state)
    return Revisions(service=service, active=active, used=used)


def _discardable(means: Means, state: RolloutState) -> Revisions:
    """The rollout's own revision, if it is ACTIVE, and all that names one: services and tasks."""
    from slipway.rollout.revisions import used_by_tasks, used_in_cluster

    service = fresh_service(means, state) if state.place is not None else None
    revision = sure(state.after)
    status = describe(means.ecs, revision).definition.get("status")
    if status != "ACTIVE":
        return Revisions(service=service, active=())
    used = _named_by_scheduled(means, state)
    if service is not None:
        used |= used_in_cluster(means.ecs, service)
        used |= used_by_tasks(means.ecs, service, revision)
    return Revisions(service=service, active=(revision,), used=used)


def _named_by_scheduled(means: Means, state: RolloutState) -> frozenset[str]:
    """Task definitions that the pipeline's scheduled tasks name."""
    if not state.plan.named_by:
        return frozenset()
    from slipway.rollout.scheduled import named_by

    return named_by(means, state.plan.named_by)


def _companion(means: Means, state: RolloutState) -> Look:
    """What a scheduled task or a definition alone looks at."""
    from slipway.rollout.scheduled import seen

    return seen(means, state)


def _create(means: Means, state: RolloutState) -> Survey:
    from slipway.rollout import codedeploy

    service, api, group = _recent(means, state), means.codedeploy, sure(state.group)
    return Survey(
        service=service,
        rollback_on=codedeploy.rollback_events_of(api, group) if state.plan.rollback else (),
        ours=codedeploy.made_by(api, group, fresh_service(means, state), state.id)
        if state.intent is not None
        else None,
    )


def _codedeploy(means: Means, state: RolloutState) -> CodeDeploySeen:
    from slipway.rollout import codedeploy

    watch, place = sure(state.codedeploy), _place(state)
    goes_back = state.step == "codedeploy_back"
    identifier = watch.rollback if goes_back else state.deployment
    target = f"{place.cluster.rpartition('/')[2]}:{place.name}"
    return CodeDeploySeen(seen=codedeploy.watch(means.codedeploy, str(identifier), target))


def _recent(means: Means, state: RolloutState) -> Service:
    """The service as this process saw it last."""
    return means.service if means.service is not None else fresh_service(means, state)


def fresh_service(means: Means, state: RolloutState) -> Service:
    """The service now; as it was seen last where a stale answer does not hold it."""
    place = _place(state)
    seen = look_again(means.ecs, place.cluster, place.service) or means.service
    means.service = seen or read_service(means.ecs, place.cluster, place.service)
    return means.service


def _place(state: RolloutState) -> Place:
    return sure(state.place)


def _running_containers(api: Api, service: Service) -> Mapping[str, tuple[str, str]]:
    """Container to (image, digest) of what runs: a moving tag does not say what to go back to."""
    for revision in service.revisions[:1]:
        containers = containers_of_revision(api, revision)
        if containers:
            return containers
    from slipway.rollout.tasks import containers_of_tasks

    return containers_of_tasks(api, service)


_LOOKS: Mapping[str, Callable[[Means, RolloutState], Look]] = {
    "read": _service,
    "target": _target,
    "base": _base,
    "verify": _base,
    "group": _base,
    "register": _base,
    "task": task_to_run,
    "task_wait": _task,
    "survey": _survey,
    "update": _updated,
    "wait": _deployment,
    "failed": _reasons,
    "agree": _primary,
    "wait_stopped": _deployment,
    "pin": _pinnable,
    "survey_back": _survey_back,
    "update_back": _back_updated,
    "wait_back": _deployment,
    "settings": _seen,
    "prune": _revisions,
    "discard": _discardable,
    "create": _create,
    "codedeploy_wait": _codedeploy,
    "codedeploy_stop": _codedeploy,
    "codedeploy_back": _codedeploy,
    "codedeploy_end": _seen,
    "cancel_task": _task_to_cancel,
    "cancel_update": _updated,
    "cancel_create": _create,
    "sight": _companion,
    "aim": _companion,
    "aim_register": _companion,
    "aim_put": _companion,
    "aim_back": _companion,
    "aim_cancel": _companion,
    "aim_unregister": _companion,
}
