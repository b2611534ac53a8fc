"""Any text as the name of a branch or a repository: refused, or safe to hand to git."""

from __future__ import annotations

import json
import subprocess
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from build_agent.source.mirror import check_branch
from slipway.configuration import parse
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration, WrongUse
from tests.places import CONFIGURATIONS

FULL = json.loads((CONFIGURATIONS / "full.json").read_text())

PARTS = ["a", "-", ".", "..", "/", "@", "{", "~", "^", ":", "*", "[", "\\", " ", "\n", "\x00",
         "\x7f", ".lock", "HEAD", "refs/heads/", "é", "\ud800", "\u202e", "$(id)", "%"]  # fmt: skip
NEAR = st.lists(st.sampled_from(["a", "-", ".", "/", ".lock", "_"]), max_size=6).map("".join)
NAMES = NEAR | st.lists(st.sampled_from(PARTS), max_size=5).map("".join) | st.text(max_size=12)


def git_allows(reference: str) -> bool:
    try:
        done = subprocess.run(["git", "check-ref-format", reference], check=False)
    except (ValueError, UnicodeEncodeError):
        return False
    return done.returncode == 0


@settings(derandomize=True, max_examples=200)
@given(name=NAMES)
def test_a_branch_is_refused_or_a_name_to_git_as_well(name: str) -> None:
    try:
        reference = check_branch(name)
    except WrongUse:
        return
    assert not name.startswith("-")
    assert git_allows(reference)


@settings(derandomize=True, max_examples=200)
@example("a/.b")
@example("a.lock/b")
@given(name=NAMES)
def test_a_branch_of_the_configuration_is_one_that_the_agent_takes(name: str) -> None:
    data = {**FULL, "pipelines": [{**FULL["pipelines"][0], "branch": name}]}
    try:
        (pipeline,) = parse(data).pipelines
    except InvalidConfiguration as refusal:
        assert [path for path, _problem in refusal.problems] == ["pipelines[0].branch"]
        return
    assert git_allows(check_branch(pipeline.branch))


@settings(derandomize=True, max_examples=200)
@given(name=NAMES)
def test_a_repository_of_the_configuration_is_one_part_of_an_address(name: str) -> None:
    pipeline = {**FULL["pipelines"][0], "repository": {"name": name}}
    try:
        installation = resolve(parse({**FULL, "pipelines": [pipeline]}))
    except InvalidConfiguration as refusal:
        assert [path for path, _problem in refusal.problems] == ["pipelines[0].repository.name"]
        return
    path = urlsplit(installation.pipelines[0].git_url).path
    assert PurePosixPath(path).parts == ("/", "v1", "repos", name)
    assert name not in (".", "..")
