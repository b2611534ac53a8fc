"""What a wait remembers from one look to the next, and when it has lasted long enough."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from slipway.rollout.events import trouble
from slipway.rollout.health import Health
from slipway.rollout.hooks import Hook
from slipway.rollout.judge import (
    ONLY_DRAINS,
    Look,
    Ours,
    ServiceDeployment,
    Verdict,
    has_stages,
    is_counted,
)
from slipway.rollout.plan import Outcome, short
from slipway.rollout.service import Service

MIN_CRASHES = 2
"""Failed tasks from which a deployment that does not become healthy is called a crash loop."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds that the parts of a wait may take. What a hook waits for is not counted."""

    healthy: float
    drain: float
    rollback: float
    wait_drain: bool = True


@dataclass(frozen=True, kw_only=True)
class Followed:
    """How a deployment ended.

    `drained` False: the old tasks were not gone when the wait ended. `healthy`: ECS has the new
    tasks up and has given up the old ones, so that running out of time is no reason to go back.
    """

    outcome: Outcome
    cause: str
    service: Service
    drained: bool | None = None
    healthy: bool = False


@dataclass
class Watch:
    """One deployment under way. `begun` is on the clock.

    `counted` is the rollout's own time: seconds since `begun`, less those for which the deployment
    waited for a person or a function. The limits and `healthy_since` are of that time. `seen_at`:
    when it was looked at last, on the clock.
    """

    ours: Ours
    begun: float
    counted: float = 0.0
    healthy_since: float | None = None
    seen_at: float | None = None
    health: Health = field(default_factory=lambda: Health(healthy=False))
    odd_since: float | None = None
    rolling_back_since: float | None = None
    rolling_back_cause: str = ""
    ours_seen: bool = False
    most_failed: int = 0
    hooks: dict[str, Hook] = field(default_factory=dict)
    waited: dict[str, float] = field(default_factory=dict)

    def copy(self) -> Watch:
        """The same, to be changed without changing this one."""
        return replace(self, hooks=dict(self.hooks), waited=dict(self.waited))

    def look(self, service: Service, mine: ServiceDeployment | None, now: float) -> Look:
        """What is seen now, in the light of what was seen before."""
        self._count_time(mine, now)
        entry = service.deployment(self.ours.id)
        self.ours_seen = self.ours_seen or entry is not None
        self.most_failed = max(self.most_failed, entry.failed if entry else 0)
        odd = entry is None or entry.status != "PRIMARY" or entry.state == "FAILED"
        self.odd_since = (self.odd_since if self.odd_since is not None else now) if odd else None
        return Look(
            service=service,
            ours=mine,
            age=now - self.begun,
            odd_for=now - self.odd_since if self.odd_since is not None else 0.0,
            ours_seen=self.ours_seen,
        )

    def _count_time(self, mine: ServiceDeployment | None, now: float) -> None:
        """Add the time since the last look, unless a hook waited at its beginning or waits now.

        An answer that does not tell of ours leaves the hooks as they were.
        """
        passed = now - (self.seen_at if self.seen_at is not None else self.begun)
        self.seen_at = now
        waiting = {key for key, hook in self.hooks.items() if hook.active}
        if mine is not None:
            listed = {hook.id: hook for hook in mine.hooks}
            for key in waiting - set(listed):
                self.hooks[key] = _with_status(self.hooks[key], "")
            for key, hook in listed.items():
                known = self.hooks.get(key)
                if known is not None:
                    self.hooks[key] = _with_status(known, hook.status)
                elif hook.active or hook.status in ("FAILED", "TIMED_OUT"):
                    self.hooks[key] = hook
            waiting |= {hook.id for hook in mine.hooks if hook.active}
        for key in waiting:
            self.waited[key] = self.waited.get(key, 0.0) + passed
        if not waiting:
            self.counted += passed

    def note_health(self, look: Look, health: Health) -> None:
        """`health` of the new tasks, as far as it could be proved at this look."""
        self.health = health
        if health.healthy or (not health.known and is_counted(self.ours, look)):
            self.healthy_since = (
                self.healthy_since if self.healthy_since is not None else self.counted
            )
        else:
            self.healthy_since = None

    def waits(self, look: Look) -> str:
        """What keeps the deployment from going on, for somebody who watches."""
        if look.ours is not None and look.ours.waits:
            return look.ours.waits
        if self.rolling_back_since is not None:
            return ""
        return self._trouble(look) or self.health.waits_for

    def deadline(self, limits: Limits) -> float:
        """Until when (on the clock) a throttled look is tried again."""
        end = limits.healthy
        if self.rolling_back_since is not None:
            end = self.rolling_back_since + limits.rollback
        elif self.healthy_since is not None:
            end = self.healthy_since + limits.drain
        return (self.seen_at if self.seen_at is not None else self.begun) + max(
            0.0, end - self.counted
        )

    def is_overrun(self, look: Look, limits: Limits) -> bool:
        """Whether the old tasks have had their time to go."""
        if self.healthy_since is None:
            return False
        return self.counted - self.healthy_since > limits.drain + bake_seconds(look.service)

    def end(self, look: Look, verdict: Verdict, limits: Limits) -> Followed | None:
        """How the wait ends with this look, or None: it goes on."""
        if verdict.ending == "over":
            assert verdict.outcome is not None  # noqa: S101 - `over` always names the outcome
            drained = True if verdict.outcome == "succeeded" else None
            took_back = verdict.outcome == "rolled_back" and self.rolling_back_cause
            return self._followed(verdict.outcome, took_back or verdict.cause, look, drained)
        if verdict.ending == "rolling_back":
            return self._rolling_back(look, verdict, limits)
        if self.healthy_since is not None:
            return self._draining(look, limits, self.counted - self.healthy_since)
        if self.counted <= limits.healthy:
            return None
        return self._out_of_time(look, limits)

    def _rolling_back(self, look: Look, verdict: Verdict, limits: Limits) -> Followed | None:
        if self.rolling_back_since is None:
            self.rolling_back_since = self.counted
        self.rolling_back_cause = self.rolling_back_cause or verdict.cause
        if self.counted - self.rolling_back_since <= limits.rollback:
            return None
        cause = f"{verdict.cause}; its rollback was not over after {limits.rollback:.0f} s"
        return self._followed("failed", cause, look)

    def _draining(self, look: Look, limits: Limits, healthy_for: float) -> Followed | None:
        """Success only where the new tasks are proved healthy, and only draining is left to do."""
        stage = look.ours.stage if look.ours else None
        only_drains = stage == ONLY_DRAINS if has_stages(look) else True
        if not limits.wait_drain and self.health.healthy and only_drains:
            cause = (
                "the new tasks are healthy; the old ones were not waited for: ECS goes on with the "
                "deployment, unwatched"
            )
            return self._followed("succeeded", cause, look, drained=False)
        if not self.is_overrun(look, limits):
            return None
        if not only_drains:
            cause = f"it is healthy, yet still in stage {stage} after {self.counted:.0f} s"
            return self._followed("timed_out", cause, look, drained=False)
        if not self.health.healthy:
            cause = (
                f"ECS had not completed it after {self.counted:.0f} s, and nothing proves that the "
                f"new tasks are healthy ({self.health.waits_for})"
            )
            return self._followed("timed_out", cause, look, drained=False)
        cause = f"the new tasks are healthy; the old ones were not gone after {healthy_for:.0f} s"
        return self._followed("succeeded", cause, look, drained=False)

    def _out_of_time(self, look: Look, limits: Limits) -> Followed:
        if self.most_failed >= MIN_CRASHES:
            cause = f"its tasks kept stopping ({self.most_failed} failed) for {self.counted:.0f} s"
            return self._followed("crash_loop", self._with_trouble(cause, look), look)
        cause = f"it was not healthy after {limits.healthy:.0f} s ({self._standing(look)})"
        return self._followed("timed_out", self._with_trouble(cause, look), look)

    def _standing(self, look: Look) -> str:
        """How far the tasks are, and what they wait for."""
        entry = look.service.deployment(self.ours.id)
        parts = ["ECS never listed it"]
        if entry is not None:
            parts = [f"{entry.running} of {entry.desired} tasks running, {entry.pending} pending"]
        if look.ours is not None and look.ours.stage:
            parts.append(f"stage {look.ours.stage}")
        if self.health.waits_for:
            parts.append(f"waits for {self.health.waits_for}")
        if look.ours is None and _has_hooks(look.service):
            parts.append("it may wait in a hook: ECS does not tell of its service deployment")
        return ", ".join(parts)

    def _trouble(self, look: Look) -> str | None:
        return trouble(look.service.raw, since=self.ours.created_at)

    def _with_trouble(self, cause: str, look: Look) -> str:
        said = self._trouble(look)
        return f"{cause}: {said}" if said else cause

    def _followed(
        self, outcome: Outcome, cause: str, look: Look, drained: bool | None = None
    ) -> Followed:
        sentence = cause.rstrip(". ") or f"{short(self.ours.task_definition)} runs"
        return Followed(
            outcome=outcome,
            cause="; ".join([sentence, *self._hook_stories()]),
            service=look.service,
            drained=drained,
            healthy=self.healthy_since is not None,
        )

    def _hook_stories(self) -> list[str]:
        """How each wait for a person ended, and each hook that did not let it go on."""
        told = []
        for key, hook in self.hooks.items():
            if hook.active:
                told.append(hook.waits)
            elif hook.is_pause or hook.status in ("FAILED", "TIMED_OUT"):
                told.append(f"{hook.ended} after {self.waited.get(key, 0.0):.0f} s")
        return told


def bake_seconds(service: Service) -> float:
    """How long a blue/green, linear or canary deployment is meant to take after it is healthy."""
    configuration = service.raw.get("deploymentConfiguration") or {}
    minutes = float(configuration.get("bakeTimeInMinutes") or 0)
    canary = configuration.get("canaryConfiguration") or {}
    minutes += float(canary.get("canaryBakeTimeInMinutes") or 0)
    linear = configuration.get("linearConfiguration") or {}
    steps = 100.0 / float(linear.get("stepPercent") or 100.0)
    minutes += steps * float(linear.get("stepBakeTimeInMinutes") or 0)
    return minutes * 60.0


def _with_status(hook: Hook, status: str) -> Hook:
    """The hook as it was met (with its own stage), and how it stands now."""
    return replace(hook, status=status)


def _has_hooks(service: Service) -> bool:
    return bool((service.raw.get("deploymentConfiguration") or {}).get("lifecycleHooks"))
