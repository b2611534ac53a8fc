"""What a pipeline's services run, one or several, and what an image would change of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import DeploymentResult, ServiceOutcome
from slipway.following.handing import ToRollOut
from slipway.following.outcome import Ended
from slipway.following.service import (
    Running,
    check_architecture,
    containers_in,
    digest_of,
    no_container,
    plan_of,
    runs_already,
)
from slipway.following.several_ended import of_services
from slipway.following.state import Part
from slipway.rollout import RolloutPlan, short

Images = Sequence[tuple[ImageSettings, str]]
"""A pipeline's images with their digests."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Each service as the pipeline of it alone (`PipelineSettings.per_service`), and what it runs.

    `pipeline` has all of them.
    """

    pipeline: PipelineSettings
    services: tuple[tuple[PipelineSettings, Running], ...]

    @classmethod
    def of(
        cls, pipeline: PipelineSettings, running: Callable[[PipelineSettings], Running]
    ) -> Deployed:
        """As `running` tells of each service; it raises DeploymentFailed where there is none."""
        return cls(
            pipeline=pipeline,
            services=tuple((one, running(one)) for one in pipeline.per_service),
        )

    @property
    def task_definition(self) -> str:
        """family:revision of each service, in order, joined by commas."""
        return ", ".join(short(running.task_definition) for _, running in self.services)

    def check(self, image: ImageSettings, architecture: str) -> None:
        """DeploymentFailed where no container runs the image, or could if it is built for this."""
        there = self._that_run(image)
        for running in there:
            check_architecture(architecture, running)

    def digest(self, image: ImageSettings) -> str | None:
        """The digest that all containers of `image` name, in all services, or None."""
        digests = {
            digest_of(running.images[name])
            for one, running in self.services
            for name in containers_in(one, image, running)
        }
        return digests.pop() if len(digests) == 1 else None

    def runs_as_told(self, told: DeploymentResult) -> bool:
        """Whether the services are still as that deployment's notice said."""
        steady = all(running.steady for _, running in self.services)
        return steady and told.now_running == self.task_definition

    def roll_out(self, images: Images) -> ToRollOut | Ended:
        """What is to be done so that these images run; Ended where they do already.

        DeploymentFailed where a service cannot run any of them.
        """
        wanted = self._wanted(images)
        digest = images[0][1] if images else None
        there = list(zip(self.services, wanted, strict=True))
        if all(runs_already(these, running) for (_, running), these in there):
            return replace(self._unchanged(), image_digest=digest)
        plans = tuple(
            _plan(one, running, these, with_task=number == 0)
            for number, ((one, running), these) in enumerate(there)
        )
        return ToRollOut(
            plans=plans,
            parts=self._parts,
            together=self.pipeline.together,
            image_digest=digest,
            images={image.repository: found for image, found in images},
        )

    @property
    def _parts(self) -> tuple[Part, ...] | None:
        if len(self.services) == 1:
            return None
        return tuple(
            Part(cluster=one.cluster, service=one.service, ran=running.task_definition)
            for one, running in self.services
        )

    def _unchanged(self) -> Ended:
        if len(self.services) > 1:
            return of_services(Ended(status="unchanged", stage="close"), self._as_they_are())
        name = self.task_definition
        return Ended(status="unchanged", stage="close", before=name, now_running=name)

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
        there = [running for one, running in self.services if containers_in(one, image, running)]
        if not there:
            what = f"no container of any service has an image of {image.repository_uri}"
            raise no_container(what, *(running for _, running in self.services))
        return there


def _wanted(one: PipelineSettings, running: Running, images: Images) -> dict[str, str]:
    wanted = {
        name: f"{image.repository_uri}@{digest}"
        for image, digest in images
        for name in containers_in(one, image, running)
    }
    named = one.services[0].containers if one.services else ()
    left = [name for name in named if name not in wanted]
    if left or not wanted:
        what = f"container {left[0]!r} runs" if left else "its containers run"
        raise DeploymentFailed(
            f"service {one.service}: {what} none of the pipeline's images", stage="rollout"
        )
    return wanted


def _plan(
    one: PipelineSettings, running: Running, wanted: dict[str, str], *, with_task: bool
) -> RolloutPlan:
    """Only the first service's new revision runs the task before: it is one for all of them."""
    if all(running.images.get(name) == ref for name, ref in wanted.items()):
        return plan_of(one, target=running.task_definition)
    plan = plan_of(one, images=wanted)
    return plan if with_task else replace(plan, task=None)
