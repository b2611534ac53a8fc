"""The other ways through a rollout: to an earlier revision, following, forced, dry, registering."""

from __future__ import annotations

from typing import Any

import pytest

from build_agent.rollout import (
    OneOffTask,
    Progress,
    RolloutPlan,
    RolloutResult,
    Timeouts,
    live,
    roll_out,
)
from build_agent.rollout.api import Api
from build_agent.rollout.follow import History, interval
from build_agent.rollout.judge import Ours
from build_agent.rollout.service import parse_service
from contracts.errors import WorldFailed, WrongUse
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, PREFIX, Fault, Json, ScriptedEcs, denied, digest_of

V6, V7, V8 = (f"{PREFIX}:task-definition/web:{n}" for n in (6, 7, 8))


def run(scripted: ScriptedEcs, **members: Any) -> RolloutResult:
    means = {k: members.pop(k) for k in ("guard", "on_progress", "ecr") if k in members}
    given = {"cluster": "prod", "service": "web"} | members
    plan = RolloutPlan(**{"timeouts": Timeouts(healthy=90, rollback=300), **given})
    return roll_out(plan, ecs=scripted.client(), clock=scripted.clock, **means)


# --- to a revision that exists, and following ---------------------------------------------------


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
def test_goes_to_an_earlier_revision_without_registering(history: bool) -> None:
    scripted = ScriptedEcs(history=history)

    result = run(scripted, target=V6)

    assert (result.outcome, scripted.live, result.before, result.after) == (
        "succeeded",
        "web:6",
        V7,
        V6,
    )
    assert scripted.made("RegisterTaskDefinition") == []


def test_an_earlier_revision_that_does_not_get_healthy_is_taken_back() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)

    result = run(scripted, target="web:6")

    assert (result.outcome, result.restored, scripted.live) == ("crash_loop", True, "web:7")


def test_what_runs_already_is_not_updated() -> None:
    scripted = ScriptedEcs()

    result = run(scripted, target=V7)

    assert (result.outcome, result.running, result.done) == ("unchanged", V7, True)
    assert scripted.made("UpdateService") == []


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize(
    ("behaviour", "outcome", "restored", "at_the_end"),
    [
        (ecs.becomes_healthy(8.0), "succeeded", None, "web:8"),
        (ecs.crashes, "crash_loop", True, "web:7"),
        (ecs.breaker_rolls_back(having_run=True), "rolled_back", True, "web:7"),
    ],
)
def test_an_interrupted_rollout_is_followed_and_not_repeated(
    behaviour: ecs.Behaviour, outcome: str, restored: bool | None, at_the_end: str, history: bool
) -> None:
    # GIVEN a deployment of ours under way, whose agent was killed after UpdateService
    scripted = ScriptedEcs(behaviour=behaviour, history=history)
    new = scripted.add_definition(
        {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v8"}]}
    )
    scripted.client().update_service(cluster="prod", service="web", taskDefinition=new)
    scripted.clock.sleep(3.0)
    scripted.calls.clear()

    # WHEN the next agent goes to the same target
    result = run(scripted, target=new, previous=V7)

    # THEN it is followed to its end and put right, and never started again
    assert (result.outcome, result.restored) == (outcome, restored)
    assert (scripted.live, result.after, result.before) == (at_the_end, V8, V7)
    assert [u for u in scripted.made("UpdateService") if u["taskDefinition"] == new] == []


def test_an_agent_killed_before_the_update_updates() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(2.0))
    new = scripted.add_definition(
        {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v8"}]}
    )

    result = run(scripted, target=new, previous=V7)

    assert (result.outcome, scripted.live) == ("succeeded", "web:8")


def test_the_revision_is_told_before_the_service_changes() -> None:
    # GIVEN somebody who must remember what was registered
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    told: list[tuple[Progress, int]] = []

    # WHEN
    run(
        scripted,
        image=f"{IMAGE}:v8",
        on_progress=lambda p: told.append((p, len(scripted.made("UpdateService")))),
    )

    # THEN it was told while nothing had been updated
    update = next(item for item in told if item[0].step == "update")
    assert (update[0].task_definition, update[0].revision, update[1]) == (V8, "web:8", 0)


# --- forced -------------------------------------------------------------------------------------


def test_a_forced_deployment_only_updates() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(3.0))

    result = run(scripted, force=True)

    assert (result.outcome, scripted.live) == ("succeeded", "web:7")
    (update,) = scripted.made("UpdateService")
    assert update == {
        "cluster": scripted.service["clusterArn"],
        "service": "web",
        "forceNewDeployment": True,
    }
    assert scripted.made("RegisterTaskDefinition") == []


