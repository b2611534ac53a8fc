"""Several services whose task definitions come with the code, or are their family's newest; and
what the paths of a push are compared with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import botocore.session
import pytest

from slipway.contracts.deployed_to import ServiceSettings
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.definition_file import Written, written_definition
from slipway.following.deployed import Deployed
from slipway.following.handing import ToRollOut
from slipway.following.outcome import Ended, pipeline_changes
from slipway.following.service import Running
from slipway.following.untouched import runs_as_known, untouched
from slipway.rollout.taskdef import images_of
from tests.unit.slipway.following.test_deployed import D1, D2, result
from tests.unit.slipway.following.three_ways import PIPELINE, REQUEST

MODEL = botocore.session.Session().get_service_model("ecs")
APP = ImageSettings(repository="app", repository_uri="r/app")
CRON = ImageSettings(repository="cron", repository_uri="r/cron")
ROLE = "arn:aws:iam::222222222222:role/worker"
WEB = ServiceSettings(
    cluster="prod", service="web", family="web", task_definition="web.json", values={"cpu": "512"}
)
WORKER = ServiceSettings(
    cluster="prod", service="worker", family="jobs", task_definition="jobs.json", roles=(ROLE,)
)


def container(name: str, image: str) -> dict[str, Any]:
    return {"name": name, "image": image}


def pipeline(*services: ServiceSettings, images: tuple[ImageSettings, ...]) -> PipelineSettings:
    return replace(PIPELINE, images=images, services=services)


def running(definition: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> Running:
    there = Running(
        task_definition=f"arn:aws:ecs:x:1:task-definition/{definition['family']}:7", steady=True,
        images=images_of(dict(definition)), definition=definition,
    )  # fmt: skip
    return there if base is None else there.under(base)


RUNS = {
    "web": {"family": "web", "cpu": "256", "containerDefinitions": [container("a", f"r/app@{D1}")]},
    "worker": {"family": "jobs", "containerDefinitions": [container("b", f"r/app@{D1}")]},
}


def deployed(of: PipelineSettings, runs: Mapping[str, Any] = RUNS) -> Deployed:
    return Deployed.of(of, lambda one: running(runs[one.service]))


def written(of: PipelineSettings, *definitions: Any) -> dict[int, Written]:
    """The file of each service, in order; None: it has none."""
    there = zip(of.per_service, definitions, strict=True)
    return {
        number: written_definition(json.dumps(definition), one, MODEL)
        for number, (one, definition) in enumerate(there)
        if definition is not None
    }


def test_each_service_has_its_own_file_values_family_and_roles() -> None:
    of = pipeline(WEB, WORKER, images=(APP,))
    web = {"cpu": "256", "containerDefinitions": [container("a", "<IMAGE1_NAME>")]}
    jobs = {"taskRoleArn": ROLE, "containerDefinitions": [container("b", "<IMAGE>")]}

    there = deployed(of).under(written(of, web, jobs))
    what = there.roll_out([(APP, D2)])

    assert isinstance(what, ToRollOut)
    assert [plan.base for plan in what.plans] == [
        {"family": "web", "cpu": "512", "containerDefinitions": [container("a", f"r/app@{D2}")]},
        {
            "family": "jobs", "taskRoleArn": ROLE,
            "containerDefinitions": [container("b", f"r/app@{D2}")],
        },
    ]  # fmt: skip
    assert what.definition_changes == ("web: cpu: 256 → 512", "worker: taskRoleArn: added")
    # AND a role that only the other one may have is refused
    with pytest.raises(DeploymentFailed, match=r"web\.json: taskRoleArn: .* allows no such role"):
        written(of, {**web, "taskRoleArn": ROLE}, None)


def test_only_one_of_two_may_have_a_file() -> None:
    of = pipeline(replace(WEB, task_definition=None, values={}), WORKER, images=(APP,))
    assert of.reads_definition and of.changes_definition
    jobs = {"cpu": "256", "containerDefinitions": [container("b", "<IMAGE1_NAME>")]}

    what = deployed(of).under(written(of, None, jobs)).roll_out([(APP, D2)])

    assert isinstance(what, ToRollOut)
    web, worker = what.plans
    assert (web.base, dict(web.images)) == ("service", {"a": f"r/app@{D2}"})
    assert isinstance(worker.base, dict) and worker.base["cpu"] == "256"
    assert what.definition_changes == ("worker: cpu: none → 256",)


def test_what_one_runs_already_as_the_file_says_is_not_registered_anew() -> None:
    of = pipeline(replace(WEB, values={}), WORKER, images=(APP,))
    same = {name: {**definition} for name, definition in RUNS.items()}
    there = deployed(of).under(written(of, same["web"], {**same["worker"], "cpu": "256"}))

    what = there.roll_out([(APP, D1)])

    assert isinstance(what, ToRollOut)
    assert [plan.target is not None for plan in what.plans] == [True, False]
    # AND nothing at all where both do
    ended = deployed(of).under(written(of, same["web"], same["worker"])).roll_out([(APP, D1)])
    assert isinstance(ended, Ended) and ended.status == "unchanged"


def test_each_image_goes_where_the_files_have_it_and_nowhere_else() -> None:
    of = pipeline(replace(WEB, values={}), WORKER, images=(APP, CRON))
    # GIVEN a container that ran an image of the pipeline's, and is to run another one now
    web = {"containerDefinitions": [container("a", "<IMAGE1_NAME>")]}
    jobs = {"containerDefinitions": [container("b", "envoy:1"), container("c", "<IMAGE2_NAME>")]}

    there = deployed(of).under(written(of, web, jobs))
    what = there.roll_out([(APP, D1), (CRON, D2)])

    assert isinstance(what, ToRollOut)
    assert [dict(plan.images) for plan in what.plans] == [
        {"a": f"r/app@{D1}"}, {"c": f"r/cron@{D2}"},
    ]  # fmt: skip
    # AND an image that no file has is the commit's failure, before it is built
    with pytest.raises(DeploymentFailed, match="no container of any service has an image of r/app"):
        deployed(of).under(written(of, None, jobs | {"family": "jobs"}) | written(
            of, {"containerDefinitions": [container("a", "<IMAGE2_NAME>")]}, None
        )).check_platforms()  # fmt: skip


def test_a_service_whose_file_has_none_of_the_images_is_refused() -> None:
    of = pipeline(WEB, replace(WORKER, containers=("b",)), images=(APP, CRON))
    with pytest.raises(DeploymentFailed, match="no container has an image of 'app'"):
        written(of, {"containerDefinitions": [container("a", "nginx")]}, None)
    # AND so is a container that is to be changed, and runs none of them
    two = [container("b", "nginx"), container("c", "<IMAGE1_NAME>")]
    with pytest.raises(DeploymentFailed, match="container 'b' runs none of the pipeline's images"):
        written(of, None, {"containerDefinitions": two})


def test_the_newest_of_each_family_is_told_with_its_services_name() -> None:
    services = (
        replace(WEB, task_definition=None, values={}, base="family"),
        replace(WORKER, task_definition=None),
    )
    of = pipeline(*services, images=(APP,))  # type: ignore[arg-type]
    newest = {**RUNS["web"], "cpu": "1024"}
    there = Deployed.of(
        of,
        lambda one: running(RUNS[one.service], newest if one.base == "family" else None),
    )

    what = there.roll_out([(APP, D1)])

    assert not of.reads_definition and of.changes_definition
    assert isinstance(what, ToRollOut)
    assert what.plans[0].base == "family"
    assert what.plans[1].target is not None
    assert what.definition_changes == ("web: cpu: 256 → 1024",)


@pytest.mark.parametrize(
    ("row", "worker", "known"),
    [
        ({}, D1, True),
        ({}, D2, False),
        ({"mixed": "web web:7, worker jobs:6"}, D1, False),
        ({"mixed": "web web:7, worker jobs:6", "rolled_back_to": "x"}, D2, True),
    ],
)
def test_what_runs_is_one_commit_only_if_all_services_run_it(
    row: dict[str, Any], worker: str, known: bool
) -> None:
    of = pipeline(WEB, WORKER, images=(APP,))
    runs = {**RUNS, "worker": {**RUNS["worker"], "containerDefinitions": [
        container("b", f"r/app@{worker}"),
    ]}}  # fmt: skip
    before = PipelineRow(pipeline="web", running_digest=D1, **row)
    assert runs_as_known(of, before, {"app": D1}, deployed(of, runs)) is known


def test_a_push_that_touches_nothing_leaves_what_is_said_of_the_services() -> None:
    of = pipeline(WEB, WORKER, images=(APP,))
    ended = untouched("c" * 40, deployed(of))
    assert (ended.status, ended.stage, ended.now_running) == ("unchanged", "fetch", "web:7, jobs:7")
    assert [one.touched for one in ended.services or ()] == [False, False]
    # WHEN it is recorded while services are left apart
    before = PipelineRow(pipeline="web", mixed="web web:7, worker jobs:6")
    told = result(
        *(ended.services or ()), status="unchanged", untouched_since=ended.untouched_since,
    )  # fmt: skip
    # THEN that is not forgotten
    assert pipeline_changes(REQUEST, told, before, "d" * 40)["mixed"] == before.mixed
