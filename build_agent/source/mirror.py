"""The source of a commit: a mirror on the host's disk, fetched by branch; a clean tree to build.

Several runs share it: one fetch of a mirror is under way at a time, for all who asked before it
began, and a commit's tree is laid out once for all who read it.

What comes from a repository is data: its hooks, filters, submodules and configuration are never
used, and a name from outside is checked and passed after `--`. The mirror has one reference per
branch, named by a hash, so that no branch name can stand in another's way.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from build_agent.host.flights import Flights
from build_agent.host.gate import Gate
from build_agent.host.process import Finished, Runner, Sink, TimedOut
from build_agent.host.stop import Stop
from build_agent.source.git_answers import (
    BAD_OBJECTS,
    DAMAGED,
    DISK_FULL,
    OF_A_FILE,
    Damaged,
    fetch_failure,
    last_line,
)
from build_agent.source.git_credentials import GitLogin, LoginFor, askpass_program
from build_agent.source.git_runs import Git
from build_agent.source.known import Fetched, Pushed, is_known
from build_agent.source.nested import Nested
from build_agent.source.reading import LOCAL_TIMEOUT, LOG_TIMEOUT, Reading
from build_agent.source.references import ALL_HEADS, by_id, check_branch, tip_of
from build_agent.source.submodules import Submodule
from build_agent.source.trees import Trees
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Commit
from slipway.following.differences import Differences

FIRST_DEPTH = 200
"""Commits of the first fetch: later ones bring what is new, a named older one brings them all.

