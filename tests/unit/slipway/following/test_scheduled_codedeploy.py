"""A service of CodeDeploy, its proof, and its scheduled tasks: all of it goes together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.following.companions import scheduled_of
from slipway.rollout import RolloutPlan
from slipway.rollout.looks import SmokeSeen
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE
from tests.scripted_scheduled import ScriptedScheduled
from tests.unit.slipway.following.scheduled import SCHEDULED, TIMES, Scheduled, ecs_of, targets
from tests.unit.slipway.following.test_scheduled import NEW, OLD, After, cancelled, mails_last
from tests.unit.slipway.rollout import test_codedeploy
from tests.unit.slipway.rollout.proofs import SMOKE
from tests.unit.slipway.rollout.stepwise import World


def chain(
    *, well: bool = True, there: Callable[[], ScriptedScheduled] = targets,
    after: After = lambda _chain, _operation: None,
) -> Scheduled:  # fmt: skip
    """`well`: what the smoke test finds."""
    plays = [test_codedeploy.WELL, test_codedeploy.WELL]
    deploy = ScriptedCodeDeploy(by_codedeploy(ecs_of(ecs.becomes_healthy(8.0))), plays=plays)
    plan = RolloutPlan(
        cluster="prod", service="web", timeouts=TIMES, image=f"{IMAGE}:v8", discard_failed=True,
        named_by=scheduled_of(SCHEDULED), smoke=SMOKE,
    )  # fmt: skip
    told = SmokeSeen(ok=well, told=f"answered {200 if well else 503}")
    means = {"visit": lambda _scripted: lambda _smoke: told}
    world = World(plan, deploy.ecs, means, deploy)
    return Scheduled(world, there=there(), after=after)


@pytest.mark.parametrize(
    ("made", "status", "live"),
    [
        (chain, "succeeded", NEW),
        (lambda: chain(well=False), "rolled_back", OLD),
        (lambda: chain(there=mails_last), "rolled_back", OLD),
        (lambda: chain(after=cancelled), "rolled_back", OLD),
    ],
    ids=["all succeed", "the smoke test fails", "the schedule is refused", "cancelled"],
)
def test_the_services_tasks_name_what_it_runs(
    made: Callable[[], Scheduled], status: str, live: tuple[str, ...]
) -> None:
    """Also where ECS goes on to name the task definition that the service was made with."""
    for follow in (Scheduled.by_agent, Scheduled.by_follower):
        one = made()
        follow(one)
        assert (one.result.status, one.live) == (status, live)
        assert [service.now for service in one.result.services or ()] == list(live)
