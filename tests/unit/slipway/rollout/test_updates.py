"""What UpdateService is asked for, how failures are put right, drained, blue/green."""

from __future__ import annotations

import pytest

from slipway.contracts.errors import WrongUse
from slipway.rollout import (
    Timeouts,
)
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, PREFIX, Json, ScriptedEcs, denied
from tests.unit.slipway.rollout.running import V6, V7, V8, run


def test_update_says_only_what_the_plan_says() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    run(scripted, image=f"{IMAGE}:v8", desired_count=3, min_percent=50, max_percent=150)

    (update,) = scripted.made("UpdateService")
    assert update == {
        "cluster": scripted.service["clusterArn"],
        "service": "web",
        "taskDefinition": V8,
        "desiredCount": 3,
        "deploymentConfiguration": {"minimumHealthyPercent": 50, "maximumPercent": 150},
    }


def test_rolling_back_puts_the_counts_back_too() -> None:
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails)

    result = run(scripted, image=f"{IMAGE}:v8", desired_count=3, min_percent=50)

    back = scripted.made("UpdateService")[1]
    assert (result.restored, back["taskDefinition"], back["desiredCount"]) == (True, V7, 1)
    assert back["deploymentConfiguration"]["minimumHealthyPercent"] == 100


def test_a_daemon_is_deployed_without_a_desired_count_and_refuses_one() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(3.0))
    scripted.service["schedulingStrategy"] = "DAEMON"

    with pytest.raises(WrongUse, match="DAEMON: it takes no desired count"):
        run(scripted, image=f"{IMAGE}:v8", desired_count=1)
    assert scripted.made("RegisterTaskDefinition") == []

    assert run(scripted, image=f"{IMAGE}:v8").outcome == "succeeded"
    assert "desiredCount" not in scripted.made("UpdateService")[0]


def test_without_rollback_what_failed_is_left_and_said() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)

    result = run(scripted, image=f"{IMAGE}:v8", rollback=False)

    assert (result.outcome, result.restored, scripted.live) == ("crash_loop", None, "web:8")
    assert "not rolled back; the service is set to web:8" in result.cause
    assert len(scripted.made("UpdateService")) == 1


def test_a_rollback_that_does_not_get_healthy_says_exactly_that() -> None:
    # GIVEN a new revision that fails, and a previous one that has become sick as well
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails, history=False)
    scripted.behaviour = _then(scripted, ecs.breaker_fails, ecs.never_steady)

    # WHEN
    result = run(scripted, image=f"{IMAGE}:v8")

    # THEN
    assert (result.outcome, result.restored, result.running) == ("failed", False, V7)
    assert "rolling back to web:7 did not become healthy" in result.cause
    assert "the service is set to web:7" in result.cause


def _then(scripted: ScriptedEcs, first: ecs.Behaviour, second: ecs.Behaviour) -> ecs.Behaviour:
    def behave(_ecs: ScriptedEcs, new: Json) -> None:
        scripted.older_behaviour = second
        first(_ecs, new)

    return behave


def test_a_deployment_that_takes_over_while_ours_fails_is_left_alone() -> None:
    # GIVEN ours crashes, and at the very end of our patience somebody deploys revision 5
    def behave(scripted: ScriptedEcs, new: Json) -> None:
        ecs.crashes(scripted, new)
        scripted.at(89.9, lambda: scripted.start_deployment(f"{PREFIX}:task-definition/web:5"))

    scripted = ScriptedEcs(behaviour=behave, history=False)

    result = run(scripted, image=f"{IMAGE}:v8")

    assert (result.outcome, scripted.live) == ("superseded", "web:5")
    assert len(scripted.made("UpdateService")) == 1


def test_skipping_the_deployments_check_is_done_when_the_new_tasks_are_healthy() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(5.0, drained=300.0))

    result = run(scripted, image=f"{IMAGE}:v8", wait_drain=False)

    assert (result.outcome, result.drained, result.warnings) == ("succeeded", False, ())
    assert 45.0 <= scripted.clock.now() - 1000.0 < 47.0


