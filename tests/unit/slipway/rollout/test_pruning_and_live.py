"""Pruning, what runs, and how often is looked."""

from __future__ import annotations

from slipway.rollout import (
    Timeouts,
    live,
)
from slipway.rollout.api import Api
from slipway.rollout.finding import Finding, History
from slipway.rollout.judge import Ours
from slipway.rollout.pace import interval
from slipway.rollout.service import parse_service
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, PREFIX, ScriptedEcs, denied, digest_of
from tests.unit.slipway.rollout.running import V6, V7, run


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
    found = History(Api(client, scripted.clock), ours, Finding()).read(service)

    # THEN it is the new one
    assert found is not None
    assert found.arn in set(scripted.service_deployments) - before


def test_a_service_that_names_its_current_service_deployment_is_asked_for_no_list() -> None:
    # GIVEN a service that names it, in answers that are stale at first
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(4.0), names_current=True, stale=2.0)

    # WHEN
    result = run(scripted, image=f"{IMAGE}:v8")

    # THEN only our own is looked at, and never the one that was current before
    assert (result.outcome, scripted.live) == ("succeeded", "web:8")
    assert scripted.made("ListServiceDeployments") == []
    asked = {p["serviceDeploymentArns"][0] for p in scripted.made("DescribeServiceDeployments")}
    assert asked == {scripted.service["currentServiceDeployment"]}
