"""Real git: whether a pipeline's paths are touched between what runs and the tip is git's own
answer, in 500 random histories; CodeCommit's list of differences leads to the same.
"""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build_agent.source.differences import assumed_differences
from build_agent.source.mirror import Source
from slipway.contracts.installation import PipelineSettings
from slipway.following.differences import touched_by
from tests.aws.answers import AwsFake
from tests.unit.build_agent.source.test_mirror import STOP, Remote
from tests.unit.build_agent.world import make_pipeline

FILES = ["README.md", "services/web/app.py", "services/web/docs/a.md", "services/api/app.py",
         "services/[id]/page.tsx", "services/é/x", "docs/a.md", "web", "lib/a b/c"]  # fmt: skip
PATTERNS = ["services/web/**", "services/web", "services/web/", "**/*.md", "*.md", "docs/**",
            "services/*/app.py", "services/[id]/**", "services/?/x", "web", "**", "lib/**/c",
            "services/[!w]*", "s*e", "**/web/**", "README.md"]  # fmt: skip
HISTORIES = 500

Tree = dict[str, int]


@dataclass(frozen=True)
class Change:
    """A commit: what it writes (None: takes away), on which earlier one, and what it merges."""

    files: dict[str, int | None]
    parent: int | None
    merged: int | None


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Commits on any earlier ones, or on none: branches, merges, and pushes by force."""
    count = draw(st.integers(2, 6))
    changes = []
    for number in range(count):
        earlier = st.none() | st.integers(0, number - 1) if number else st.none()
        files = st.dictionaries(
            st.sampled_from(FILES), st.none() | st.integers(0, 2), min_size=1, max_size=3
        )
        changes.append(Change(draw(files), draw(earlier), draw(earlier)))
    return changes


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, ...]:
    wanted = draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2))
    excluded = draw(st.lists(st.sampled_from(PATTERNS), max_size=2))
    return (*wanted, *(f"!{path}" for path in excluded))


class Written:
    """Commits that are written as loose objects: no process for each."""

    def __init__(self, repository: Path) -> None:
        self._objects = repository / "objects"
        self.trees: dict[str, Tree] = {}

    def write(self, changes: list[Change]) -> list[str]:
        """Their commits; the last one is the branch's tip."""
        trees: list[Tree] = []
        commits: list[str] = []
        for change in changes:
            tree = dict(trees[change.parent]) if change.parent is not None else {}
            for name, content in change.files.items():
                tree.pop(name, None)
                if content is not None:
                    tree[name] = content
            trees.append(tree)
            parents = [commits[p] for p in (change.parent, change.merged) if p is not None]
            commits.append(self._commit(tree, parents))
            self.trees[commits[-1]] = tree
        return commits

    def _commit(self, tree: Tree, parents: list[str]) -> str:
        who = "Ada <ada@example.com> 1700000000 +0000"
        lines = [f"tree {self._tree(tree).hex()}", *(f"parent {p}" for p in parents),
                 f"author {who}", f"committer {who}", "", "Change"]  # fmt: skip
        return self._object("commit", "\n".join(lines).encode()).hex()

    def _tree(self, files: Tree) -> bytes:
        entries: dict[bytes, bytes] = {}
        folders: dict[str, Tree] = {}
        for name, content in files.items():
            first, _, rest = name.partition("/")
            if rest:
                folders.setdefault(first, {})[rest] = content
            else:
                blob = self._object("blob", str(content).encode())
                entries[name.encode()] = b"100644 " + name.encode() + b"\0" + blob
        for name, inner in folders.items():
            entry = b"40000 " + name.encode() + b"\0" + self._tree(inner)
            entries[name.encode() + b"/"] = entry  # git's order of a folder
        return self._object("tree", b"".join(entries[name] for name in sorted(entries)))

    def _object(self, kind: str, body: bytes) -> bytes:
        whole = f"{kind} {len(body)}\0".encode() + body
        made = hashlib.sha1(whole, usedforsecurity=False)
        path = self._objects / made.hexdigest()[:2] / made.hexdigest()[2:]
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(zlib.compress(whole))
        return made.digest()


