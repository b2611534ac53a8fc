"""After a failure of our deployment: make the previous revision run again, and say what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.api import Api, Denied, Refused, WrongForAws
from slipway.rollout.follow import History, Tell, follow, known_deployments
from slipway.rollout.judge import Ours
from slipway.rollout.plan import Factory, Timeouts, short
from slipway.rollout.service import Service, look_again, parse_service
from slipway.rollout.settings import Settings, put_back, to_put_back
from slipway.rollout.taskdef import describe, register, request_of, with_images
from slipway.rollout.watch import Followed, Limits

_STOPPABLE = frozenset({"PENDING", "IN_PROGRESS"})
AGREE = 3
"""Looks in a row that must show another primary deployment before ours is left alone."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came of going back. `text` is a sentence's worth; `running` what runs now (ARN).

    `warning`: what could not be put back besides.
    """

    healthy: bool
    text: str
    running: str | None
    taken_over: bool = False
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class Previous:
    """What to go back to.

    `containers`: container to (image, digest) as the previous service revision ran them; used when
    the task definition alone does not say what ran (a forced deployment of a moving tag).
    `settings`: the service's count and percentages before; `asked`: those that the plan set.
    """

    task_definition: str
    forced: bool = False
    containers: Mapping[str, tuple[str, str]]
    settings: Settings
    asked: Settings

    def put_settings_back(self, api: Api, now: Service) -> str | None:
        """Undo the plan's count and percentages on a service that was rolled back.

        Why that did not work, or None.
        """
        return put_back(api, self.asked, self.settings, now)


def restore(
    api: Api,
    ours: Ours,
    history: History,
    previous: Previous,
    *,
    failed: Followed,
    timeouts: Timeouts,
    tell: Tell,
    balancing: Factory | None = None,
) -> Restored:
    """Run the previous revision again and wait for it, within `timeouts.rollback`.

    The plan's count and percentages are put back, whichever way it goes. A deployment that took
    over from ours is left alone.
    """
    service = _sure_of_primary(api, ours, failed.service)
    limits = Limits(
        healthy=timeouts.rollback,
        drain=timeouts.drain,
        rollback=timeouts.rollback,
        wait_drain=False,
    )
    way = _Way(api=api, limits=limits, tell=tell, balancing=balancing)
    primary = service.primary
    if primary is not None and primary.id != ours.id:
        if primary.task_definition != previous.task_definition:
            return _taken_over(service)
        restored = _wait_for(way, service, service, ours)
    else:
        stopped = _stop_with_rollback(way, ours, history, service)
        if stopped is None:
            return _update_back(way, ours, previous, service)
        restored = stopped
    if restored.taken_over:
        return restored
    now = look_again(api, service) or service
    return replace(restored, warning=previous.put_settings_back(api, now))


@dataclass(frozen=True, kw_only=True)
class _Way:
    """What every way back needs."""

    api: Api
    limits: Limits
    tell: Tell
    balancing: Factory | None

    def follow(self, ours: Ours, history: History, service: Service) -> Followed:
        return follow(
            self.api,
            ours,
            history,
            service=service,
            limits=self.limits,
            tell=self.tell,
            balancing=self.balancing,
        )


def _sure_of_primary(api: Api, ours: Ours, last: Service) -> Service:
    """The service now; another primary deployment is believed only if it shows up repeatedly."""
    seen = last
    for attempt in range(AGREE):
        seen = look_again(api, last) or seen
        if seen.primary is None or seen.primary.id == ours.id:
            return seen
        if attempt + 1 < AGREE:
            api.clock.sleep(0.5)
    return seen


def _taken_over(service: Service) -> Restored:
    running = _runs(service)
    return Restored(
        healthy=False,
        taken_over=True,
        running=running,
        text=f"another deployment has taken over and was left alone; {short(running)} runs now",
    )


def _stop_with_rollback(
    way: _Way, ours: Ours, history: History, service: Service
) -> Restored | None:
    """Have ECS itself go back to the service revision before; None where it cannot."""
    api = way.api
    mine = history.read(service)
    if mine is None or mine.status not in _STOPPABLE:
        return None
    try:
        api.change("stop_service_deployment", serviceDeploymentArn=mine.arn, stopType="ROLLBACK")
    except (Denied, Refused, WrongForAws):
        return None
    followed = way.follow(ours, history, service)
    now = look_again(api, service) or followed.service
    if followed.outcome == "rolled_back":
        return _runs_again(now)
    return _taken_over(now) if followed.outcome == "superseded" else None


def _update_back(way: _Way, ours: Ours, previous: Previous, service: Service) -> Restored:
    """Update the service to the previous task definition (or its digests) and wait for it."""
    api, target = way.api, previous.task_definition
    if target == ours.task_definition and not previous.forced:
        text = f"nothing is known to go back to; the service is set to {short(_runs(service))}"
        return Restored(healthy=False, running=_runs(service), text=text)
    if previous.forced:
        target = _pinned(api, previous)
    known = known_deployments(api, service)
    answer = api.change(
        "update_service",
        cluster=service.cluster,
        service=service.name,
        taskDefinition=target,
        **({"forceNewDeployment": True} if target == ours.task_definition else {}),
        **to_put_back(previous.asked, previous.settings, service),
    )
    return _wait_for(way, service, parse_service(answer["service"]), ours, known)


def _wait_for(
    way: _Way,
    service: Service,
    updated: Service,
    failed: Ours,
    known: frozenset[str] = frozenset(),
) -> Restored:
    """Wait for the deployment that `updated` has as its primary: the way back from `failed`."""
    primary = updated.primary
    if primary is None:
        return Restored(healthy=False, running=None, text="ECS names no primary deployment now")
    back = Ours(
        id=primary.id,
        task_definition=primary.task_definition,
        known_before=frozenset(d.id for d in service.deployments) - {primary.id},
        previous=failed.task_definition,
        created_at=primary.created_at,
    )
    history = History(way.api, back, known=known)
    followed = way.follow(back, history, updated)
    now = followed.service
    if followed.outcome == "succeeded":
        return _runs_again(now)
    if followed.outcome == "superseded":
        return _taken_over(now)
    text = (
        f"rolling back to {short(primary.task_definition)} did not become healthy "
        f"({followed.cause}); the service is set to {short(_runs(now))}"
    )
    return Restored(healthy=False, running=_runs(now), text=text)


def _runs_again(service: Service) -> Restored:
    running = _runs(service)
    return Restored(healthy=True, running=running, text=f"rolled back: {short(running)} runs again")


def _runs(service: Service) -> str:
    return service.primary.task_definition if service.primary else service.task_definition


def _pinned(api: Api, previous: Previous) -> str:
    """A revision of the previous task definition that names the digests which ran, registered.

    The previous task definition itself where the digests are not known or are named already.
    """
    described = describe(api, previous.task_definition)
    request = request_of(described, api.client.meta.service_model)
    images: dict[str, str] = {}
    for container in request["containerDefinitions"]:
        _image, digest = previous.containers.get(container["name"], ("", ""))
        if digest and digest not in container.get("image", ""):
            images[container["name"]] = _by_digest(container["image"], digest)
    return register(api, with_images(request, images)) if images else previous.task_definition


def _by_digest(image: str, digest: str) -> str:
    try:
        return str(ImageReference.parse(image).with_digest(digest))
    except WrongUse:
        return image
