"""Which containers of which service an image is for, and what several services go back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.deployed_to import ServiceSettings, SmokeSettings
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import (
    ImageSettings,
    Installation,
    PipelineSettings,
    RolloutSettings,
)
from slipway.contracts.messages import BuildRequest, DeploymentResult, ServiceOutcome, Target
from slipway.contracts.sentences import runs_now, service_lines
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.deployed import Deployed
from slipway.following.earlier import to_earlier
from slipway.following.handing import ToRollOut
from slipway.following.outcome import Ended, pipeline_changes, with_mixed
from slipway.following.service import Running
from tests.unit.slipway.following.three_ways import DEPLOYMENT, INSTALLATION, PIPELINE, REQUEST

D1, D2 = "sha256:" + "1" * 64, "sha256:" + "2" * 64
APP = ImageSettings(repository="app", repository_uri="r/app")
CRON = ImageSettings(repository="cron", repository_uri="r/cron")


def pipeline(*images: ImageSettings, **containers: tuple[str, ...]) -> PipelineSettings:
    services = tuple(
        ServiceSettings(cluster="prod", service=name, containers=containers.get(name, ()))
        for name in ("web", "worker")
    )
    task = RolloutSettings(pre_deploy_command=("migrate",))
    return replace(PIPELINE, images=images or (APP,), services=services, rollout=task)


def deployed(
    of: PipelineSettings, web: Mapping[str, str], worker: Mapping[str, str], *, steady: bool = True
) -> Deployed:
    runs = {"web": web, "worker": worker}
    return Deployed.of(
        of,
        lambda one: Running(
            task_definition=f"arn:aws:ecs:x:1:task-definition/{one.service}:7", steady=steady,
            images=runs[one.service],
        ),
    )  # fmt: skip


def planned(there: Deployed, *images: tuple[ImageSettings, str]) -> list[Any]:
    what = there.roll_out(list(images))
    assert isinstance(what, ToRollOut)
    return [dict(plan.images) or plan.target for plan in what.plans]


def test_one_image_goes_to_each_service_that_runs_it() -> None:
    there = deployed(pipeline(), {"a": f"r/app@{D1}", "proxy": "nginx"}, {"b": "r/app:old"})
    assert planned(there, (APP, D2)) == [{"a": f"r/app@{D2}"}, {"b": f"r/app@{D2}"}]


def test_named_containers_take_the_image_whatever_they_run() -> None:
    there = deployed(pipeline(worker=("b",)), {"a": "r/app:1"}, {"b": "old/app:1", "c": "r/app:1"})
    assert planned(there, (APP, D2)) == [{"a": f"r/app@{D2}"}, {"b": f"r/app@{D2}"}]


def test_each_service_gets_only_the_images_that_it_runs() -> None:
    cron = replace(CRON, containers=("c",))
    there = deployed(pipeline(APP, cron), {"a": "r/app:1"}, {"c": "other:1"})
    assert planned(there, (APP, D1), (cron, D2)) == [{"a": f"r/app@{D1}"}, {"c": f"r/cron@{D2}"}]


@pytest.mark.parametrize(
    ("of", "worker", "said"),
    [
        (pipeline(worker=("x",)), {"b": "r/app:1"}, "service worker: no container 'x'"),
        (pipeline(), {"b": "nginx"}, "service worker: its containers run none"),
        (
            pipeline(APP, CRON),
            {"b": "r/app:1"},
            "no container of any service has an image of r/cron",
        ),
        (pipeline(APP, CRON, worker=("b", "n")), {"b": "r/cron:1", "n": "nginx"}, "'n' runs none"),
    ],
)
def test_what_cannot_run_is_the_commits_failure(
    of: PipelineSettings, worker: Mapping[str, str], said: str
) -> None:
    there = deployed(of, {"a": "r/app:1"}, worker)
    with pytest.raises(DeploymentFailed, match=said):
        there.roll_out([(image, D2) for image in of.images])


def test_what_one_service_runs_already_is_not_registered_anew() -> None:
    there = deployed(pipeline(), {"a": f"r/app@{D2}"}, {"b": f"r/app@{D1}"})
    assert planned(there, (APP, D2)) == [
        "arn:aws:ecs:x:1:task-definition/web:7", {"b": f"r/app@{D2}"},
    ]  # fmt: skip
    assert there.digest(APP) is None


def test_a_pipeline_of_one_service_with_containers_of_its_own_has_one_outcome() -> None:
    of = replace(pipeline(worker=("b",)), services=pipeline(worker=("b",)).services[1:])  # type: ignore[index]
    there = deployed(of, {}, {"b": "old/app:1"})
    what = there.roll_out([(APP, D2)])
    assert isinstance(what, ToRollOut)
    assert (what.parts, [dict(plan.images) for plan in what.plans]) == (
        None, [{"b": f"r/app@{D2}"}],
    )  # fmt: skip
    assert gone_back(of, result(now_running="worker:5")) == ["worker:5"]


def test_all_run_it_already_only_when_all_are_steady() -> None:
    images = ({"a": f"r/app@{D2}"}, {"b": f"r/app@{D2}"})
    ended = deployed(pipeline(), *images).roll_out([(APP, D2)])
    assert isinstance(ended, Ended)
    assert (ended.status, ended.now_running) == ("unchanged", "web:7, worker:7")
    moving = deployed(pipeline(), *images, steady=False).roll_out([(APP, D2)])
    # AND where they are not, it is noted that what is seen of them may be taken back
    assert isinstance(moving, ToRollOut)
    assert [part.moves for part in moving.parts or ()] == [True, True]


def test_only_the_first_service_runs_the_task_before() -> None:
    there = deployed(pipeline(), {"a": "r/app:1"}, {"b": "r/app:1"})
    what = there.roll_out([(APP, D2)])
    assert isinstance(what, ToRollOut)
    assert [plan.task is not None for plan in what.plans] == [True, False]
    assert [part.ran for part in what.parts or ()] == [
        "arn:aws:ecs:x:1:task-definition/web:7", "arn:aws:ecs:x:1:task-definition/worker:7",
    ]  # fmt: skip


def test_what_proves_all_is_the_last_ones_also_where_that_one_does_not_change() -> None:
    settings = RolloutSettings(post_deploy_command=("check",), alarms=("a",), bake=60)
    of = replace(pipeline(), rollout=settings)
    for worker in (D1, D2):
        what = deployed(of, {"a": f"r/app@{D1}"}, {"b": f"r/app@{worker}"}).roll_out([(APP, D2)])
        assert isinstance(what, ToRollOut)
        first, last = what.plans
        assert (first.post_task, first.alarms, first.bake) == (None, ("a",), None)
        assert last.post_task is not None
        assert (last.alarms, last.bake) == (("a",), 60)


def test_what_is_on_its_way_already_is_proved_also_where_there_is_one_service() -> None:
    # GIVEN a push that gave way before its revision was steady, and one of the same images
    of = replace(
        PIPELINE, images=(APP,), smoke=SmokeSettings(url="https://shop.example.com/"),
        rollout=RolloutSettings(post_deploy_command=("check",), alarms=("a",), bake=60),
    )  # fmt: skip
    what = deployed(of, {"a": f"r/app@{D2}"}, {}, steady=False).roll_out([(APP, D2)])
    # THEN that one follows the revision, and proves it
    assert isinstance(what, ToRollOut)
    (plan,) = what.plans
    assert plan.target is not None
    assert (plan.smoke is not None, plan.post_task is not None, plan.bake) == (True, True, 60)


# --- going back


def outcome(service: str, now: str | None, **more: Any) -> ServiceOutcome:
    return ServiceOutcome(cluster="prod", service=service, now=now, **more)


def result(*services: ServiceOutcome, **members: Any) -> DeploymentResult:
    given = {"status": "succeeded", "reason": "push", "now_running": "web:4, worker:5", **members}
    return DeploymentResult(
        deployment_id=DEPLOYMENT, pipeline="web", stage="close", request_id=REQUEST.request_id,
        started_at=1.0, ended_at=2.0, services=services or None,
        **given,
    )  # fmt: skip


def gone_back(of: PipelineSettings, told: DeploymentResult) -> list[str | None]:
    row = DeploymentRow(
        deployment_id=DEPLOYMENT, pipeline="web", request_id="1" * 32, reason="push", result=told
    )
    target = Target(kind="deployment", deployment_id=DEPLOYMENT)
    request = BuildRequest(
        request_id="2" * 32, pipeline="web", pushed_by="ada", pushed_at=1.0, reason="rollback",
        target=target,
    )  # fmt: skip
    return [plan.target for plan in to_earlier(lambda _name: row, of, request).plans]


def test_each_service_goes_back_to_what_it_ran_then_whatever_their_order_now() -> None:
    told = result(outcome("worker", "worker:5"), outcome("web", "web:4"))
    assert gone_back(pipeline(), told) == ["web:4", "worker:5"]
    # AND so does one that is alone now
    assert gone_back(replace(PIPELINE, service="worker"), told) == ["worker:5"]


@pytest.mark.parametrize("told", [result(), result(outcome("web", "web:4"))])
def test_a_service_of_which_nothing_is_known_refuses_the_rollback(told: DeploymentResult) -> None:
    with pytest.raises(DeploymentFailed, match="does not say what service w"):
        gone_back(pipeline(), told)


# --- what is said


def test_services_left_apart_are_said_until_one_version_runs() -> None:
    row = PipelineRow(pipeline="web", running_task_definition="web:4, worker:5")
    apart = result(
        outcome("web", "web:6", before="web:4", after="web:6"),
        outcome("worker", "worker:5", before="worker:5", after="worker:6"),
        status="superseded", now_running="web:6, worker:5",
    )  # fmt: skip
    changes = pipeline_changes(REQUEST, apart, row, None)
    assert changes["mixed"] == "web web:6, worker worker:5"
    assert (changes["running_task_definition"], changes["running_commit"]) == (
        "web:6, worker:5", None,
    )  # fmt: skip
    # WHEN another one ends before it touches anything, THEN its notice says so
    row = replace(row, mixed="web web:6, worker worker:5")
    assert "web:6, worker worker:5" in (with_mixed(result(status="failed"), row).warning or "")
    # AND one that goes back says what is seen then: what was on its way may not be there
    back = result(
        outcome("web", "web:6", before="web:6", after="web:8"),
        outcome("worker", "worker:4", before="worker:4", after="worker:8"),
        status="rolled_back",
    )  # fmt: skip
    changes = pipeline_changes(REQUEST, back, row, None)
    assert changes["mixed"] == "web web:6, worker worker:4"
    # AND a rollback that ends half-way does not forget those that it leaves as they are
    also = replace(row, mixed=f"{row.mixed}, task definition shell shell:3")
    changes = pipeline_changes(REQUEST, replace(apart, reason="rollback"), also, None)
    assert changes["mixed"] == also.mixed
    # AND once both run one deployment's, nothing is left of it
    both = result(*(outcome(n, f"{n}:9", after=f"{n}:9") for n in ("web", "worker")))
    assert pipeline_changes(REQUEST, both, row, None)["mixed"] is None
    assert with_mixed(both, row).warning is None


@pytest.mark.parametrize(
    ("members", "stays"),
    [
        ({"status": "succeeded"}, False),
        ({"status": "unchanged"}, False),
        ({"status": "unchanged", "untouched_since": "c" * 40}, True),
        ({"status": "succeeded", "reason": "rollback"}, True),
        ({"status": "failed"}, True),
        ({"status": "superseded"}, True),
    ],
)
def test_what_was_left_apart_ends_with_the_success_of_what_has_one_service_now(
    members: dict[str, Any], stays: bool
) -> None:
    # GIVEN services or scheduled tasks that were left apart, and a configuration without them since
    left = PipelineRow(pipeline="web", mixed="web web:7, rule nightly batch:4")
    told = result(now_running="web:8", **members)
    # THEN its next success ends that
    changed = pipeline_changes(REQUEST, told, left, None)
    assert (changed.get("mixed", left.mixed) is not None) is stays
    assert (with_mixed(told, left).warning is not None) is stays


def test_the_notice_lists_each_service() -> None:
    told = result(
        outcome("web", "web:6", before="web:5", after="web:6"),
        outcome("worker", None, after="worker:6"),
        status="failed",
    )
    assert runs_now(told) == "It is not known what every service runs now."
    assert service_lines(told) == (
        "web: web:6, the new version", "worker: it is not known what runs (worker:6 was begun)",
    )  # fmt: skip


def test_an_installation_of_an_older_version_is_read() -> None:
    text = INSTALLATION.to_json()
    assert '"services"' not in text
    read = Installation.from_json(text)
    assert read.pipelines[0].per_service == read.pipelines
    # AND one with several services comes back as it was
    several = replace(INSTALLATION, pipelines=(pipeline(worker=("b",)),))
    assert Installation.from_json(several.to_json()) == several
