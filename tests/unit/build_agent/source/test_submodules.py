"""Submodules, with real git: those of configured repositories are there, all others are named."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_agent.host import process
from build_agent.host.process import Finished
from build_agent.source import nested
from build_agent.source.mirror import Source
from build_agent.source.submodules import Submodule, lacking, repository_of, urls_by_path
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import PipelineSettings
from tests.unit.build_agent.source.test_mirror import STOP
from tests.unit.build_agent.world import make_pipeline

REGION = "eu-central-1"
BASE = f"https://git-codecommit.{REGION}.amazonaws.com/v1/repos"


# --- URLs


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{BASE}/lib", "lib"),
        (f"{BASE}/lib.git", "lib"),
        (f"{BASE}/lib/", "lib"),
        ("../lib", "lib"),
        ("../lib.git", "lib"),
        ("./../lib", "lib"),
        ("../../repos/lib", "lib"),
        (f"codecommit::{REGION}://lib", "lib"),
        (f"codecommit::{REGION}://me@lib", "lib"),
        ("codecommit://lib", "lib"),
        ("../shop", "shop"),
        # others
        (f"{BASE.replace(REGION, 'us-east-1')}/lib", None),
        ("codecommit::us-east-1://lib", None),
        ("https://github.com/x/lib.git", None),
        (f"https://evil@git-codecommit.{REGION}.amazonaws.com.evil.example/v1/repos/lib", None),
        (f"https://git-codecommit.{REGION}.amazonaws.com.evil.example/v1/repos/lib", None),
        (f"ssh://git-codecommit.{REGION}.amazonaws.com/v1/repos/lib", None),
        ("git@github.com:x/lib.git", None),
        ("file:///etc/lib", None),
        ("/srv/lib", None),
        ("lib", None),
        ("./lib", None),
        ("../../lib", None),
        ("../..", None),
        ("../.", None),
        ("../../../../../../lib", None),
        ("../lib\n--upload-pack=x", None),
        ("--upload-pack=x", None),
        (f"{BASE}/a/b", None),
        (f"{BASE}/..", None),
        ("", None),
    ],
)
def test_a_url_names_a_repository_of_the_same_place_or_none(url: str, name: str | None) -> None:
    assert repository_of(url, f"{BASE}/shop", REGION) == name


@given(st.text(alphabet="./:@-acdeimot \n", max_size=30))
def test_whatever_a_url_is_it_leads_nowhere_else(url: str) -> None:
    name = repository_of(url, f"{BASE}/shop", REGION)
    assert name is None or ("/" not in name and name not in (".", "..") and name.isprintable())


def test_the_local_git_server_is_a_place_of_its_own() -> None:
    of = "http://127.0.0.1:4566/v1/repos/app"
    assert repository_of("../lib", of, REGION) == "lib"
    assert repository_of(f"{BASE}/lib", of, REGION) == "lib"
    assert repository_of("http://127.0.0.1:4567/v1/repos/lib", of, REGION) is None


def test_names_and_paths_of_gitmodules_may_hold_anything() -> None:
    listed = (
        "submodule.a.b\nc.path\na/b\0submodule.a.b\nc.url\n../x\0submodule.x.url\n../y\0"
        "core.path\nz\0submodule.long.path\n" + "p" * 5000 + "\0"
    )
    assert urls_by_path("submodule.a.b.path\na/b\0submodule.a.b.url\n../x\0") == {"a/b": "../x"}
    assert urls_by_path(listed).keys() <= {"a/b"}


def test_what_is_lacking_is_told_by_path_and_url_without_passwords() -> None:
    known = [
        Submodule("b", "1" * 40, "https://me:hunter2@github.com/x/b.git"),
        Submodule("there", "1" * 40, "../there", "there"),
    ]
    told = lacking({"b", "a"}, known)
    assert told.startswith(
        "submodules are not fetched: a (no URL in .gitmodules), b (https://github.com/x/b.git). "
    )
    assert "hunter2" not in told
    many = lacking({f"m{n}" for n in range(9)}, [])
    assert "m2 (no URL in .gitmodules) and 6 more." in many


# --- with real git


class Place:
    """Repositories beside each other, as CodeCommit has them, and an agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repos"
        self.folder.mkdir()
        self.logins: list[str] = []
        self.source = self.agent(folder / "agent")
        for name in ("shop", "lib", "deep"):
            (self.folder / name).mkdir()
            self.git(name, "init", "-q", "-b", "main")

    def agent(self, folder: Path, run: Any = process.run) -> Source:
        def login(url: str, _role: str) -> None:
            self.logins.append(url.rpartition("/")[2])

        return Source(folder, run=run, login=login, protocols=("file",), region=REGION)

    def git(self, name: str, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(
            ["git", *identity, "-C", str(self.folder / name), *arguments],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def commit(self, name: str, file: str, text: str = "text") -> str:
        (self.folder / name / file).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name / file).write_text(text)
        self.git(name, "add", file)
        self.git(name, "commit", "-q", "-m", "Change")
        return self.git(name, "rev-parse", "HEAD")

    def link(self, name: str, path: str, commit: str, url: str | None) -> str:
        """A submodule at `path`, as a commit has it."""
        if url is not None:
            given = ["config", "--file", ".gitmodules"]
            self.git(name, *given, f"submodule.{path}.path", path)
            self.git(name, *given, f"submodule.{path}.url", url)
            self.git(name, "add", ".gitmodules")
        self.git(name, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        self.git(name, "commit", "-q", "-m", "Submodule")
        return self.git(name, "rev-parse", "HEAD")

    def pipeline(self, *submodules: str) -> PipelineSettings:
        url = f"file://{self.folder}/shop"
        return make_pipeline(repository="shop", git_url=url, submodules=submodules)

    def files(self, *submodules: str, source: Source | None = None) -> dict[str, str]:
        """The files of the tip, empty folders as `…/`."""
        source, pipeline = source or self.source, self.pipeline(*submodules)
        tip = source.fetch(pipeline, None, stop=STOP, sink=lambda _line: None).id
        with source.tree(pipeline, tip, stop=STOP) as tree:
            return {
                str(p.relative_to(tree)) + ("/" if p.is_dir() else ""):
                p.read_text() if p.is_file() else ""
                for p in tree.rglob("*")
                if (p.is_file() or not any(p.iterdir())) and p.name != ".gitmodules"
            }  # fmt: skip

    def left(self, *submodules: str) -> list[str]:
        """The submodules that are not fetched, as they are told."""
        pipeline = self.pipeline(*submodules)
        tip = self.source.fetch(pipeline, None, stop=STOP, sink=lambda _line: None).id
        self.files(*submodules)
        found = self.source.submodules(pipeline, tip, stop=STOP)
        return [one.shown for one in found if one.repository not in submodules]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_configured_submodule_is_laid_out_at_its_very_commit(place: Place) -> None:
    # GIVEN a submodule whose branch has moved on since
    wanted = place.commit("lib", "lib.txt", "as wanted")
    place.commit("lib", "lib.txt", "newer")
    place.commit("shop", "main.txt")
    place.link("shop", "libs/lib", wanted, "../lib")
    # THEN it is there, without a .git, and fetched as the same role
    assert place.files("lib") == {"main.txt": "text", "libs/lib/lib.txt": "as wanted"}
    assert set(place.logins) == {"shop", "lib"}
    # AND where it is not configured its folder is empty, and its URL is known
    assert place.files() == {"main.txt": "text", "libs/lib/": ""}
    assert place.left() == ["libs/lib (../lib)"]


def test_nested_ones_are_laid_out_too_where_they_are_configured(place: Place) -> None:
    deep = place.commit("deep", "deep.txt")
    lib = place.link("lib", "inner", deep, "../deep")
    place.link("shop", "lib", lib, "../lib")
    assert place.files("lib", "deep") == {"lib/inner/deep.txt": "text"}
    assert place.files("lib") == {"lib/inner/": ""}
    assert place.left("lib") == ["lib/inner (../deep)"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/x/lib.git", "lib (https://github.com/x/lib.git)"),
        ("file:///etc", "lib (file:///etc)"),
        (None, None),
    ],
)
def test_no_other_place_is_asked(place: Place, url: str | None, shown: str | None) -> None:
    commit = place.commit("lib", "lib.txt")
    place.link("shop", "lib", commit, url)
    assert place.files("lib", "deep") == {"lib/": ""}
    assert set(place.logins) == {"shop"}
    assert place.left("lib") == ([shown] if shown else [])


def test_a_commit_that_the_repository_has_not_is_the_commit_s_failure(place: Place) -> None:
    place.commit("lib", "lib.txt")
    place.link("shop", "lib", "d" * 40, "../lib")
    with pytest.raises(DeploymentFailed, match=r"lib has no commit d{40}") as failed:
        place.files("lib")
    assert failed.value.stage == "fetch"
    # AND so is a repository that is not there
    place.link("shop", "gone", "d" * 40, "../gone")
    with pytest.raises(DeploymentFailed):
        place.files("gone")


def test_a_remote_that_gives_no_commit_by_its_id_is_asked_for_its_branches(
    place: Place, tmp_path: Path
) -> None:
    # GIVEN commits on another branch and below its tip, and a remote as CodeCommit may be
    place.commit("lib", "base.txt")
    place.git("lib", "checkout", "-q", "-b", "other")
    first = place.commit("lib", "lib.txt", "first")
    place.commit("lib", "lib.txt", "second")
    place.git("lib", "checkout", "-q", "main")
    place.link("shop", "lib", first, "../lib")
    asked: list[str] = []

    def run(command: Sequence[str], **options: Any) -> Finished:
        if "fetch" in command:
            asked.append(command[-1])
            if command[-1].startswith(first):
                return Finished(128, ("error: Server does not allow request for object",), "")
        return process.run(command, **options)

    source = place.agent(tmp_path / "other", run)
    files = {"lib/base.txt": "text", "lib/lib.txt": "first"}
    assert place.files("lib", source=source) == files
    assert asked[1:] == [
        f"{first}:refs/slipway/commit-{first}",
        "+refs/heads/*:refs/slipway/heads/*",
    ]
    # AND what is there is not fetched again
    assert place.files("lib", source=source) == files
    assert len(asked) == 4


def test_a_submodule_that_is_deployed_as_well_keeps_its_own_history(place: Place) -> None:
    first = place.commit("lib", "lib.txt", "1")
    second = place.commit("lib", "lib.txt", "2")
    place.link("shop", "lib", second, "../lib")
    place.files("lib")
    of_lib = replace(place.pipeline(), repository="lib", git_url=f"file://{place.folder}/lib")
    place.source.fetch(of_lib, None, stop=STOP, sink=lambda _line: None)
    between = place.source.commits_between(of_lib, first, second, limit=5, stop=STOP)
    assert between[1] == 1


def test_a_damaged_mirror_of_a_submodule_is_made_anew(place: Place) -> None:
    place.link("shop", "lib", place.commit("lib", "lib.txt"), "../lib")
    place.files("lib")
    (mirror,) = (place.source._folder / "mirrors").glob("lib-*.git")
    (mirror / "HEAD").write_bytes(b"\0" * 20)
    with pytest.raises(Exception, match="lib"):
        place.files("lib")
    assert place.files("lib") == {"lib/lib.txt": "text"}


def test_there_is_an_end_to_submodules(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nested, "MOST", 3)
    commit = place.commit("lib", "lib.txt")
    for number in range(4):
        place.link("shop", f"libs/{number}", commit, "../lib")
    with pytest.raises(DeploymentFailed, match="more than 3 submodules"):
        place.files("lib")


def test_hostile_paths_of_gitmodules_lead_nowhere(place: Place) -> None:
    # GIVEN paths that the tree has not as links, and one that git could take for more
    commit = place.commit("lib", "lib.txt")
    place.commit("shop", "main.txt")
    for path in ("../outside", "main.txt", ":(glob)**", "/etc"):
        key = f"submodule.{len(path)}"
        place.git("shop", "config", "--file", ".gitmodules", f"{key}.path", path)
        place.git("shop", "config", "--file", ".gitmodules", f"{key}.url", "../lib")
    place.git("shop", "add", ".gitmodules")
    place.link("shop", "good", commit, "../lib")
    assert place.files("lib") == {"main.txt": "text", "good/lib.txt": "text"}
