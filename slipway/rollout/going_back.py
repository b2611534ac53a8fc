"""After a failure of our deployment: make the previous revision run again, and say what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.actions import Register, StopServiceDeployment, UpdateService
from slipway.rollout.beginning import arn_of
from slipway.rollout.follow import follow, following
from slipway.rollout.judge import STALE, Ours
from slipway.rollout.looks import (
    Answer,
    DeploymentSeen,
    Look,
    Pinnable,
    Reasons,
    Refusal,
    ServiceSeen,
    Survey,
    of_kind,
)
from slipway.rollout.plan import RolloutResult, short
from slipway.rollout.reasons import with_reasons
from slipway.rollout.service import Deployment, Service, parse_service
from slipway.rollout.settings import asked_for, to_put_back
from slipway.rollout.state import Advanced, Back, Failure, RolloutState, intend, on, sure
from slipway.rollout.taskdef import images_of, same_content, with_images
from slipway.rollout.telling import enter, finish
from slipway.rollout.unfinished import left_behind

_STOPPABLE = frozenset({"PENDING", "IN_PROGRESS"})
AGREE = 3
"""Looks in a row that must show another primary deployment before ours is left alone."""
AGREE_AFTER = 0.5
"""Seconds between them."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came of going back. `text` is a sentence's worth; `running` what runs now (ARN)."""

    healthy: bool
    text: str
    running: str | None
    taken_over: bool = False


def failed(state: RolloutState, look: Reasons | None, now: float) -> Advanced:
    """Ours is not what runs, or must not stay: go back where nobody else has taken over."""
    failure = _failure(state)
    reasons = look.reasons if look is not None else ()
    if failure.outcome == "failed" and not reasons and failure.said:
        reasons = (failure.said,)
    failure = replace(failure, told=with_reasons(failure.cause, reasons))
    state = replace(state, failure=failure)
    if failure.outcome in ("superseded", "rolled_back"):
        text = f"{failure.told}; {short(failure.running)} runs now"
        is_back = failure.outcome == "rolled_back"
        ending = _ending(state, text, running=failure.running, restored=True if is_back else None)
        return _settle(state, ending, now) if is_back else finish(state, now, ending)
    stays = not state.plan.rollback or failure.healthy
    if stays and failure.outcome != "cancelled":
        text = f"{failure.told}; not rolled back; the service is set to {short(failure.running)}"
        return finish(state, now, _ending(state, text, running=failure.running, restored=None))
    note = f"rolling back: {failure.told}"
    state, told = enter(state, "rollback", now, note=note, task_definition=state.before)
    back = Back(target=state.before or "")
    state = replace(state, step="agree", back_to=state.before, back=back, look_at=now)
    return on(state, told)


def agree(state: RolloutState, look: Look, now: float) -> Advanced:
    """Choose the way: stop ours with ECS's own rollback, else update; nothing where another rules.

    Another primary deployment is believed only if it shows up repeatedly.
    """
    ours = _ours(state)
    if isinstance(look, Answer):
        return _follow_stopped(state, now)
    if isinstance(look, Refusal):
        return _set_back(replace(state, intent=None), now)
    look = of_kind(DeploymentSeen, look)
    service, primary, back = look.service, look.service.primary, _back(state)
    if primary is None or primary.id == ours.id or state.intent is not None:
        return _stop(state, look, now)
    if back.looks + 1 < AGREE or _may_be_old(state, primary, now):
        back = replace(back, looks=back.looks + 1)
        return on(replace(state, back=back, look_at=now + AGREE_AFTER))
    if primary.task_definition != back.target:
        return _conclude(state, _taken_over(service), now)
    return _wait_back(state, service, now, before=frozenset(d.id for d in service.deployments))


def _may_be_old(state: RolloutState, primary: Deployment, now: float) -> bool:
    """Whether an answer may be from before our deployment, which has only just begun."""
    watch = sure(state.following).watch
    return primary.id in watch.ours.known_before and now - watch.begun < STALE


def _stop(state: RolloutState, look: DeploymentSeen, now: float) -> Advanced:
    """Have ECS itself go back to the service revision before; update where it cannot."""
    mine = look.ours
    state = _with_finding(state, look)
    if mine is not None and mine.status in _STOPPABLE:
        request = {"serviceDeploymentArn": mine.arn, "stopType": "ROLLBACK"}
        return intend(state, now, StopServiceDeployment(request=request))
    if state.intent is not None and mine is not None:  # it was stopped: the answer was lost
        return _follow_stopped(state, now)
    return _set_back(replace(state, intent=None), now, service=look.service)


