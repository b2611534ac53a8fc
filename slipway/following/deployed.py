"""What a pipeline's services run, one or several, and what an image would change of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import DeploymentResult, ServiceOutcome
from slipway.following.companions import companion_parts, companion_plans
from slipway.following.handing import ToRollOut
from slipway.following.outcome import Ended
from slipway.following.service import (
    Running,
    called,
    check_architecture,
    containers_in,
    digest_of,
    has_all,
    no_container,
    plan_of,
    runs_already,
    with_proof,
)
from slipway.following.several import name_of
from slipway.following.several_ended import of_services
from slipway.following.state import Part
from slipway.rollout import RolloutPlan, short
from slipway.rollout.taskdef import Definition, with_images

if TYPE_CHECKING:
    from slipway.following.definition_file import Written

Images = Sequence[tuple[ImageSettings, str]]
"""A pipeline's images with their digests."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Each service as the pipeline of it alone (`PipelineSettings.per_service`), and what it runs.

    `pipeline` has all of them. `written`: by the service's number, the task definition that the
    repository has for it. `families`: in the same way what is the newest of each family that no
    service runs, but a scheduled task, or nothing.
    """

    pipeline: PipelineSettings
    services: tuple[tuple[PipelineSettings, Running], ...]
    written: Mapping[int, Definition] = field(default_factory=dict)
    families: tuple[tuple[PipelineSettings, Running], ...] = ()

    @classmethod
    def of(
        cls, pipeline: PipelineSettings, running: Callable[[PipelineSettings], Running]
    ) -> Deployed:
        """As `running` tells of each service; it raises DeploymentFailed where there is none."""
        return cls(
            pipeline=pipeline,
            services=tuple((one, running(one)) for one in pipeline.per_service),
            families=tuple((one, running(one)) for one in pipeline.families),
        )

    @property
    def task_definition(self) -> str:
        """family:revision of each service, in order, joined by commas."""
        return ", ".join(short(running.task_definition) for _, running in self.services)

    def under(self, written: Mapping[int, Written]) -> Deployed:
        """The same for who goes on to the repository's own task definitions, by service."""
        services = tuple(
            (replace(one, images=written[n].images), running.under(written[n].definition))
            if n in written
            else (one, running)
            for n, (one, running) in enumerate(self.services)
        )
        definitions = {number: each.definition for number, each in written.items()}
        return replace(self, services=services, written=definitions)

    def check_platforms(self) -> None:
        """DeploymentFailed where an image that is wanted cannot run there at all."""
        for image in self.pipeline.images:
            self.check(image, image.platform)

    def check(self, image: ImageSettings, architecture: str) -> None:
        """DeploymentFailed where no container runs the image, or could if it is built for this."""
        there = self._that_run(image)
        for running in there:
            check_architecture(architecture, running)

    def digest(self, image: ImageSettings) -> str | None:
        """The digest that all containers of `image` name, in all services, or None.

        Where no service runs it: in all families that companions have for themselves.
        """
        digests = _digests(self.services, image) or _digests(self.families, image)
        return digests.pop() if len(digests) == 1 else None

    def is_as_told(self, told: DeploymentResult) -> bool:
        """Whether that deployment's notice still says all that is to be said of its commit.

        One that cannot be built, or fails its tests, does so whatever the services run. What an
        operator has cancelled is not begun again by a push that it was of, too.
        """
        if told.status == "cancelled" or (
            told.status == "failed" and told.stage in ("build", "test")
        ):
            return True
        steady = all(running.steady for _, running in self.services)
        return steady and told.now_running == self.task_definition

    def roll_out(self, images: Images) -> ToRollOut | Ended:
        """What is to be done so that these images run; Ended where they do already.

        DeploymentFailed where a service cannot run any of them.
        """
        wanted, digest = self._wanted(images), images[0][1] if images else None
        whole = replace(self, services=tuple(self._compared(wanted)))
        there = list(zip(whole.services, wanted, strict=True))
        steady = all(runs_already(these, running) for (_, running), these in there)
        if steady and not self.pipeline.has_companions:
            return replace(self.unchanged(), image_digest=digest)
        plans = tuple(
            _plan(
                one, running, these, place=(number, len(there)), is_whole=number in self.written,
                proves=not steady,
            )
            for number, ((one, running), these) in enumerate(there)
        )  # fmt: skip
        if self.pipeline.has_companions:
            by_family = {str(one.family): _wanted(one, r, images) for one, r in self.families}
            plans += companion_plans(self.pipeline, by_family)
        return ToRollOut(
            plans=plans,
            parts=self._parts,
            together=self.pipeline.together,
            image_digest=digest,
            images={image.repository: found for image, found in images},
            definition_changes=whole._changes(),
        )

    def unchanged(self) -> Ended:
        """The outcome of what changes nothing: each service runs what it ran."""
        if len(self.services) > 1:
            return of_services(Ended(status="unchanged", stage="close"), self._as_they_are())
        name = self.task_definition
        return Ended(status="unchanged", stage="close", before=name, now_running=name)

    def _compared(
        self, wanted: Sequence[Mapping[str, str]]
    ) -> Iterator[tuple[PipelineSettings, Running]]:
        """Each with no base where it runs what the repository wants already, images included."""
        for number, (one, running) in enumerate(self.services):
            given = self.written.get(number)
            if given is not None:
                yield one, running.compared(with_images(given, wanted[number]))
            else:
                yield one, running

    def _changes(self) -> tuple[str, ...] | None:
        """What the bases change beside images, of several services with their names."""
        parts, lines = self._parts, list[str]()
        there = [running.base_changes for _, running in self.services]
        if all(changes is None for changes in there):
            return None
        for number, changes in enumerate(there):
            name = "" if parts is None else f"{name_of(parts[number], parts)}: "
            lines += [name + line for line in changes or ()]
        return tuple(lines)

    @property
    def _parts(self) -> tuple[Part, ...] | None:
        if len(self.services) == 1 and not self.pipeline.has_companions:
            return None
        parts = tuple(
            Part(
                cluster=one.cluster,
                service=one.service,
                ran=running.task_definition,
                moves=None if running.steady else True,
            )
            for one, running in self.services
        )
        return parts + companion_parts(self.pipeline)

    def _as_they_are(self) -> tuple[ServiceOutcome, ...]:
        names = [(one, short(running.task_definition)) for one, running in self.services]
        return tuple(
            ServiceOutcome(
                cluster=one.cluster, service=one.service, before=name, after=name, now=name,
                touched=False,
            )
            for one, name in names
        )  # fmt: skip

    def _wanted(self, images: Images) -> list[dict[str, str]]:
        """Of each service container to image by digest."""
        for image, _ in images:
            self._that_run(image)
        return [_wanted(one, running, images) for one, running in self.services]

    def _that_run(self, image: ImageSettings) -> list[Running]:
        """What runs where the image does; DeploymentFailed where it does nowhere."""
        every = (*self.services, *self.families)
        there = [running for one, running in every if _containers(one, image, running)]
        if not there:
            what = f"no container of any service has an image of {image.repository_uri}"
            raise no_container(what, *(running for _, running in every))
        return there


