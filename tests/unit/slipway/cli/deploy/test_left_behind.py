"""2 means that nothing was changed: what fails later is 3, and says what goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.scripted_ecs import IMAGE, PREFIX, Fault, Json, ScriptedEcs, becomes_healthy, denied
from tests.unit.slipway.cli.deploy.command import Clients, slipway

DEPLOY = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
REGISTERED = f"{PREFIX}:task-definition/web:8"
LOG_IN = "log in again (`aws sso login`, or new keys) to look at it"
ENDS = {
    "the token ends": (Fault("ExpiredTokenException", "The security token is expired"), LOG_IN),
    "it is revoked": (Fault("UnrecognizedClientException", "The token is invalid."), LOG_IN),
    "the clock": (Fault("InvalidSignatureException", "Signature expired: 1 is now 2"), LOG_IN),
    "access is denied": (denied("ecs:DescribeServices"), "not authorized to perform"),
    "AWS knows it no more": (Fault("BrandNewException", "what?"), "what? (BrandNewException)"),
}
OPERATIONS = (
    "DescribeServices", "DescribeServiceDeployments", "ListServiceDeployments", "ListTasks",
    "DescribeTasks", "UpdateService", "StopServiceDeployment", "DescribeTaskDefinition",
    "DescribeServiceRevisions",
)  # fmt: skip


def ends_after(seconds: float, fault: Fault) -> Any:
    """A release that crashes, and whose deployer may do nothing more after some seconds."""

    def behave(ecs: ScriptedEcs, new: Json) -> None:
        new["pendingCount"] = 1
        ecs.at(seconds, lambda: ecs.faults.update(dict.fromkeys(OPERATIONS, fault)))

    return behave


@pytest.mark.parametrize("seconds", [0.0, 2.0, 60.0])
@pytest.mark.parametrize("how", ENDS)
def test_what_ends_after_the_update_is_3_and_says_what_goes_on(how: str, seconds: float) -> None:
    # GIVEN credentials that end after UpdateService
    fault, says = ENDS[how]
    scripted = ScriptedEcs(behaviour=ends_after(seconds, fault))

    # WHEN
    result = slipway(Clients(scripted), *DEPLOY, "-t", "90")

    # THEN nobody is told to repeat the command as if nothing had been done
    assert result.exit_code == 3, result.output
    assert "the deployment of web:8 goes on in ECS, unwatched" in result.stderr
    assert says in result.stderr
    assert "repeat the command" not in result.output
    assert scripted.live == "web:8"
    # AND the lines that scripts look for are there
    assert f"New task definition: {REGISTERED}" in result.stdout


@pytest.mark.parametrize("how", ENDS)
def test_json_says_it_too(how: str) -> None:
    scripted = ScriptedEcs(behaviour=ends_after(2.0, ENDS[how][0]))

    result = slipway(Clients(scripted), *DEPLOY, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (told["outcome"], told["done"]) == ("unwatched", False)
    assert (told["after"], told["running"]) == (REGISTERED, None)
    assert "web:8 goes on in ECS, unwatched" in told["cause"]


@pytest.mark.parametrize("option", ["--run-task", "--pre-deploy-command=migrate"])
@pytest.mark.parametrize("how", ENDS)
def test_a_task_that_is_refused_after_registering_is_not_2(how: str, option: str) -> None:
    scripted = ScriptedEcs(behaviour=becomes_healthy(0.0), faults={"RunTask": ENDS[how][0]})

    result = slipway(Clients(scripted), *DEPLOY, option)

    assert result.exit_code == 3, result.output
    assert "web:8 is registered" in result.stderr
    assert "the service was not changed" in result.stderr
    assert len(scripted.made("UpdateService")) == 0


@pytest.mark.parametrize("how", ["the token ends", "it is revoked", "the clock"])
def test_before_anything_was_changed_it_is_2(how: str) -> None:
    scripted = ScriptedEcs(faults={"RegisterTaskDefinition": ENDS[how][0]})

    result = slipway(Clients(scripted), *DEPLOY)

    assert result.exit_code == 2, result.output
    assert "repeat the command" in result.stderr
