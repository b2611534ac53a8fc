"""How our deployment ended: pruned after a success, put right after a failure."""

from __future__ import annotations

from dataclasses import replace

from slipway.rollout.api import Refused, Unanswered, WrongForAws
from slipway.rollout.events import trouble
from slipway.rollout.follow import History
from slipway.rollout.judge import Ours
from slipway.rollout.plan import RolloutResult, short
from slipway.rollout.restore import Previous, Restored, restore
from slipway.rollout.run import Run
from slipway.rollout.service import Service
from slipway.rollout.unfinished import left_behind
from slipway.rollout.watch import Followed


def succeeded(run: Run, ours: Ours, previous: Previous, followed: Followed) -> RolloutResult:
    """The result of a rollout whose deployment is steady."""
    result = done(
        run,
        followed.service,
        target=ours.task_definition,
        before=previous.task_definition,
        cause=followed.cause,
        drained=followed.drained,
    )
    return replace(result, deployment=ours.id)


def done(
    run: Run, service: Service, *, target: str, before: str, cause: str, drained: bool | None
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


def failed(
    run: Run, ours: Ours, history: History, previous: Previous, followed: Followed
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
    run: Run, ours: Ours, history: History, previous: Previous, followed: Followed
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
