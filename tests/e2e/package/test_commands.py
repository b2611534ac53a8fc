"""The installed command, from a folder outside the tree, against something that answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from slipway.cli.main import VERBS
from tests.e2e.emulator.world import PROD, World
from tests.e2e.package.installed import Installed
from tests.places import CONFIGURATIONS
from tests.scripted_ecs import IMAGE, ScriptedEcs, becomes_healthy, serve
from tests.unit.slipway.cli.deploy.real import RealClock
from tests.unit.slipway.cli.world import all_queues, make_table, settings


def account(url: str) -> dict[str, str]:
    """Credentials that answer at `url` only; the emulator takes a number for its account."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": PROD,
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def installation(cloud: World, installed: Installed) -> dict[str, str]:
    """What `status` asks, as the prod stack would have made it; the environment to ask in."""
    told = settings("shop")
    if told.names.table not in cloud.root("dynamodb").list_tables()["TableNames"]:
        make_table(cloud.root("dynamodb"), told.names.table)
        for queue in all_queues(told):
            cloud.root("sqs").create_queue(QueueName=queue)
    file = installed.folder / "told.json"
    file.write_text(told.to_json())
    return {**account(cloud.url), "SLIPWAY_INSTALLATION": str(file)}


def test_it_helps_with_every_verb(installed: Installed) -> None:
    told = installed.run("--help")
    assert (told.returncode, told.stderr) == (0, "")
    for verb in VERBS:
        assert f"  {verb} " in told.stdout
        helped = installed.run(verb, "--help")
        assert helped.returncode == 0, (verb, helped.stderr)
    version = next(d.version for d in installed.distributions() if d.name == "slipway")
    assert installed.run("--version").stdout == f"slipway, version {version}\n"


def test_it_deploys(installed: Installed) -> None:
    scripted = ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))
    with serve(scripted) as url:
        told = installed.run(
            "deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8", aws=account(url)
        )
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1].startswith("succeeded: web:8 runs")
    assert scripted.live.endswith(":8")


def test_it_writes_taskdef_json(installed: Installed, tmp_path: Path) -> None:
    with serve(ScriptedEcs(clock=RealClock())) as url:
        told = installed.run(
            "taskdef", "-c", "prod", "-n", "web", "--no-appspec", "--container", "web=app:v9",
            aws=account(url), folder=tmp_path,
        )  # fmt: skip
    assert told.returncode == 0, told.stderr
    written = json.loads((tmp_path / "taskdef.json").read_text())
    assert [c["image"] for c in written["containerDefinitions"] if c["name"] == "web"] == ["app:v9"]


def test_it_tells_the_status(installed: Installed, installation: dict[str, str]) -> None:
    told = installed.run("status", aws=installation)
    assert told.returncode == 0, told.stderr
    assert "shop" in told.stdout
    as_json = installed.run("status", "--json", aws=installation)
    assert as_json.returncode == 0, as_json.stderr
    assert [p["pipeline"] for p in json.loads(as_json.stdout)["pipelines"]] == ["shop"]


def test_it_checks_a_configuration(installed: Installed, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    shutil.copy(CONFIGURATIONS / "unprepared.json", file)
    told = installed.run("config", "check", "mine.json", folder=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    file.write_text(file.read_text().replace('"region"', '"reigon"'))
    told = installed.run("config", "check", "mine.json", folder=tmp_path)
    assert told.returncode == 2
    assert "region" in told.stdout


def test_it_writes_a_configuration_that_it_takes(installed: Installed, tmp_path: Path) -> None:
    told = installed.run(
        "init", "ours.json", "--offline", "--region", "eu-central-1", "--repository", "shop",
        "--dev-account", "123456789012", "--prod-account", "210987654321", "--sample",
        folder=tmp_path,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert installed.run("config", "check", "ours.json", folder=tmp_path).returncode == 0


def test_yaml_is_an_extra(installed: Installed, tmp_path: Path) -> None:
    # GIVEN a configuration in YAML, and no PyYAML
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(json.loads((CONFIGURATIONS / "unprepared.json").read_text())))
    told = installed.run("config", "check", str(file))
    assert told.returncode == 2
    assert told.stderr == (
        f"slipway: {file} is YAML, which needs PyYAML: `python -m pip install PyYAML`\n"
    )
    # WHEN it is brought by the package's extra
    more = Installed.make(installed.wheel, tmp_path / "more", extras="[yaml]")
    told = more.run("config", "check", str(file))
    # THEN it is read
    assert (told.returncode, told.stderr) == (0, "")


def test_it_says_where_the_local_run_is(installed: Installed) -> None:
    told = installed.run("local", "up")
    assert told.returncode == 2
    (sentence,) = told.stderr.splitlines()
    assert "in a clone of Slipway's repository" in sentence


@pytest.mark.parametrize(
    "arguments", [("report", "--html", "r.html"), ("history", "--plot", "--output", "h.png")]
)
def test_it_says_what_a_plot_needs(
    arguments: tuple[str, ...], installed: Installed, installation: dict[str, str]
) -> None:
    told = installed.run(*arguments, aws=installation)
    assert told.returncode == 2, (told.stdout, told.stderr)
    assert told.stderr.splitlines() == [
        "slipway: plots need matplotlib, which is not installed: `python -m pip install matplotlib`"
    ]