def _follow_stopped(state: RolloutState, now: float) -> Advanced:
    """Wait for ECS's own rollback."""
    anew = replace(following(_ours(state), now), finding=sure(state.following).finding)
    return on(replace(state, step="wait_stopped", following=anew, intent=None, look_at=now))


def wait_stopped(state: RolloutState, look: DeploymentSeen, now: float) -> Advanced:
    """One look more at ECS's own rollback."""
    state, told, ended = follow(state, look, now, step="rollback")
    if ended is None:
        return on(state, told)
    if ended.outcome in ("rolled_back", "superseded"):
        back = replace(_back(state), superseded=ended.outcome == "superseded")
        return on(replace(state, step="settings", back=back), told)
    advanced = _set_back(state, now, service=ended.service)
    return advanced._replace(actions=(told, *advanced.actions))


def _set_back(state: RolloutState, now: float, *, service: Service | None = None) -> Advanced:
    """Update the service to the previous task definition (or its digests)."""
    if _back(state).target == state.after and not state.plan.force:
        runs = _runs(service) if service is not None else state.after
        text = f"nothing is known to go back to; the service is set to {short(runs)}"
        restored = Restored(healthy=False, running=runs, text=text)
        return finish(state, now, _ending_of(state, restored))
    return on(replace(state, step="pin" if state.plan.force else "survey_back", look_at=now))


def pin(state: RolloutState, look: Look, now: float) -> Advanced:
    """Register a revision of the previous task definition that names the digests which ran.

    None where the digests are not known or are named already.
    """
    if isinstance(look, Answer):
        return _pinned(state, arn_of(look), now)
    look = of_kind(Pinnable, look)
    images = images_of(look.base)
    digests = {name: kept[1] for name, kept in state.was.containers.items()}
    wanted = {
        name: _by_digest(image, digests[name])
        for name, image in images.items()
        if digests.get(name) and digests[name] not in image
    }
    if not wanted:
        return _pinned(state, None, now)
    request = with_images(look.base, wanted)
    lost = state.intent is not None and look.newest is not None
    if lost and look.newest is not None and same_content(look.newest, request):
        return _pinned(state, look.newest_arn, now)
    return intend(state, now, Register(request=request))


def _pinned(state: RolloutState, arn: str | None, now: float) -> Advanced:
    back = replace(_back(state), target=arn or _back(state).target)
    return on(replace(state, step="survey_back", back=back, intent=None, look_at=now))


def survey_back(state: RolloutState, look: Survey, now: float) -> Advanced:
    """Set the service back, once it is known which deployments are older."""
    back = replace(
        _back(state),
        updates=True,
        known=frozenset(d.id for d in look.service.deployments),
        service_deployments=look.known,
    )
    return _update_back(replace(state, step="update_back", back=back), look.service, now)


def update_back(state: RolloutState, look: Look, now: float) -> Advanced:
    """The service is set back, unless the update's answer was lost before ECS took it."""
    back = _back(state)
    if isinstance(look, Answer):
        return _wait_back(state, parse_service(look.value["service"]), now, before=back.known)
    look = of_kind(Survey, look)
    primary = look.service.primary
    if primary is not None and primary.task_definition == back.target:
        forced = back.target == state.after
        if not forced or primary.id not in back.known:
            return _wait_back(state, look.service, now, before=back.known)
    return _update_back(state, look.service, now)


def _update_back(state: RolloutState, service: Service, now: float) -> Advanced:
    target = _back(state).target
    force = {"forceNewDeployment": True} if target == state.after else {}
    request = {
        "cluster": service.cluster,
        "service": service.name,
        "taskDefinition": target,
        **force,
        **to_put_back(asked_for(state.plan), state.was.settings, service),
    }
    return intend(state, now, UpdateService(request=request))


def _wait_back(
    state: RolloutState, service: Service, now: float, *, before: frozenset[str]
) -> Advanced:
    """Wait for the primary deployment of `service`: the way back from ours."""
    primary = service.primary
    state = replace(state, intent=None)
    if primary is None:
        text = "ECS names no primary deployment now"
        return _conclude(state, Restored(healthy=False, running=None, text=text), now)
    back = Ours(
        id=primary.id,
        task_definition=primary.task_definition,
        known_before=before - {primary.id},
        previous=state.after or "",
        created_at=primary.created_at,
    )
    known = _back(state).service_deployments
    anew = following(back, now, known=known)
    return on(replace(state, step="wait_back", following=anew, look_at=now))


