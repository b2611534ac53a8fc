"""Scheduled tasks and definitions alone: their plans, of a build and of an earlier deployment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.deployed_to import (
    DefinitionSettings,
    ScheduledTaskSettings,
    ServiceSettings,
)
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings, RolloutSettings
from slipway.contracts.messages import CompanionKind, DeploymentResult, ServiceOutcome
from slipway.contracts.sentences import runs_now
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.deployed import Deployed
from slipway.following.earlier import to_earlier
from slipway.following.handing import ToRollOut
from slipway.following.outcome import pipeline_changes
from slipway.following.service import Running
from slipway.following.state import Followed, to_json
from slipway.following.untouched import runs_as_known
from slipway.rollout.beginning import begin
from slipway.rollout.request import check_plan
from tests.unit.slipway.following.test_deployed import APP, D1, D2, PIPELINE, REQUEST, result
from tests.unit.slipway.following.three_ways import DEPLOYMENT

NIGHTLY = ScheduledTaskSettings(kind="rule", name="nightly", family="batch", target="t")
MAILS = ScheduledTaskSettings(kind="schedule", name="mails", family="web", place="shop")
OF = replace(
    PIPELINE,
    images=(APP,),
    scheduled_tasks=(NIGHTLY, MAILS),
    task_definitions=(DefinitionSettings(family="shell", containers=("sh",)),),
)


def deployed(of: PipelineSettings = OF, **images: str) -> Deployed:
    runs = {"web": {"a": f"r/app@{D1}"}, "worker": {"b": f"r/app@{D1}"},
            "batch": {"job": "r/app:1", "log": "x"},
            "shell": {"sh": "old:1", "job": "r/app:1"}}  # fmt: skip

    def running(one: PipelineSettings) -> Running:
        name = one.service or str(one.family)
        arn = f"arn:aws:ecs:x:1:task-definition/{name}:7"
        return Running(task_definition=arn, steady=True, images={**runs[name], **images})

    return Deployed.of(of, running)


def rolled_out(there: Deployed, digest: str = D2) -> ToRollOut:
    what = there.roll_out([(APP, digest)])
    assert isinstance(what, ToRollOut)
    return what


def test_each_family_gets_the_images_that_its_containers_run() -> None:
    what = rolled_out(deployed())
    _, nightly, mails, shell = what.plans
    assert (dict(nightly.images), nightly.base) == ({"job": f"r/app@{D2}"}, "definition:batch")
    assert (dict(shell.images), shell.family) == ({"sh": f"r/app@{D2}"}, "shell")
    # AND a task of the service's family takes the revision that the service runs
    assert mails.scheduled is not None
    assert (mails.scheduled.cluster, mails.scheduled.service) == (OF.cluster, "web")
    assert dict(mails.images) == {}
    for plan in what.plans:
        check_plan(plan)
    # AND each asks the scheduled tasks that can name its revisions whether they do
    named_by = [[one.name for one in plan.named_by or ()] for plan in what.plans]
    assert named_by == [["nightly", "mails"], ["nightly"], ["mails"], []]
    names = [(part.kind, part.cluster, part.service) for part in what.parts or ()]
    assert names[1:] == [
        ("rule", "default", "nightly/t"), ("schedule", "shop", "mails"),
        ("definition", "", "shell"),
    ]  # fmt: skip


def test_with_companions_a_service_that_runs_it_already_is_no_reason_to_stop() -> None:
    what = rolled_out(deployed(), D1)
    assert [plan.target is not None for plan in what.plans] == [True, False, False, False]


def test_the_largest_pipeline_fits_into_its_row() -> None:
    """DynamoDB takes 400 KB. What is known of each rollout grows by some kilobytes on its way."""
    long = "{}-{:x<38}".format
    services = tuple(ServiceSettings(cluster="prod", service=long("s", n)) for n in range(10))
    tasks = tuple(
        ScheduledTaskSettings(kind="rule", name=long("t", n), family=long("f", n))
        for n in range(20)
    )
    alone = tuple(DefinitionSettings(family=long("d", n)) for n in range(20))
    of = replace(OF, services=services, scheduled_tasks=tasks, task_definitions=alone)
    there = Deployed.of(
        of, lambda one: Running(task_definition="x:7", steady=True, images={"a": f"r/app@{D1}"})
    )
    what = rolled_out(there)
    begun = tuple(begin(plan, 1.0, "1" * 32).state for plan in what.plans)
    followed = Followed(request=REQUEST, rollouts=begun, parts=what.parts)
    assert len(begun) == 50
    assert len(to_json(followed)) < 100_000


def test_services_that_run_it_already_are_not_proved_again_for_the_sake_of_companions() -> None:
    services = tuple(ServiceSettings(cluster="prod", service=name) for name in ("web", "worker"))
    settings = RolloutSettings(post_deploy_command=("check",), alarms=("a",), bake=60)
    for of in (replace(OF, rollout=settings), replace(OF, rollout=settings, services=services)):
        for plan in rolled_out(deployed(of), D1).plans:
            assert (plan.post_task, plan.alarms, plan.bake) == (None, None, None)


def test_a_family_that_runs_none_of_the_images_is_named() -> None:
    of = replace(OF, scheduled_tasks=(replace(NIGHTLY, containers=("log", "gone")),))
    with pytest.raises(DeploymentFailed, match="family batch: no container 'gone'"):
        rolled_out(deployed(of))


def test_an_image_that_a_scheduled_task_alone_runs_is_built_for_it() -> None:
    cron = ImageSettings(repository="cron", repository_uri="r/cron", containers=("log",))
    of = replace(OF, images=(APP, cron), task_definitions=None)
    what = deployed(of).roll_out([(APP, D2), (cron, D1)])
    assert isinstance(what, ToRollOut)
    assert dict(what.plans[1].images) == {"job": f"r/app@{D2}", "log": f"r/cron@{D1}"}


@pytest.mark.parametrize(
    ("service", "log", "known"),
    [(D1, f"r/cron@{D2}", True), (D1, "r/cron:1", False), (D2, f"r/cron@{D2}", False)],
)
def test_an_image_that_a_scheduled_task_alone_runs_is_known_by_that_one(
    service: str, log: str, known: bool
) -> None:
    # GIVEN an image of both, and one that a scheduled task alone runs
    cron = ImageSettings(repository="cron", repository_uri="r/cron")
    of = replace(OF, images=(APP, cron), task_definitions=None)
    runs = {"web": {"a": f"r/app@{service}"}, "batch": {"job": "r/app:1", "log": log}}
    there = Deployed.of(
        of,
        lambda one: Running(
            task_definition="x:7", steady=True, images=runs[one.service or str(one.family)]
        ),
    )
    before = PipelineRow(pipeline="web", running_digest=D1)
    # THEN a push of other paths is none of theirs only where what is known runs
    assert runs_as_known(of, before, {"app": D1, "cron": D2}, there) is known


def test_containers_that_an_image_names_for_its_service_do_not_keep_a_family_from_it() -> None:
    named = replace(APP, containers=("a",))
    what = deployed(replace(OF, images=(named,))).roll_out([(named, D2)])
    assert isinstance(what, ToRollOut)
    assert [dict(plan.images) for plan in what.plans] == [
        {"a": f"r/app@{D2}"}, {"job": f"r/app@{D2}"}, {}, {"sh": f"r/app@{D2}"},
    ]  # fmt: skip


def outcome(
    kind: CompanionKind | None, cluster: str, service: str, now: str | None
) -> ServiceOutcome:
    return ServiceOutcome(cluster=cluster, service=service, before="x:1", after=now, now=now,
                          kind=kind)  # fmt: skip


def earlier(*services: ServiceOutcome, **members: Any) -> ToRollOut:
    told = replace(result(**members), services=services or None, status="succeeded")
    row = DeploymentRow(
        deployment_id=DEPLOYMENT, pipeline="web", request_id="1", reason="push", started_at=0.0,
        status="succeeded", result=told,
    )  # fmt: skip
    request = replace(
        REQUEST, reason="rollback", target=type(REQUEST.target)(
            kind="deployment", deployment_id=DEPLOYMENT)
    )  # fmt: skip
    return to_earlier(lambda _name: row, OF, request)


def test_going_back_sets_each_task_to_what_it_ran() -> None:
    what = earlier(
        outcome(None, OF.cluster, "web", "web:5"),
        outcome("rule", "default", "nightly/t", "batch:4"),
        outcome("schedule", "shop", "mails", "web:5"),
        outcome("definition", "", "shell", "shell:4"),
    )
    assert [plan.target for plan in what.plans] == ["web:5", "batch:4", None]
    for plan in what.plans:
        check_plan(plan)
    assert [part.kind for part in what.parts or ()] == [None, "rule", "schedule"]
    assert what.warning == "task definition shell stays as it is: going back registers nothing"


def test_going_back_to_before_a_task_was_added_leaves_it_and_says_so() -> None:
    what = earlier(now_running="web:5")
    assert [plan.target for plan in what.plans] == ["web:5", None]  # the service's own goes along
    assert "rule nightly/t stays as it is: what it ran then is not known" in str(what.warning)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ((None, "rule"), "The service and the scheduled task run the new version."),
        ((None, None, "rule"), "Both services and the scheduled task run the new version."),
        (
            (None, "rule", "schedule", "schedule", "definition"),
            "The service and all 3 scheduled tasks run the new version.",
        ),
        ((None, "definition"), "The service runs the new version."),
    ],
)
def test_one_sentence_says_what_all_of_them_run(
    kinds: tuple[CompanionKind | None, ...], said: str
) -> None:
    services = tuple(outcome(kind, "c", f"s{n}", f"x:{n + 2}") for n, kind in enumerate(kinds))
    told: DeploymentResult = replace(result(), services=services)
    assert runs_now(told) == said


def test_what_is_left_apart_is_told_with_its_kind() -> None:
    services = (outcome(None, "c", "web", "web:2"), replace(
        outcome("rule", "default", "nightly", "batch:1"), after="batch:2", before="batch:1",
    ))  # fmt: skip
    told = replace(result(), services=services, status="failed")
    changes = pipeline_changes(REQUEST, told, PipelineRow(pipeline="web"), None)
    assert changes["mixed"] == "web web:2, rule nightly batch:1"
