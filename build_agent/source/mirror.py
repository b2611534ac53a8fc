"""The source of a commit: a mirror on the host's disk, fetched by branch; a clean tree per build.

What comes from a repository is data: its hooks, filters, submodules and configuration are never
used, and a name from outside is checked and passed after `--`. The mirror has one reference per
branch, named by a hash, so that no branch name can stand in another's way.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from build_agent.host.process import Finished, Runner, Sink, TimedOut
from build_agent.host.stop import Stop
from build_agent.source.git_credentials import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    GitLogin,
    LoginFor,
    askpass_program,
)
from build_agent.source.git_settings import git_options
from slipway.contracts.errors import DeploymentFailed, WorldFailed, WrongUse
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Commit

FIRST_DEPTH = 200
"""Commits of the first fetch: later ones bring what is new, a named older one brings them all."""
LOCAL_TIMEOUT = 600.0
LOG_TIMEOUT = 30.0
SUBJECT_LIMIT = 300
_BAD_REF = re.compile(
    r"[\x00-\x20\x7f\ud800-\udfff~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|^[./-]|/\.|[./]$"
)
_DAMAGED = re.compile(
    r"not a git repository|bad object|corrupt|unable to read (tree|sha1|\w+ file)|"
    r"object file .* is empty|inflate: data|missing (blob|tree|commit)|did not send all necessary"
    r"|invalid index-pack|unable to parse object|not a valid object",
    re.IGNORECASE,
)
_NO_BRANCH = re.compile(r"couldn't find remote ref|remote branch .* not found", re.IGNORECASE)
_NO_REPOSITORY = re.compile(
    r"repository '.*' not found|does not appear to be a git repository|RepositoryDoesNotExist",
    re.IGNORECASE,
)
_BAD_OBJECTS = re.compile(r"fsck error|error in object|fatal: fsck", re.IGNORECASE)
_DISK_FULL = re.compile(r"(no space left on device|disk quota exceeded)\W*$", re.I | re.M)
_OF_A_FILE = re.compile(r"(unable to|cannot) (create|write|unlink|stat)|invalid path")
"""A line that names a file of the commit, which may be called anything."""


def check_branch(branch: str) -> str:
    """The full reference of `branch`; WrongUse for a name that git does not allow."""
    if not branch or _BAD_REF.search(branch) or branch == "@":
        raise WrongUse(f"branch {branch!r} is not a name that git allows for a branch")
    return f"refs/heads/{branch}"


class Source:
    """Fetches commits and lays out their files; one mirror per repository under `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        run: Runner,
        login: LoginFor,
        protocols: Sequence[str] = ("https", "http"),
        first_depth: int | None = FIRST_DEPTH,
    ) -> None:
        self._folder = folder
        self._run = run
        self._login = login
        self._protocols = tuple(protocols)
        self._first_depth = first_depth
        (folder / "mirrors").mkdir(parents=True, exist_ok=True)
        (folder / "home").mkdir(exist_ok=True)
        self._askpass = askpass_program(folder)
        _clear(folder / "trees")
        _remove_stale_locks(folder / "mirrors")

    def fetch(
        self, pipeline: PipelineSettings, commit: str | None, *, stop: Stop, sink: Sink
    ) -> Commit:
        """The branch's tip as it is now, or the named `commit`.

        DeploymentFailed where the branch, the repository or the commit does not exist, or git
        refuses the commit, which is named then; WorldFailed where the remote or the disk fails.
        """
        reference = check_branch(pipeline.branch)
        try:
            self._fetch_branch(pipeline, reference, stop, sink)
        except _Damaged:
            sink("the mirror on this host's disk is damaged: it is made anew")
            shutil.rmtree(self._mirror(pipeline), ignore_errors=True)
            self._fetch_branch(pipeline, reference, stop, sink)
        if commit is not None:
            self._need_commit(pipeline, commit, stop, sink)
        return self._describe(pipeline, commit or _local(pipeline), stop)

    @contextmanager
    def tree(self, pipeline: PipelineSettings, commit: str, *, stop: Stop) -> Iterator[Path]:
        """The files of `commit` in a folder of their own, removed afterwards."""
        trees = self._folder / "trees"
        trees.mkdir(exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="tree-", dir=trees))
        try:
            files = place / "files"
            files.mkdir()
            self._lay_out(pipeline, commit, files, place / "index", stop)
            yield files
        finally:
            _clear(place)

    def commits_between(
        self, pipeline: PipelineSettings, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]:
        """Commits of `new` that `old` has not, newest first, and how many; None: not known."""
        span = f"{old}..{new}"
        counted = self._git(pipeline, ["rev-list", "--count", span, "--"], LOG_TIMEOUT, stop)
        if not counted.ok or not counted.output.strip().isdigit():
            return (), None
        logged = self._log(pipeline, [f"--max-count={limit}", span], stop)
        return tuple(parse_log(logged.output)) if logged.ok else (), int(counted.output)

    # --- steps

    def _fetch_branch(
        self, pipeline: PipelineSettings, reference: str, stop: Stop, sink: Sink
    ) -> None:
        mirror = self._mirror(pipeline)
        is_new = not (mirror / "HEAD").exists()
        if is_new:
            self._make(mirror, stop)
        options = ["--no-tags", "--no-write-fetch-head", "--force", "--no-recurse-submodules"]
        if is_new and self._first_depth and urlsplit(pipeline.git_url).scheme != "file":
            options.append(f"--depth={self._first_depth}")
        try:
            self._fetch(pipeline, options, f"+{reference}:{_local(pipeline)}", stop, sink)
        except DeploymentFailed as failed:
            if _BAD_OBJECTS.search("\n".join(failed.log_tail)):
                failed.commit_id = self._remote_tip(pipeline, reference, stop)
            raise

    def _remote_tip(self, pipeline: PipelineSettings, reference: str, stop: Stop) -> str | None:
        """The branch's tip as the remote names it; None where it does not say."""
        login = self._login(pipeline.git_url, pipeline.source_role_arn)
        command = ["ls-remote", "--", pipeline.git_url, reference]
        try:
            ended = self._git(pipeline, command, pipeline.fetch_timeout, stop, login=login)
        except TimedOut:
            return None
        found = re.match(r"([0-9a-f]{64}|[0-9a-f]{40})\s", ended.output) if ended.ok else None
        return found[1] if found else None

    def _fetch(
        self, pipeline: PipelineSettings, options: list[str], what: str, stop: Stop, sink: Sink
    ) -> None:
        login = self._login(pipeline.git_url, pipeline.source_role_arn)
        command = ["fetch", *options, "--", pipeline.git_url, what]
        try:
            ended = self._git(
                pipeline, command, pipeline.fetch_timeout, stop, sink=sink, login=login
            )
        except TimedOut as error:
            raise WorldFailed(f"the fetch from {pipeline.repository} hung: {error}") from None
        if not ended.ok:
            raise _fetch_failure(pipeline, ended)

    def _make(self, mirror: Path, stop: Stop) -> None:
        _clear(mirror)
        made = self._plain(["init", "--quiet", "--bare", "--", str(mirror)], LOCAL_TIMEOUT, stop)
        if not made.ok:
            raise WorldFailed(f"cannot make a mirror on this host's disk: {_last(made)}")

    def _need_commit(self, pipeline: PipelineSettings, commit: str, stop: Stop, sink: Sink) -> None:
        """Bring a commit that the branch's recent history does not hold, if the remote has it."""
        if self._has(pipeline, commit, stop):
            return
        with contextlib.suppress(DeploymentFailed, WorldFailed, _Damaged):
            keep = f"refs/slipway/commit-{commit}"
            self._fetch(pipeline, ["--no-tags", "--no-write-fetch-head"], f"{commit}:{keep}",
                        stop, sink)  # fmt: skip
        stop.check()
        if not self._has(pipeline, commit, stop) and self._is_shallow(pipeline):
            reference = check_branch(pipeline.branch)
            self._fetch(
                pipeline, ["--no-tags", "--no-write-fetch-head", "--unshallow"],
                f"+{reference}:{_local(pipeline)}", stop, sink,
            )  # fmt: skip
        if not self._has(pipeline, commit, stop):
            raise DeploymentFailed(
                f"repository {pipeline.repository} has no commit {commit}", stage="fetch"
            )

    def _has(self, pipeline: PipelineSettings, commit: str, stop: Stop) -> bool:
        command = ["cat-file", "-e", f"{commit}^{{commit}}"]
        return self._git(pipeline, command, LOCAL_TIMEOUT, stop).ok

    def _is_shallow(self, pipeline: PipelineSettings) -> bool:
        return (self._mirror(pipeline) / "shallow").exists()

    def _describe(self, pipeline: PipelineSettings, revision: str, stop: Stop) -> Commit:
        logged = self._log(pipeline, ["--max-count=1", revision], stop)
        found = parse_log(logged.output) if logged.ok else []
        if not found:
            raise WorldFailed(f"cannot read commit {revision}: {_last(logged)}")
        return found[0]

    def _log(self, pipeline: PipelineSettings, arguments: list[str], stop: Stop) -> Finished:
        form = "--format=%H%x00%an%x00%ct%x00%<(400,trunc)%s"
        command = ["log", "-z", "--no-show-signature", "--no-color", "--encoding=UTF-8", form]
        return self._git(pipeline, [*command, *arguments, "--"], LOG_TIMEOUT, stop)

    def _lay_out(
        self, pipeline: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> None:
        mirror = self._mirror(pipeline)
        command = [f"--git-dir={mirror}", f"--work-tree={files}", "read-tree", "-u", "--reset"]
        extra = {"GIT_INDEX_FILE": str(index)}
        laid = self._plain([*command, commit], LOCAL_TIMEOUT, stop, extra=extra)
        if laid.ok:
            return
        full = _DISK_FULL.search("\n".join(laid.tail)) is not None
        damaged = any(_DAMAGED.search(line) for line in laid.tail if not _OF_A_FILE.search(line))
        if damaged and not full:
            shutil.rmtree(mirror, ignore_errors=True)
        if damaged or full:
            raise WorldFailed(f"cannot lay out the files of {commit}: {_last(laid)}")
        raise DeploymentFailed(
            f"the files of commit {commit} cannot be laid out: {_last(laid)}",
            stage="fetch",
            log_tail=laid.tail,
        )

    # --- running git

    def _mirror(self, pipeline: PipelineSettings) -> Path:
        digest = hashlib.sha256(pipeline.git_url.encode()).hexdigest()[:12]
        readable = re.sub(r"[^A-Za-z0-9_-]", "-", pipeline.repository)[:60]
        return self._folder / "mirrors" / f"{readable}-{digest}.git"

    def _git(
        self,
        pipeline: PipelineSettings,
        arguments: list[str],
        timeout: float,
        stop: Stop,
        *,
        sink: Sink | None = None,
        login: GitLogin | None = None,
    ) -> Finished:
        command = [f"--git-dir={self._mirror(pipeline)}", *arguments]
        return self._plain(command, timeout, stop, sink=sink, login=login)

    def _plain(
        self,
        arguments: list[str],
        timeout: float,
        stop: Stop,
        *,
        sink: Sink | None = None,
        login: GitLogin | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Finished:
        return self._run(
            ["git", "--no-pager", *git_options(self._protocols), *arguments],
            timeout=timeout,
            stop=stop,
            sink=sink,
            env={**self._environment(login), **(extra or {})},
            cwd=self._folder,
        )

    def _environment(self, login: GitLogin | None) -> dict[str, str]:
        """Nothing of the host's own git settings, and no question that waits for an answer."""
        values = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder / "home"),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_ASKPASS": str(self._askpass),
        }
        if login is not None:
            values |= {USER_VARIABLE: login.user, PASSWORD_VARIABLE: login.password}
        return values


class _Damaged(WorldFailed):
    """The mirror cannot be used as it is; nor a new one, where the remote itself is damaged."""


def parse_log(output: str) -> list[Commit]:
    """Commits of `git log -z` in the form of `_log`; a record that is not one is left out."""
    parts = output.split("\0")
    commits = []
    for at in range(0, len(parts) - 3, 4):
        commit_id, author, seconds, subject = parts[at : at + 4]
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit_id):
            continue
        when = float(seconds) if seconds.isdigit() else 0.0
        commits.append(
            Commit(
                id=commit_id,
                author=author[:SUBJECT_LIMIT],
                subject=subject.strip()[:SUBJECT_LIMIT],
                committed_at=when or None,  # git tells of a date that it cannot read as 0
            )
        )
    return commits


def _fetch_failure(pipeline: PipelineSettings, ended: Finished) -> Exception:
    """What a failed fetch means, from what git said."""
    text = "\n".join(ended.tail)
    if _DISK_FULL.search(text):
        return WorldFailed(f"the disk is full: {_last(ended)}")
    if _NO_BRANCH.search(text):
        cause = f"branch {pipeline.branch} does not exist in repository {pipeline.repository}"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if _NO_REPOSITORY.search(text):
        cause = f"repository {pipeline.repository} does not exist"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if _BAD_OBJECTS.search(text):
        cause = f"repository {pipeline.repository} holds an object that git refuses"
        return DeploymentFailed(cause, stage="fetch", log_tail=ended.tail)
    if _DAMAGED.search(text):
        return _Damaged(f"the fetch from {pipeline.repository} failed: {_last(ended)}")
    return WorldFailed(f"the fetch from {pipeline.repository} failed: {_last(ended)}")


def _local(pipeline: PipelineSettings) -> str:
    return f"refs/slipway/tip-{hashlib.sha256(pipeline.branch.encode()).hexdigest()[:16]}"


def _last(ended: Finished) -> str:
    lines = [line.strip() for line in ended.tail if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (fatal or lines or [f"exit code {ended.returncode}"])[-1][:300]


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_stale_locks(mirrors: Path) -> None:
    """Locks that a killed git left: only one agent uses this folder, so nobody holds them."""
    for lock in mirrors.glob("*.git/**/*.lock"):
        lock.unlink(missing_ok=True)
