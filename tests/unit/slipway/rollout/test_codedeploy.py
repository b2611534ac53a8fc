"""Services whose deployments CodeDeploy makes, and those whose controller is nobody's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.rollout import Progress, RolloutPlan, RolloutResult, Timeouts, roll_out
from slipway.rollout.api import Api
from slipway.rollout.codedeploy import create_request, description_of, made_by
from slipway.rollout.plan import CodeDeployGroup
from slipway.rollout.service import parse_service
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import CLUSTER, IMAGE, PREFIX, SERVICE, ScriptedEcs

WELL = [(1.0, "InProgress", 1, False), (6.0, "InProgress", 3, True), (8.0, "Succeeded", 5, True)]
NEVER_INSTALLED = [(1.0, "InProgress", 1, False)]
FAILS = [(1.0, "InProgress", 2, False), (5.0, "InProgress", 4, True), (7.0, "Failed", 4, False)]
BACK = [(4.0, "Succeeded", 5, True)]
KEEPS_OLD = [(1.0, "InProgress", 3, True), (2.0, "InProgress", 5, True)]
HOOK_HANGS = [(1.0, "InProgress", 3, True), (2.0, "InProgress", 4, True)]
ALARM = "DEPLOYMENT_STOP_ON_ALARM"
NEVER_SHIFTS = [(1.0, "Ready", 3, False)]


def run(
    deploy: ScriptedCodeDeploy, seen: list[Progress] | None = None, **members: Any
) -> RolloutResult:
    given = {"cluster": "prod", "service": "web", "image": f"{IMAGE}:v8"} | members
    return roll_out(
        RolloutPlan(**{"timeouts": Timeouts(healthy=90, drain=300, rollback=60), **given}),
        ecs=deploy.ecs.client(),
        codedeploy_client=deploy.client,
        clock=deploy.ecs.clock,
        on_progress=(seen if seen is not None else []).append,
    )


def codedeploy(*plays: Any, **members: Any) -> ScriptedCodeDeploy:
    return ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=list(plays), **members)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What becomes of the deployment, and what must come of it."""

    plays: list[Any]
    outcome: str
    live: str
    says: str
    restored: bool | None = None
    drained: bool | None = None
    stops: int = 0


ROWS = {
    "well": Row(plays=[WELL], outcome="succeeded", live="web:8", says="succeeded", drained=True),
    "fails": Row(
        plays=[FAILS, BACK],
        outcome="rolled_back",
        live="web:7",
        says="Failed: too many unhealthy",
        restored=True,
    ),
    "never installed": Row(
        plays=[NEVER_INSTALLED],
        outcome="timed_out",
        live="web:7",
        says="not installed after 90 s",
        restored=True,
        stops=1,
    ),
    "old task set stays": Row(
        plays=[KEEPS_OLD],
        outcome="succeeded",
        live="web:8",
        says="old task set was not gone",
        drained=False,
    ),
    "the hook after traffic has moved never ends": Row(
        plays=[HOOK_HANGS],
        outcome="timed_out",
        live="web:8",
        says="its hook AfterAllowTraffic was not over",
    ),
    "traffic never moves": Row(
        plays=[NEVER_SHIFTS], outcome="timed_out", live="web:7", says="traffic had not moved"
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_follows_codedeploy_to_the_end(row: Row) -> None:
    # GIVEN a service that CodeDeploy deploys, and what becomes of the deployment
    deploy = codedeploy(*row.plays, error="too many unhealthy")

    # WHEN it is deployed to
    result = run(deploy)

    # THEN the word, what runs, and what was stopped are right; ECS itself was never updated
    assert (result.outcome, result.restored, result.drained) == (
        row.outcome,
        row.restored,
        row.drained,
    )
    assert row.says in result.cause
    assert result.running == f"{PREFIX}:task-definition/{row.live}"
    assert len(deploy.made("StopDeployment")) == row.stops
    assert deploy.ecs.made("UpdateService") == []
    assert deploy.ecs.made("DeregisterTaskDefinition") == []


def test_the_appspec_names_revision_container_and_platform() -> None:
    # GIVEN / WHEN
    seen: list[Progress] = []
    deploy = codedeploy(WELL)
    run(deploy, seen)

    # THEN
    created = deploy.made("CreateDeployment")[0]
    assert json.loads(created["revision"]["appSpecContent"]["content"])["Resources"] == [
        {
            "TargetService": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "TaskDefinition": f"{PREFIX}:task-definition/web:8",
                    "LoadBalancerInfo": {"ContainerName": "web", "ContainerPort": 8080},
                    "PlatformVersion": "1.4.0",
                },
            }
        }
    ]
    assert created["autoRollbackConfiguration"]["enabled"] is True
    # AND the lifecycle events were told while waiting
    assert {"Install InProgress", "AllowTraffic InProgress"} <= {p.stage for p in seen}


