"""A push sets a rule's target and a schedule to the new revision, with IAM enforced."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from local.configuration import INSTALLATION, PROD_ACCOUNT
from local.plan import Options
from tests.e2e.chain import Chain, local_chain

PIPELINE = "sample"
ROLE = f"arn:aws:iam::{PROD_ACCOUNT}:role/starts-tasks"
FAMILY, JOB = f"{INSTALLATION}-sample-{PIPELINE}", "sample-job"
INPUT = '{"containerOverrides": [{"name": "app", "command": ["nightly"]}]}'


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A run whose pipeline has a rule of the service's family, and a schedule of its own: neither
    is there when the first commit is pushed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tasks: tuple[dict[str, Any], ...] = (
        {"rule": "nightly", "family": FAMILY, "targetRole": ROLE},
        {"schedule": "mails", "group": "shop", "family": JOB, "targetRole": ROLE},
    )
    options = Options(scheduled=tasks, wait_for_first=False, internal_endpoints=True)
    with local_chain(tmp_path_factory.mktemp("scheduled"), options) as chain:
        yield chain


def make_targets(chain: Chain) -> dict[str, Any]:
    """What another stack would have made. The schedule is disabled."""
    ecs, events, scheduler = (chain.prod(name) for name in ("ecs", "events", "scheduler"))
    settings = chain.installation.pipeline(PIPELINE)
    service = ecs.describe_services(cluster=settings.cluster, services=[settings.service])
    runs = service["services"][0]["taskDefinition"]
    image = f"{settings.images[0].repository_uri}:first"
    containers = [{"name": "app", "image": image, "memory": 64}]
    job = ecs.register_task_definition(family=JOB, containerDefinitions=containers)
    cluster = service["services"][0]["clusterArn"]
    target = {"Arn": cluster, "RoleArn": ROLE, "Input": INPUT}
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)")
    task = {"TaskDefinitionArn": runs, "TaskCount": 1}
    events.put_targets(Rule="nightly", Targets=[{"Id": "t", **target, "EcsParameters": task}])
    scheduler.create_schedule_group(Name="shop")
    task = {"TaskDefinitionArn": job["taskDefinition"]["taskDefinitionArn"]}
    made: dict[str, Any] = {
        "Name": "mails", "GroupName": "shop", "State": "DISABLED",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        "Target": {**target, "EcsParameters": task},
    }  # fmt: skip
    scheduler.create_schedule(**made)
    return made


def named(chain: Chain) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What the service runs, the rule's target, and the schedule."""
    settings = chain.installation.pipeline(PIPELINE)
    service = chain.prod("ecs").describe_services(
        cluster=settings.cluster, services=[settings.service]
    )["services"][0]
    (target,) = chain.prod("events").list_targets_by_rule(Rule="nightly")["Targets"]
    schedule = chain.prod("scheduler").get_schedule(Name="mails", GroupName="shop")
    del schedule["ResponseMetadata"]
    return service["taskDefinition"], target, schedule


def test_a_push_sets_a_rule_and_a_schedule_to_the_new_revision(scheduled: Chain) -> None:
    chain = scheduled
    # GIVEN a first push, refused before anything changed, for there is no such family and rule
    (first,) = chain.until("the first outcome", lambda: [
        row for row in chain.deployments() if row.ended_at is not None
    ])  # fmt: skip
    assert first.status == "failed" and first.result is not None
    assert JOB in str(first.result.cause)
    made = make_targets(chain)
    # WHEN
    pushed = chain.push("with scheduled tasks")
    row = chain.until_ended(pushed)
    # THEN the rule runs what the service runs, and the schedule a new revision of its own family
    assert row.status == "succeeded", row.result
    runs, target, schedule = named(chain)
    assert target == {
        "Id": "t", "Arn": made["Target"]["Arn"], "RoleArn": ROLE, "Input": INPUT,
        "EcsParameters": {"TaskDefinitionArn": runs, "TaskCount": 1},
    }  # fmt: skip
    definition = schedule["Target"]["EcsParameters"]["TaskDefinitionArn"]
    assert definition.endswith(f"{JOB}:2")
    described = chain.prod("ecs").describe_task_definition(taskDefinition=definition)
    image = described["taskDefinition"]["containerDefinitions"][0]["image"]
    digest = row.result.image_digest if row.result is not None else ""
    assert image.endswith(f"@{digest}")
    # AND nothing else of the schedule has changed
    made["Target"]["EcsParameters"]["TaskDefinitionArn"] = definition
    assert {name: schedule[name] for name in made} == made
    # AND the notice tells of each
    chain.until("its notice", lambda: chain.notices("rule nightly", "schedule mails"))
    # AND what fails leaves them as they are
    failed = chain.until_ended(chain.push("which crashes", "crash"), 240.0)
    assert failed.status == "rolled_back"
    assert named(chain)[1:] == (target, schedule)
