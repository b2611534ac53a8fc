"""The ten lines beside a function make the clients that it makes before its first call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cold_start import CLIENTS, function_environment
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