def wait_back(state: RolloutState, look: DeploymentSeen, now: float) -> Advanced:
    """One look more at the deployment that goes back."""
    state, told, ended = follow(state, look, now, step="rollback")
    if ended is None:
        return on(state, told)
    runs = _runs(ended.service)
    if ended.outcome == "succeeded":
        restored = _runs_again(ended.service)
    elif ended.outcome == "superseded":
        restored = _taken_over(ended.service)
    else:
        target = short(sure(state.following).watch.ours.task_definition)
        text = (
            f"rolling back to {target} did not become healthy "
            f"({ended.cause}); the service is set to {short(runs)}"
        )
        restored = Restored(healthy=False, running=runs, text=text)
    advanced = _conclude(state, restored, now)
    return advanced._replace(actions=(told, *advanced.actions))


def settings(state: RolloutState, look: Look, now: float) -> Advanced:
    """Say what runs, where that is left to say; put back the plan's count and percentages."""
    if isinstance(look, ServiceSeen):
        return _put_back(state, look.service, now)
    if isinstance(look, Refusal):
        asked = asked_for(state.plan)
        left = ", ".join(f"{name} {asked[name]}" for name in asked)
        warning = f"{left} could not be put back to what was before: {look.text}"
        state = replace(state, warnings=(*state.warnings, warning))
    return finish(state, now, sure(state.ending))


def _put_back(state: RolloutState, service: Service, now: float) -> Advanced:
    back = state.back
    if state.ending is None and back is not None:
        restored = _taken_over(service) if back.superseded else _runs_again(service)
        state = replace(state, ending=_ending_of(state, restored))
        if back.superseded:
            return finish(state, now, sure(state.ending))
    request = to_put_back(asked_for(state.plan), state.was.settings, service)
    if not request:
        return finish(state, now, sure(state.ending))
    place = {"cluster": service.cluster, "service": service.name}
    return intend(state, now, UpdateService(request={**place, **request}))


def refused(state: RolloutState, text: str, now: float) -> Advanced:
    """AWS refuses what going back needs: say what is left as it is."""
    left = left_behind(state)
    cause = f"rolling back to {short(state.before)} failed: {text}; {left}"
    restored = Restored(healthy=False, running=state.after, text=cause)
    return finish(state, now, _ending_of(state, restored))


def _conclude(state: RolloutState, restored: Restored, now: float) -> Advanced:
    """The end of going back. What was set back by an update has its settings already."""
    ending = _ending_of(state, restored)
    if restored.taken_over or _back(state).updates:
        return finish(state, now, ending)
    return _settle(state, ending, now)


def _settle(state: RolloutState, ending: RolloutResult, now: float) -> Advanced:
    """The settings are put back where the plan has set any."""
    if not asked_for(state.plan):
        return finish(state, now, ending)
    return on(replace(state, step="settings", ending=ending, look_at=now))


def _ending_of(state: RolloutState, restored: Restored) -> RolloutResult:
    failure = _failure(state)
    ending = _ending(
        state,
        f"{failure.told}; {restored.text}",
        running=restored.running,
        restored=None if restored.taken_over else restored.healthy,
    )
    return replace(ending, outcome="superseded") if restored.taken_over else ending


def _ending(
    state: RolloutState, text: str, *, running: str | None, restored: bool | None
) -> RolloutResult:
    failure = _failure(state)
    outcome = failure.outcome
    if outcome == "cancelled":  # the service was touched: what matters is how it was left
        outcome = "rolled_back" if restored else "failed"
    return RolloutResult(
        outcome=outcome,
        cause=text,
        before=state.before,
        after=state.after,
        running=running,
        restored=restored,
        drained=failure.drained,
        deployment=state.deployment,
    )


def _taken_over(service: Service) -> Restored:
    running = _runs(service)
    return Restored(
        healthy=False,
        taken_over=True,
        running=running,
        text=f"another deployment has taken over and was left alone; {short(running)} runs now",
    )


def _runs_again(service: Service) -> Restored:
    running = _runs(service)
    return Restored(healthy=True, running=running, text=f"rolled back: {short(running)} runs again")


def _runs(service: Service) -> str:
    return service.primary.task_definition if service.primary else service.task_definition


def _by_digest(image: str, digest: str) -> str:
    try:
        return str(ImageReference.parse(image).with_digest(digest))
    except WrongUse:
        return image


def _with_finding(state: RolloutState, look: DeploymentSeen) -> RolloutState:
    return replace(state, following=replace(sure(state.following), finding=look.finding))


def _ours(state: RolloutState) -> Ours:
    """The deployment that failed, until another one is followed back."""
    return sure(state.following).watch.ours


def _back(state: RolloutState) -> Back:
    return sure(state.back)


def _failure(state: RolloutState) -> Failure:
    return sure(state.failure)


STEPS: Mapping[str, Any] = {
    "failed": failed,
    "agree": agree,
    "wait_stopped": wait_stopped,
    "pin": pin,
    "survey_back": survey_back,
    "update_back": update_back,
    "wait_back": wait_back,
    "settings": settings,
}
