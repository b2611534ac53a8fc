"""The command line as an image: built by the Dockerfile as it is, on a base of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.package.base_image import make_base_image
from tests.e2e.package.test_commands import account
from tests.e2e.test_hostile_builds import provided
from tests.places import CONFIGURATIONS, ROOT
from tests.scripted_ecs import IMAGE as APP
from tests.scripted_ecs import ScriptedEcs, becomes_healthy, serve
from tests.unit.slipway.cli.deploy.real import RealClock

NAME = "slipway-test-image"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """What the image prints when it is run; `options` are docker's."""
    with provided(tmp_path_factory.mktemp("daemon") / "run") as (docker, _ledger):
        base = make_base_image(docker, tmp_path_factory.mktemp("base"))
        docker.run("build", "--quiet", "--build-arg", f"BASE={base}", "--tag", NAME, str(ROOT))

        def ran(*arguments: str, options: tuple[str, ...] = ()) -> str:
            return docker.run("run", "--rm", *options, NAME, *arguments)

        try:
            yield ran
        finally:
            docker.run("rmi", "--force", NAME, base)


def test_it_says_which_slipway_it_is(run: Run) -> None:
    version = run("--version").removeprefix("slipway, version ").strip()
    assert f'\nversion = "{version}"\n' in (ROOT / "pyproject.toml").read_text()
    assert "--service-name" in run("deploy", "--help")
    assert run().startswith("Usage: slipway")


def test_it_is_not_root(run: Run) -> None:
    code = "import os; print(os.getuid(), os.getgid(), os.access('/opt/slipway', os.W_OK))"
    assert run("-c", code, options=("--entrypoint", "python3")).split() == [
        "65532",
        "65532",
        "False",
    ]
    # AND whoever mounts a folder may be themselves
    assert run("--version", options=("--user", "1234:1234"))


def test_it_reads_a_configuration_in_yaml(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(yaml.safe_dump(json.loads((CONFIGURATIONS / "unprepared.json").read_text())))
    mounted = ("--volume", f"{file}:/work/ours.yaml:ro")
    assert "ours.yaml is valid" in run("config", "check", "ours.yaml", options=mounted)


def test_it_deploys(run: Run) -> None:
    scripted = ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))
    with serve(scripted) as url:
        given = (f"--env={name}={value}" for name, value in account(url).items())
        told = run(
            "deploy", "-c", "prod", "-n", "web", "-i", f"{APP}:v8",
            options=("--network", "host", *given),
        )  # fmt: skip
    assert told.splitlines()[-1].startswith("succeeded: web:8 runs")
    assert scripted.live.endswith(":8")
