"""The ten lines beside a function make the clients that it makes before its first call."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import bench.__main__
from bench import cold_start
from bench.cold_start import CLIENTS, function_environment
from infra.function import MEMORY
from tests.places import ROOT

LISTEN = """
import json, runpy, sys
from botocore.session import Session

made, create = [], Session.create_client

def noted(self, service, *arguments, **options):
    made.append(service)
    return create(self, service, *arguments, **options)

Session.create_client = noted
sys.argv = ["cold", *sys.argv[1:]]
runpy.run_module("bench.contenders.cold", run_name="__main__")
print(json.dumps(made))
"""


@pytest.mark.parametrize("function", CLIENTS)
def test_both_make_the_same_clients(function: str, tmp_path: Path) -> None:
    ours = _made(tmp_path, function)
    theirs = _made(tmp_path, "ten-lines", *CLIENTS[function])
    assert sorted(ours) == sorted(theirs)


def _made(folder: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LISTEN, *arguments],
        cwd=ROOT, env=function_environment(folder), check=True, capture_output=True, text=True,
    )  # fmt: skip
    made: list[str] = json.loads(done.stdout.splitlines()[-1])
    return made


def test_each_function_is_measured() -> None:
    assert set(CLIENTS) == set(MEMORY)


def test_a_part_that_is_measured_again_has_a_row_and_a_bound_of_each_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN the report that stands, and a measurement that takes no time
    results = tmp_path / "results.json"
    shutil.copy(ROOT / "bench" / "results.json", results)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(bench.__main__, "ROOT", tmp_path)
    monkeypatch.setattr(bench.__main__, "WORK", tmp_path / "work")
    monkeypatch.setattr(bench.__main__, "RESULTS", results)
    cost = {"import": 0.2, "clients": 0.1, "peak_mb": 50.0}
    monkeypatch.setattr(cold_start, "_start", lambda *_: cost)
    # WHEN
    done = CliRunner().invoke(bench.__main__.main, ["cold", "--write"])
    # THEN file and page have a row of each, and what it may take
    assert done.exit_code == 0, done.output
    written = json.loads(results.read_text(encoding="utf-8"))
    (section,) = [one for one in written["sections"] if one["part"] == "cold"]
    page = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [row[0] for row in section["rows"]] == list(CLIENTS)
    for function in CLIENTS:
        assert f"| cold start: {function} / ten lines | ≤ 1.30 | 1.00 | met |" in page
        assert f"\n| {function} | 0.20 | 0.10 | 0.30 | 0.30 | 1.00 | 50.00 |" in page