class History(Remote):
    """A remote, a source that fetches all of it, and CodeCommit's comparison of two commits."""

    def says(self, old: str, new: str, wanted: tuple[str, ...]) -> bool:
        """What git itself says to somebody who writes the pathspecs by hand."""
        specs = [_by_hand(path) for path in wanted]
        done = subprocess.run(
            ["git", "-C", str(self.path), "diff", "--quiet", old, new, "--", *specs], check=False
        )
        assert done.returncode in (0, 1)
        return done.returncode == 1


def _by_hand(path: str) -> str:
    magic = [*(["exclude"] if path[0] == "!" else []), *(["glob"] if "**" in path else [])]
    plain = path.removeprefix("!")
    return f":({','.join(magic)}){plain}" if magic else plain


class CodeCommit(AwsFake, service="codecommit"):
    """Compares what the remote on this disk has, two files a page; `fails` with this code."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.fails = ""
        self.calls: list[dict[str, Any]] = []

    def get_differences(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        if self.fails:
            raise ClientError({"Error": {"Code": self.fails, "Message": "no"}}, "GetDifferences")
        old, new = request["beforeCommitSpecifier"], request["afterCommitSpecifier"]
        done = subprocess.run(
            ["git", "-C", str(self.remote.path), "diff-tree", "-r", "-z", "--name-status",
             "--no-renames", old, new], check=True, capture_output=True, text=True,
        )  # fmt: skip
        parts = done.stdout.split("\0")[:-1]
        found = list(zip(parts[::2], parts[1::2], strict=True))
        at = int(request.get("NextToken", "0"))
        answer: dict[str, Any] = {"differences": [_difference(*f) for f in found[at : at + 2]]}
        return answer | ({"NextToken": str(at + 2)} if at + 2 < len(found) else {})

    def compared(self, old: str, new: str) -> list[tuple[str, str]]:
        out = self.remote.git("diff-tree", "-r", "-z", "--name-status", "--no-renames", old, new)
        parts = out.split("\0")[:-1]
        return list(zip(parts[::2], parts[1::2], strict=True))


class ComparesTrees(CodeCommit):
    """The same, of trees that are at hand."""

    def __init__(self, remote: Remote, trees: dict[str, Tree]) -> None:
        super().__init__(remote)
        self.trees = trees

    def compared(self, old: str, new: str) -> list[tuple[str, str]]:
        before, after = self.trees[old], self.trees[new]
        names = sorted(n for n in before | after if before.get(n) != after.get(n))
        return [("A" if n not in before else "M" if n in after else "D", n) for n in names]


def _difference(kind: str, path: str) -> dict[str, Any]:
    blob = {"blobId": "b" * 40, "path": path, "mode": "100644"}
    before = {} if kind == "A" else {"beforeBlob": blob}
    return {"changeType": kind, **before, **({} if kind == "D" else {"afterBlob": blob})}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Its mirror is the repository itself: what is fetched when is another test's."""
    made = History(tmp_path_factory.mktemp("histories"))
    made.source._mirror(made.pipeline).symlink_to(made.path / ".git")
    return made


@pytest.fixture
def remote(tmp_path: Path) -> History:
    return History(tmp_path)


def with_paths(remote: Remote, *wanted: str) -> PipelineSettings:
    return make_pipeline(git_url=f"file://{remote.path}", paths=wanted)


def touched(
    source: Source, pipeline: PipelineSettings, old: str, new: str
) -> tuple[bool | None, list[str]]:
    said: list[str] = []
    return source.touched(pipeline, old, new, stop=STOP, sink=said.append), said


