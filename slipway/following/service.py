"""The ECS service as the worker sees it: what it runs, and making it run something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import DeploymentFailed, WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.following.companions import scheduled_of
from slipway.rollout import (
    Live,
    OneOffTask,
    RolloutPlan,
    Timeouts,
    live,
)
from slipway.rollout.api import Api
from slipway.rollout.definition_diff import beside_images, same_definition
from slipway.rollout.plan import Clock, CodeDeployGroup, Smoke
from slipway.rollout.taskdef import Described, describe, images_of, request_of

PATIENCE = 60.0
"""Seconds for which a call is tried again."""
_ARCHITECTURES = {"amd64": "X86_64", "x86_64": "X86_64", "arm64": "ARM64", "aarch64": "ARM64"}


@dataclass(frozen=True, kw_only=True)
class Running:
    """What a service runs: its task definition's ARN, container to image as named there.

    `architecture` as ECS names it (X86_64, ARM64); None: the definition does not say. `definition`:
    what would register it again. `base`: the same of a newer revision of its family, which is to be
    rolled out with the images; then `images` and `architecture` are of that one's containers.
    """

    task_definition: str
    steady: bool
    images: Mapping[str, str]
    architecture: str | None = None
    definition: Mapping[str, Any] | None = None
    base: Mapping[str, Any] | None = None

    def under(self, base: Mapping[str, Any]) -> Running:
        """The same for who goes on to `base`: its containers, with the images that they run now."""
        images = {name: self.images.get(name, new) for name, new in images_of(dict(base)).items()}
        return replace(self, base=base, images=images, architecture=runtime_architecture(base))

    def compared(self, wanted: Mapping[str, Any]) -> Running:
        """The same for who goes on to `wanted`, images included: no base where it runs already."""
        same = same_definition(dict(self.definition or {}), dict(wanted))
        return replace(self, base=None if same else wanted)

    @property
    def base_changes(self) -> tuple[str, ...] | None:
        """What `base` changes beside images; None without one."""
        if self.base is None:
            return None
        return beside_images(dict(self.definition or {}), dict(self.base))


def containers_of(image: ImageSettings, running: Running) -> tuple[str, ...]:
    """The containers that run `image`: those named, or those whose image has its repository.

    DeploymentFailed, with the containers there are, where there is none.
    """
    if image.containers:
        missing = sorted(set(image.containers) - set(running.images))
        if missing:
            raise no_container(f"no container {', '.join(map(repr, missing))}", running)
        return image.containers
    names = tuple(
        name for name, ref in running.images.items() if _repository(ref) == image.repository_uri
    )
    if not names:
        raise no_container(f"no container has an image of {image.repository_uri}", running)
    return names


def containers_in(
    pipeline: PipelineSettings, image: ImageSettings, running: Running
) -> tuple[str, ...]:
    """The containers that run `image` in the service of a pipeline as it is for that one.

    Of several services, and beside companions, one may run none of it. DeploymentFailed where a
    container that is named is not there.
    """
    if pipeline.services is None and not pipeline.has_companions:
        return containers_of(image, running)
    named = pipeline.services[0].containers if pipeline.services else ()
    missing = sorted(set(named) - set(running.images))
    if missing:
        what = f"{called(pipeline)}: no container {', '.join(map(repr, missing))}"
        raise no_container(what, running)
    there = named or tuple(running.images)
    if not pipeline.service:
        return _in_family(pipeline, image, running, there)
    if image.containers:
        return tuple(name for name in image.containers if name in there)
    if named and len(pipeline.images) == 1:
        return named
    return tuple(n for n in there if _repository(running.images[n]) == image.repository_uri)


def _in_family(
    pipeline: PipelineSettings, image: ImageSettings, running: Running, there: tuple[str, ...]
) -> tuple[str, ...]:
    """The same of a companion's family: an image's own containers are first of all the services',
    so what runs the image already counts as well.
    """
    if len(pipeline.images) == 1 and pipeline.services and pipeline.services[0].containers:
        return there
    runs = {name for name in there if _repository(running.images[name]) == image.repository_uri}
    return tuple(name for name in there if name in runs.union(image.containers))


def runs_already(wanted: Mapping[str, str], running: Running) -> bool:
    """Whether the service is steady on these very digests, and on nothing older than its base."""
    return running.steady and has_all(wanted, running)


def has_all(wanted: Mapping[str, str], running: Running) -> bool:
    """Whether what the service is set to has these very digests, and all else that is wanted."""
    return running.base is None and all(running.images.get(n) == r for n, r in wanted.items())


def digest_of(image: str) -> str | None:
    """The digest that an image is named by; None where it is named by a tag, or not at all."""
    try:
        return ImageReference.parse(image).digest
    except WrongUse:
        return None


def check_architecture(architecture: str, running: Running) -> None:
    """Refuse an image that the task definition's runtime platform cannot run.

    `architecture` in docker's words, or a platform such as `linux/arm64/v8`.
    """
    name = architecture.split("/")[1] if "/" in architecture else architecture
    built = _ARCHITECTURES.get(name, name.upper())
    if running.architecture is not None and built != running.architecture:
        raise DeploymentFailed(
            f"the image is built for {built}, but the task definition's runtime platform is"
            f" {running.architecture}: nothing was rolled out",
            stage="build",
        )


def runtime_architecture(definition: Mapping[str, Any]) -> str | None:
    """The CPU architecture that a task definition runs on; None where any may.

    Without `runtimePlatform`, Fargate means X86_64 (ECS API reference, RuntimePlatform).
    """
    named = (definition.get("runtimePlatform") or {}).get("cpuArchitecture")
    if named:
        return str(named)
    modes = set(definition.get("requiresCompatibilities") or ())
    return "X86_64" if "FARGATE" in modes else None


def running_now(
    ecs: Any, pipeline: PipelineSettings, clock: Clock, *, patience: float = PATIENCE
) -> Running:
    """What the pipeline's service runs; DeploymentFailed where there is no such service.

    `ecs` is a client of botocore's or boto3's.
    """
    api = Api(ecs, clock, patience=patience)
    if not pipeline.service:
        return _registered_now(api, pipeline)
    try:
        seen: Live = live(ecs, cluster=pipeline.cluster, service=pipeline.service, clock=clock)
        described = describe(api, seen.task_definition)
        newest = describe(api, _family(described)) if pipeline.base == "family" else None
    except WrongUse as error:
        raise DeploymentFailed(str(error), stage="rollout") from None
    model = ecs.meta.service_model
    running = Running(
        task_definition=described.arn or seen.task_definition,
        steady=seen.steady,
        images=images_of(described.definition),
        architecture=runtime_architecture(described.definition),
        definition=request_of(described, model),
    )
    if newest is None or newest.arn == described.arn:
        return running
    return running.under(request_of(newest, model))


def called(pipeline: PipelineSettings) -> str:
    """A service, or a family that none runs, for people."""
    return f"service {pipeline.service}" if pipeline.service else f"family {pipeline.family}"


def _registered_now(api: Api, pipeline: PipelineSettings) -> Running:
    """The newest revision of a family that no service runs, as what its next task runs."""
    try:
        described = describe(api, str(pipeline.family))
    except WrongUse as error:
        raise DeploymentFailed(str(error), stage="rollout") from None
    return Running(
        task_definition=described.arn or str(pipeline.family),
        steady=True,
        images=images_of(described.definition),
        architecture=runtime_architecture(described.definition),
    )


def plan_of(
    pipeline: PipelineSettings, *, images: Mapping[str, str] | None = None,
    target: str | None = None, definition: Mapping[str, Any] | None = None,
) -> RolloutPlan:  # fmt: skip
    """The rollout of new `images`, or to the `target` task definition.

    `definition`: all of the new revision, with its images in it; None: it is made from the base.
    """
    settings = pipeline.rollout
    task = None
    if settings.pre_deploy_command and images:
        task = OneOffTask(
            command=settings.pre_deploy_command, container=settings.pre_deploy_container
        )
    group = None
    if pipeline.code_deploy is not None:
        group = CodeDeployGroup(
            application=pipeline.code_deploy.application,
            name=pipeline.code_deploy.group,
            hooks=pipeline.code_deploy.hooks,
        )
    plan = RolloutPlan(
        cluster=pipeline.cluster,
        service=pipeline.service,
        max_definitions=settings.max_definitions,
        discard_failed=True,
        named_by=scheduled_of(pipeline) or None,
        task=task,
        code_deploy=group,
        timeouts=Timeouts(healthy=settings.healthy_timeout, drain=settings.drain_timeout),
    )
    if target is not None:
        return replace(plan, target=target)
    base = pipeline.base if definition is None else dict(definition)
    return with_proof(replace(plan, images=dict(images or {}), base=base), pipeline)


def with_proof(plan: RolloutPlan, pipeline: PipelineSettings) -> RolloutPlan:
    """`plan` with what the pipeline asks to be proved once it is steady.

    Not for what an operator goes back to: else what is bad would be put back where the proof fails.
    """
    settings, smoke, after = pipeline.rollout, pipeline.smoke, None
    if settings.post_deploy_command is not None:
        after = OneOffTask(
            command=settings.post_deploy_command, container=settings.post_deploy_container
        )
    asked = None
    if smoke is not None:
        asked = Smoke(
            url=smoke.url, status=smoke.status, contains=smoke.contains, pattern=smoke.pattern,
            within=smoke.within,
        )  # fmt: skip
    return replace(plan, smoke=asked, post_task=after, alarms=settings.alarms, bake=settings.bake)


def _family(described: Described) -> str:
    return str(described.definition.get("family"))


def _repository(image: str) -> str | None:
    try:
        return ImageReference.parse(image).repository
    except WrongUse:
        return None


def no_container(what: str, *running: Running) -> DeploymentFailed:
    """A failure that says which containers there are."""
    there = ", ".join(f"{n} ({image})" for one in running for n, image in one.images.items())
    names = ", ".join(one.task_definition.rpartition("/")[2] for one in running)
    return DeploymentFailed(f"{what} in {names}; there are: {there or 'none'}", stage="rollout")
