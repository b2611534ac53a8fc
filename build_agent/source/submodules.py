"""Which submodules a commit has, and which repository each comes from. Pure.

A commit names them twice: its tree has a link to a commit at a path, and `.gitmodules` the URL of
that path. Both are the commit's: a path is taken only as the tree has it, and a URL only where it
names a repository of the same CodeCommit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from slipway.contracts.wording import tidy

MOST = 100
"""Submodules of one commit, nested ones included."""
NAMED = 3
URL_SHOWN = 200
LONGEST = 4096
"""Characters of a path, as Linux has it (PATH_MAX)."""
_LINK = re.compile(r"160000 commit ([0-9a-f]{40}|[0-9a-f]{64})\t(.+)", re.DOTALL)
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_GRC = re.compile(r"codecommit:(?::([a-z0-9-]+):)?//(?:[^@/]+@)?([^@/]+)")
"""As git-remote-codecommit reads it: `codecommit::REGION://PROFILE@NAME`, region and profile
may be left out."""
_USER = re.compile(r"(?<=://)[^@/]*@")


@dataclass(frozen=True)
class Submodule:
    """A link of a tree. `path`: from the root of the repository that is built; `url`: as
    `.gitmodules` says, None: it does not; `repository`: what it names, None: nothing here.
    """

    path: str
    commit: str
    url: str | None = None
    repository: str | None = None

    @property
    def shown(self) -> str:
        """Path and URL, as people read them: a URL may hold a password."""
        if self.url is None:
            return f"{tidy(self.path)} (no URL in .gitmodules)"
        return f"{tidy(self.path)} ({tidy(_USER.sub('', self.url), URL_SHOWN)})"


def urls_by_path(listed: str) -> dict[str, str]:
    """From `git config --list --null` of a `.gitmodules`: URL by path."""
    named: dict[str, dict[str, str]] = {}
    for entry in listed.split("\0"):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        name, _, member = rest.rpartition(".")
        if section == "submodule" and member in ("path", "url"):
            named.setdefault(name, {})[member] = value
    return {
        one["path"]: one.get("url", "") for one in named.values() if _is_inside(one.get("path", ""))
    }


def _is_inside(path: str) -> bool:
    """Whether a tree may have such a path: git refuses to look for another."""
    return len(path) <= LONGEST and not {"", ".", ".."} & set(path.split("/"))


def links_in(listed: str, urls: Mapping[str, str], of: str, region: str) -> list[Submodule]:
    """The submodules of `git ls-tree -z`. `of`: the URL of the repository whose tree it is."""
    found = []
    for entry in listed.split("\0"):
        link = _LINK.fullmatch(entry)
        if link is not None:
            url = urls.get(link[2]) or None
            found.append(Submodule(link[2], link[1], url, repository_of(url or "", of, region)))
    return found


def repository_of(url: str, of: str, region: str) -> str | None:
    """The repository that `url` names, where it is one beside `of`: same account, same region.

    A URL of CodeCommit names no account: the credentials do, and those are the source role's.
    """
    if url.startswith(("./", "../")):
        url = _resolved(url, of)
    grc = _GRC.fullmatch(url)
    if grc is not None:
        return _name(grc[2]) if grc[1] in (None, region) else None
    for begin in (beside(of, ""), f"https://git-codecommit.{region}.amazonaws.com/v1/repos/"):
        if url.startswith(begin):
            return _name(url.removeprefix(begin).rstrip("/").removesuffix(".git"))
    return None


def beside(of: str, name: str) -> str:
    """The URL of the repository `name` in the same place as the URL `of`."""
    return f"{of.rstrip('/').rpartition('/')[0]}/{name}"


def lacking(folders: Collection[str], submodules: Sequence[Submodule]) -> str:
    """What the build lacks where these `folders` of the tree are empty, as a sentence without its
    full stop. One that is none of `submodules` has no entry in `.gitmodules`.
    """
    known = {one.path: one for one in submodules}
    all_of_it = [known.get(path) or Submodule(path, "") for path in sorted(folders)]
    return (
        f"submodules are not fetched: {told(all_of_it)}. Fetched are those of CodeCommit "
        "repositories of the dev account that the pipeline's `submodules` names; what the build "
        "does not need can be named in .dockerignore"
    )


def told(submodules: Sequence[Submodule]) -> str:
    """Path and URL of each, of many the first."""
    named = ", ".join(one.shown for one in submodules[:NAMED])
    more = len(submodules) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def _resolved(url: str, of: str) -> str:
    """A relative URL, as git reads one (git-submodule(1), add)."""
    base = of.rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            base = base.rpartition("/")[0]
        url = url.partition("/")[2]
    return f"{base}/{url}"


def _name(text: str) -> str | None:
    return text if _NAME.fullmatch(text) else None
