"""Submodules, fetched over HTTP as the source role, which may pull from the named repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_agent.host import process
from build_agent.host.clock import SystemClock
from build_agent.host.stop import Stop
from build_agent.source.git_credentials import RoleCredentials, code_commit_login
from build_agent.source.mirror import Source
from slipway.contracts.errors import WorldFailed
from tests.e2e.emulator.test_source import git
from tests.e2e.emulator.world import DEV, REGION, World
from tests.unit.build_agent.world import make_pipeline

STOP = Stop()


def url_of(world: World, name: str, user: str = "") -> str:
    place = world.url.removeprefix("http://")
    return f"http://{user}{place}/v1/repos/{name}"


def push(world: World, folder: Path, name: str) -> str:
    """A new repository with what stands in `folder`; its commit."""
    made = {"Type": "AWS::CodeCommit::Repository", "Properties": {"RepositoryName": name}}
    world.deploy(name, {"Repository": made}, DEV)
    to = url_of(world, name, "alice:a%3Apassword@")
    done = git("push", to, "HEAD:refs/heads/main", cwd=folder)
    assert done.returncode == 0, done.stderr
    return git("rev-parse", "HEAD", cwd=folder).stdout.strip()


def test_submodules_are_fetched_as_the_source_role(world: World, tmp_path: Path) -> None:
    # GIVEN a repository with a submodule beside it, and a role that may pull from the one alone
    for name in ("parts", "whole"):
        (tmp_path / name).mkdir()
        git("init", "--quiet", "--initial-branch", "main", cwd=tmp_path / name)
    (tmp_path / "parts/part.txt").write_text("a part")
    git("add", "--all", cwd=tmp_path / "parts")
    git("commit", "--message", "part", cwd=tmp_path / "parts")
    part = push(world, tmp_path / "parts", "parts")
    whole = tmp_path / "whole"
    url = f"codecommit::{REGION}://parts"
    (whole / ".gitmodules").write_text(f'[submodule "p"]\n\tpath = libs/p\n\turl = {url}\n')
    git("add", "--all", cwd=whole)
    git("update-index", "--add", "--cacheinfo", f"160000,{part},libs/p", cwd=whole)
    git("commit", "--message", "whole", cwd=whole)
    push(world, whole, "whole")
    role = world.role("source-of-parts", DEV)
    arn = f"arn:aws:codecommit:{REGION}:{DEV}:"
    role.allow("codecommit:GitPull", resource=f"{arn}whole")

    def login(url: str, _role: str) -> object:
        key = role.credentials()
        given = RoleCredentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
        return code_commit_login(url, given, region=REGION, now=SystemClock().now())

    source = Source(tmp_path / "agent", run=process.run, login=login, region=REGION)  # type: ignore[arg-type]
    pipeline = make_pipeline(
        repository="whole", git_url=url_of(world, "whole"), submodules=("parts",)
    )
    tip = source.fetch(pipeline, None, stop=STOP, sink=print).id
    # WHEN it is laid out, THEN the other is refused
    with (
        pytest.raises(WorldFailed, match="the fetch from parts failed"),
        source.tree(pipeline, tip, stop=STOP),
    ):
        pass
    # WHEN the role may pull from both, THEN both are there
    role.allow("codecommit:GitPull", resource=f"{arn}*")
    with source.tree(pipeline, tip, stop=STOP) as tree:
        assert (tree / "libs/p/part.txt").read_text() == "a part"
