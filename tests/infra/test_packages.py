"""The hosts' package script under the real dnf and rpm, killed half-way, in a root of its own.

Versions are Debian's (dnf 4.14 as in Amazon Linux 2023, rpm 4.18 for its 4.16); the packages are
made here. That a stop waits for dnf is shown by `make machine`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.hosts.build_hosts import BOOTSTRAP
from local.commands import install
from local.waiting import wait_until
from slipway.contracts.errors import WorldFailed
from tests.skipping import cannot_run

TOOLS = {"dnf": "dnf", "rpm": "rpm", "rpmbuild": "rpm", "createrepo_c": "createrepo-c"}
"""Program to the Debian package that brings it."""
NAMES = ("docker", "git", "python3.13", "amazon-cloudwatch-agent")
UPGRADED = NAMES[1:]
FILES = 900
"""Of a package: enough for it to be cut while they are written."""
# Scripts are rpm's own Lua: they need no shell in the root. Where /hold/NAME is, one stays.
SPEC = """
Name: stand-ins
Version: {version}
Release: 1
Summary: stand-ins for the packages of a host
License: none
%description
%install
{install}
{packages}
"""
PACKAGE = """
%package -n {name}
Summary: {name}
AutoReqProv: no
%description -n {name}
%post -n {name} -p <lua>
if posix.access("/hold/{name}") then
  io.open("/held", "w"):close(); while true do posix.sleep(1) end
end
local log = io.open("/done-{name}", "a"); log:write("{version}\\n"); log:close()
%files -n {name}
/opt/{name}
"""
ADVISORY = """<updates><update from="a" status="final" type="security" version="1">
<id>ALAS-1</id><title>t</title><issued date="2026-01-01 00:00:00"/><description>d</description>
<pkglist><collection short="c"><name>c</name>{packages}</collection></pkglist></update></updates>"""
SYSTEMD_RUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""


def _must(*command: str | Path) -> str:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _build(place: Path, version: int) -> None:
    """The packages of one version, into the repository below `place`."""
    lines, packages = [], []
    for name in NAMES:
        folder = f"%{{buildroot}}/opt/{name}"
        lines.append(
            f"mkdir -p {folder}; for i in $(seq -w {FILES});"
            f" do echo '{name} {version}' > {folder}/$i; done"
        )
        packages.append(PACKAGE.format(name=name, version=version))
    spec = place / f"{version}.spec"
    text = SPEC.format(version=version, install="\n".join(lines), packages="\n".join(packages))
    spec.write_text(text)
    options = ("_topdir", place / "top"), ("_rpmdir", place / "repository")
    defines = [word for key, value in options for word in ("--define", f"{key} {value}")]
    quick = ["--define", "_binary_payload w0.gzdio", "--define", "__os_install_post %{nil}"]
    _must("rpmbuild", "-bb", "--quiet", *defines, *quick, "--target", "noarch", spec)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package repository with two versions of everything, the second one for security."""
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if os.geteuid() != 0:
        cannot_run("only root can install packages, even in a root of its own")
    try:
        if missing:
            install(missing, otherwise="install it")
    except WorldFailed as error:
        cannot_run(str(error))
    place = tmp_path_factory.mktemp("packages")
    for version in (1, 2):
        _build(place, version)
    found = place / "repository"
    _must("createrepo_c", "--quiet", found)
    named = "".join(
        f'<package name="{name}" version="2" release="1" epoch="0" arch="noarch">'
        f"<filename>{name}.rpm</filename></package>"
        for name in NAMES
    )
    advisory = place / "updateinfo.xml"
    advisory.write_text(ADVISORY.format(packages=named))
    _must("modifyrepo_c", advisory, found / "repodata")
    return found


