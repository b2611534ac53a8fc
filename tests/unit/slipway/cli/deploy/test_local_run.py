"""`deploy` and `taskdef` know the local run as the other verbs do, and only where it is meant."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.cli.aws.credentials import Credentials
from slipway.cli.aws.who_calls import SAY_WHO, in_local_run
from tests.places import CONFIGURATIONS
from tests.scripted_ecs import IMAGE, ScriptedEcs, becomes_healthy, serve
from tests.unit.slipway.cli.deploy.real import RealClock, environment, slipway

ACCOUNT = "222222222222"
NOBODY = Credentials()


def local_run(folder: Path, url: str) -> Path:
    """What `slipway local up` leaves in a folder."""
    place = folder / ".local"
    place.mkdir()
    state = {"endpoint_url": url, "region": "us-east-1", "prod_account": ACCOUNT}
    (place / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (place / "installation.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
def scripted() -> ScriptedEcs:
    return ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))


@pytest.fixture
def inside(tmp_path: Path, scripted: ScriptedEcs) -> Iterator[Path]:
    """A folder below one in which a local run is up, that answers."""
    with serve(scripted) as url:
        folder = local_run(tmp_path, url) / "below"
        folder.mkdir()
        yield folder


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The real command, with nothing of AWS in its environment."""
    bare = {k: v for k, v in environment().items() if not k.startswith("AWS_")}
    bare |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true", **variables}
    return subprocess.run(
        slipway(*arguments), cwd=folder, env=bare, capture_output=True, text=True, check=False
    )


DEPLOY = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
TASKDEF = ("taskdef", "-c", "prod", "-n", "web", "--no-appspec")


@pytest.mark.parametrize("line", [DEPLOY, TASKDEF], ids=["deploy", "taskdef"])
def test_in_a_local_run_s_folder_that_is_where_it_goes_and_it_says_so(
    inside: Path, line: tuple[str, ...]
) -> None:
    # WHEN nothing is configured but the local run
    done = run(inside, *line)
    # THEN it goes there
    assert done.returncode == 0, done.stderr
    assert "note: this goes to the local run at http://127.0.0.1:" in done.stderr
    assert "note" not in done.stdout


def test_who_gives_credentials_means_aws(inside: Path, scripted: ScriptedEcs) -> None:
    # WHEN keys are given, and AWS does not answer
    keys = ("-k", "AKIAGIVEN", "-s", "given", "-r", "us-east-1")
    done = run(inside, *DEPLOY, *keys, AWS_ENDPOINT_URL="http://127.0.0.1:9", HTTPS_PROXY="")
    # THEN nothing was done in the local run
    assert done.returncode == 3, done.stderr
    assert "local run" not in done.stderr
    assert scripted.calls == []


@pytest.mark.parametrize(
    "given",
    [
        {"access_key": "AKIA", "secret_key": "s"},
        {"profile": "ci"},
        {"instance_profile": True},
        {"role": "arn:aws:iam::1:role/x"},
        {"region": "eu-west-1"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_options_that_say_who_calls_or_where_come_first(
    tmp_path: Path, given: dict[str, str]
) -> None:
    local_run(tmp_path, "http://127.0.0.1:9")
    credentials = Credentials(**given)  # type: ignore[arg-type]
    assert in_local_run(credentials, environment={}, folder=tmp_path) is credentials


@pytest.mark.parametrize("name", SAY_WHO)
def test_so_does_an_environment_that_says_it(tmp_path: Path, name: str) -> None:
    local_run(tmp_path, "http://127.0.0.1:9")
    assert in_local_run(NOBODY, environment={name: "x"}, folder=tmp_path) is NOBODY
    found = in_local_run(NOBODY, environment={name: ""}, folder=tmp_path)
    assert (found.access_key, found.endpoint) == (ACCOUNT, "http://127.0.0.1:9")


def test_so_does_an_installation_that_is_nearer_or_named(tmp_path: Path) -> None:
    # GIVEN an installation of its own in a folder below
    local_run(tmp_path, "http://127.0.0.1:9")
    nearer = tmp_path / "nearer"
    nearer.mkdir()
    settings = json.loads((CONFIGURATIONS / "full.json").read_text(encoding="utf-8"))
    (nearer / "cdk.json").write_text(json.dumps({"context": {"slipway": settings}}))
    # WHEN, THEN
    assert in_local_run(NOBODY, environment={}, folder=nearer) is NOBODY
    named = {"SLIPWAY_INSTALLATION": str(nearer / "cdk.json")}
    assert in_local_run(NOBODY, environment=named, folder=tmp_path) is NOBODY


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"endpoint_url": 7}'])
def test_where_no_local_run_is_up_nothing_changes(tmp_path: Path, text: str) -> None:
    assert in_local_run(NOBODY, environment={}, folder=tmp_path) is NOBODY
    local_run(tmp_path, "http://127.0.0.1:9")
    (tmp_path / ".local" / "state.json").write_text(text)
    assert in_local_run(NOBODY, environment={}, folder=tmp_path) is NOBODY
