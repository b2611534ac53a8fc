"""What a container gets, and how a service deployment is judged."""

from __future__ import annotations

import pytest

from local.emulator.extension.ecs_containers import run_options, without_empty_choices
from local.emulator.extension.ecs_followed import Followed, judge, revision_arn
from local.emulator.extension.ecs_health import NO_HEALTH_CHECK


def test_choices_that_nobody_made_are_not_answered():
    answer = {"tasks": [{"stopCode": "", "group": "", "stoppedReason": ""}], "pidMode": "host"}
    assert without_empty_choices(answer) == {
        "tasks": [{"group": "", "stoppedReason": ""}],
        "pidMode": "host",
    }


def test_the_rest_of_a_definition_reaches_docker():
    # GIVEN / WHEN
    container = {
        "entryPoint": ["/bin/app"],
        "workingDirectory": "/srv",
        "user": "1000",
        "memory": 64,
        "readonlyRootFilesystem": True,
        "linuxParameters": {"initProcessEnabled": True},
    }
    options = run_options(container, {"memory": "512"})
    # THEN
    assert options.pop("healthcheck") == NO_HEALTH_CHECK
    assert options == {
        "entrypoint": ["/bin/app"],
        "working_dir": "/srv",
        "user": "1000",
        "mem_limit": 64 * 1024 * 1024,
        "read_only": True,
        "init": True,
    }


def test_the_tasks_memory_is_the_limit_of_a_container_without_one():
    assert run_options({}, {"memory": "512"})["mem_limit"] == 512 * 1024 * 1024


def deployment(status, state, reason="") -> dict:
    return {"id": state, "status": status, "rolloutState": state, "rolloutStateReason": reason}


@pytest.mark.parametrize(
    ("mine", "others", "stop_asked", "expected"),
    [
        (deployment("PRIMARY", "IN_PROGRESS"), [], False, "IN_PROGRESS"),
        (deployment("PRIMARY", "COMPLETED"), [], False, "SUCCESSFUL"),
        (deployment("PRIMARY", "FAILED", "breaker"), [], False, "STOPPED"),
        (
            deployment("ACTIVE", "FAILED"),
            [deployment("PRIMARY", "IN_PROGRESS")],
            False,
            "ROLLBACK_IN_PROGRESS",
        ),
        (
            deployment("ACTIVE", "FAILED"),
            [deployment("PRIMARY", "IN_PROGRESS")],
            True,
            "ROLLBACK_REQUESTED",
        ),
        (
            deployment("ACTIVE", "FAILED"),
            [deployment("PRIMARY", "COMPLETED")],
            False,
            "ROLLBACK_SUCCESSFUL",
        ),
        (
            deployment("ACTIVE", "IN_PROGRESS"),
            [deployment("PRIMARY", "IN_PROGRESS")],
            False,
            "STOPPED",
        ),
    ],
    ids=[
        "under way",
        "done",
        "failed",
        "rolling back",
        "asked to",
        "rolled back",
        "superseded",
    ],
)
def test_a_deployment_is_judged_by_the_services_own(mine, others, stop_asked, expected):
    assert judge(mine, [*others, mine], stop_asked=stop_asked)[0] == expected


def test_arns_name_cluster_and_service():
    # GIVEN / WHEN
    service = "arn:aws:ecs:us-east-1:222222222222:service/c/s"
    followed = Followed("abc", service, "cluster", "definition", 0.0, None)
    # THEN
    assert followed.arn == "arn:aws:ecs:us-east-1:222222222222:service-deployment/c/s/cba"
    assert followed.revision_arn == revision_arn(service, "abc")
    assert revision_arn(service, "abc").endswith(":service-revision/c/s/abc")
