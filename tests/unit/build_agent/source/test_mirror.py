"""Real git in temporary folders: forced pushes, hostile trees and names, damage, credentials."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from build_agent.host import process
from build_agent.host.stop import Interrupted, Stop
from build_agent.source.git_answers import fetch_failure, parse_log
from build_agent.source.git_credentials import GitLogin
from build_agent.source.mirror import Source, check_branch
from slipway.contracts.errors import DeploymentFailed, WorldFailed, WrongUse
from slipway.contracts.installation import PipelineSettings
from tests.unit.build_agent.world import make_pipeline

STOP = Stop()


class Remote:
    """A repository on disk, and a source that may fetch from it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "remote"
        self.path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.work = folder / "agent"
        self.source = self.make_source()
        self.pipeline = make_pipeline(git_url=f"file://{self.path}")

    def make_source(self, **options: object) -> Source:
        settings = {"run": process.run, "login": lambda url, role: None, **options}
        return Source(self.work, protocols=("file",), **settings)  # type: ignore[arg-type]

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(
            ["git", *identity, "-C", str(self.path), *arguments],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, name: str = "file", text: str = "text", subject: str = "Change") -> str:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject, "--allow-empty")
        return self.git("rev-parse", "HEAD")

    def fetch(self, commit: str | None = None, branch: str = "main") -> str:
        pipeline = make_pipeline(git_url=f"file://{self.path}", branch=branch)
        return self.source.fetch(pipeline, commit, stop=STOP, sink=lambda line: None).id

    def files(self, commit: str) -> dict[str, str]:
        with self.source.tree(self.pipeline, commit, stop=STOP) as tree:
            return {
                str(p.relative_to(tree)): p.read_text() if not p.is_symlink() else "→"
                for p in tree.rglob("*")
                if p.is_symlink() or p.is_file()
            }


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def test_the_tip_is_fetched_and_described(remote: Remote) -> None:
    tip = remote.commit(subject="Say 'hällo' & <b>\n\nbody")
    commit = remote.source.fetch(remote.pipeline, None, stop=STOP, sink=lambda line: None)
    assert (commit.id, commit.author, commit.subject) == (tip, "Ada", "Say 'hällo' & <b>")
    assert commit.committed_at and commit.committed_at > 1_700_000_000


def test_each_tree_is_clean_and_gone_afterwards(remote: Remote) -> None:
    # GIVEN a commit that a later one takes a file away from
    first = remote.commit("a/old", "1")
    remote.git("rm", "-q", "a/old")
    second = remote.commit("new", "2")
    remote.fetch()
    # THEN each tree has its own files alone, and no .git in it
    assert remote.files(first) == {"a/old": "1"}
    assert remote.files(second) == {"new": "2"}
    assert list((remote.work / "trees").iterdir()) == []


def test_a_tree_is_removed_when_the_build_in_it_fails(remote: Remote) -> None:
    commit = remote.commit()
    remote.fetch()
    with (
        pytest.raises(RuntimeError),
        remote.source.tree(remote.pipeline, commit, stop=STOP),
    ):
        raise RuntimeError
    assert list((remote.work / "trees").iterdir()) == []


def test_a_forced_push_is_followed(remote: Remote) -> None:
    base = remote.commit(text="1")
    remote.commit(text="2")
    remote.fetch()
    remote.git("reset", "-q", "--hard", base)
    forced = remote.commit(text="3")
    assert remote.fetch() == forced
    assert remote.files(forced) == {"file": "3"}


def test_a_branch_that_goes_back_is_followed(remote: Remote) -> None:
    first = remote.commit(text="1")
    remote.commit(text="2")
    remote.fetch()
    remote.git("reset", "-q", "--hard", first)
    assert remote.fetch() == first


def test_a_branch_below_the_name_of_a_deleted_one(remote: Remote) -> None:
    # GIVEN a branch `a`, deleted, then a branch `a/b`: git could not hold both names
    remote.commit()
    remote.git("branch", "a")
    remote.fetch(branch="a")
    remote.git("branch", "-D", "-q", "a")
    remote.git("branch", "a/b")
    assert remote.fetch(branch="a/b") == remote.git("rev-parse", "main")


def test_a_missing_branch_is_the_commits_fault(remote: Remote) -> None:
    remote.commit()
    with pytest.raises(DeploymentFailed, match="branch nowhere does not exist in repository app"):
        remote.fetch(branch="nowhere")


def test_a_missing_repository_is_named(remote: Remote) -> None:
    pipeline = make_pipeline(git_url=f"file://{remote.path}-gone")
    with pytest.raises(DeploymentFailed, match="repository app does not exist"):
        remote.source.fetch(pipeline, None, stop=STOP, sink=lambda line: None)


