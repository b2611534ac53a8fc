"""The rollout, from top to bottom: read, verify, register, update, wait, put right, prune.

What only some rollouts need (CodeDeploy, one-off tasks, pruning, reasons of a failure) is imported
where it is needed: the command line pays for every module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.errors import Interrupted, WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.api import Api, Changes, Refused, Unanswered, WrongForAws
from slipway.rollout.events import trouble
from slipway.rollout.follow import History, follow, known_deployments
from slipway.rollout.judge import Look, Ours
from slipway.rollout.plan import (
    Clock,
    Factory,
    Guard,
    OnProgress,
    Outcome,
    Progress,
    RolloutPlan,
    RolloutResult,
    Step,
    short,
)
from slipway.rollout.restore import Previous, Restored, restore
from slipway.rollout.service import (
    CODE_DEPLOY,
    Service,
    containers_of_revision,
    look_again,
    parse_service,
    read_service,
)
from slipway.rollout.settings import as_request, asked_for, of_service
from slipway.rollout.taskdef import (
    Definition,
    Described,
    describe,
    differences,
    from_document,
    images_of,
    register,
    request_of,
    same_repository,
    with_images,
    with_tag,
)
from slipway.rollout.unfinished import Begun, Unfinished, left_behind
from slipway.rollout.verify import any_in_ecr, raise_if_wrong, service_problems, verify_images
from slipway.rollout.watch import Followed, Limits


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
    run = _Run(
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


def _ended_early(run: _Run, error: Exception) -> RolloutResult:
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


def _rolled_out(run: _Run) -> RolloutResult:
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
    base = _base(run, service)
    request = _request(run, base, service)
    _verify(run, request)
    run.changes = differences(request_of(base, run.model, tags=plan.copy_tags), request)
    if plan.dry_run:
        return _planned(run, service.proven)
    if service.controller == CODE_DEPLOY:
        _find_group(run, service)
    run.step("register", note="registering a new revision")
    run.after = register(run.api, request)
    return _update(run, service, run.after, request=request)


def check_plan(plan: RolloutPlan) -> None:
    """WrongUse for a plan that contradicts itself."""
    ways = {
        "images": bool(plan.images),
        "image": plan.image is not None,
        "tag": plan.tag is not None,
        "target": plan.target is not None,
        "force": plan.force,
    }
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1 and set(given) != {"image", "images"}:
        raise WrongUse(f"a rollout changes one thing; asked for: {', '.join(given)}")
    if not given and not isinstance(plan.base, Mapping):
        raise WrongUse("nothing to roll out: give images, an image, a tag, a target or force")
    if plan.service is None and (plan.target or plan.force):
        raise WrongUse("a target or a forced deployment needs a service")
    if plan.service is None and plan.base in ("service", "family"):
        raise WrongUse("without a service the base must be a task definition")
    if plan.max_definitions is not None and plan.max_definitions < 1:
        raise WrongUse(f"max definitions {plan.max_definitions}: must be 1 or more")
    for image in (*plan.images.values(), *([plan.image] if plan.image else [])):
        ImageReference.parse(image)


@dataclass
class _Run:
    """One rollout under way: its plan, its means, and what it has to tell.

    `before`, `after`: task definitions; `back_to`: the one that it is being rolled back to;
    `deployment`: its id; `group`: CodeDeploy, and its group that makes it.
    """

    plan: RolloutPlan
    api: Api
    clock: Clock
    guard: Guard | None
    ecr: Factory | None
    codedeploy: Factory | None
    balancing: Factory | None
    on_progress: OnProgress
    begun: float
    changes: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    before: str | None = None
    after: str | None = None
    deployment: str | None = None
    back_to: str | None = None
    group: tuple[Api, Any] | None = None
    _step: Step | None = None
    _step_begun: float = 0.0

    @property
    def begun_changes(self) -> Begun:
        """What was begun in AWS until now."""
        return Begun(
            changes=self.api.changes,
            before=self.before,
            after=self.after,
            deployment=self.deployment,
            back_to=self.back_to,
        )

    @property
    def has_begun(self) -> bool:
        """Whether AWS was changed, or a deployment that goes on there is followed."""
        return self.api.changes.any or self.deployment is not None

    def api_of(self, client: Any) -> Api:
        """Another service's, under the same guard and with the same account of changes."""
        return Api(
            client,
            self.clock,
            guard=self.guard,
            patience=self.plan.timeouts.patience,
            changes=self.api.changes,
        )

    @property
    def model(self) -> Any:
        return self.api.client.meta.service_model

    def step(self, step: Step, *, note: str = "", task_definition: str | None = None) -> None:
        """A new step begins: its time is counted, and it is told."""
        self._count_time()
        self._step, self._step_begun = step, self.clock.now()
        self.tell(Progress(step=step, elapsed=0.0, note=note, task_definition=task_definition))

    def warn(self, warning: str | None) -> None:
        if warning is not None:
            self.warnings.append(warning)

    def tell(self, progress: Progress) -> None:
        revision = short(progress.task_definition) if progress.task_definition else None
        elapsed = self.clock.now() - self.begun
        self.on_progress(replace(progress, elapsed=elapsed, revision=revision))

    def look_teller(self, task_definition: str, identifier: str, step: Step = "wait") -> Any:
        """What tells each look at the deployment `identifier`."""

        def tell(look: Look, healthy: bool, waits: str) -> None:
            progress = progress_of(look, task_definition, identifier, healthy=healthy, step=step)
            self.tell(replace(progress, waits=waits))

        return tell

    def result(self, outcome: Outcome, cause: str, **members: Any) -> RolloutResult:
        """The result with everything that was noted on the way."""
        self._count_time()
        return RolloutResult(
            outcome=outcome,
            cause=cause,
            changes=self.changes,
            warnings=tuple(self.warnings),
            skipped=tuple(self.skipped),
            timings=dict(self.timings),
            **members,
        )

    def _count_time(self) -> None:
        if self._step is not None:
            spent = self.clock.now() - self._step_begun
            self.timings[self._step] = self.timings.get(self._step, 0.0) + spent
            self._step = None


