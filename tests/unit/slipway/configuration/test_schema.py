"""The JSON Schema, held against the reader by a validator that knows neither."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from local.node import node_binary
from slipway.cli.main import main
from slipway.configuration import parse, read
from slipway.configuration.schema import json_schema, json_schema_text
from slipway.contracts.errors import InvalidConfiguration
from tests.places import CONFIGURATIONS, ROOT
from tests.unit.slipway.cli.verbs import test_config
from tests.unit.slipway.configuration.changed import REMOVED, changed

EXAMPLE = ROOT / "cdk.json"
WRITTEN = ROOT / "docs" / "configuration.schema.json"
SCHEMA = Draft202012Validator(json_schema())
FULL = read(CONFIGURATIONS / "full.json")

BROKEN: list[tuple[str, Any]] = [
    ("$schema", 1),
    ("name", "Slip way"),
    ("region", REMOVED),
    ("region", "Frankfurt"),
    ("reigon", "eu-central-1"),
    ("dev.account", "12"),
    ("dev.account", 111111111111),
    ("build_host", {}),
    ("pipelines", []),
    ("pipelines.0.branch", "a..b"),
    ("pipelines.0.branch", "refs/heads/main"),
    ("pipelines.0.branch", "topic.lock/x"),
    ("pipelines.0.repository.name", "shop.git"),
    ("pipelines.0.images.0.repository.name", "222222222222.dkr.ecr.eu-central-1.amazonaws.com/x"),
    ("pipelines.0.images.0.dockerfile", "/Dockerfile"),
    ("pipelines.0.images.0.dockerfile", "docker/.."),
    ("pipelines.0.images.0.context", "../web"),
    ("pipelines.0.images.0.context", "web/../../x"),
    ("pipelines.0.submodules", ["../theme"]),
    ("pipelines.0.images.0.test.reports", ["../x.xml"]),
    ("pipelines.0.images.0.test.reports", ["/*/x.xml"]),
    ("pipelines.0.images.0.platform", "windows"),
    ("pipelines.0.images.0.buildArguments", {"a-b": "x"}),
    ("pipelines.0.images.0.buildSecrets.npm", "hunter2"),
    ("pipelines.0.service.cluster", REMOVED),
    ("pipelines.2.service.cluster", "production"),
    ("pipelines.0.service.port", 0),
    ("pipelines.0.rollout.healthyTimeout", "1800"),
    ("pipelines.0.rollout.newPush", "supersede"),
    ("pipelines.0.notices.commitUrl", "https://example.com/"),
    ("buildHost.count", 11),
    ("buildHost.architecture", "arm"),
    ("buildHost.ami", "latest"),
    ("network.subnetId", REMOVED),
    ("notices.emails", ["ops"]),
    ("tags", {"team": 1}),
]
BETWEEN_VALUES: list[tuple[str, Any]] = [
    ("pipelines.1.name", "shop"),
    ("limits.lockTtl", 300),
    ("pipelines.0.images.0.platform", "linux/amd64"),
]
"""What no schema says: it concerns two values."""


def taken(data: Any) -> bool:
    try:
        parse(data)
    except InvalidConfiguration:
        return False
    return True


@pytest.mark.parametrize(
    "file", [EXAMPLE, *sorted(CONFIGURATIONS.glob("*.json"))], ids=lambda file: file.name
)
def test_what_is_right_is_right_for_both(file: Path) -> None:
    assert list(SCHEMA.iter_errors(read(file))) == []
    assert taken(read(file))


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_what_is_broken_is_refused_by_both(path: str, value: Any) -> None:
    data = changed(FULL, path, value)
    assert not taken(data)
    assert not SCHEMA.is_valid(data)


@pytest.mark.parametrize(("path", "value"), BETWEEN_VALUES)
def test_what_lies_between_values_is_the_reader_s(path: str, value: Any) -> None:
    data = changed(FULL, path, value)
    assert not taken(data)
    assert SCHEMA.is_valid(data)


@settings(derandomize=True, max_examples=400)
@given(data=test_config.changed())
def test_the_schema_refuses_nothing_that_the_reader_takes(data: Any) -> None:
    assert not taken(data) or SCHEMA.is_valid(data)


def test_it_is_a_schema_in_its_own_dialect() -> None:
    Draft202012Validator.check_schema(json_schema())
    for name in ("full.json", "local.json"):
        named = read(CONFIGURATIONS / name)["$schema"]
        assert (CONFIGURATIONS / named).resolve() == WRITTEN


def test_an_editor_s_expressions_say_the_same() -> None:
    # GIVEN every pattern of the schema, and texts that some of them take
    patterns = sorted(set(patterns_of(json_schema())))
    texts = sorted({*texts_of(FULL), "", "a", "main", "refs/heads/x", "a.lock"})
    # WHEN ECMAScript, which editors are written in, reads them
    code = (
        "const [patterns, texts] = JSON.parse(require('fs').readFileSync(0));"
        "const takes = p => texts.filter(t => new RegExp(p, 'u').test(t));"
        "console.log(JSON.stringify(patterns.map(takes)))"
    )
    ended = subprocess.run(
        [str(node_binary()), "-e", code],
        input=json.dumps([patterns, texts]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    # THEN each takes what Python's takes
    for pattern, found in zip(patterns, json.loads(ended.stdout), strict=True):
        ours = Draft202012Validator({"pattern": pattern})
        assert found == [text for text in texts if ours.is_valid(text)], pattern


def test_the_file_is_the_model_s() -> None:
    """`make docs` writes it anew."""
    assert WRITTEN.read_text(encoding="utf-8") == json_schema_text()
    assert CliRunner().invoke(main, ["config", "schema"]).stdout == json_schema_text()


def patterns_of(value: Any) -> Iterator[str]:
    for member in members_of(value):
        yield from patterns_of(member)
    if isinstance(value, dict):
        yield from value.get("patternProperties", {})
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]


def texts_of(value: Any) -> Iterator[str]:
    for member in members_of(value):
        yield from texts_of(member)
    if isinstance(value, str):
        yield value


def members_of(value: Any) -> list[Any]:
    return (
        list(value.values())
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
