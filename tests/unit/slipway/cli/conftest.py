"""A moto world per test; nothing reaches a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from tests.aws.answers import refused, script_clients
from tests.unit.slipway.cli.world import PROD, World, settings


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "SLIPWAY_INSTALLATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", PROD)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def world(aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two pipelines, `shop` and `api`."""
    made = World(settings("shop", "api"), tmp_path / "installation.json")
    made.build()
    made.answers["GetBranch"] = _get_branch(made)
    _answer(made, monkeypatch)
    return made


def _get_branch(world: World) -> Callable[[dict[str, Any]], Any]:
    """CodeCommit's GetBranch, which moto has not, from `world.tips`."""

    def answer(request: dict[str, Any]) -> Any:
        tip = world.tips.get(request["repositoryName"])
        if tip is None:
            raise refused("codecommit", "GetBranch", "RepositoryDoesNotExistException")
        return {"branch": {"branchName": request["branchName"], "commitId": tip}}

    return answer


def _answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations in `world.answers` are answered by it, the others by moto."""

    def script(operation: str) -> Callable[[dict[str, Any]], Any] | None:
        world.calls.append(operation)
        return world.answers.get(operation)

    script_clients(monkeypatch, script)
