"""A base image with this machine's own Python: users build on one that is in a registry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pydantic_core import _pydantic_core

from local.docker import Docker, provide_busybox
from tests.places import ROOT

NAME = "slipway-test-base"
WHEELS = "/wheels"
COMMANDS = ("sh", "mkdir", "chown")
DOCKERFILE = f"""\
FROM scratch
COPY root/ /
ENV PATH=/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS={WHEELS} PIP_ROOT_USER_ACTION=ignore
"""
NOT_NEEDED = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "site-packages", "dist-packages", "idlelib", "config-*"
)


def make_base_image(docker: Docker, folder: Path) -> str:
    """Build it in the empty `folder`; its name. What pip is to install is in it."""
    root = folder / "root"
    _add_python(root)
    _add_pip(root)
    _add_commands(root)
    _add_wheels(root)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    docker.run("build", "--quiet", "--tag", NAME, str(folder))
    return NAME


def _add_python(root: Path) -> None:
    binary = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    compiled = sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix})
    for name in {sysconfig.get_path("stdlib"), compiled}:
        shutil.copytree(name, _inside(root, name), ignore=NOT_NEEDED, dirs_exist_ok=True)
    _copy(binary, root)
    extensions = Path(compiled, "lib-dynload").glob("*.so")
    files = (binary, *extensions, Path(_pydantic_core.__file__))
    for library in {lib for file in files for lib in _libraries(file)}:
        _copy(Path(library), root)
        _link(root, f"/usr/lib/{Path(library).name}", library)  # where every loader looks
    _link(root, "/usr/bin/python3", str(binary))


def _add_pip(root: Path) -> None:
    """The pip of this environment, in the place of the image's."""
    spec = find_spec("pip")
    assert spec is not None
    assert spec.origin is not None
    target = Path(sysconfig.get_path("stdlib"), "site-packages", "pip")
    shutil.copytree(
        Path(spec.origin).parent,
        _inside(root, str(target)),
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def _add_commands(root: Path) -> None:
    shutil.copy2(provide_busybox(), _inside(root, "/bin/busybox"))
    for name in COMMANDS:
        _link(root, f"/bin/{name}", "/bin/busybox")
    (root / "tmp").mkdir(mode=0o1777)


def _add_wheels(root: Path) -> None:
    folder = _inside(root, WHEELS)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    done = subprocess.run(
        [*command, f"{ROOT}[yaml]", "setuptools>=68", "wheel"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for source in folder.glob("slipway*"):
        source.unlink()  # the image is to build it


def _libraries(binary: Path) -> Iterator[str]:
    """The shared libraries that a program or an extension loads, its loader too."""
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    for found in re.finditer(r"(?:=> |^\s*)(/\S+) \(0x", listed.stdout, re.MULTILINE):
        yield found[1]


def _copy(file: Path, root: Path) -> None:
    shutil.copyfile(file.resolve(), _inside(root, str(file)))
    _inside(root, str(file)).chmod(0o755)


def _link(root: Path, name: str, target: str) -> None:
    if os.path.lexists(_inside(root, name)):
        return
    _inside(root, name).symlink_to(target)


def _inside(root: Path, name: str) -> Path:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
