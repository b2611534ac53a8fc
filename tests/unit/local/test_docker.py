"""Docker of the local run: a client that can build, a static busybox, a free network."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from local import docker
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed


def client(folder: Path, version: str, *, buildx: bool) -> Path:
    """A docker client that knows its version and whether it has buildx, and nothing else."""
    folder.mkdir()
    program = folder / "docker"
    program.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = --version ]; then echo "Docker version {version}, build x"; exit 0; fi\n'
        f'if [ "$1" = buildx ]; then exit {0 if buildx else 1}; fi\n'
        "exit 1\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize(
    ("version", "buildx", "builds"),
    [("28.2.2", False, False), ("28.2.2", True, True), ("20.10.24+dfsg1", False, True)],
)
def test_a_client_that_can_build_is_picked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, buildx: bool, builds: bool
) -> None:
    # GIVEN a useless client first on the path, and the one in question after it
    client(tmp_path / "first", "27.0.0", buildx=False)
    second = client(tmp_path / "second", version, buildx=buildx)
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")

    assert docker.building_client() == (str(second) if builds else None)


def test_no_docker_and_no_right_to_install_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a machine without Docker, and a user who is not root
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(docker, "DAEMON_DIRECTORIES", ())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ledger = Ledger.begin(Workplace(tmp_path))

    with pytest.raises(WorldFailed, match=r"docker\.io is missing.*as root on Debian or Ubuntu"):
        docker.provide(Workplace(tmp_path), ledger)


def test_a_dynamic_program_is_not_static(tmp_path: Path) -> None:
    shell = shutil.which("bash")
    assert shell is not None
    text = tmp_path / "script"
    text.write_text("#!/bin/sh\n")

    assert not docker._is_static(Path(shell))
    assert not docker._is_static(text)
    assert not docker._is_static(tmp_path / "missing")
