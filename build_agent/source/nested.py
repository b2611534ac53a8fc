"""Submodules, fetched and laid out in the tree of the commit that names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from build_agent.host.process import Finished
from build_agent.host.stop import Stop
from build_agent.source.git_answers import last_line
from build_agent.source.submodules import MOST, Submodule, beside, links_in, told, urls_by_path
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import PipelineSettings


class MirrorsLike(Protocol):
    """What `mirror.Source` is to its submodules."""

    def read(self, of: PipelineSettings, command: list[str], stop: Stop) -> Finished: ...

    def bring(self, of: PipelineSettings, commit: str, stop: Stop) -> bool: ...

    def write(
        self, of: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> bool: ...


@dataclass(frozen=True)
class Nested:
    """`region`: CodeCommit's, for the URLs that name one."""

    mirrors: MirrorsLike
    region: str

    def walk(
        self, pipeline: PipelineSettings, commit: str, stop: Stop
    ) -> Iterator[tuple[Submodule, PipelineSettings | None]]:
        """Each submodule with the settings to fetch it by, None for one that is not configured.

        Who asks for the next one has fetched this one: it may have submodules of its own.
        DeploymentFailed for more than MOST.
        """
        left = [(pipeline, commit, "")]
        count = 0
        while left:
            of, at, folder = left.pop()
            for link in self._links(of, at, stop):
                count += 1
                if count > MOST:
                    raise _too_many()
                own = _settings(of, link) if link.repository in pipeline.submodules else None
                there = replace(link, path=folder + link.path)
                yield there, own
                if own is not None:
                    left.append((own, link.commit, f"{there.path}/"))

    def lay_out(
        self, pipeline: PipelineSettings, commit: str, files: Path, index: Path, stop: Stop
    ) -> None:
        """Put the configured submodules into their empty folders below `files`."""
        for one, own in self.walk(pipeline, commit, stop):
            if own is not None:
                self._lay_out(one, own, files, index, stop)

    def _lay_out(
        self, one: Submodule, own: PipelineSettings, files: Path, index: Path, stop: Stop
    ) -> None:
        for _ in range(2):  # another run may make the mirror anew meanwhile
            if not self.mirrors.bring(own, one.commit, stop):
                problem = f"submodule {told([one])}: {own.repository} has no commit {one.commit}"
                raise DeploymentFailed(problem, stage="fetch")
            index.unlink(missing_ok=True)
            if self.mirrors.write(own, one.commit, files / one.path, index, stop):
                return
        raise WorldFailed(f"the mirror of {own.repository} was made anew meanwhile")

    def _links(self, of: PipelineSettings, commit: str, stop: Stop) -> list[Submodule]:
        """The submodules of one tree whose paths `.gitmodules` names."""
        named = self.mirrors.read(
            of, ["config", f"--blob={commit}:.gitmodules", "--null", "--list"], stop
        )
        urls = urls_by_path(named.output) if named.ok else {}
        if not urls:
            return []
        if len(urls) > MOST:
            raise _too_many()
        command = ["--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", *urls]
        listed = self.mirrors.read(of, command, stop)
        if not listed.ok:
            raise WorldFailed(f"cannot read the tree of {commit}: {last_line(listed)}")
        return links_in(listed.output, urls, of.git_url, self.region)


def _too_many() -> DeploymentFailed:
    return DeploymentFailed(f"there are more than {MOST} submodules", stage="fetch")


def _settings(of: PipelineSettings, link: Submodule) -> PipelineSettings:
    """Without a branch: its commits are in a mirror of their own, which has no whole history."""
    name = link.repository or ""
    return replace(of, repository=name, git_url=beside(of.git_url, name), branch="")