def progress_of(
    look: Look, task_definition: str, identifier: str, *, healthy: bool, step: Step = "wait"
) -> Progress:
    """What a look says to somebody who waits."""
    mine = look.service.deployment(identifier)
    counts: dict[str, Any] = {}
    if mine is not None:
        counts = {
            "desired": mine.desired,
            "running": mine.running,
            "pending": mine.pending,
            "failed": mine.failed,
        }
    others_left = len(look.service.deployments) > 1
    waiting: Step = "drain" if healthy and others_left and step == "wait" else step
    return Progress(
        step=waiting,
        elapsed=0.0,
        task_definition=task_definition,
        stage=look.ours.stage if look.ours else None,
        **counts,
    )


def _base(run: _Run, service: Service) -> Described:
    """The task definition that the new one is made from."""
    base = run.plan.base
    if isinstance(base, Mapping):
        return _named_after(from_document(base), service)
    if base == "service":
        return describe(run.api, service.task_definition)
    if base == "family":
        return describe(run.api, short(service.task_definition).rpartition(":")[0])
    return describe(run.api, base.removeprefix("definition:"))


def _named_after(described: Described, service: Service | None) -> Described:
    """A definition from a file, in the service's family where it names none."""
    if described.definition.get("family"):
        return described
    if service is None:
        raise WrongUse("the task definition names no family")
    family = short(service.task_definition).rpartition(":")[0]
    return replace(described, definition={"family": family, **described.definition})


def _request(run: _Run, base: Described, service: Service | None = None) -> Definition:
    """The request that registers `base` with the plan's images."""
    plan = run.plan
    request = request_of(base, run.model, tags=plan.copy_tags)
    images: dict[str, str] = {}
    if plan.image is not None:
        wanted = ImageReference.parse(plan.image).with_default_tag()
        images |= same_repository(request, wanted)
    if plan.tag is not None:
        images |= with_tag(request, plan.tag, plan.tag_containers)
    for container, image in plan.images.items():
        images[container] = str(ImageReference.parse(image).with_default_tag())
    if plan.task is not None:
        from slipway.rollout.oneoff import check

        check(plan.task, request, service)
    return with_images(request, images)


