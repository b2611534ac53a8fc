"""What an ignore file keeps out of a build is what docker keeps out: held against a real one."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile

import pytest

from build_agent.image.build_files import locate
from build_agent.image.ignore import ignoring
from local import docker as local_docker
from tests.e2e.test_hostile_builds import Yard, daemon, yard
from tests.unit.build_agent.world import make_pipeline

__all__ = ["daemon", "yard"]

FILES = (
    "a.md", "b.txt", "docs/a.md", "docs/api/a.md", "docs/api/b.txt", "src/a.py", "src/lib/a.py",
    "src/lib/test/b.py", "test/a.py", "x/test", "x y", "q[1]", "é.md", "src/.hidden",
)  # fmt: skip
IGNORE_FILES = {
    "names": "a.md\ndocs\n",
    "stars": "*.md\n*/*.py\n",
    "many stars": "**/*.md\n**/test\n",
    "stars at the end": "src/**\ndocs/api/**\n",
    "a star inside": "src/**/b.py\nd*s\n",
    "exceptions": "docs\n!docs/api/b.txt\n*.txt\n!b.txt\n",
    "an exception above": "src\n!src/lib\nsrc/lib/test\n",
    "order": "!a.md\na.md\n!docs/a.md\n**/a.md\n",
    "all but": "*\n!src\n**/*.md\n",
    "slashes and dots": "/docs\n./src/\n test/../a.md \n//x\n",
    "question marks and sets": "?.md\nq\\[1\\]\nsrc/[k-m]ib\n[^a].txt\n",
    "comments and blanks": "# a.md\n\n  \n #b.txt\n",
    "a mark at its beginning": "\ufeffa.md\n",
    "everything": "**\n!docs/*\n",
    "odd names": "é.md\nx y\nsrc/.*\n",
    "one star": "*\n",
}


@pytest.mark.parametrize("name", IGNORE_FILES)
def test_it_is_read_as_docker_reads_it(yard: Yard, daemon: local_docker.Docker, name: str) -> None:
    (yard.folder / "Dockerfile").write_text("FROM scratch\nCOPY . /all\n")
    (yard.folder / ".dockerignore").write_text(IGNORE_FILES[name], encoding="utf-8")
    for path in FILES:
        (yard.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (yard.folder / path).write_text(path)
    # WHEN docker builds it
    theirs = files_of(daemon, yard.make().image_id)
    # THEN we know of each file whether it is there
    ignores = ignoring(locate(yard.folder, make_pipeline().images[0]).ignore_text)
    assert {path for path in FILES if not ignores(path)} == theirs & set(FILES)


def files_of(daemon: local_docker.Docker, image: str) -> set[str]:
    """The files below `/all`, of an image that has nothing to list them with."""
    container = daemon.run("create", "--", image, "none").strip()
    try:
        copied = subprocess.run(
            [daemon.client, "cp", f"{container}:/all", "-"],
            env=daemon.environment(os.environ), capture_output=True, check=True,
        )  # fmt: skip
    finally:
        daemon.run("rm", container)
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as tar:
        return {one.name.removeprefix("all/") for one in tar if one.isreg()}