def test_the_configured_hooks_are_in_the_appspec_in_the_order_of_their_events() -> None:
    hooks = {"AfterAllowTraffic": "CodeDeployHook_after", "BeforeInstall": "CodeDeployHook_before"}
    deploy = codedeploy(WELL)
    group = CodeDeployGroup(application=deploy.application, name=deploy.group, hooks=hooks)
    run(deploy, code_deploy=group)
    (created,) = deploy.made("CreateDeployment")
    assert json.loads(created["revision"]["appSpecContent"]["content"])["Hooks"] == [
        {"BeforeInstall": "CodeDeployHook_before"},
        {"AfterAllowTraffic": "CodeDeployHook_after"},
    ]


@pytest.mark.parametrize(
    ("play", "outcome", "took"),
    [(KEEPS_OLD, "succeeded", 3.0), (HOOK_HANGS, "timed_out", 302.0)],
    ids=["traffic has moved", "the hook after that is not over"],
)
def test_not_waiting_for_the_old_task_set_waits_for_all_else(
    play: Any, outcome: str, took: float
) -> None:
    deploy = codedeploy(play)

    result = run(deploy, wait_drain=False)

    assert result.outcome == outcome, result
    assert deploy.ecs.clock.now() - 1000.0 <= took + 5.0
    assert "unwatched" in result.cause


def test_a_deployment_that_waits_for_a_person_is_told_and_its_time_is_not_counted() -> None:
    # GIVEN a group that asks a person before traffic moves, who takes 20 minutes
    play = [
        (1.0, "Ready", 3, False),
        (1200.0, "InProgress", 4, True),
        (1210.0, "Succeeded", 5, True),
    ]
    deploy = codedeploy(play, ready_minutes=60)
    seen: list[Progress] = []

    # WHEN it is deployed to with five minutes for its traffic
    result = run(deploy, seen)

    # THEN that is waited for, and said
    assert (result.outcome, result.running) == ("succeeded", f"{PREFIX}:task-definition/web:8")
    assert any("codedeploy:ContinueDeployment" in p.waits and "60 minutes" in p.waits for p in seen)


def test_a_group_that_is_at_another_deployment_is_waited_for() -> None:
    # GIVEN a group that deploys what somebody else asked for, for 40 seconds more
    deploy = codedeploy([(40.0, "Succeeded", 5, False)], WELL)
    deploy._start(f"{PREFIX}:task-definition/web:6")
    seen: list[Progress] = []

    # WHEN it is deployed to
    result = run(deploy, seen)

    # THEN that is waited for and said, and ours is made once
    assert (result.outcome, result.running) == ("succeeded", f"{PREFIX}:task-definition/web:8")
    assert any("already has an active" in p.waits for p in seen)
    assert [p.note for p in seen].count("updating the service") == 1
    assert len(deploy.deployments) == 2


class AnswerLost(ScriptedCodeDeploy):
    """The first answer to CreateDeployment is lost, and the client asks once more by itself."""

    def _on_CreateDeployment(self, parameters: Any) -> Any:
        if not self.deployments:
            super()._on_CreateDeployment(parameters)
        return super()._on_CreateDeployment(parameters)


