from __future__ import annotations

import pytest

from tests.infra.templates import EXAMPLE, FULL, LOCAL, Stacks, synthesize_file


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """cdk.json's own configuration."""
    return synthesize_file(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """A configuration that uses everything."""
    return synthesize_file(FULL, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """One machine in place of two accounts."""
    return synthesize_file(LOCAL, tmp_path_factory.mktemp("local"))