def test_a_failed_forced_deployment_goes_back_to_the_digest_that_ran() -> None:
    # GIVEN a moving tag, tasks that run a digest of it, and an ECS without service deployments
    scripted = ScriptedEcs(behaviour=ecs.crashes, history=False)
    ran = digest_of("41")
    container = {"name": "web", "image": f"{IMAGE}:v7", "imageDigest": ran}
    scripted.add_task(V7, "RUNNING", containers=[container])

    # WHEN what the tag is now crashes
    result = run(scripted, force=True)

    # THEN a revision that names the digest runs, and the answer says so
    assert (result.outcome, result.restored, scripted.live) == ("crash_loop", True, "web:8")
    (registered,) = scripted.made("RegisterTaskDefinition")
    assert registered["containerDefinitions"][0]["image"] == f"{IMAGE}@{ran}"
    assert result.running == V8
    assert "web:8 runs again" in result.cause


def test_a_failed_forced_deployment_is_rolled_back_by_ecs_where_it_can() -> None:
    # GIVEN the same with service deployments, whose numbers say nothing of ours
    scripted = ScriptedEcs(behaviour=ecs.crashes, number_matches=False)

    result = run(scripted, force=True)

    # THEN ECS itself goes back to its service revision, which holds the digest
    assert (result.outcome, result.restored) == ("crash_loop", True)
    assert len(scripted.made("StopServiceDeployment")) == 1
    assert len(scripted.made("UpdateService")) == 1


# --- update parameters --------------------------------------------------------------------------


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
    assert scripted.clock.now() - 1000.0 < 6.0


def test_draining_longer_than_its_limit_is_said_and_never_rolled_back() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(5.0, drained=5000.0))

    result = run(scripted, image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=90, drain=60))

    assert (result.outcome, result.drained, scripted.live) == ("succeeded", False, "web:8")
    assert "the old ones were not gone" in result.warnings[0]
    assert len(scripted.made("UpdateService")) == 1


# --- blue/green ---------------------------------------------------------------------------------


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


# --- no service, dry runs -----------------------------------------------------------------------


def test_registering_alone_asks_neither_for_a_service_nor_for_the_image() -> None:
    scripted = ScriptedEcs()

    def no_ecr() -> Any:
        raise AssertionError("ECR was asked")

    result = run(scripted, service=None, base="definition:web", image=f"{IMAGE}:v8", ecr=no_ecr)

    assert (result.outcome, result.done, result.after) == ("registered", True, V8)
    assert [n for n, _ in scripted.calls] == ["DescribeTaskDefinition", "RegisterTaskDefinition"]


def test_a_dry_run_takes_the_same_path_and_changes_nothing() -> None:
    scripted = ScriptedEcs()

    result = run(scripted, image=f"{IMAGE}:v8", dry_run=True)

    assert result.outcome == "planned"
    assert result.changes == (f"containerDefinitions[web].image: {IMAGE}:v7 → {IMAGE}:v8",)
    assert [n for n, _ in scripted.calls] == ["DescribeServices", "DescribeTaskDefinition"]


def test_the_base_may_be_the_newest_revision() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    newest = {"family": "web", "cpu": "512", "containerDefinitions": [
        {"name": "web", "image": f"{IMAGE}:v1"}
    ]}  # fmt: skip
    scripted.add_definition(newest)

    run(scripted, image=f"{IMAGE}:v9", base="family")

    assert scripted.made("RegisterTaskDefinition")[0]["cpu"] == "512"


# --- a one-off task -----------------------------------------------------------------------------


def exits(**codes: int | None) -> Any:
    def behave(scripted: ScriptedEcs, task: Json) -> Json:
        containers = [
            {"name": n, "lastStatus": "STOPPED"} | ({} if c is None else {"exitCode": c})
            for n, c in codes.items()
        ]

        def stop() -> None:
            reason = "Essential container in task exited"
            task.update(lastStatus="STOPPED", containers=containers, stoppedReason=reason)

        scripted.at(5.0, stop)
        return task

    return behave


@pytest.mark.parametrize(
    ("codes", "outcome", "at_the_end", "says"),
    [
        ({"web": 0, "sidecar": 0}, "succeeded", "web:8", ""),
        ({"web": 0, "sidecar": 3}, "failed", "web:7", "container sidecar exit code 3"),
        ({"web": 0, "sidecar": None}, "failed", "web:7", "Essential container in task exited"),
    ],
)
def test_a_task_before_the_update_needs_every_exit_code_to_be_0(
    codes: dict[str, int | None], outcome: str, at_the_end: str, says: str
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), one_off=exits(**codes))
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    scripted.service |= {"launchType": "FARGATE", "networkConfiguration": network}

    result = run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate", "--now")))

    assert (result.outcome, scripted.live) == (outcome, at_the_end)
    assert says in result.cause
    (started,) = scripted.made("RunTask")
    assert started["taskDefinition"] == V8
    assert (started["launchType"], started["networkConfiguration"]) == ("FARGATE", network)
    assert started["overrides"] == {
        "containerOverrides": [{"name": "web", "command": ["migrate", "--now"]}]
    }