def test_a_named_commit_must_be_in_the_repository(remote: Remote) -> None:
    first = remote.commit(text="1")
    tip = remote.commit(text="2")
    assert remote.fetch(first) == first
    assert remote.fetch() == tip
    with pytest.raises(DeploymentFailed, match="no commit " + "d" * 40):
        remote.fetch("d" * 40)


def test_a_named_commit_of_another_branch_is_brought(remote: Remote) -> None:
    remote.commit(text="1")
    remote.git("checkout", "-q", "-b", "other")
    other = remote.commit(text="2")
    remote.git("config", "uploadpack.allowReachableSHA1InWant", "true")
    assert remote.fetch(other) == other


def test_an_empty_commit_gives_an_empty_tree(remote: Remote) -> None:
    commit = remote.commit()
    remote.git("rm", "-q", "file")
    remote.git("commit", "-q", "-m", "empty")
    remote.fetch()
    assert remote.files(remote.git("rev-parse", "HEAD")) == {}
    assert remote.files(commit) == {"file": "text"}


def test_nothing_of_a_hostile_repository_runs(remote: Remote, tmp_path: Path) -> None:
    # GIVEN hooks, a filter with its attribute, a submodule and an ext:: address
    mark = tmp_path / "mark"
    remote.commit(".gitattributes", "* filter=evil text=auto eol=crlf\n")
    remote.commit(".gitmodules", f'[submodule "x"]\n path = x\n url = ext::sh -c touch% {mark}\n')
    remote.commit("hooks/post-checkout", f"#!/bin/sh\ntouch {mark}\n")
    remote.commit(".gitconfig", f'[filter "evil"]\n smudge = touch {mark}\n')
    remote.fetch()
    mirror = next((remote.work / "mirrors").iterdir())
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        hook = mirror / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    # WHEN it is fetched again and its files are laid out
    remote.commit("more")
    remote.fetch()
    remote.files(remote.git("rev-parse", "HEAD"))
    # THEN nothing ran
    assert not mark.exists()


def test_hostile_file_names_are_files(remote: Remote) -> None:
    names = ["-rf", "$(touch x)", "a b", "ümlaut", "new\nline", "--upload-pack=x"]
    for name in names:
        (remote.path / name).write_text(name)
    tip = remote.commit()
    remote.fetch()
    assert set(remote.files(tip)) == {*names, "file"}


@pytest.mark.parametrize("name", ["corrupt", "no space left on device", "bad object"])
def test_what_a_file_is_called_does_not_decide_whose_fault_it_is(remote: Remote, name: str) -> None:
    # GIVEN a name too long for the disk's files, which reads like trouble of the disk itself
    blob = remote.git("hash-object", "-w", "--stdin")
    long = f"{name} {'n' * 300}"
    remote.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{long}")
    remote.git("commit", "-q", "-m", "long")
    tip = remote.fetch()
    # THEN the commit is at fault, and the mirror stays
    with pytest.raises(DeploymentFailed, match="cannot be laid out"):
        remote.files(tip)
    assert list((remote.work / "mirrors").iterdir())


def test_a_link_out_of_the_tree_stays_a_link(remote: Remote) -> None:
    (remote.path / "link").symlink_to("/etc/passwd")
    tip = remote.commit()
    remote.fetch()
    assert remote.files(tip)["link"] == "→"


@pytest.mark.parametrize(
    "branch",
    ["", "-x", "--upload-pack=touch x", "a..b", "a b", "a:b", "+a", "a~1", "a^", "a*", "@{-1}",
     "a\\b", "a//b", "/a", "a/", "a.lock", "x/.y", "a\n", "a.", "@"],
)  # fmt: skip
def test_a_branch_name_that_git_refuses_is_refused(branch: str) -> None:
    if branch == "+a":
        assert check_branch(branch) == "refs/heads/+a"
        return
    with pytest.raises(WrongUse):
        check_branch(branch)


def test_ext_and_file_addresses_are_refused_in_production(remote: Remote, tmp_path: Path) -> None:
    remote.commit()
    mark = tmp_path / "mark"
    source = Source(tmp_path / "b", run=process.run, login=lambda url, role: None)
    for url in (f"ext::sh -c touch% {mark}", f"file://{remote.path}", f"--upload-pack={mark}"):
        with pytest.raises((WorldFailed, DeploymentFailed)):
            source.fetch(make_pipeline(git_url=url), None, stop=STOP, sink=lambda line: None)
    assert not mark.exists()


