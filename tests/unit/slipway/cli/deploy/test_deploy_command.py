"""`slipway deploy` as a script sees it: exit code, word, what runs, what was called and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.cli.deploy.report import Progresses
from slipway.rollout import Progress
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, PREFIX, Fault, ScriptedEcs, denied
from tests.scripted_scheduler import behind_balancer, pauses, percents, rolling
from tests.unit.slipway.cli.deploy.command import Clients, slipway

DEPLOY = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8", "--max-definitions", "2")
PASS_ROLE = Fault(
    "ClientException", "User: ci is not authorized to perform: iam:PassRole on role/x"
)


CURRENT = f"Current task definition: {PREFIX}:task-definition/web:7"
NEW = f"New task definition: {PREFIX}:task-definition/web:8"


def daemon(scripted: ScriptedEcs) -> None:
    scripted.service["schedulingStrategy"] = "DAEMON"


def external(scripted: ScriptedEcs) -> None:
    scripted.service["deploymentController"] = {"type": "EXTERNAL"}


def inactive(scripted: ScriptedEcs) -> None:
    scripted.service["status"] = "INACTIVE"


def missing(scripted: ScriptedEcs) -> None:
    scripted.service["serviceName"] = "another"


def newer_fields(scripted: ScriptedEcs) -> None:
    live = scripted.definitions[scripted.service["taskDefinition"]]
    live["quantumMode"] = {"entangled": True}
    live["containerDefinitions"][0]["neuralPorts"] = [1]


def as_it_is(_scripted: ScriptedEcs) -> None:
    pass


HEALTHY = ecs.becomes_healthy(8.0)
NO_HISTORY = {
    name: denied(f"ecs:{name}")
    for name in (
        "ListServiceDeployments",
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "StopServiceDeployment",
    )
}


PRUNED = ("web:5", "web:6")


#  scenario, the service, exit code, word, live revision, UpdateService calls, deregistered
Row = tuple[str, dict[str, Any], Callable[[ScriptedEcs], None], int, str, str, int, tuple[str, ...]]


TABLE: list[Row] = [
    ("healthy", {"behaviour": HEALTHY}, as_it_is, 0, "succeeded", "web:8", 1, PRUNED),
    ("rolled back after having run", {"behaviour": ecs.breaker_rolls_back(having_run=True)},
     as_it_is, 1, "rolled_back", "web:7", 1, ()),
    ("rolled back without running", {"behaviour": ecs.breaker_rolls_back(having_run=False)},
     as_it_is, 1, "rolled_back", "web:7", 1, ()),
    ("breaker failed without rollback", {"behaviour": ecs.breaker_fails},
     as_it_is, 1, "failed", "web:7", 2, ()),
    ("crash loop", {"behaviour": ecs.crashes}, as_it_is, 1, "crash_loop", "web:7", 1, ()),
    ("never steady", {"behaviour": ecs.never_steady}, as_it_is, 1, "timed_out", "web:7", 1, ()),
    ("superseded", {"behaviour": ecs.superseded}, as_it_is, 1, "superseded", "web:5", 1, ()),
    ("stale reads", {"behaviour": HEALTHY, "stale": 5.0},
     as_it_is, 0, "succeeded", "web:8", 1, PRUNED),
    ("throttled", {"behaviour": HEALTHY, "throttled": lambda n: n % 3 == 0},
     as_it_is, 0, "succeeded", "web:8", 1, PRUNED),
    ("service deployments denied", {"behaviour": HEALTHY, "faults": dict(NO_HISTORY)},
     as_it_is, 0, "succeeded", "web:8", 1, PRUNED),
    ("service deployments denied, crash loop",
     {"behaviour": ecs.crashes, "faults": dict(NO_HISTORY)},
     as_it_is, 1, "crash_loop", "web:7", 2, ()),
    ("inactive", {"behaviour": HEALTHY}, inactive, 2, "is INACTIVE", "web:7", 0, ()),
    ("missing", {"behaviour": HEALTHY}, missing, 2, "there is no service", "web:7", 0, ()),
    ("PassRole denied", {"faults": {"RegisterTaskDefinition": PASS_ROLE}},
     as_it_is, 3, "iam:PassRole", "web:7", 0, ()),
    ("all denied", {"faults": {"DescribeServices": denied("ecs:DescribeServices")}},
     as_it_is, 3, "not allowed", "web:7", 0, ()),
    ("DAEMON", {"behaviour": HEALTHY}, daemon, 0, "succeeded", "web:8", 1, PRUNED),
    ("EXTERNAL", {"behaviour": HEALTHY}, external, 2, "EXTERNAL", "web:7", 0, ()),
    ("unknown new fields", {"behaviour": HEALTHY}, newer_fields,
     0, "succeeded", "web:8", 1, PRUNED),
    ("AWS breaks", {"faults": {"DescribeServices": Fault("ServerException", "broken", 500)}},
     as_it_is, 3, "was not answered", "web:7", 0, ()),
    ("the session ends after the update", {"behaviour": ecs.session_ends(ecs.crashes)},
     as_it_is, 3, "the deployment of web:8 goes on in ECS, unwatched", "web:8", 1, ()),
    ("the update is refused", {"faults": {"UpdateService": Fault("ClientException", "no.")}},
     as_it_is, 1, "failed", "web:7", 1, ()),
    ("nonsense", {"faults": {"UpdateService": Fault("BrandNewException", "what?", 400)}},
     as_it_is, 3, "what? (BrandNewException)", "web:7", 1, ()),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_every_scenario_has_its_exit_code_word_and_calls(row: Row) -> None:
    # GIVEN a service that behaves like this
    _name, state, prepare, exit_code, word, live, updates, deregistered = row
    scripted = ScriptedEcs(**state)
    prepare(scripted)

    # WHEN an image is deployed to it
    result = slipway(Clients(scripted), *DEPLOY)

    # THEN the exit code, the word, what runs, and every change are right, without a traceback
    gone = [
        p["taskDefinition"].rpartition("/")[2] for p in scripted.made("DeregisterTaskDefinition")
    ]
    assert result.exit_code == exit_code, result.output
    assert word in result.output
    assert scripted.live == live
    assert len(scripted.made("UpdateService")) == updates
    assert tuple(gone) == deregistered
    assert "Traceback" not in result.output
    if exit_code in (0, 1):
        assert result.stdout.splitlines()[-1].startswith(f"{word}: ")


def test_skipping_the_check_of_a_task_that_dies_again_and_again_is_no_success() -> None:
    scripted = ScriptedEcs(behaviour=rolling(dies=1.0))

    result = slipway(Clients(scripted), *DEPLOY, "--skip-deployments-check")

    assert (result.exit_code, scripted.live) == (1, "web:7"), result.output
    assert "rolled back: web:7 runs again" in result.stdout


def test_the_balancer_is_asked_from_the_command_line() -> None:
    # GIVEN a service that lets ECS stop the old task first, and whose target never gets healthy
    scripted = ScriptedEcs(behaviour=rolling(), targets=lambda _task: "unhealthy")
    behind_balancer(scripted)
    percents(scripted, 0, 100)

    result = slipway(Clients(scripted), *DEPLOY, "-t", "10", "--drain-timeout", "10")

    assert (result.exit_code, scripted.live) == (1, "web:7"), result.output
    assert "timed_out: it was not healthy after 10 s" in result.stdout
    assert ":8080 of web-tg is unhealthy" in result.stdout
    assert ":8080 of web-tg is unhealthy" in result.stderr


def test_a_pause_is_told_while_it_lasts() -> None:
    scripted = ScriptedEcs(behaviour=pauses("PRE_SCALE_UP", until=500.0, then="CONTINUE"))

    result = slipway(Clients(scripted), *DEPLOY, "-t", "30")

    assert (result.exit_code, scripted.live) == (0, "web:8"), result.output
    assert "stage PRE_SCALE_UP waits for a person (ecs:ContinueServiceDeployment) since" in (
        result.stderr
    )


def test_a_code_deploy_service() -> None:
    deploy = ScriptedCodeDeploy(
        by_codedeploy(ScriptedEcs()),
        plays=[[(2.0, "InProgress", 4, True), (5.0, "Succeeded", 5, True)]],
    )

    result = slipway(
        Clients(deploy.ecs, deploy), "deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8"
    )

    assert result.exit_code == 0, result.output
    assert "stage AllowTraffic Succeeded" in result.stderr or "AfterAllowTraffic" in result.stderr
    assert deploy.ecs.service["taskSets"][0]["taskDefinition"] == f"{PREFIX}:task-definition/web:8"


def test_no_container_matches() -> None:
    scripted = ScriptedEcs()

    result = slipway(Clients(scripted), "deploy", "-c", "prod", "-n", "web", "-i", "we:v8")

    assert result.exit_code == 2
    assert f"there are: web ({IMAGE}:v7)" in result.stderr
    assert scripted.made("RegisterTaskDefinition") == []


def test_no_secret_of_a_task_definition_is_shown() -> None:
    # GIVEN a definition with a password in its environment, and a file with another one
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    secret = {"environment": [{"name": "PASSWORD", "value": "hunter2"}]}
    scripted.definitions[scripted.service["taskDefinition"]]["containerDefinitions"][0] |= secret
    changed = {"name": "web", "image": f"{IMAGE}:v1", "environment": [
        {"name": "PASSWORD", "value": "hunter3"}
    ]}  # fmt: skip
    Path("definition.json").write_text(json.dumps({"containerDefinitions": [changed]}))

    # WHEN it is deployed and dry-run with everything that is printed
    file = ("--task-definition-file", "definition.json")
    outputs = [
        slipway(Clients(scripted), *DEPLOY, "-v", *more).output
        for more in ((), ("--dry-run", *file), ("--json", "--dry-run"), ("--json", *file))
    ]

    # THEN none of it is shown
    assert all("hunter" not in output for output in outputs)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("-n", "web", "-i", IMAGE), [f"Using image name: {IMAGE}:latest", CURRENT, NEW]),
        (("-n", "web", "-to", "v8", "-i", "x"), ["Using image name: v8", CURRENT, NEW]),
        (("-n", "web", "--container", f"web={IMAGE}:v8"), [CURRENT, NEW]),
        (("-d", "web", "-i", f"{IMAGE}:v8"), [f"Using image name: {IMAGE}:v8", CURRENT, NEW]),
        (("-n", "web", "--force-new-deployment"), ["Force a new deployment of the service"]),
        (("-n", "web", "-i", f"{IMAGE}:v8", "--dry-run"),
         [f"Using image name: {IMAGE}:v8", CURRENT]),
    ],
)  # fmt: skip
def test_the_lines_of_ecs_deploy_that_scripts_look_for(
    arguments: tuple[str, ...], lines: list[str]
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    result = slipway(Clients(scripted), "deploy", "-c", "prod", *arguments)

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[: len(lines)] == lines


def test_the_lines_are_there_where_it_fails_and_not_in_json() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)
    result = slipway(Clients(scripted), *DEPLOY)
    assert NEW in result.stdout.splitlines()

    result = slipway(Clients(ScriptedEcs(behaviour=HEALTHY)), *DEPLOY, "--json")
    assert json.loads(result.stdout)["outcome"] == "succeeded"


def test_a_dry_run_prints_the_difference_and_changes_nothing() -> None:
    scripted = ScriptedEcs()

    result = slipway(Clients(scripted), *DEPLOY, "--dry-run")

    assert result.exit_code == 0
    assert f"containerDefinitions[web].image: {IMAGE}:v7 → {IMAGE}:v8" in result.stdout
    changing = {"RegisterTaskDefinition", "UpdateService", "DeregisterTaskDefinition", "RunTask"}
    assert not changing & {name for name, _ in scripted.calls}


def test_json_is_the_whole_of_standard_output() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)

    result = slipway(Clients(scripted), *DEPLOY, "--json")

    told = json.loads(result.stdout)
    assert (result.exit_code, told["outcome"], told["done"]) == (1, "crash_loop", False)
    assert (told["running"], told["restored"]) == (f"{PREFIX}:task-definition/web:7", True)


def test_progress_tells_revision_counts_and_failures() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)

    result = slipway(Clients(scripted), *DEPLOY)

    assert "web:8 · 1 running, 0 pending of 1 · 3 failed" in result.stderr
    assert "rolling back: its tasks kept stopping" in result.stderr


def test_on_a_terminal_the_line_is_written_over() -> None:
    class Terminal:
        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    terminal: Any = Terminal()
    tell = Progresses(terminal)
    tell(Progress(step="wait", elapsed=1.0, desired=2, running=1, pending=1))
    tell.close()

    assert terminal.text == "\r\x1b[K   1.0 s  waiting · 1 running, 1 pending of 2\n"


def test_registering_alone_makes_no_other_client() -> None:
    scripted = ScriptedEcs()
    clients = Clients(scripted)

    result = slipway(clients, "deploy", "-d", "web", "-i", f"{IMAGE}:v8")

    assert (result.exit_code, clients.made) == (0, ["ecs"])
    assert "registered: web:8 is registered" in result.stdout


def test_running_a_task_of_what_was_registered() -> None:
    def exits_with_3(scripted: ScriptedEcs, task: dict[str, Any]) -> dict[str, Any]:
        stopped = [{"name": "web", "exitCode": 3}]
        scripted.at(2.0, lambda: task.update(lastStatus="STOPPED", containers=stopped))
        return task

    scripted = ScriptedEcs(one_off=exits_with_3)
    network = "awsvpcConfiguration={subnets=[subnet-1],assignPublicIp=ENABLED}"
    line = ("deploy", "-c", "prod", "-d", "web", "-i", f"{IMAGE}:v8", "--run-task")
    line += ("--launch-type", "FARGATE", "--network-configuration", network)

    assert slipway(Clients(scripted), *line).exit_code == 0  # started, and not waited for
    result = slipway(Clients(scripted), *line, "--wait-for-success")

    assert result.exit_code == 1
    assert "container web exit code 3" in result.stdout
    task = scripted.made("RunTask")[1]
    assert task["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert task["launchType"] == "FARGATE"


def test_an_interruption_is_130_and_says_so() -> None:
    # GIVEN somebody who presses Control-C while the new tasks come up
    scripted = ScriptedEcs(behaviour=HEALTHY)

    def interrupt() -> None:
        raise KeyboardInterrupt

    scripted.at(3.0, lambda: None)
    scripted.clock.sleep = lambda _seconds: interrupt()

    result = slipway(Clients(scripted), *DEPLOY)

    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert len(scripted.made("UpdateService")) == 1


@pytest.mark.parametrize("option", ["--version"])
def test_version(option: str) -> None:
    result = slipway(Clients(ScriptedEcs()), "deploy", option)

    assert result.exit_code == 0
    assert result.stdout.startswith("slipway, version ")