@dataclass(frozen=True)
class Root:
    """A host's packages: `run` is the script there, `path` the root that dnf and rpm see."""

    path: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        programs = self.home / "bin"
        return {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "SLIPWAY_HOME": str(self.home),
        }

    def start(self, verb: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(BOOTSTRAP / "packages.sh"), verb],
            env=self.environment,
            stdout=(self.home / "log").open("a"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def run(self, verb: str) -> None:
        process = self.start(verb)
        assert process.wait() == 0, (self.home / "log").read_text()

    def rpm(self, *arguments: str) -> str:
        return _must(self.home / "bin" / "rpm", *arguments)

    @property
    def marked(self) -> bool:
        return (self.home / "packages.unfinished").exists()

    def damaged(self) -> list[str]:
        """What rpm finds wrong in any file of any package, and packages that are there twice."""
        done = subprocess.run(
            [self.home / "bin" / "rpm", "-Va"], capture_output=True, text=True, check=False
        )
        names = self.rpm("-qa", "--queryformat", "%{NAME}\n").split()
        return done.stdout.splitlines() + [n for n in set(names) if names.count(n) > 1]

    def versions(self) -> dict[str, str]:
        lines = self.rpm("-qa", "--queryformat", "%{NAME} %{VERSION}\n").splitlines()
        return dict(line.split() for line in lines)

    def scripts_ran(self, name: str) -> str:
        """The version whose script ran last; none where none did."""
        log = self.path / f"done-{name}"
        return log.read_text().split()[-1] if log.exists() else ""

    def content(self, name: str, number: int) -> str:
        file = self.path / "opt" / name / f"{number:03}"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def root(tmp_path: Path, repository: Path) -> Iterator[Root]:
    path, home = tmp_path / "root", tmp_path / "home"
    for folder in (path, home / "bin", home / "repos", home / "logs"):
        folder.mkdir(parents=True)
    (home / "repos" / "made.repo").write_text(
        f"[made]\nname=made\nbaseurl=file://{repository}\ngpgcheck=0\nmetadata_expire=never\n"
    )
    settings = (
        f"--installroot={path}",
        f"--setopt=reposdir={home / 'repos'}",
        f"--setopt=cachedir={home / 'cache'}",
        f"--setopt=logdir={home / 'logs'}",
    )
    # Debian's rpm keeps its database below HOME.
    programs = {
        "dnf": f'#!/bin/bash\nHOME=/ exec {shutil.which("dnf")} {" ".join(settings)} "$@"\n',
        "rpm": f'#!/bin/bash\nHOME=/ exec {shutil.which("rpm")} --root={path} "$@"\n',
        "systemd-run": SYSTEMD_RUN,
    }
    for name, text in programs.items():
        (home / "bin" / name).write_text(text)
        (home / "bin" / name).chmod(0o755)
    yield Root(path, home)
    shutil.rmtree(path)


def _cut(root: Root, verb: str, where: str, name: str, version: str) -> None:
    """Kill the script and its dnf at once: while files of `name` are written, or in its script."""
    process = root.start(verb)

    def there() -> bool:
        if where == "script":
            return (root.path / "held").exists()
        return root.content(name, 1) == f"{name} {version}\n"

    assert wait_until(lambda: there() or process.poll() is not None, seconds=120, poll=0.001)
    assert process.poll() is None, (root.home / "log").read_text()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # THEN it is really cut
    assert root.marked
    if where == "files":
        assert root.content(name, FILES) != f"{name} {version}\n"


def _hold(root: Root, name: str) -> None:
    (root.path / "hold").mkdir(exist_ok=True)
    (root.path / "hold" / name).touch()


def _release(root: Root) -> None:
    shutil.rmtree(root.path / "hold", ignore_errors=True)


@pytest.mark.parametrize("where", ["files", "script"])
def test_an_installation_that_was_cut_is_whole_after_the_next(root: Root, where: str) -> None:
    # GIVEN a first boot that is cut in the midst of a package
    if where == "script":
        _hold(root, "git")
    _cut(root, "install", where, "git", "2")
    _release(root)
    # WHEN the host boots again
    root.run("install")
    # THEN everything is there and whole, and every script has run to its end
    assert set(root.versions()) == set(NAMES)
    assert root.damaged() == []
    assert {name: root.scripts_ran(name) for name in NAMES} == dict.fromkeys(NAMES, "2")
    assert not root.marked


@pytest.mark.parametrize("where", ["files", "script"])
def test_an_upgrade_that_was_cut_is_whole_after_the_next_boot(root: Root, where: str) -> None:
    # GIVEN a host with the first versions, whose upgrade is cut in the midst of a package
    _must(root.home / "bin" / "dnf", "install", "-y", *(f"{name}-1" for name in NAMES))
    if where == "script":
        _hold(root, "git")
    _cut(root, "upgrade", where, "git", "2")
    _release(root)
    assert root.damaged() != []
    # WHEN the host boots again
    root.run("install")
    # THEN what was to be upgraded is, whole and once, and the others are as they were
    assert root.versions() == {"docker": "1", **dict.fromkeys(UPGRADED, "2")}
    assert root.damaged() == []
    assert not root.marked
    # AND the one after asks nobody: nothing is missing, nothing was cut
    before = (root.home / "log").read_text()
    root.run("install")
    assert (root.home / "log").read_text() == before