def _verify(run: _Run, request: Definition) -> None:
    """Say all that is wrong before anything is registered."""
    new = set(images_of(request).values()) & _planned_images(run.plan, request)
    if run.ecr is None or not any_in_ecr(new):
        return
    run.step("verify", note="checking that the image is in ECR")
    patience = run.plan.timeouts.patience
    found = verify_images(new, run.ecr, lambda client: Api(client, run.clock, patience=patience))
    run.skipped.extend(found.skipped)
    raise_if_wrong(found.problems)


def _planned_images(plan: RolloutPlan, request: Definition) -> set[str]:
    """The images of `request` that the plan put there: only those are asked about."""
    images = images_of(request)
    if plan.tag is not None:
        return {i for c, i in images.items() if not plan.tag_containers or c in plan.tag_containers}
    wanted = {str(ImageReference.parse(i).with_default_tag()) for i in plan.images.values()}
    if plan.image is not None:
        wanted.add(str(ImageReference.parse(plan.image).with_default_tag()))
    return wanted


def _planned(run: _Run, before: str) -> RolloutResult:
    cause = "nothing was changed (dry run)"
    return run.result("planned", cause, before=before, running=before)


def _register_only(run: _Run) -> RolloutResult:
    """No service: register, and run the task if one is asked for. ECR is never asked."""
    plan = run.plan
    run.step("read")
    if isinstance(plan.base, Mapping):
        base = _named_after(from_document(plan.base), None)
    else:
        base = describe(run.api, plan.base.removeprefix("definition:"))
    run.before = base.arn
    request = _request(run, base)
    run.changes = differences(request_of(base, run.model, tags=plan.copy_tags), request)
    if plan.dry_run:
        return run.result("planned", "nothing was changed (dry run)", before=base.arn)
    run.step("register", note="registering a new revision")
    arn = run.after = register(run.api, request)
    failed = _run_task(run, arn, request, service=None)
    if failed is not None:
        return run.result("failed", failed, before=base.arn, after=arn)
    return run.result("registered", f"{short(arn)} is registered", before=base.arn, after=arn)


