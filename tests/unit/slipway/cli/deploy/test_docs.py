"""docs/ecs-deploy.md and the buildspec say what the command does, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import click
import pytest

from slipway.cli.verbs.deploy import command as deploy
from slipway.cli.verbs.taskdef import command as taskdef
from tests.places import ROOT

DOCS = (ROOT / "docs" / "ecs-deploy.md").read_text()
BUILDSPEC = (ROOT / "docs" / "codepipeline" / "buildspec.yml").read_text()

FIELD = [
    "-k",
    "-s",
    "-r",
    "-p",
    "--aws-instance-profile",
    "-a",
    "-c",
    "-n",
    "-d",
    "-i",
    "-e",
    "-to",
    "-D",
    "-m",
    "-M",
    "-t",
    "--max-definitions",
    "--task-definition-file",
    "--enable-rollback",
    "--use-latest-task-def",
    "--force-new-deployment",
    "--skip-deployments-check",
    "--run-task",
    "--wait-for-success",
    "--launch-type",
    "--platform-version",
    "--network-configuration",
    "--copy-task-definition-tags",
    "-v",
    "--version",
]
LONG_NAMES = [
    "--aws-access-key",
    "--aws-secret-key",
    "--region",
    "--profile",
    "--aws-assume-role",
    "--cluster",
    "--service-name",
    "--task-definition",
    "--image",
    "--tag-env-var",
    "--tag-only",
    "--desired-count",
    "--min",
    "--max",
    "--timeout",
    "--verbose",
]


def options_of(command: click.Command) -> set[str]:
    return {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name[0] == "-"}


@pytest.mark.parametrize("name", [*FIELD, *LONG_NAMES])
def test_every_option_of_ecs_deploy_is_taken(name: str) -> None:
    assert name in options_of(deploy)


def test_every_option_is_in_the_page() -> None:
    spelt_otherwise = {"--tag_only_container_names"}
    missing = [n for n in options_of(deploy) - spelt_otherwise if f"`{n}" not in DOCS]
    assert missing == []


def test_the_page_names_no_option_that_there_is_not() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOCS))
    assert named <= options_of(deploy) | options_of(taskdef)


def test_the_policy_is_json_and_names_what_is_asked_for() -> None:
    least, _optional = policies()
    actions: set[str] = set()
    for statement in least:
        action = statement["Action"]
        actions |= {action} if isinstance(action, str) else set(action)
    assert actions == {
        "ecs:DescribeTaskDefinition",
        "ecs:DescribeServices",
        "ecs:UpdateService",
        "ecs:RegisterTaskDefinition",
        "ecs:TagResource",
        "iam:PassRole",
    }


def policies() -> list[list[dict[str, Any]]]:
    return [json.loads(t)["Statement"] for t in re.findall(r"```json\n(.*?)```", DOCS, flags=re.S)]


def test_what_is_lost_without_each_optional_statement_is_told() -> None:
    _least, optional = policies()
    table = DOCS.partition("| Statement | For | Without it |")[2].partition("\n\n")[0]
    told = re.findall(r"`([A-Z]\w+)`", "\n".join(r.split("|")[1] for r in table.split("\n")[2:]))
    assert sorted(told) == sorted(s["Sid"] for s in optional)


def test_the_buildspec_calls_taskdef_with_options_that_there_are() -> None:
    (call,) = re.findall(r"slipway taskdef (.*?)\n\n", BUILDSPEC, flags=re.S)
    assert set(re.findall(r"--[a-z-]+", call)) <= options_of(taskdef)
    pins = re.findall(r"(\w+==[\d.]+)", BUILDSPEC)
    assert set(pins) <= set((ROOT / "requirements.txt").read_text().split())
