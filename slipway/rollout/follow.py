"""One look at a deployment that is followed: what it means, what is told, whether it is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slipway.rollout.actions import Tell
from slipway.rollout.finding import Finding
from slipway.rollout.health import Health, Proof, TasksSeen, prove
from slipway.rollout.judge import (
    Look,
    Ours,
    ServiceDeployment,
    Verdict,
    is_scaled_up,
    is_up,
    judge,
)
from slipway.rollout.looks import DeploymentSeen
from slipway.rollout.pace import pause
from slipway.rollout.plan import Step
from slipway.rollout.service import Service
from slipway.rollout.state import Following, RolloutState, sure
from slipway.rollout.telling import progress_of, tell
from slipway.rollout.watch import Followed, Limits, Watch


def limits_of(state: RolloutState) -> Limits:
    """How long the deployment that is followed now may take: ours, or the way back from it."""
    times = state.plan.timeouts
    goes_back = state.back is not None
    return Limits(
        healthy=times.rollback if goes_back else times.healthy,
        drain=times.drain,
        rollback=times.rollback,
        wait_drain=state.plan.wait_drain and not goes_back,
    )


def deadline(state: RolloutState) -> float | None:
    """When what is waited for has had its time: a look is due then, however rare they are."""
    if state.step == "task_wait" and state.task is not None:
        return state.task.begun + state.plan.timeouts.task
    if state.proving is not None:
        return _end_of_proof(state)
    if state.following is not None:
        return state.following.watch.deadline(limits_of(state))
    return None


def _end_of_proof(state: RolloutState) -> float | None:
    """When the part of the proof that is under way has had its time."""
    plan, proving = state.plan, sure(state.proving)
    if state.step == "smoke" and plan.smoke is not None:
        return proving.begun + plan.smoke.within
    if state.step == "post_task_wait" and proving.task is not None:
        return proving.task.begun + plan.timeouts.task
    if state.step == "bake" and plan.bake is not None:
        return proving.begun + plan.bake
    return None


def following(ours: Ours, now: float, *, known: frozenset[str] = frozenset()) -> Following:
    """A deployment that is followed from now on; `known`: ARNs that are not its own."""
    return Following(watch=Watch(ours=ours, begun=now), finding=Finding(not_ours=known))


def wants_tasks(
    state: RolloutState, service: Service, mine: ServiceDeployment | None, now: float
) -> bool:
    """Whether this look must ask for the tasks themselves to prove that they are healthy."""
    seen = _see(sure(state.following), service, mine, now)
    deployment = service.deployment(seen.watch.ours.id)
    if not seen.asks_tasks or deployment is None or not deployment.desired:
        return False
    proof = sure(state.following).proof.up(deployment, now)
    return proof.is_due(now, fresh=seen.watch.is_overrun(seen.look, limits_of(state)))


def follow(
    state: RolloutState, look: DeploymentSeen, now: float, *, step: Step = "wait"
) -> tuple[RolloutState, Tell, Followed | None]:
    """The state after this look, what it says, and how the deployment ended: None: it goes on."""
    limits = limits_of(state)
    seen = _see(sure(state.following), look.service, look.ours, now)
    watch, proof = seen.watch, sure(state.following).proof
    if seen.verdict.ending == "go_on":
        proof, health = _health(proof, seen, look.tasks, now, limits)
        watch.note_health(seen.look, health)
    ours = watch.ours
    definition = ours.task_definition if state.back_to is None else state.back_to
    progress = progress_of(
        seen.look,
        definition,
        _told_deployment(state, ours),
        healthy=watch.healthy_since is not None,
        step=step,
    )
    state, said = tell(state, now, replace(progress, waits=watch.waits(seen.look)))
    ended = watch.end(seen.look, seen.verdict, limits)
    kept = Following(watch=watch, finding=look.finding, proof=proof)
    look_at = now if ended else now + pause(state.id, now, seen.look.age)
    return replace(state, following=kept, look_at=look_at), said, ended


def _told_deployment(state: RolloutState, ours: Ours) -> str:
    """Whose counts are told: also on the way back those of the deployment that failed."""
    return state.deployment or ours.id


@dataclass(frozen=True, kw_only=True)
class _Seen:
    watch: Watch
    look: Look
    verdict: Verdict

    @property
    def asks_tasks(self) -> bool:
        """Whether tasks, rather than stages, say how far it is, and their counts say: up."""
        rolling = self.look.service.strategy == "ROLLING"
        return rolling and self.verdict.ending == "go_on" and is_up(self.watch.ours, self.look)


def _see(
    followed: Following, service: Service, mine: ServiceDeployment | None, now: float
) -> _Seen:
    watch = followed.watch.copy()
    look = watch.look(service, mine, now)
    return _Seen(watch=watch, look=look, verdict=judge(watch.ours, look))


def _health(
    proof: Proof, seen: _Seen, tasks: TasksSeen | None, now: float, limits: Limits
) -> tuple[Proof, Health]:
    """Whether the new tasks are all healthy: by ECS's stage where there are stages, else proved."""
    look = seen.look
    if look.service.strategy != "ROLLING":
        if look.ours is None:
            waits = "ECS does not tell its stage"
            return proof, Health(healthy=False, known=False, waits_for=waits)
        return proof, Health(healthy=is_scaled_up(look))
    mine = look.service.deployment(seen.watch.ours.id)
    if mine is None or not seen.asks_tasks:
        return proof.forgotten(), Health(healthy=False)
    proof = proof.up(mine, now)
    if tasks is not None or not mine.desired:
        proof = prove(proof, look.service, mine, tasks or TasksSeen(), now)
    return proof, proof.last or Health(healthy=False)