def test_a_task_that_does_not_end_is_stopped() -> None:
    scripted = ScriptedEcs(one_off=lambda _ecs, task: task)

    result = run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(), timeouts=Timeouts(task=30.0))

    assert (result.outcome, scripted.live) == ("failed", "web:7")
    assert "not over after 30 s" in result.cause
    assert len(scripted.made("StopTask")) == 1
    assert scripted.made("UpdateService") == []


def test_an_unknown_container_for_the_command_is_refused_before_registering() -> None:
    scripted = ScriptedEcs()

    with pytest.raises(WrongUse, match="no container 'db'"):
        run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("x",), container="db"))
    assert scripted.made("RegisterTaskDefinition") == []


# --- what AWS may say ---------------------------------------------------------------------------


def test_pass_role_is_judged_from_ecs_s_own_error() -> None:
    scripted = ScriptedEcs(faults={"RegisterTaskDefinition": Fault(
        "ClientException",
        "User: arn:aws:iam::222222222222:user/ci is not authorized to perform: iam:PassRole on "
        "resource: arn:aws:iam::222222222222:role/task",
    )})  # fmt: skip

    with pytest.raises(WorldFailed, match=r"not allowed: .*iam:PassRole.*role/task"):
        run(scripted, image=f"{IMAGE}:v8")
    assert (scripted.live, scripted.made("UpdateService")) == ("web:7", [])


@pytest.mark.parametrize(
    ("status", "name", "says"),
    [("INACTIVE", "web", "is INACTIVE"), ("ACTIVE", "wbe", "there is no service 'wbe'")],
)
def test_an_inactive_or_missing_service_is_wrong_use(status: str, name: str, says: str) -> None:
    scripted = ScriptedEcs()
    scripted.service["status"] = status

    with pytest.raises(WrongUse, match=says):
        run(scripted, service=name, image=f"{IMAGE}:v8")
    assert scripted.made("RegisterTaskDefinition") == []


@pytest.mark.parametrize(
    ("images", "fault", "refused", "skipped"),
    [
        ({"web:v8"}, None, False, ()),
        (set(), None, True, ()),
        (set(), denied("ecr:BatchGetImage"), False, ("not allowed",)),
        (set(), Fault("ServerException", "broken", 500), False, ("broken",)),
        (set(), Fault("RepositoryNotFoundException", "no"), True, ()),
    ],
    ids=["there", "not there", "denied", "not answered", "no repository"],
)
def test_an_image_in_ecr_must_be_there_unless_it_cannot_be_asked(
    images: set[str], fault: Fault | None, refused: bool, skipped: tuple[str, ...]
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), images=images)
    if fault is not None:
        scripted.faults["BatchGetImage"] = fault

    if refused:
        with pytest.raises(WrongUse, match="web"):
            run(scripted, image=f"{IMAGE}:v8", ecr=lambda: scripted.client("ecr"))
        assert scripted.made("RegisterTaskDefinition") == []
        return
    result = run(scripted, image=f"{IMAGE}:v8", ecr=lambda: scripted.client("ecr"))
    assert result.outcome == "succeeded"
    assert len(result.skipped) == len(skipped)
    assert all(text in found for text, found in zip(skipped, result.skipped, strict=True))


def test_an_aws_that_stays_away_is_the_world_s_failure() -> None:
    scripted = ScriptedEcs(throttled=lambda _n: True)

    with pytest.raises(WorldFailed, match="ecs:DescribeServices was not answered: AWS is throttl"):
        run(scripted, image=f"{IMAGE}:v8")
    assert 30 < scripted.clock.now() - 1000.0 <= 61


def test_an_unknown_end_says_that_the_deployment_goes_on() -> None:
    # GIVEN an ECS that stops answering after the update
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0), throttled=lambda n: n > 4)

    with pytest.raises(WorldFailed, match="the deployment of web:8 goes on in ECS, not watched"):
        run(scripted, image=f"{IMAGE}:v8")


def test_registering_waits_out_concurrent_attempts() -> None:
    # GIVEN an ECS that is busy registering for a while
    busy = "Too many concurrent attempts to create a new revision of the specified family"
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    scripted.faults["RegisterTaskDefinition"] = Fault("ClientException", busy)
    scripted.at(2.0, scripted.faults.clear)

    assert run(scripted, image=f"{IMAGE}:v8").outcome == "succeeded"


# --- the guard ----------------------------------------------------------------------------------