def test_a_group_that_is_busy_with_ours_whose_answer_was_lost_is_found() -> None:
    # GIVEN
    deploy = AnswerLost(by_codedeploy(ScriptedEcs()), plays=[WELL])

    # WHEN
    result = run(deploy)

    # THEN ours is followed to its end, and no second one is made
    assert (result.outcome, result.running) == ("succeeded", f"{PREFIX}:task-definition/web:8")
    assert len(deploy.deployments) == 1


def test_a_group_that_stays_busy_is_not_waited_for_without_end() -> None:
    deploy = codedeploy([(4000.0, "Succeeded", 5, False)])
    deploy._start(f"{PREFIX}:task-definition/web:6")

    result = run(deploy)

    assert (result.outcome, result.running) == ("failed", f"{PREFIX}:task-definition/web:7")
    assert "already has an active" in result.cause
    assert 90 < deploy.ecs.clock.now() - 1000.0 < 130


def test_a_service_that_no_group_deploys_is_refused_before_anything_is_registered() -> None:
    deploy = codedeploy(WELL)
    deploy.group, deploy.application = "x", "y"
    deploy.services = [("prod", "another")]

    with pytest.raises(WrongUse, match="no deployment group names it"):
        run(deploy)
    assert deploy.ecs.made("RegisterTaskDefinition") == []


def test_without_rollback_a_deployment_is_left_as_it_is() -> None:
    deploy = codedeploy(NEVER_INSTALLED)

    result = run(deploy, rollback=False)

    assert (result.outcome, result.restored) == ("timed_out", None)
    assert "autoRollbackConfiguration" not in deploy.made("CreateDeployment")[0]
    assert deploy.made("StopDeployment") == []


def test_the_group_is_found_whatever_it_is_called() -> None:
    deploy = codedeploy(WELL, application="shop", group="shop-prod")

    assert run(deploy).outcome == "succeeded"
    assert deploy.made("CreateDeployment")[0]["applicationName"] == "shop"


OURS = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"]
USUAL = f"DgpECS-{CLUSTER}-{SERVICE}"


def test_a_configured_group_is_used_and_none_is_looked_for() -> None:
    # GIVEN a first deployment (its task set is not CodeDeploy's) by a role that may use one group
    denied = ("ListApplications", "ListDeploymentGroups", USUAL)
    deploy = codedeploy(WELL, application="shop", group="shop-prod", denied=denied)

    # WHEN that group is configured
    group = CodeDeployGroup(application="shop", name="shop-prod")
    result = run(deploy, code_deploy=group)

    # THEN it deploys, and nothing else is asked for
    assert result.outcome == "succeeded"
    created = deploy.made("CreateDeployment")[0]
    assert (created["applicationName"], created["deploymentGroupName"]) == ("shop", "shop-prod")
    assert deploy.made("ListApplications") == []


def test_a_usual_name_that_is_somebody_elses_hides_no_other_group() -> None:
    deploy = codedeploy(WELL, application="shop", group="shop-prod", denied=(USUAL,))

    assert run(deploy).outcome == "succeeded"


def test_what_may_not_be_listed_is_named() -> None:
    denied = ("ListApplications", USUAL)
    deploy = codedeploy(WELL, application="shop", group="shop-prod", denied=denied)

    with pytest.raises(WorldFailed, match="codedeploy:ListApplications"):
        run(deploy)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        (
            {"services": [("prod", "other")]},
            "deploys prod/other, not prod/web",
        ),
        ({"group": "gone"}, "CodeDeploy has no deployment group AppECS-prod-web/DgpECS-prod-web"),
    ],
)
def test_a_configured_group_that_cannot_be_right_deploys_nothing(
    members: dict[str, Any], says: str
) -> None:
    deploy = codedeploy(WELL, **members)
    group = CodeDeployGroup(application=f"AppECS-{CLUSTER}-{SERVICE}", name=USUAL)

    with pytest.raises(WrongUse, match=says):
        run(deploy, code_deploy=group)
    assert deploy.ecs.made("RegisterTaskDefinition") == deploy.made("CreateDeployment") == []


