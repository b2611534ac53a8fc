"""A rollout that gives way to a newer request: nothing of it goes on beside what comes next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.installation import Limits
from slipway.following.follower import Held
from slipway.rollout import OneOffTask, RolloutPlan, Timeouts
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, ScriptedEcs
from tests.unit.slipway.following import three_ways
from tests.unit.slipway.following.three_ways import DEPLOYMENT, INSTALLATION, Chain
from tests.unit.slipway.rollout import stepwise
from tests.unit.slipway.rollout.test_codedeploy import BACK, FAILS, NEVER_INSTALLED

ROLLBACK = replace(three_ways.REQUEST, request_id="4" * 32, reason="rollback")


@pytest.fixture(autouse=True)
def _limits_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that outlasts what is waited for here."""
    monkeypatch.setattr(three_ways, "INSTALLATION", replace(INSTALLATION, limits=Limits()))


def migrating() -> Chain:
    """Its task, run before the service changes, never ends by itself."""
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate",)),
        timeouts=Timeouts(healthy=600),
    )  # fmt: skip
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(2.0), one_off=lambda _ecs, task: task)
    return Chain(stepwise.World(plan, scripted))


def tasks(chain: Chain) -> list[Any]:
    ours = [t for t in chain.world.ecs.tasks if t.get("startedBy", "").startswith("slipway/")]
    return [t["lastStatus"] for t in ours]


def until(chain: Chain, operation: str) -> Held:
    """Handed over, and gone on with until it has made this call."""
    held = chain.hand_over()
    while operation not in chain.made():
        held.go_on()
        pass_time(chain, held)
    return held


def pass_time(chain: Chain, held: Held) -> None:
    held.keep()
    chain.world.ecs.clock.sleep(max(0.1, min(2.5, held.next_look - chain.now)))


def test_a_task_is_stopped_before_a_newer_request_gets_its_place() -> None:
    # GIVEN a rollout whose task runs
    chain = migrating()
    held = until(chain, "RunTask")
    assert tasks(chain) == ["RUNNING"]
    # WHEN a rollback asks for its place
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    chain.world.ecs.clock.sleep(2.0)
    held.go_on()
    # THEN the task is stopped, and then the place is free
    assert (tasks(chain), chain.row.status) == (["STOPPED"], "superseded")
    assert chain.table.locks.get("web").holder == ""
    (told,) = chain.said.told
    assert (told.cancelled_by, "was stopped" in (told.cause or "")) == (None, True)


@pytest.mark.parametrize("answered", [False, True])
def test_a_task_whose_start_is_not_known_is_looked_for_first(answered: bool) -> None:
    # GIVEN an agent that died in the call that starts the task
    chain = migrating()
    handle = chain.world.ecs.handle

    def dies(operation: str, parameters: Any) -> Any:
        if operation == "RunTask":
            if answered:
                handle(operation, parameters)
            raise stepwise.Killed
        return handle(operation, parameters)

    chain.world.ecs.handle = dies  # type: ignore[method-assign]
    held = chain.hand_over()
    with pytest.raises(stepwise.Killed):
        until_over(chain, held)
    # WHEN a rollback asks for its place, and the follower takes the next steps
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    chain.follow_queue()
    # THEN no task runs when it is superseded
    assert (tasks(chain), chain.row.status) == (["STOPPED"] if answered else [], "superseded")


def test_a_deployment_of_codedeploy_is_stopped_before_a_newer_request_gets_its_place() -> None:
    # GIVEN a rollout that CodeDeploy makes
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[NEVER_INSTALLED])
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=600)
    )
    chain = Chain(stepwise.World(plan, deploy.ecs, codedeploy=deploy))
    held = until(chain, "CreateDeployment")
    # WHEN a rollback asks for its place
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    until_over(chain, held)
    # THEN it is taken back first: the group takes the next one
    assert len(deploy.made("StopDeployment")) == 1
    assert (deploy.deployments["d-000000001"]["status"], chain.row.status) == (
        "Stopped", "superseded",
    )  # fmt: skip
    assert [told.now_running for told in chain.said.told] == ["web:7"]


def test_what_codedeploy_takes_back_already_ends_as_it_ends() -> None:
    # GIVEN a rollout that has failed and is being taken back
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[FAILS, BACK])
    plan = RolloutPlan(cluster="prod", service="web", image=f"{IMAGE}:v8")
    chain = Chain(stepwise.World(plan, deploy.ecs, codedeploy=deploy))
    held = chain.hand_over()
    while (state := held.followed.under_way) and state.step != "codedeploy_back":
        held.go_on()
        pass_time(chain, held)
    # WHEN a rollback asks for its place
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    until_over(chain, held)
    # THEN the place is free once the group is
    assert (chain.row.status, deploy.made("StopDeployment")) == ("rolled_back", [])


def test_what_has_failed_and_went_back_is_told_so_though_a_newer_request_wants_its_place() -> None:
    # GIVEN a rollout that went back, and whose revision waits to be deregistered: a task has it
    def behaves(scripted: ScriptedEcs, new: Any) -> None:
        scripted.add_task(new["taskDefinition"], "RUNNING")
        ecs.breaker_rolls_back(having_run=True)(scripted, new)

    plan = RolloutPlan(cluster="prod", service="web", image=f"{IMAGE}:v8", discard_failed=True)
    chain = Chain(stepwise.World(plan, ScriptedEcs(behaviour=behaves)))
    held = chain.hand_over()
    while (state := held.followed.under_way) and state.step != "discard":
        held.go_on()
        pass_time(chain, held)
    # WHEN a rollback asks for its place
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    until_over(chain, held)
    # THEN its failure is told, and the place is free
    assert (chain.row.status, chain.table.locks.get("web").holder) == ("rolled_back", "")


def test_who_cancels_what_gives_way_already_is_named() -> None:
    # GIVEN a rollout whose task is to be stopped for a rollback, and another step takes that
    chain = migrating()
    held = until(chain, "RunTask")
    assert chain.table.locks.ask_takeover(ROLLBACK, chain.now)
    chain.world.ecs.clock.sleep(2.0)
    held._obey()
    # WHEN somebody cancels it
    assert chain.table.following.ask_cancel(DEPLOYMENT, "bob")
    assert chain.table.locks.interrupt("web", DEPLOYMENT, chain.now)
    chain.world.ecs.clock.sleep(2.0)
    held.go_on()
    # THEN
    assert (tasks(chain), chain.row.status) == (["STOPPED"], "cancelled")
    assert [told.cancelled_by for told in chain.said.told] == ["bob"]


def until_over(chain: Chain, held: Held) -> None:
    while not held.is_over:
        held.go_on()
        pass_time(chain, held)