def test_skipping_the_deployments_check_of_blue_green_waits_until_only_the_old_ones_go() -> None:
    # GIVEN blue/green, whose alarms may take it back until the bake time is over
    scripted = ScriptedEcs(behaviour=blue_green(ends="badly"))

    result = run(scripted, image=f"{IMAGE}:v8", wait_drain=False)

    assert (result.outcome, scripted.live) == ("rolled_back", "web:7")

    scripted = ScriptedEcs(behaviour=blue_green(ends="well"))
    result = run(scripted, image=f"{IMAGE}:v8", wait_drain=False)
    assert (result.outcome, scripted.live) == ("succeeded", "web:8")
    assert 80.0 <= scripted.clock.now() - 1000.0 < 82.0


def asks_for_more(scripted: ScriptedEcs) -> None:
    """Auto scaling changes the count while the rollout goes on."""
    scripted.at(5.0, lambda: scripted.service.update(desiredCount=6))


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize(
    "behaviour",
    [
        ecs.crashes,
        ecs.breaker_fails,
        ecs.breaker_rolls_back(having_run=False),
        ecs.breaker_rolls_back(having_run=True),
        ecs.never_steady,
    ],
)
def test_count_and_percentages_are_put_back_whichever_way_it_is_rolled_back(
    behaviour: ecs.Behaviour, history: bool
) -> None:
    # GIVEN a service of one task, 100 and 200 percent
    scripted = ScriptedEcs(behaviour=behaviour, history=history)

    # WHEN four tasks, 50 and 150 percent are asked for, and the release fails
    result = run(scripted, image=f"{IMAGE}:v8", desired_count=4, min_percent=50, max_percent=150)

    # THEN all of that is as before
    configuration = scripted.service["deploymentConfiguration"]
    assert (result.restored, scripted.live, result.warnings) == (True, "web:7", ())
    assert scripted.service["desiredCount"] == 1
    assert configuration["minimumHealthyPercent"] == 100
    assert configuration["maximumPercent"] == 200


def test_blue_green_puts_the_counts_back_too() -> None:
    scripted = ScriptedEcs(behaviour=blue_green(ends="badly"))

    result = run(scripted, image=f"{IMAGE}:v8", desired_count=4)

    assert (result.outcome, scripted.service["desiredCount"]) == ("rolled_back", 1)


def test_a_count_that_somebody_else_has_set_meanwhile_stays() -> None:
    scripted = ScriptedEcs(behaviour=ecs.breaker_rolls_back(having_run=False))
    asks_for_more(scripted)

    result = run(scripted, image=f"{IMAGE}:v8", desired_count=4, min_percent=50)

    assert (result.restored, scripted.service["desiredCount"]) == (True, 6)
    assert scripted.service["deploymentConfiguration"]["minimumHealthyPercent"] == 100


def test_a_count_that_cannot_be_put_back_is_said() -> None:
    scripted = ScriptedEcs(behaviour=ecs.breaker_rolls_back(having_run=False))
    refusal = {"UpdateService": denied("ecs:UpdateService")}
    scripted.at(5.0, lambda: scripted.faults.update(refusal))

    result = run(scripted, image=f"{IMAGE}:v8", desired_count=4)

    assert (result.outcome, result.restored) == ("rolled_back", True)
    assert "desiredCount 4 could not be put back" in result.warnings[0]


def test_draining_longer_than_its_limit_is_said_and_never_rolled_back() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(5.0, drained=5000.0))

    result = run(scripted, image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=90, drain=60))

    assert (result.outcome, result.drained, scripted.live) == ("succeeded", False, "web:8")
    assert "the old ones were not gone" in result.warnings[0]
    assert len(scripted.made("UpdateService")) == 1


def blue_green(*, ends: str) -> ecs.Behaviour:
    """Lifecycle stages, one every 20 s: far beyond the 30 s that the tasks have to come up in."""
    stages = ["SCALE_UP", "POST_SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"]

    def behave(scripted: ScriptedEcs, new: Json) -> None:
        scripted.service["deploymentConfiguration"]["strategy"] = "BLUE_GREEN"
        mine = scripted.service_deployment_of(new)
        new["pendingCount"] = 1
        for number, stage in enumerate(stages):
            scripted.at(20.0 * number, lambda s=stage: mine.update(lifecycleStage=s))
        scripted.at(15.0, lambda: new.update(runningCount=1, pendingCount=0))
        if ends == "well":
            ecs.becomes_healthy(15.0, drained=100.0)(scripted, new)
        else:
            ecs.rolls_back(scripted, new, begins=70.0, ends=75.0, reason="Alarm web-5xx")

    return behave


