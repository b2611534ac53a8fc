"""The rollout: register, update, wait, put right, prune. One code path for agent and command line.

    from slipway.rollout import RolloutPlan, SystemClock, Timeouts, roll_out

    plan = RolloutPlan(
        cluster="prod",
        service="web",
        images={"web": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:…"},
        timeouts=Timeouts(healthy=1800, drain=900),
    )
    result = roll_out(
        plan,
        ecs=session.client("ecs"),
        clock=SystemClock(),
        ecr=lambda: session.client("ecr"),        # only made where an image is in ECR
        codedeploy_client=lambda: session.client("codedeploy"),
        on_progress=lambda progress: …,           # Progress
        guard=lambda: …,                          # right before every change; raises to stop it
    )
    result.outcome    # 'succeeded', 'unchanged', 'rolled_back', 'superseded', 'crash_loop', …
    result.cause      # one sentence, with the stopped tasks' own reasons
    result.before, result.after, result.running   # task definition ARNs
    result.restored, result.drained, result.deregistered, result.warnings, result.skipped

What fails after AWS was changed is raised as `Unfinished` (exit code 3): its text says what goes on
there, its `result` is a RolloutResult of the outcome 'unwatched'.

A deployment that was interrupted is followed by naming what it registered (told by
`Progress(step='update', task_definition=…)` before the service changes), and what ran before:

    RolloutPlan(cluster="prod", service="web", target=arn, previous=arn_before)

If the service's primary deployment is that revision, nothing is updated; it is followed to its
end and put right as if it had just been made. The same plan goes to any earlier revision.

A rollout is a loop over pure steps, whose state may be saved between any two of them and taken up
by another process: `docs/rollout-library.md`, `advance.py`, `state.py`.

`live(ecs, cluster=…, service=…, clock=…)` tells what a service runs now, digests included.
"""

from slipway.rollout.clock import SystemClock
from slipway.rollout.plan import (
    DONE,
    Clock,
    OneOffTask,
    Outcome,
    Progress,
    RolloutPlan,
    RolloutResult,
    Timeouts,
    short,
)
from slipway.rollout.roll_out import roll_out
from slipway.rollout.service import Live, live
from slipway.rollout.unfinished import Unfinished

__all__ = [
    "DONE",
    "Clock",
    "Live",
    "OneOffTask",
    "Outcome",
    "Progress",
    "RolloutPlan",
    "RolloutResult",
    "SystemClock",
    "Timeouts",
    "Unfinished",
    "live",
    "roll_out",
    "short",
]
