"""The AppSpec of `slipway taskdef`: its hooks, and whose file it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from slipway.cli.taskdef.appspec import LoadBalancer, appspec_yaml, is_ours
from tests.scripted_ecs import ScriptedEcs
from tests.unit.slipway.cli.deploy.command import Clients, slipway

SERVICE = ("taskdef", "-c", "prod", "-n", "web", "--load-balancer", "web:8080")
HOOK = "arn:aws:lambda:eu-central-1:222222222222:function:CodeDeployHook_check:live"
BEFORE = """version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: <TASK_DEFINITION>
        LoadBalancerInfo:
          ContainerName: "web"
          ContainerPort: 8080
"""
"""As the version before wrote it."""


def run(*arguments: str) -> tuple[int, str]:
    result = slipway(Clients(ScriptedEcs()), *SERVICE, *arguments)
    return result.exit_code, result.output + result.stderr


def test_hooks_are_written_in_the_order_of_their_events() -> None:
    code, output = run("--hook", "AfterAllowTraffic=after", "--hook", f"BeforeInstall={HOOK}")

    assert code == 0, output
    written = yaml.safe_load(Path("appspec.yaml").read_text())
    assert written["Hooks"] == [{"BeforeInstall": HOOK}, {"AfterAllowTraffic": "after"}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--hook", "Install=f"), "'Install' is not one of BeforeInstall, AfterInstall"),
        (("--hook", "BeforeInstall"), "must be EVENT=FUNCTION"),
        (("--hook", "BeforeInstall=a b"), "must be EVENT=FUNCTION"),
        (("--hook", "BeforeInstall=a", "--hook", "BeforeInstall=b"), "is given twice"),
        (("--hook", "BeforeInstall=a", "--no-appspec"), "not with --no-appspec"),
    ],
)
def test_a_hook_that_cannot_be_is_refused(arguments: tuple[str, ...], says: str) -> None:
    code, output = run(*arguments)

    assert code == 2
    assert says in output
    assert not Path("taskdef.json").exists()


OURS = appspec_yaml(LoadBalancer(container="web", port=8080), "1.4.0", {"AfterInstall": "f"})


@pytest.mark.parametrize(
    ("there", "ours"),
    [
        (OURS, True),
        (BEFORE, True),
        (OURS.replace("8080", "8081"), False),
        (OURS + "# a note\n", False),
        (BEFORE + 'Hooks:\n  - BeforeInstall: "mine"\n', False),
        ("version: 0.0\n", False),
        ("", False),
        ("\udcff", False),
    ],
)
def test_only_what_slipway_wrote_is_overwritten(there: str, ours: bool) -> None:
    raw = there.encode("utf-8", errors="surrogateescape")
    Path("appspec.yaml").write_bytes(raw)

    code, output = run()

    assert (code == 0) == ours, output
    if not ours:
        assert "was not written by slipway taskdef" in output
        assert Path("appspec.yaml").read_bytes() == raw
        assert not Path("taskdef.json").exists()
    # AND the definition alone can always be had
    assert run("--no-appspec")[0] == 0


def test_line_ends_of_another_system_are_no_change() -> None:
    Path("appspec.yaml").write_bytes(OURS.replace("\n", "\r\n").encode())
    assert is_ours(OURS)
    assert run()[0] == 0
