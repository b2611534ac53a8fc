"""What the command costs before it does anything, and the real command against a real port."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from slipway.cli.main import VERBS, summary_of
from tests.scripted_ecs import IMAGE, ScriptedEcs, becomes_healthy, never_steady, serve
from tests.unit.slipway.cli.deploy.real import RealClock, environment, slipway

HEAVY = ("botocore", "boto3", "rich", "pydantic", "aws_cdk", "urllib3")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that the command loads."""
    code = (
        "import sys, json\nfrom slipway.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_help_loads_no_verb_and_nothing_heavy() -> None:
    loaded = loaded_by("--help")

    assert not {module for module in VERBS.values() if module in loaded}
    assert not {name for name in HEAVY if name in loaded}


@pytest.mark.parametrize(("verb", "module"), VERBS.items())
def test_every_verb_is_told_in_the_help(verb: str, module: str) -> None:
    assert len(summary_of(verb, module)) > 10


@pytest.mark.parametrize("verb", ["deploy", "taskdef"])
def test_a_verb_s_help_loads_nothing_heavy(verb: str) -> None:
    assert not {name for name in HEAVY if name in loaded_by(verb, "--help")}


def test_deploying_loads_neither_boto3_nor_rich() -> None:
    with serve(ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))) as url:
        code = (
            "import sys, json\nfrom slipway.cli.main import main\n"
            "try:\n    main(sys.argv[1:])\n"
            "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, "deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8"],
            env=environment(url), capture_output=True, text=True, check=True,
        )  # fmt: skip
    loaded = set(json.loads(ended.stderr.splitlines()[-1]))
    assert not loaded & {
        "boto3",
        "rich",
        "pydantic",
        "slipway.cli.aws.session",
        "slipway.contracts.table",
    }


def test_nothing_is_searched_for_garbage_on_the_way_or_at_the_end() -> None:
    # GIVEN a look that comes after all that a command leaves for its end
    code = (
        "import atexit, gc\natexit.register(lambda: print(gc.get_threshold()[0],"
        " gc.get_freeze_count()))\nimport slipway.cli.main"
    )
    # WHEN the command ends
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    # THEN its objects are out of the collector's sight, and it seldom looked before
    threshold, frozen = map(int, ended.stdout.split())
    assert threshold >= 100_000
    assert frozen > 1_000


def test_the_real_command_deploys_in_at_most_seven_calls() -> None:
    # GIVEN a service of no tasks behind a port
    scripted = ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))
    scripted.service["desiredCount"] = 0
    with serve(scripted) as url:
        # WHEN the real command deploys to it, the image being in ECR
        ended = subprocess.run(
            slipway("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8", "-v"),
            env=environment(url), capture_output=True, text=True, check=False,
        )  # fmt: skip

    # THEN that is fewer calls than the eight of fabfuel's ecs-deploy
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("succeeded: web:8 runs")
    assert [name for name, _ in scripted.calls] == [
        "DescribeServices",
        "DescribeTaskDefinition",
        "BatchGetImage",
        "RegisterTaskDefinition",
        "UpdateService",
        "DescribeServices",
        "ListServiceDeployments",
    ]
    assert "a-secret" not in ended.stdout + ended.stderr


@pytest.mark.usefixtures("heard_signals")
def test_control_c_ends_the_real_command_with_130() -> None:
    # GIVEN the real command, waiting for tasks that never come up
    scripted = ScriptedEcs(clock=RealClock(), behaviour=never_steady)
    with serve(scripted) as url:
        process = subprocess.Popen(
            slipway("deploy", "-c", "prod", "-n", "web", "--container", "web=app:v8"),
            env=environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        told = ""
        while "1 pending" not in told:
            told = process.stderr.readline()
            assert told, "it ended before it waited"

        # WHEN somebody presses Control-C
        process.send_signal(signal.SIGINT)
        _out, rest = process.communicate(timeout=20)

    # THEN it says so, without a traceback
    assert process.returncode == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest


def test_an_endpoint_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from slipway.cli.main import main; from slipway.cli.deploy.world import World\n"
        "class Clock:\n"
        "    time = 0.0\n"
        "    def now(self): return self.time\n"
        "    def sleep(self, seconds): self.time += seconds\n"
        "main(obj=World(clock=Clock()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "deploy", "-c", "prod", "-n", "web", "-i", "app:v1"],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 3
    assert "ecs:DescribeServices was not answered" in ended.stderr
    assert "Traceback" not in ended.stderr