def _run_task(
    run: _Run, arn: str, request: Definition | None, service: Service | None
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


def _go_to(run: _Run, service: Service, target: str) -> RolloutResult:
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


def _arn(run: _Run, name: str) -> str:
    arn = describe(run.api, name).arn
    if arn is None:
        raise WrongUse(f"task definition {name!r} has no ARN")
    return arn


def _previous_of(service: Service, target: str) -> str:
    """What ran before a deployment that is under way already."""
    others = [d for d in service.deployments if d.task_definition != target]
    done = [d for d in others if d.state == "COMPLETED"]
    return (done or others)[0].task_definition if others else target


def _previous(run: _Run, service: Service, before: str) -> Previous:
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


def _running_containers(run: _Run, service: Service) -> Mapping[str, tuple[str, str]]:
    """Container to (image, digest) of what runs: a moving tag does not say what to go back to."""
    for revision in service.revisions[:1]:
        containers = containers_of_revision(run.api, revision)
        if containers:
            return containers
    from slipway.rollout.tasks import containers_of_tasks

    return containers_of_tasks(run.api, service)


def _update(
    run: _Run, service: Service, target: str, *, request: Definition | None
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
        return _by_codedeploy(run, service, target)
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
    run: _Run, service: Service, ours: Ours, history: History, previous: Previous
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
        return _succeeded(run, ours, previous, followed)
    return _failed(run, ours, history, previous, followed)


def _succeeded(run: _Run, ours: Ours, previous: Previous, followed: Followed) -> RolloutResult:
    done = _done(
        run,
        followed.service,
        target=ours.task_definition,
        before=previous.task_definition,
        cause=followed.cause,
        drained=followed.drained,
    )
    return replace(done, deployment=ours.id)


def _done(
    run: _Run, service: Service, *, target: str, before: str, cause: str, drained: bool | None
) -> RolloutResult:
    """The new revision runs: prune if that is wanted, and tell."""
    plan = run.plan
    if drained is False and plan.wait_drain:
        run.warnings.append(cause)
    deregistered: tuple[str, ...] = ()
    if plan.max_definitions is not None:
        from slipway.rollout.prune import prune

        run.step("prune", note="deregistering old revisions")
        pruned = prune(run.api, service, keep=plan.max_definitions, needed={target, before})
        deregistered = pruned.deregistered
        run.warnings.extend(pruned.warnings)
    return run.result(
        "succeeded",
        cause,
        before=before,
        after=target,
        running=target,
        drained=drained,
        deregistered=deregistered,
    )


def _failed(
    run: _Run, ours: Ours, history: History, previous: Previous, followed: Followed
) -> RolloutResult:
    """Ours is not what runs, or must not stay: go back where nobody else has taken over."""
    primary = followed.service.primary
    running = primary.task_definition if primary else followed.service.task_definition
    reasons: tuple[str, ...] = ()
    from slipway.rollout.reasons import stopped_reasons, with_reasons

    if followed.outcome != "superseded":
        reasons = stopped_reasons(run.api, followed.service, ours.task_definition)
    said = trouble(followed.service.raw, since=ours.created_at)
    if followed.outcome == "failed" and not reasons and said:
        reasons = (said,)
    cause = with_reasons(followed.cause, reasons)
    members = {
        "before": previous.task_definition,
        "after": ours.task_definition,
        "deployment": ours.id,
        "drained": followed.drained,
    }
    if followed.outcome == "rolled_back":
        run.warn(previous.put_settings_back(run.api, followed.service))
    if followed.outcome in ("superseded", "rolled_back"):
        restored = True if followed.outcome == "rolled_back" else None
        text = f"{cause}; {short(running)} runs now"
        return run.result(followed.outcome, text, running=running, restored=restored, **members)
    if not run.plan.rollback or followed.healthy:
        text = f"{cause}; not rolled back; the service is set to {short(running)}"
        return run.result(followed.outcome, text, running=running, **members)
    run.step("rollback", note=f"rolling back: {cause}", task_definition=previous.task_definition)
    put_right = _restore(run, ours, history, previous, followed)
    run.warn(put_right.warning)
    return run.result(
        "superseded" if put_right.taken_over else followed.outcome,
        f"{cause}; {put_right.text}",
        running=put_right.running,
        restored=None if put_right.taken_over else put_right.healthy,
        **members,
    )


def _restore(
    run: _Run, ours: Ours, history: History, previous: Previous, followed: Followed
) -> Restored:
    run.back_to = previous.task_definition
    try:
        return restore(
            run.api,
            ours,
            history,
            previous,
            failed=followed,
            timeouts=run.plan.timeouts,
            tell=run.look_teller(previous.task_definition, ours.id, "rollback"),
            balancing=run.balancing,
        )
    except (Refused, WrongForAws) as error:
        left = left_behind(run.begun_changes)
        text = f"rolling back to {short(previous.task_definition)} failed: {error}; {left}"
        return Restored(healthy=False, running=ours.task_definition, text=text)
    except Unanswered as error:
        raise Unanswered(f"{followed.cause}; {error}") from error


def _find_group(run: _Run, service: Service) -> tuple[Api, Any]:
    """CodeDeploy, and its group that deploys the service: found before anything is changed."""
    if run.codedeploy is None:
        raise WrongUse("a CODE_DEPLOY service needs access to CodeDeploy")
    from slipway.rollout import codedeploy

    api = run.api_of(run.codedeploy())
    named = run.plan.code_deploy
    group = named or codedeploy.group_of(api, service)
    if named is not None:
        codedeploy.check_group(api, named, service)
    run.group = (api, group)
    return run.group


def _by_codedeploy(run: _Run, service: Service, target: str) -> RolloutResult:
    """The same for a service whose deployments CodeDeploy makes."""
    from slipway.rollout import codedeploy

    plan, before = run.plan, service.proven
    api, group = run.group or _find_group(run, service)

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
        done = _done(
            run, now, target=target, before=before, cause=ended.cause, drained=ended.drained
        )
        return replace(done, deployment=ended.deployment)
    outcome: Outcome = "superseded" if ended.outcome == "succeeded" else ended.outcome
    cause = f"{ended.cause}; {short(running)} runs now"
    return run.result(outcome, cause, running=running, restored=ended.restored, **members)