def _wanted(one: PipelineSettings, running: Running, images: Images) -> dict[str, str]:
    wanted = {
        name: f"{image.repository_uri}@{digest}"
        for image, digest in images
        for name in _containers(one, image, running)
    }
    named = one.services[0].containers if one.services else ()
    left = [name for name in named if name not in wanted]
    if left or not wanted:
        what = f"container {left[0]!r} runs" if left else "its containers run"
        raise DeploymentFailed(
            f"{called(one)}: {what} none of the pipeline's images", stage="rollout"
        )
    return wanted


def _digests(
    there: Sequence[tuple[PipelineSettings, Running]], image: ImageSettings
) -> set[str | None]:
    """What the containers of `image` name there."""
    return {
        digest_of(running.images[name])
        for one, running in there
        for name in _containers(one, image, running)
    }


def _containers(one: PipelineSettings, image: ImageSettings, running: Running) -> tuple[str, ...]:
    """As the service's own settings say; none where its task definition of the repository, which
    has settled that, runs the image nowhere.
    """
    own = next((each for each in one.images if each.repository == image.repository), None)
    return () if own is None else containers_in(one, own, running)


def _plan(
    one: PipelineSettings, running: Running, wanted: dict[str, str], *, place: tuple[int, int],
    is_whole: bool, proves: bool,
) -> RolloutPlan:  # fmt: skip
    """`place`: the service's number, and of how many; `is_whole`: the new revision is
    `running.base`, which the repository has written. `proves`: something of the services is to be
    proved: else all of them run it already.
    """
    if has_all(wanted, running):
        plan = plan_of(one, target=running.task_definition)
        plan = with_proof(plan, one) if proves else plan
    else:
        plan = plan_of(one, images=wanted, definition=running.base if is_whole else None)
    return _for_all(plan, *place)


def _for_all(plan: RolloutPlan, number: int, count: int) -> RolloutPlan:
    """What is one for all services: the task before them is of the first one's new revision, the
    task after them and the alarms are the last one's. Alarms are looked for by the first one.
    """
    if number > 0:
        plan = replace(plan, task=None)
    if number == count - 1:
        return plan
    alarms = plan.alarms if number == 0 else None
    return replace(plan, post_task=None, bake=None, alarms=alarms)