@pytest.mark.parametrize(
    ("own", "events"),
    [
        (None, OURS),
        ({"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]}, [*OURS, ALARM]),
        ({"enabled": True, "events": [*OURS, "DEPLOYMENT_STOP_ON_ALARM"]}, [*OURS, ALARM]),
        ({"enabled": False, "events": ["DEPLOYMENT_STOP_ON_ALARM"]}, OURS),
    ],
)
def test_the_groups_own_rollbacks_are_kept(own: Any, events: list[str]) -> None:
    """What CreateDeployment is given replaces the group's: its alarms would roll nothing back."""
    deploy = codedeploy(WELL, rollback=own)

    run(deploy)

    sent = deploy.made("CreateDeployment")[0]["autoRollbackConfiguration"]
    assert (sent["enabled"], set(sent["events"])) == (True, set(events))


def test_what_codedeploy_does_not_take_is_refused_before_anything_is_registered() -> None:
    deploy = codedeploy(WELL)

    with pytest.raises(WrongUse, match=r"no desired count.*; .*no minimum percent"):
        run(deploy, desired_count=2, min_percent=50)
    assert deploy.ecs.made("RegisterTaskDefinition") == []


def test_a_guard_stops_codedeploy_too() -> None:
    # GIVEN a lock that is lost once the revision is registered
    deploy = codedeploy(WELL)
    asked: list[int] = []

    def guard() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise WorldFailed("the lock was lost")

    # WHEN / THEN nothing is deployed
    with pytest.raises(WorldFailed, match="lock was lost"):
        roll_out(
            RolloutPlan(cluster="prod", service="web", image=f"{IMAGE}:v8"),
            ecs=deploy.ecs.client(),
            codedeploy_client=deploy.client,
            clock=deploy.ecs.clock,
            guard=guard,
        )
    assert deploy.made("CreateDeployment") == []


@pytest.mark.parametrize(
    ("plays", "seconds"),
    [([WELL], 0.5), ([FAILS, BACK], 8.0), ([FAILS, BACK], 20.0)],
    ids=["under way", "being taken back", "taken back"],
)
def test_a_deployment_whose_answer_was_lost_is_found(plays: Any, seconds: float) -> None:
    # GIVEN a rollout that has made a deployment, and an older one of somebody else's
    deploy = codedeploy([(0.5, "Succeeded", 5, True)], *plays)
    group = CodeDeployGroup(application=f"AppECS-{CLUSTER}-{SERVICE}", name=USUAL)
    client, api = deploy.client(), Api(deploy.client(), deploy.ecs.clock)
    service = parse_service(deploy.ecs.service)
    request = create_request(group, service, f"{PREFIX}:task-definition/web:7", (), "other")
    client.create_deployment(**request)
    deploy.ecs.clock.sleep(1.0)
    assert made_by(api, group, service, "ours") is None
    made = client.create_deployment(**{**request, "description": description_of("ours")})
    # WHEN it is looked for, whatever has become of it
    deploy.ecs.clock.sleep(seconds)
    # THEN it is found by its description
    assert made_by(api, group, service, "ours") == made["deploymentId"]


def test_an_external_controller_is_refused_with_what_to_do() -> None:
    scripted = ScriptedEcs()
    scripted.service["deploymentController"] = {"type": "EXTERNAL"}

    with pytest.raises(WrongUse, match=r"EXTERNAL.*deploy it with the tool that made"):
        roll_out(
            RolloutPlan(cluster="prod", service="web", image=f"{IMAGE}:v8"),
            ecs=scripted.client(),
            clock=scripted.clock,
        )
    assert [name for name, _ in scripted.calls] == ["DescribeServices"]
