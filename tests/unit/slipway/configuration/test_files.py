"""JSON and YAML alike: the same values, the same lines, and no key that is given twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.cli.aws.locate import locate
from slipway.cli.main import main
from slipway.configuration import load, parse, read
from slipway.configuration.files import read_file
from slipway.contracts.errors import InvalidConfiguration, WrongUse
from tests.places import CONFIGURATIONS

FULL = CONFIGURATIONS / "full.json"

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=15,
)


def written(path: Path, data: Any) -> Path:
    text = yaml.safe_dump(data) if path.suffix == ".yaml" else json.dumps(data, indent=2)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["full.json", "local.json", "unprepared.json"])
def test_yaml_is_taken_as_json_is(name: str, tmp_path: Path) -> None:
    of_json = CONFIGURATIONS / name
    of_yaml = written(tmp_path / "c.yaml", read(of_json))
    assert load(of_yaml) == load(of_json)
    # AND whatever takes an installation takes it
    assert locate(of_yaml).installation == locate(of_json).installation


@settings(derandomize=True, max_examples=200)
@given(value=VALUES, indent=st.sampled_from([None, 0, 1, 4]))
def test_lines_are_those_that_pyyaml_counts(
    value: Any, indent: int | None, tmp_path_factory: Any
) -> None:
    # GIVEN a JSON text, which is YAML as well
    folder = tmp_path_factory.getbasetemp()
    text = json.dumps(value, indent=indent)
    for name in ("lines.json", "lines.yaml"):
        (folder / name).write_text(f"\n{text}\n")
    # THEN our reader of JSON finds each path on the line where PyYAML finds it
    ours, theirs = read_file(folder / "lines.json"), read_file(folder / "lines.yaml")
    assert (ours.value, dict(ours.lines)) == (theirs.value, dict(theirs.lines))
    assert ours.value == value


TWICE = {
    "twice.json": """\
{
  "name": "slipway", "region": "eu-central-1",
  "dev": {
    "account": "123456789012",
    "account": "210987654321"
  }
}
""",
    "twice.yaml": """\
name: slipway
region: eu-central-1
dev:
  account: "123456789012"
  account: "210987654321"
""",
}


@pytest.mark.parametrize("name", TWICE)
def test_a_key_given_twice_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(TWICE[name])
    with pytest.raises(InvalidConfiguration) as refused:
        load(file)
    told = refused.value.told()
    assert f"{file}:5: dev.account: is given twice, on lines 4 and 5" in told
    # AND everything else that is wrong is told beside it
    assert any(": prod: is missing" in one for one in told)
    with pytest.raises(InvalidConfiguration, match="given twice"):
        read(file)


def test_in_cdk_json_the_whole_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    context = json.dumps(read(FULL), indent=1)
    file.write_text(f'{{"app": "x",\n"app": "y",\n"context": {{"slipway": {context}\n}}}}')
    with pytest.raises(InvalidConfiguration) as refused:
        load(file)
    assert refused.value.told() == [f"{file}:2: $.app: is given twice, on lines 1 and 2"]


def test_yaml_s_references_and_merges_are_followed_and_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("base: &b {a: 1, b: 2}\none: {<<: *b, a: 3}\ntwo: {<<: *b}\nthree: *b\n")
    assert read(file) == {
        "base": {"a": 1, "b": 2}, "one": {"a": 3, "b": 2},
        "two": {"a": 1, "b": 2}, "three": {"a": 1, "b": 2},
    }  # fmt: skip


LAUGHS = [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "c.yaml:1: is not YAML: "),
        ("a: 1\n1: 2", "c.yaml:2: is not YAML: a key must be text: write it in quotes (1)"),
        ("a: 1\non: 2", "write it in quotes (on)"),
        ("a: !!python/object:os.system x", "c.yaml:1: is not YAML: "),
        ("a: 1\n---\nb: 2", "is not YAML: "),
        ("a: &a [*a]", "is not YAML: "),
        ("a: \x07", "is not YAML: "),
        ("&a {<<: *a}", "region: is missing"),
        ("\n".join(["a: &a0 [x, x]", *LAUGHS]), "more than 100000 values"),
        ("- " * 5000, "is not YAML: "),
    ],
)  # fmt: skip
def test_what_is_no_yaml_of_a_configuration_is_told(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    told = CliRunner().invoke(main, ["config", "check", str(file)])
    assert told.exit_code == 2, told.exception
    assert said in told.stdout


def test_numbers_that_yaml_makes_of_texts_are_told_with_what_helps(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(read(FULL)).replace("'222222222222'", "222222222222"))
    with pytest.raises(InvalidConfiguration) as refused:
        load(file)
    (told,) = refused.value.told()
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if ": 2222" in text)
    assert told == f"{file}:{line}: prod.account: 222222222222: must be a text, in quotes"


def test_without_pyyaml_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    file = tmp_path / "c.yml"
    file.write_text("name: slipway\n")
    with pytest.raises(WrongUse, match="needs PyYAML: `python -m pip install PyYAML`"):
        load(file)


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_each_fault_has_its_line(ending: str, tmp_path: Path) -> None:
    # GIVEN a fault in a value, a missing key, an unknown key, and a rule between two values
    data = read(FULL)
    data["pipelines"][0]["branch"] = "a..b"
    del data["pipelines"][1]["service"]["cluster"]
    file = written(tmp_path / f"c.{ending}", data)
    lines = file.read_text().splitlines()
    # WHEN it is checked, THEN a value is told where it stands
    told = CliRunner().invoke(main, ["config", "check", "--json", str(file)])
    (fault,) = json.loads(told.stdout)["problems"]
    assert fault["path"] == "pipelines[0].branch"
    assert "a..b" in lines[fault["line"] - 1]
    # AND what is missing where that stands which lacks it
    data["pipelines"][0]["branch"] = "main"
    written(file, data)
    told = CliRunner().invoke(main, ["config", "check", "--json", str(file)])
    faults = {f["path"]: f["line"] for f in json.loads(told.stdout)["problems"]}
    assert "service" in file.read_text().splitlines()[faults["pipelines[1].service.cluster"] - 1]


def test_a_value_without_a_file_is_told_by_path_alone() -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        parse({**read(FULL), "region": 1})
    assert refused.value.told() == ["region: 1: must be a text, in quotes"]
