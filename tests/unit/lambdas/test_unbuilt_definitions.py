"""Requests for what is in ECR already, where more than images may be new in the definition."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.lambdas.test_unbuilt import RUNS, V6, A, Here, request_of, rollback


def test_the_repositorys_own_task_definition_is_read_by_a_build_host() -> None:
    # GIVEN a commit whose image is in ECR, and a pipeline whose definition stands in the repository
    here = Here()
    here.pipeline = replace(here.pipeline, task_definition="taskdef.json")
    here.built(A)
    # WHEN it is redeployed
    here.hears(request_of("redeploy"))
    # THEN a host is asked for; a rollback, which names a revision, needs none
    assert [builder for _, builder in here.asked] == [True]
    assert here.chain.said.told == []
    here.ran(V6)
    here.hears(rollback(2))
    here.goes_on()
    assert here.scripted.live == "web:6"


def test_the_familys_newest_revision_is_rolled_out_without_a_host() -> None:
    # GIVEN an image that runs, and a newer revision of the family, registered by somebody else
    here = Here()
    here.pipeline = replace(here.pipeline, base="family")
    here.built(A)
    container = {"name": "web", "image": f"{RUNS}:v1", "cpu": 128}
    here.scripted.add_definition({"family": "web", "containerDefinitions": [container]})
    # WHEN the tip is redeployed
    here.hears(request_of("redeploy"))
    here.goes_on()
    # THEN it is made from that one, and its change is told
    (told,) = here.chain.said.told
    assert (told.status, here.scripted.live) == ("succeeded", "web:9")
    live = here.scripted.definitions[here.scripted.primary["taskDefinition"]]
    assert live["containerDefinitions"][0]["cpu"] == 128
    assert "web.cpu: none → 128" in (told.definition_changes or ())
    # AND once more changes nothing
    here.hears(request_of("redeploy", 2))
    here.goes_on()
    assert [result.status for result in here.chain.said.told] == ["succeeded", "unchanged"]
