"""What is shipped follows from the files alone, and holds what is needed and nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from infra.hosts.assets import FORGOTTEN_SECONDS, Staged, stage
from slipway.configuration import load
from slipway.configuration.resolve import resolve
from slipway.contracts.installation import FILE_NAME, Installation, load_installation
from tests.infra.templates import EXAMPLE, FULL
from tests.places import ROOT


@pytest.fixture(scope="module")
def installation() -> Installation:
    return resolve(load(EXAMPLE))


@pytest.fixture(scope="module")
def staged(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    return stage(installation, tmp_path_factory.mktemp("assets"), vendored=True)


def test_the_same_files_give_the_same_bytes(
    installation: Installation, staged: Staged, tmp_path: Path
) -> None:
    again = stage(installation, tmp_path, vendored=True)
    assert again.agent.read_bytes() == staged.agent.read_bytes()
    assert _files(again.functions) == _files(staged.functions)


def test_another_configuration_gives_another_archive(staged: Staged, tmp_path: Path) -> None:
    other = stage(resolve(load(FULL)), tmp_path, vendored=True)
    assert other.agent_sha256 != staged.agent_sha256


def test_what_no_synth_has_staged_for_a_while_is_dropped(
    installation: Installation, tmp_path: Path
) -> None:
    # GIVEN what three synths of other configurations have left, one of them just now
    for name, age in (("old", 2 * FORGOTTEN_SECONDS), ("older", 86400), ("fresh", 60)):
        (tmp_path / name / "functions").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    # AND this one's own of long ago
    staged = stage(installation, tmp_path, vendored=False)
    own = staged.functions.parent
    os.utime(own, (time.time() - 86400,) * 2)
    # WHEN it is staged again
    stage(installation, tmp_path, vendored=False)
    # THEN what another synth may be reading is there, and what this one has made
    assert {path.name for path in tmp_path.iterdir()} == {"fresh", own.name}
    assert staged.agent.exists()


def test_the_hash_is_the_archive_s_own(staged: Staged) -> None:
    assert hashlib.sha256(staged.agent.read_bytes()).hexdigest() == staged.agent_sha256


def test_functions_get_their_code_their_contracts_and_their_settings(staged: Staged) -> None:
    files = _files(staged.functions)
    assert {name.split("/")[0] for name in files} == {"lambdas", "slipway", FILE_NAME}
    # AND of the package the rooms that they know
    assert {name.split("/")[1] for name in files if name.startswith("slipway/")} == {
        "__init__.py", "contracts", "following", "rollout",
    }  # fmt: skip
    assert not [name for name in files if "__pycache__" in name]
    assert load_installation(staged.functions / FILE_NAME) == resolve(load(EXAMPLE))


def test_the_archive_runs_with_what_it_brings(staged: Staged, tmp_path: Path) -> None:
    # GIVEN the archive unpacked, and a Python that has nothing installed
    with tarfile.open(fileobj=io.BytesIO(staged.agent.read_bytes())) as tar:
        tar.extractall(tmp_path, filter="data")
    # WHEN the agent is imported from it
    code = (
        "import build_agent.__main__, build_agent.image.reports, boto3, sys, yaml; "
        "assert yaml.__file__.startswith(sys.argv[1]) and yaml.safe_load('a: [1]') == {'a': [1]}; "
        "assert not yaml.__with_libyaml__; "
        "assert boto3.__file__.startswith(sys.argv[1]), boto3.__file__; "
        "[boto3.client(name, region_name='eu-central-1') for name in "
        "('sqs', 'sns', 'dynamodb', 'sts', 'ecr', 'ecs', 'logs', 'ssm', 'secretsmanager')]"
    )
    code = f"import sys; sys.path[:0] = sys.argv[1:]; {code}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path), str(tmp_path / "vendor")],
        capture_output=True,
        text=True,
        check=False,
    )
    # THEN all that it needs is there
    assert result.returncode == 0, result.stderr


def test_the_archive_is_small_enough_to_fetch_at_every_update(staged: Staged) -> None:
    assert staged.agent.stat().st_size < 25_000_000


@pytest.mark.parametrize("name", ["trigger", "starter", "stopper", "notifier", "reconciler"])
def test_a_handler_s_import_is_light(name: str, staged: Staged) -> None:
    """FIELD: each of these costs 50 to 200 ms of cold start."""
    heavy = ("pydantic", "requests", "aws_xray_sdk", "aws_cdk")
    code = (
        f"import sys, lambdas.{name}.handler; "
        f"found = [m for m in {heavy!r} if m in sys.modules]; sys.exit(repr(found) if found else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=staged.functions,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_repository_s_root_is_where_the_sources_are() -> None:
    assert (ROOT / "lambdas").is_dir()