@pytest.mark.timeout(900)
@settings(
    max_examples=HISTORIES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(changes=histories(), wanted=paths(), data=st.data())
def test_the_answer_is_gits_own_in_any_history(
    history: History, changes: list[Change], wanted: tuple[str, ...], data: st.DataObject
) -> None:
    written = Written(history.path / ".git")
    commits = written.write(changes)
    tip, runs = commits[-1], commits[data.draw(st.integers(0, len(commits) - 1))]
    expected = history.says(runs, tip, wanted)
    pipeline = with_paths(history, *wanted)
    assert touched(history.source, pipeline, runs, tip)[0] == expected
    api = ComparesTrees(history, written.trees)
    assert touched_by(api, pipeline, runs, tip, pytest.fail) == expected


def test_every_push_since_counts_not_the_last_alone(remote: History) -> None:
    runs = remote.commit("web/app.py", "1")
    remote.commit("web/app.py", "2")
    tip = remote.commit("docs/a.md", "3")
    remote.fetch()
    assert touched(remote.source, with_paths(remote, "web/**"), runs, tip)[0] is True
    assert touched(remote.source, with_paths(remote, "api/**"), runs, tip)[0] is False


def test_what_a_push_takes_back_does_not_count(remote: History) -> None:
    runs = remote.commit("web/app.py", "1")
    remote.commit("web/app.py", "2")
    tip = remote.commit("web/app.py", "1")
    remote.fetch()
    assert touched(remote.source, with_paths(remote, "web"), runs, tip)[0] is False


def test_a_mode_and_a_deletion_count(remote: History) -> None:
    first = remote.commit("web/run", "1")
    (remote.path / "web" / "run").chmod(0o755)
    second = remote.commit("other", "1")
    (remote.path / "web" / "run").unlink()
    third = remote.commit("other", "2")
    remote.fetch()
    for old, new in ((first, second), (second, third)):
        assert touched(remote.source, with_paths(remote, "web/**"), old, new)[0] is True


def served(remote: History, *, by_id: bool) -> tuple[Source, CodeCommit]:
    """A source whose first fetch is shallow; `by_id`: the remote gives a commit by its bare id."""
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true" if by_id else "false")
    remote.git("config", "protocol.version", "2" if by_id else "0")
    api = CodeCommit(remote)

    class Sts(AwsFake, service="sts"):
        def assume_role(self, **request: Any) -> dict[str, Any]:
            keys = {"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": "t"}
            return {"Credentials": {**keys, "Expiration": datetime.now(UTC)}}

    differences = assumed_differences(Sts(), lambda _credentials: api, session_name="slipway")
    return remote.make_source(differences=differences), api


def test_a_commit_that_left_the_branch_is_fetched_by_its_id(remote: History) -> None:
    # GIVEN what runs is on no branch any more: somebody pushed by force
    remote.commit("web/app.py", "1")
    runs = remote.commit("web/app.py", "2")
    remote.git("reset", "-q", "--hard", "HEAD~1")
    tip = remote.commit("docs/a.md", "1")
    source, api = served(remote, by_id=True)
    remote.source = source
    remote.fetch()
    # WHEN the trees are compared THEN git does it, and CodeCommit is not asked
    assert touched(source, with_paths(remote, "web/**"), runs, tip)[0] is True
    assert touched(source, with_paths(remote, "docs/**", "!**"), runs, tip)[0] is False
    assert not api.calls
    # AND a notice does not count commits by a history that is not there
    pipeline = with_paths(remote, "web/**")
    assert source.commits_between(pipeline, runs, tip, limit=5, stop=STOP) == ((), None)


def test_codecommit_compares_where_what_runs_is_not_to_be_had(remote: History) -> None:
    source, api = served(remote, by_id=True)
    tip = remote.commit("docs/a.md", "1")
    remote.source = source
    remote.fetch()
    gone = "9" * 40
    api.fails = "CommitDoesNotExistException"
    answer, said = touched(source, with_paths(remote, "web/**"), gone, tip)
    assert answer is None and "CommitDoesNotExistException" in said[-1]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_what_codecommit_does_not_say_is_not_known(remote: History, code: str) -> None:
    api = CodeCommit(remote)
    api.fails = code
    said: list[str] = []
    assert touched_by(api, with_paths(remote, "web"), "0" * 40, "1" * 40, said.append) is None
    assert code in said[0]


def test_more_differences_than_are_read_count_as_a_change(
    remote: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.following.differences.PAGES", 2)
    old = remote.commit("a", "1")
    for name in "bcdef":
        new = remote.commit(name, "1")
    api = CodeCommit(remote)
    assert touched_by(api, with_paths(remote, "web"), old, new, pytest.fail) is True
    assert len(api.calls) == 2
    assert touched_by(api, with_paths(remote, "web"), old, f"{new}~2", pytest.fail) is False
