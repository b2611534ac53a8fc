from __future__ import annotations

import pytest

from tests.infra.templates import (
    CODE_BUILD,
    EXAMPLE,
    FULL,
    LOCAL,
    OVERFLOW,
    Stacks,
    synthesize_file,
)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """cdk.json's own configuration."""
    return synthesize_file(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """A configuration that uses everything."""
    return synthesize_file(FULL, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="session")
def code_build(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """CodeBuild alone builds."""
    return synthesize_file(CODE_BUILD, tmp_path_factory.mktemp("code_build"))


@pytest.fixture(scope="session")
def overflow(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """Hosts first, then CodeBuild."""
    return synthesize_file(OVERFLOW, tmp_path_factory.mktemp("overflow"))


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """One machine in place of two accounts."""
    return synthesize_file(LOCAL, tmp_path_factory.mktemp("local"))