Of these a notice tells what came since the last deployment. One commit alone would spare 2 of 22 MB
and 0.07 s of a repository of 500 MB (`bench/fetching.py`)."""
_QUIET = ("--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
_DAMAGE_MARK = "slipway-damaged"
"""A file in a mirror that the next fetch makes anew."""


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
        differences: Differences | None = None,
        now: Callable[[], float] = time.time,
        region: str = "",
    ) -> None:
        """`region`: of CodeCommit, for the URLs of submodules."""
        self._folder = folder
        self._login = login
        self._nested = Nested(self, region)
        self._first_depth = first_depth
        (folder / "mirrors").mkdir(parents=True, exist_ok=True)
        (folder / "home").mkdir(exist_ok=True)
        self._run = Git(run, folder, tuple(protocols), askpass_program(folder))
        self._reading = Reading(self._git, self._mirror)
        self._differences = differences
        self._now = now
        self._flights: Flights[Any] = Flights()
        self._trees = Trees(folder / "trees")
        self._mutex = threading.Lock()
        self._gates: dict[Path, Gate] = defaultdict(Gate)
        self._fetched: dict[tuple[Path, str], Fetched] = {}
        self._made_anew: Counter[Path] = Counter()
        for lock in (folder / "mirrors").glob("*.git/**/*.lock"):  # a killed git left it
            lock.unlink(missing_ok=True)

    def fetch(
        self,
        pipeline: PipelineSettings,
        commit: str | None,
        *,
        stop: Stop,
        sink: Sink,
        pushed: Pushed | None = None,
    ) -> Commit:
        """The branch's tip as it is now, or the named `commit`.

        `pushed`: what the request for the tip says, for which an earlier fetch may do (`known`).
        DeploymentFailed where the branch, the repository or the commit does not exist, or git
        refuses the commit, which is named then; WorldFailed where the remote or the disk fails.
        """
        reference = check_branch(pipeline.branch)
        stop.check()
        known = self._known(pipeline, pushed, stop) if commit is None and pushed else None
        if known is not None:
            sink("this host has fetched the pushed commit already")
            return known
        brought: Commit = self._alone(
            pipeline, (reference, commit), stop, sink,
            lambda: self._bring(pipeline, reference, commit, stop, sink),
        )  # fmt: skip
        return brought

    def tree(
        self, pipeline: PipelineSettings, commit: str, *, stop: Stop
    ) -> AbstractContextManager[Path]:
        """The files of `commit` in a folder to read only, shared, removed after the last use."""
        return self._trees.use(
            (self._mirror(pipeline), commit, pipeline.submodules),
            lambda files, index: self._lay_out(pipeline, commit, files, index, stop),
            stop=stop,
        )

    def submodules(self, pipeline: PipelineSettings, commit: str, *, stop: Stop) -> list[Submodule]:
        """All that `commit` has, also those in others that are laid out with it (`tree`)."""
        return [one for one, _ in self._nested.walk(pipeline, commit, stop)]

    # --- for submodules (`Nested`)

    def read(self, of: PipelineSettings, command: list[str], stop: Stop) -> Finished:
        """A command of git's that reads a mirror."""
        with self._gate(of).use(stop=stop):
            return self._git(of, command, LOG_TIMEOUT, stop)

    def bring(self, of: PipelineSettings, commit: str, stop: Stop) -> bool:
        """Have one commit in the mirror, whatever branch it is on; False: the remote has it not."""
        self._flights.share(
            self._mirror(of), (commit, of.source_role_arn),
            lambda: self._bring_one(of, commit, stop), stop=stop,
        )  # fmt: skip
        return self._reading.has(of, commit, stop)

    def write(
        self, of: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> bool:
        """Lay a commit out; False where its mirror has lost it."""
        with self._gate(of).use(stop=stop):
            has_it = self._reading.has(of, commit, stop)
            if has_it:
                self._write_files(of, commit, files, index, stop)
        return has_it

    def commits_between(
        self, pipeline: PipelineSettings, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]:
        """Commits of `new` that `old` has not, newest first, and how many; None: not known."""
        with self._gate(pipeline).use(stop=stop):
            return self._reading.between(pipeline, old, new, limit=limit, stop=stop)

    def touched(
        self, pipeline: PipelineSettings, old: str, new: str, *, stop: Stop, sink: Sink
    ) -> bool | None:
        """Whether a file of the pipeline's paths differs between two commits; None: not known.

        git compares the trees, and CodeCommit where `old` cannot be had: it may be gone from every
        branch, or older than what was fetched, and CodeCommit may refuse a fetch by its id.
        """
        answer = self._differ(pipeline, old, new, stop)
        if answer is None and not self._reading.has(pipeline, old, stop):
            bring = partial(self._fetch_by_id, pipeline, old, stop, sink, "--depth=1")
            self._alone(pipeline, ("tree", old), stop, sink, bring)
            answer = self._differ(pipeline, old, new, stop)
        if answer is None and self._differences is not None:
            answer = self._differences(pipeline, old, new, sink)
        return answer

    # --- steps

    def _alone(
        self, pipeline: PipelineSettings, what: tuple[str | None, ...], stop: Stop, sink: Sink,
        work: Callable[[], Any],
    ) -> Any:  # fmt: skip
        """What `work` gives: the one fetch of a mirror under way, for all who ask for the same."""
        return self._flights.share(
            self._mirror(pipeline),
            (*what, pipeline.source_role_arn),
            work,
            stop=stop,
            waiting=lambda: sink("waiting for another fetch from this repository"),
        )

    def _differ(self, pipeline: PipelineSettings, old: str, new: str, stop: Stop) -> bool | None:
        with self._gate(pipeline).use(stop=stop):
            return self._reading.differ(pipeline, old, new, stop)

    def _known(self, pipeline: PipelineSettings, pushed: Pushed, stop: Stop) -> Commit | None:
        """The pushed commit, where no fetch is needed for it."""

        def follows(old: str, new: str) -> bool:
            with self._gate(pipeline).use(stop=stop):
                return self._reading.follows(pipeline, old, new, stop)

        last = self._fetched.get((self._mirror(pipeline), tip_of(pipeline.branch)))
        return last.commit if last and is_known(pushed, last, follows) else None

    def _bring(
        self, pipeline: PipelineSettings, reference: str, commit: str | None, stop: Stop, sink: Sink
    ) -> Commit:
        """Fetch, and describe what was fetched; the one fetch of this mirror under way."""
        began = self._now()
        if (self._mirror(pipeline) / _DAMAGE_MARK).exists():
            self._remove(pipeline, stop, sink)
        try:
            self._fetch_branch(pipeline, reference, stop, sink)
        except Damaged:
            self._remove(pipeline, stop, sink)
            self._fetch_branch(pipeline, reference, stop, sink)
        if commit is not None:
            self._need_commit(pipeline, commit, stop, sink)
        found = self._reading.describe(pipeline, commit or tip_of(pipeline.branch), stop)
        if commit is None:
            self._fetched[self._mirror(pipeline), tip_of(pipeline.branch)] = Fetched(found, began)
        return found

    def _remove(self, pipeline: PipelineSettings, stop: Stop, sink: Sink) -> None:
        """Remove a damaged mirror, once no other run reads it."""
        sink("the mirror on this host's disk is damaged: it is made anew")
        mirror = self._mirror(pipeline)
        with self._gate(pipeline).alone(stop=stop):
            shutil.rmtree(mirror, ignore_errors=True)
            self._made_anew[mirror] += 1
        for known in list(self._fetched):  # of other mirrors some may come meanwhile
            if known[0] == mirror:
                del self._fetched[known]

    def _fetch_branch(
        self, pipeline: PipelineSettings, reference: str, stop: Stop, sink: Sink
    ) -> None:
        mirror = self._mirror(pipeline)
        is_new = not (mirror / "HEAD").exists()
        if is_new:
            self._make(mirror, stop)
        options = [*_QUIET, "--force"]
        if is_new and self._first_depth and urlsplit(pipeline.git_url).scheme != "file":
            options.append(f"--depth={self._first_depth}")
        try:
            self._fetch(pipeline, options, f"+{reference}:{tip_of(pipeline.branch)}", stop, sink)
        except DeploymentFailed as failed:
            if BAD_OBJECTS.search("\n".join(failed.log_tail)):
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
        self, pipeline: PipelineSettings, options: Sequence[str], what: str, stop: Stop, sink: Sink
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
            raise fetch_failure(pipeline, ended)

    def _make(self, mirror: Path, stop: Stop) -> None:
        shutil.rmtree(mirror, ignore_errors=True)
        made = self._run(["init", "--quiet", "--bare", "--", str(mirror)], LOCAL_TIMEOUT, stop)
        if not made.ok:
            raise WorldFailed(f"cannot make a mirror on this host's disk: {last_line(made)}")

    def _bring_one(self, of: PipelineSettings, commit: str, stop: Stop) -> Commit:
        """Alone, where the remote gives a commit by its id; else with all branches."""
        mirror = self._mirror(of)
        if (mirror / _DAMAGE_MARK).exists():
            self._remove(of, stop, _silent)
        if not (mirror / "HEAD").exists():
            self._make(mirror, stop)
        if not self._reading.has(of, commit, stop):
            self._fetch_by_id(of, commit, stop, _silent, "--depth=1")
        if not self._reading.has(of, commit, stop):
            whole = ["--unshallow"] if self._reading.is_shallow(of) else []
            try:
                self._fetch(of, [*_QUIET, "--force", *whole], ALL_HEADS, stop, _silent)
            except Damaged:
                self._remove(of, stop, _silent)
                raise
        return Commit(id=commit)

    def _need_commit(self, pipeline: PipelineSettings, commit: str, stop: Stop, sink: Sink) -> None:
        """Bring a commit that the branch's recent history does not hold, if the remote has it."""
        if self._reading.has(pipeline, commit, stop):
            return
        self._fetch_by_id(pipeline, commit, stop, sink)
        if not self._reading.has(pipeline, commit, stop) and self._reading.is_shallow(pipeline):
            reference = check_branch(pipeline.branch)
            self._fetch(
                pipeline, [*_QUIET, "--unshallow"],
                f"+{reference}:{tip_of(pipeline.branch)}", stop, sink,
            )  # fmt: skip
        if not self._reading.has(pipeline, commit, stop):
            raise DeploymentFailed(
                f"repository {pipeline.repository} has no commit {commit}", stage="fetch"
            )

    def _fetch_by_id(
        self, of: PipelineSettings, commit: str, stop: Stop, sink: Sink, *options: str
    ) -> None:
        """One commit, if the remote gives it by its id alone."""
        with contextlib.suppress(DeploymentFailed, WorldFailed):
            self._fetch(of, [*_QUIET, *options], by_id(commit), stop, sink)
        stop.check()

    def _lay_out(
        self, pipeline: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> None:
        with self._gate(pipeline).use(stop=stop):
            lost = self._made_anew[self._mirror(pipeline)] and not self._reading.has(
                pipeline, commit, stop
            )
            if not lost:
                self._write_files(pipeline, commit, files, index, stop)
        if lost:  # another run has made the mirror anew since this one fetched
            self.fetch(pipeline, commit, stop=stop, sink=lambda _line: None)
            with self._gate(pipeline).use(stop=stop):
                self._write_files(pipeline, commit, files, index, stop)
        if pipeline.submodules:
            self._nested.lay_out(pipeline, commit, files, index, stop)

    def _write_files(
        self, pipeline: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> None:
        mirror = self._mirror(pipeline)
        command = [f"--git-dir={mirror}", f"--work-tree={files}", "read-tree", "-u", "--reset"]
        extra = {"GIT_INDEX_FILE": str(index)}
        laid = self._run([*command, commit], LOCAL_TIMEOUT, stop, extra=extra)
        if laid.ok:
            return
        full = DISK_FULL.search("\n".join(laid.tail)) is not None
        damaged = any(DAMAGED.search(line) for line in laid.tail if not OF_A_FILE.search(line))
        if damaged and not full:
            with contextlib.suppress(OSError):
                (mirror / _DAMAGE_MARK).touch()
        if damaged or full:
            raise WorldFailed(f"cannot lay out the files of {commit}: {last_line(laid)}")
        raise DeploymentFailed(
            f"the files of commit {commit} cannot be laid out: {last_line(laid)}",
            stage="fetch",
            log_tail=laid.tail,
        )

    # --- running git

    def _gate(self, pipeline: PipelineSettings) -> Gate:
        """Who reads a mirror uses its gate; who fetches need not: only a fetch removes it."""
        with self._mutex:
            return self._gates[self._mirror(pipeline)]

    def _mirror(self, pipeline: PipelineSettings) -> Path:
        of = pipeline.git_url if pipeline.branch else f"{pipeline.git_url} submodule"
        digest = hashlib.sha256(of.encode()).hexdigest()[:12]
        readable = re.sub(r"[^A-Za-z0-9_-]", "-", pipeline.repository)[:60]
        return self._folder / "mirrors" / f"{readable}-{digest}.git"

    def _git(
        self, pipeline: PipelineSettings, arguments: list[str], timeout: float, stop: Stop, *,
        sink: Sink | None = None, login: GitLogin | None = None,
    ) -> Finished:  # fmt: skip
        command = [f"--git-dir={self._mirror(pipeline)}", *arguments]
        return self._run(command, timeout, stop, sink=sink, login=login)


def _silent(_line: str) -> None:
    """The lines of a submodule's fetch are nobody's."""
