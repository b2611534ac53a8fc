"""Whatever is written as a configuration is right, or each fault is told by its path."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.cli.main import main
from slipway.configuration import CONTEXT_KEY, parse
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration
from tests.places import CONFIGURATIONS

OWN = {"111111111111": "123456789012", "222222222222": "210987654321", "ami-0000": "ami-1111"}
"""In place of the example's values, which the command refuses."""
TEXT = (CONFIGURATIONS / "full.json").read_text()
FULL = json.loads(re.sub("|".join(OWN), lambda found: OWN[found[0]], TEXT))
Place = tuple[str | int, ...]

HOSTILE = [
    "", " ", "-x", "--", "../..", "/etc/passwd", "a\n", "a\x00b", "\x1b[31m", "\ud800", "{commit}",
    "{", "$(id)", "x" * 100_000, "٣" * 12, None, True, -1, 0, 10**400, 1.5, float("nan"),
    float("inf"), [], {}, [[]], {"": None}, {"\ud800": "\ud800"},
]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.sampled_from(HOSTILE) | st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FULL, "account"]) | st.text(max_size=9), inner)
    ),
    max_leaves=12,
)


def places(value: Any, at: Place = ()) -> list[Place]:
    """The path of every value in `value`, its own first."""
    members: Any = ()
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
    return [at, *(place for key, member in members for place in places(member, (*at, key)))]


PLACES = places(FULL)[1:]


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """The full configuration with one value replaced, taken out, or given company."""
    data = copy.deepcopy(FULL)
    *way, last = draw(st.sampled_from(PLACES))
    holder = data
    for key in way:
        holder = holder[key]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            holder[last] = draw(VALUES)
        case "remove":
            del holder[last]
        case "add" if isinstance(holder, list):
            holder.append(draw(VALUES | st.sampled_from(holder)))
        case "add":
            holder[draw(st.text(max_size=9))] = draw(VALUES)
    return data


def is_right(data: Any) -> bool:
    try:
        resolve(parse(data))
    except InvalidConfiguration as refusal:
        assert refusal.problems
        assert all(path and problem for path, problem in refusal.problems)
        assert str(refusal).isprintable()
        return False
    return True


@settings(derandomize=True)
@given(data=VALUES)
def test_any_value_is_refused_by_path(data: Any) -> None:
    assert not is_right(data)


@settings(derandomize=True, max_examples=400)
@given(data=changed())
def test_a_changed_configuration_is_right_or_refused_by_path(data: Any) -> None:
    is_right(data)


@settings(derandomize=True, max_examples=60)
@given(data=VALUES | changed(), as_json=st.booleans(), in_context=st.booleans())
def test_the_command_tells_what_is_wrong_and_ends_with_2(
    tmp_path_factory: Any, data: Any, as_json: bool, in_context: bool
) -> None:
    # GIVEN a file with anything in it, by itself or as the context of a CDK app
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps({"app": "", "context": {CONTEXT_KEY: data}} if in_context else data))
    # WHEN it is checked, THEN the command agrees with the parser, and never breaks off
    told = CliRunner().invoke(main, ["config", "check", str(file), *["--json"] * as_json])
    assert told.exit_code == (0 if is_right(data) else 2), told.exception


NO_JSON = [b"", b"{", b"[" * 9999, b"9" * 5000, b"\xef\xbb\xbf{}", b"\xff", b"{}\x00"]


@settings(derandomize=True, max_examples=60)
@given(text=st.sampled_from(NO_JSON) | st.binary(max_size=60))
def test_a_file_of_anything_is_refused(tmp_path_factory: Any, text: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(text)
    told = CliRunner().invoke(main, ["config", "check", str(file)])
    assert (told.exit_code, type(told.exception)) == (2, SystemExit)


@pytest.mark.parametrize("depth", [500, 900, 950, 980, 9999])
def test_a_file_however_deep_is_refused(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "deep.json"
    file.write_text('{"name": ' + "[" * depth + "]" * depth + "}")
    told = CliRunner().invoke(main, ["config", "check", str(file)])
    assert (told.exit_code, type(told.exception)) == (2, SystemExit)


def test_a_value_too_deep_to_be_shown_is_refused() -> None:
    # GIVEN a value that json reads in few frames, and cannot write in the more that checking takes
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert not is_right({**FULL, "name": deep})
