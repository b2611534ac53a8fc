"""The files of commits, laid out once for all builds that read them at the same time."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from build_agent.host.flights import Flights
from build_agent.host.stop import Stop

LayOut = Callable[[Path, Path], None]
"""Fills a folder with a commit's files, with an index of its own at the other path."""


@dataclass(eq=False)
class _Tree:
    """`files`: None until they are all there; `users`: runs that read it or want to."""

    users: int = 0
    files: Path | None = None


class Trees:
    """Trees below `folder`, which is emptied first: what lies there is of a process that ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._trees: dict[Hashable, _Tree] = {}
        self._flights: Flights[Path] = Flights()
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def use(self, commit: Hashable, lay_out: LayOut, *, stop: Stop) -> Iterator[Path]:
        """The files of `commit`, to be read only; the last who uses them removes them.

        Raises what `lay_out` raises where this run does it.
        """
        with self._mutex:
            tree = self._trees.setdefault(commit, _Tree())
            tree.users += 1
        try:
            yield tree.files or self._flights.share(
                tree, None, lambda: self._made(tree, lay_out), stop=stop
            )
        finally:
            with self._mutex:
                tree.users -= 1
                is_last = tree.users == 0
                if is_last:
                    del self._trees[commit]
            if is_last and tree.files is not None:
                shutil.rmtree(tree.files.parent, ignore_errors=True)

    def _made(self, tree: _Tree, lay_out: LayOut) -> Path:
        if tree.files is None:
            self._folder.mkdir(exist_ok=True)
            place = Path(tempfile.mkdtemp(prefix="tree-", dir=self._folder))
            try:
                files = place / "files"
                files.mkdir()
                lay_out(files, place / "index")
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
            tree.files = files
        return tree.files