def test_a_damaged_mirror_is_made_anew(remote: Remote) -> None:
    tip = remote.commit()
    remote.fetch()
    mirror = next((remote.work / "mirrors").iterdir())
    for packed in mirror.glob("objects/**/*"):
        if packed.is_file():
            packed.chmod(0o600)
            packed.write_bytes(b"garbage")
    tip = remote.commit(text="after")
    assert remote.fetch() == tip


def test_locks_of_a_killed_git_are_removed(remote: Remote) -> None:
    remote.commit()
    remote.fetch()
    mirror = next((remote.work / "mirrors").iterdir())
    for name in ("shallow.lock", "config.lock", "packed-refs.lock"):
        (mirror / name).touch()
    remote.source = remote.make_source()
    assert list(mirror.glob("*.lock")) == []
    tip = remote.commit(text="2")
    assert remote.fetch() == tip


def test_commits_between_are_counted_and_told(remote: Remote) -> None:
    old = remote.commit(text="0")
    for number in range(5):
        remote.commit(text=str(number), subject=f"Change {number}")
    tip = remote.fetch()
    found, count = remote.source.commits_between(remote.pipeline, old, tip, limit=3, stop=STOP)
    assert ([c.subject for c in found], count) == (["Change 4", "Change 3", "Change 2"], 5)
    unknown = remote.source.commits_between(remote.pipeline, "d" * 40, tip, limit=3, stop=STOP)
    assert unknown == ((), None)


def test_the_login_reaches_git_by_environment_alone(tmp_path: Path) -> None:
    # GIVEN a login whose parts would do harm in a shell
    login = GitLogin("ASIA%tok/en+=", "20270115T080000Z$(touch x)")
    seen: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **_rest: object) -> process.Finished:
        seen.append((command, env))
        return process.Finished(0, (), "")

    source = Source(tmp_path, run=run, login=lambda url, role: login)  # type: ignore[arg-type]
    with pytest.raises(WorldFailed):
        source.fetch(make_pipeline(), None, stop=STOP, sink=lambda line: None)
    # THEN it is in no argument list, and the program that git asks prints it as it is
    (env,) = [env for command, env in seen if "fetch" in command]
    assert not any(login.password in part for command, _env in seen for part in command)
    answers = [
        subprocess.run(
            [env["GIT_ASKPASS"], prompt], env=env, capture_output=True, text=True, check=True
        ).stdout
        for prompt in ("Username for 'https://x': ", "Password for 'https://x': ")
    ]
    assert answers == [f"{login.user}\n", f"{login.password}\n"]
    assert stat.S_IMODE(Path(env["GIT_ASKPASS"]).stat().st_mode) == 0o700
    assert login.password not in Path(env["GIT_ASKPASS"]).read_text()
    assert "AWS_SECRET_ACCESS_KEY" in os.environ
    assert "AWS_SECRET_ACCESS_KEY" not in env


def test_only_the_fetch_gets_the_login(remote: Remote) -> None:
    seen: list[tuple[str, bool]] = []

    def run(command: list[str], *, env: dict[str, str], **rest: object) -> process.Finished:
        verb = "fetch" if "fetch" in command else "other"
        seen.append((verb, "SLIPWAY_GIT_PASSWORD" in env))
        return process.run(command, env=env, **rest)  # type: ignore[arg-type]

    remote.source = remote.make_source(run=run, login=lambda url, role: GitLogin("u", "p"))
    tip = remote.commit()
    remote.fetch()
    remote.files(tip)
    assert {verb for verb, has in seen if has} == {"fetch"}
    assert {verb for verb, has in seen if not has} == {"other"}


def test_a_fetch_that_is_stopped_ends_as_interrupted(remote: Remote) -> None:
    remote.commit()
    stop = Stop()
    stop.request("SIGTERM")
    with pytest.raises(Interrupted):
        remote.source.fetch(remote.pipeline, None, stop=stop, sink=lambda line: None)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("fatal: unable to access 'https://x/': Could not resolve host: x", WorldFailed),
        ("fatal: Authentication failed for 'https://x/'", WorldFailed),
        ("fatal: write error: No space left on device", WorldFailed),
        ("fatal: couldn't find remote ref refs/heads/main", DeploymentFailed),
        ("remote: fatal: repository 'https://x/' not found", DeploymentFailed),
        ("error: object 12: fsck error: badTree", DeploymentFailed),
    ],
)
def test_what_git_said_decides_whose_fault_it_is(line: str, kind: type[Exception]) -> None:
    settings: PipelineSettings = make_pipeline()
    assert type(fetch_failure(settings, process.Finished(128, (line,), ""))) is kind


def test_a_log_that_is_none_gives_no_commit() -> None:
    assert parse_log("") == []
    assert parse_log("x\0y\0z\0w\0") == []