def test_the_guard_is_asked_before_every_change_and_never_for_a_look() -> None:
    # GIVEN a rollout that registers, updates, stops and (after a success) deregisters
    changes = {
        "RegisterTaskDefinition", "UpdateService", "StopServiceDeployment",
        "DeregisterTaskDefinition",
    }  # fmt: skip
    for behaviour in (ecs.crashes, ecs.becomes_healthy(1.0)):
        scripted = ScriptedEcs(behaviour=behaviour)
        asked: list[int] = []

        run(
            scripted,
            image=f"{IMAGE}:v8",
            max_definitions=1,
            guard=lambda s=scripted, a=asked: a.append(len(s.calls)),
        )

        # THEN right before each change, and only there, it was asked
        made = [i for i, (name, _) in enumerate(scripted.calls) if name in changes]
        assert asked == made


def test_a_lost_lock_stops_the_rollout_before_the_change() -> None:
    scripted = ScriptedEcs()

    def guard() -> None:
        raise WorldFailed("the lock was lost")

    with pytest.raises(WorldFailed, match="lock was lost"):
        run(scripted, image=f"{IMAGE}:v8", guard=guard)
    assert scripted.made("RegisterTaskDefinition") == []


# --- pruning ------------------------------------------------------------------------------------


def test_pruning_spares_what_other_services_and_deployments_name() -> None:
    # GIVEN revisions 5 to 8, of which another service of the cluster runs 5
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    other = {"serviceName": "admin", "serviceArn": f"{PREFIX}:service/prod/admin"}
    scripted.others.append(other | {"taskDefinition": f"{PREFIX}:task-definition/web:5"})
    scripted.add_definition({"family": "web-admin", "containerDefinitions": []})

    # WHEN only one is to be kept
    result = run(scripted, image=f"{IMAGE}:v8", max_definitions=1)

    # THEN the live one, the previous one and the other's stay, and other families are not touched
    assert result.deregistered == (V6,)


def test_pruning_that_is_denied_is_a_warning() -> None:
    faults = {"DeregisterTaskDefinition": denied("ecs:DeregisterTaskDefinition")}
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), faults=faults)

    result = run(scripted, image=f"{IMAGE}:v8", max_definitions=1)

    assert (result.outcome, result.deregistered) == ("succeeded", ())
    assert "not all deregistered: not allowed" in result.warnings[0]


def test_nothing_is_deregistered_where_other_services_cannot_be_looked_at() -> None:
    faults = {"ListServices": denied("ecs:ListServices")}
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), faults=faults)

    result = run(scripted, image=f"{IMAGE}:v8", max_definitions=1)

    assert (result.deregistered, len(result.warnings)) == ((), 1)
    assert scripted.made("DeregisterTaskDefinition") == []


# --- what runs ----------------------------------------------------------------------------------


def test_live_tells_revision_and_digests() -> None:
    scripted = ScriptedEcs()

    found = live(scripted.client(), cluster="prod", service="web", clock=scripted.clock)

    number = scripted.primary["id"].rpartition("/")[2]
    assert (found.task_definition, found.steady) == (V7, True)
    assert found.digests == {"web": digest_of(number)}
    assert found.images == {"web": f"{IMAGE}:v7"}
    assert len(scripted.calls) == 3


def test_live_without_service_revisions_still_tells_the_revision() -> None:
    scripted = ScriptedEcs(history=False)

    found = live(scripted.client(), cluster="prod", service="web", clock=scripted.clock)

    assert (found.task_definition, dict(found.digests)) == (V7, {})


# --- looking ------------------------------------------------------------------------------------


def test_looks_are_half_a_second_to_a_second_apart_and_slower_only_after_two_minutes() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(500.0))

    run(scripted, image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=600))

    begun, soon, late = 0.0, [], []
    for pause in scripted.clock.slept:
        (soon if begun < 120 else late).append(pause)
        begun += pause
    assert all(0.5 <= pause <= 1.0 for pause in soon)
    assert max(late) > 2.0
    assert max(late) <= 5.0
    assert len(set(soon)) > 10  # jitter


def test_the_interval_never_passes_five_seconds() -> None:
    assert interval(1e6) == 5.0


def test_an_older_service_deployment_is_never_taken_for_ours() -> None:
    # GIVEN service deployments whose numbers say nothing, the older of the same task definition
    scripted = ScriptedEcs(number_matches=False, behaviour=ecs.never_steady)
    before = set(scripted.service_deployments)
    scripted.clock.sleep(10.0)
    client = scripted.client()
    updated = client.update_service(cluster="prod", service="web", forceNewDeployment=True)
    service = parse_service(updated["service"])
    assert service.primary is not None
    ours = Ours(id=service.primary.id, task_definition=V7, created_at=service.primary.created_at)

    # WHEN ours is looked for
    found = History(Api(client, scripted.clock), ours).read(service)

    # THEN it is the new one
    assert found is not None
    assert found.arn in set(scripted.service_deployments) - before


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
