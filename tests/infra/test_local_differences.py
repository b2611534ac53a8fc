"""On one machine the stacks differ in what is listed, and in no permission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.local_differences import DIFFERENCES
from slipway.configuration import read
from tests.infra.templates import (
    LOCAL,
    ROOT,
    Stacks,
    Template,
    identity_statements,
    resource_statements,
    resources,
    synthesize,
    trust_statements,
)


@pytest.fixture(scope="module")
def same_in_aws(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """The local configuration without its `local` part."""
    data = read(LOCAL)
    del data["local"]
    return synthesize(data, tmp_path_factory.mktemp("same"))


def test_permissions_and_trust_are_production_s(local: Stacks, same_in_aws: Stacks) -> None:
    for here, there in zip(local.both, same_in_aws.both, strict=True):
        for statements in (identity_statements, trust_statements):
            assert _table(here, statements) == _table(there, statements)


def test_only_the_tls_condition_is_missing_in_resource_policies(
    local: Stacks, same_in_aws: Stacks
) -> None:
    for here, there in zip(local.both, same_in_aws.both, strict=True):
        missing = [s for s in resource_statements(there) if _key(s) not in _keys(here)]
        assert all(s.raw["Effect"] == "Deny" for s in missing)
        assert all(s.conditions == "Bool aws:SecureTransport = false" for s in missing)
        assert _keys(here) <= _keys(there)


def test_the_same_resources_are_made(local: Stacks, same_in_aws: Stacks) -> None:
    for here, there in zip(local.both, same_in_aws.both, strict=True):
        gone = _types(there) - _types(here)
        assert gone <= {"AWS::SQS::QueuePolicy"}
        assert _types(here) <= _types(there)


def test_functions_bring_no_layer_and_no_arm_to_one_machine(local: Stacks) -> None:
    for template in local.both:
        for function in resources(template, "AWS::Lambda::Function").values():
            assert "Layers" not in function
            assert function["Architectures"] == ["x86_64"]


def test_every_difference_is_told_in_the_docs() -> None:
    security = Path(ROOT, "docs", "security.md").read_text(encoding="utf-8")
    for what, in_aws, on_one_machine, why in DIFFERENCES:
        assert f"| {what} | {in_aws} | {on_one_machine} | {why} |" in security


def _types(template: Template) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def _table(template: Template, statements: Any) -> list[tuple[str, ...]]:
    # The archive of the agent differs, so its hash is left out by `resources`.
    return sorted(_key(s) for s in statements(template))


def _keys(template: Template) -> set[tuple[str, ...]]:
    return {_key(s) for s in resource_statements(template)}


def _key(statement: Any) -> tuple[str, ...]:
    resources_named = tuple(r.replace("${AWS::Partition}", "aws") for r in statement.resources)
    return (
        statement.owner,
        *statement.actions,
        *resources_named,
        statement.principal,
        statement.conditions,
    )