@pytest.mark.parametrize(
    ("ends", "outcome", "at_the_end"),
    [("well", "succeeded", "web:8"), ("badly", "rolled_back", "web:7")],
)
def test_native_blue_green_is_followed_with_its_stage(
    ends: str, outcome: str, at_the_end: str
) -> None:
    scripted = ScriptedEcs(behaviour=blue_green(ends=ends))
    stages: list[str | None] = []

    result = run(
        scripted,
        image=f"{IMAGE}:v8",
        timeouts=Timeouts(healthy=30),
        on_progress=lambda p: stages.append(p.stage),
    )

    assert (result.outcome, scripted.live) == (outcome, at_the_end)
    assert {"SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"} <= set(stages)


def test_what_is_gone_back_to_is_what_completed_and_not_what_was_under_way() -> None:
    # GIVEN a service whose primary deployment, of revision 7, never completed; 6 did
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails, history=False)
    scripted.primary.update(rolloutState="IN_PROGRESS")
    proven = scripted.make_deployment(V6, running=1, state="COMPLETED") | {"status": "ACTIVE"}
    scripted.service["deployments"].append(proven)

    # WHEN ours fails
    result = run(scripted, image=f"{IMAGE}:v8")

    # THEN 6 runs again
    assert (result.before, result.restored, scripted.live) == (V6, True, "web:6")


def test_traffic_that_does_not_move_is_said_and_left_to_go_on() -> None:
    # GIVEN a native blue/green deployment whose new tasks are up, and that waits in a hook
    def waits(scripted: ScriptedEcs, new: Json) -> None:
        scripted.service["deploymentConfiguration"]["strategy"] = "BLUE_GREEN"
        mine = scripted.service_deployment_of(new)
        scripted.at(10.0, lambda: new.update(runningCount=1))
        scripted.at(10.0, lambda: mine.update(lifecycleStage="TEST_TRAFFIC_SHIFT"))

    scripted = ScriptedEcs(behaviour=waits)

    # WHEN its limits are over
    result = run(scripted, image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=30, drain=60))

    # THEN that is no success, and no reason to take healthy tasks back
    assert (result.outcome, result.restored) == ("timed_out", None)
    assert "still in stage TEST_TRAFFIC_SHIFT" in result.cause
    assert scripted.made("StopServiceDeployment") == []
    assert len(scripted.made("UpdateService")) == 1


def test_a_rollback_that_ecs_refuses_is_said() -> None:
    # GIVEN a caller who may update the service no more once ours has failed
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails, history=False)
    refusal = {"UpdateService": denied("ecs:UpdateService")}
    scripted.at(5.0, lambda: scripted.faults.update(refusal))

    # WHEN
    result = run(scripted, image=f"{IMAGE}:v8")

    # THEN
    assert (result.outcome, result.restored, result.running) == ("failed", False, V8)
    assert "rolling back to web:7 failed: not allowed" in result.cause
    assert "the deployment of web:8 goes on in ECS, unwatched" in result.cause


def test_a_followed_deployment_with_nothing_known_before_it_is_not_started_again() -> None:
    # GIVEN a deployment under way, alone, of which nobody knows what was before
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails, history=False)
    new = scripted.add_definition({"family": "web", "containerDefinitions": []})
    scripted.client().update_service(cluster="prod", service="web", taskDefinition=new)
    scripted.service["deployments"] = scripted.service["deployments"][:1]

    # WHEN it is followed, and fails
    result = run(scripted, target=new)

    # THEN
    assert (result.outcome, result.restored) == ("failed", False)
    assert "nothing is known to go back to" in result.cause
    assert len(scripted.made("UpdateService")) == 1


def test_the_reasons_of_a_failure_are_found_among_hundreds_of_stopped_tasks() -> None:
    # GIVEN a service whose earlier revision has left more stopped tasks than one answer holds
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails)
    for _ in range(230):
        scripted.add_task(V7, "STOPPED", stoppedReason="Scaling activity")

    # WHEN ours fails, THEN its own task's reason is told
    result = run(scripted, image=f"{IMAGE}:v8")
    assert "Essential container in task exited; container web exit code 1" in result.cause
    assert "Scaling activity" not in result.cause
