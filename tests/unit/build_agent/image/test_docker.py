"""Which docker client, what it sees, and room on its disk."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from build_agent.host.process import Finished
from build_agent.host.stop import Stop
from build_agent.image.disk import FOR_BUILD, FOR_FETCH, Disk, is_tight, prune_commands
from build_agent.image.docker import (
    Docker,
    RegistryLogin,
    client_programs,
    environment,
    find_client,
    has_buildkit,
)
from slipway.contracts.errors import WorldFailed

STOP = Stop()
GIB = 1 << 30


@pytest.mark.parametrize(
    ("version", "buildx", "good"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", False, True),
        ("Docker version 28.2.2, build e6534b4", False, False),
        ("Docker version 28.2.2, build e6534b4", True, True),
        ("podman 4", False, False),
    ],
)
def test_a_client_has_buildkit_built_in_or_as_a_plug_in(
    version: str, buildx: bool, good: bool
) -> None:
    assert has_buildkit(version, buildx=buildx) is good


def scripted(versions: dict[str, str]) -> Any:
    def run(command: Sequence[str], **_options: Any) -> Finished:
        version = versions.get(command[0], "")
        return Finished(0 if version and command[1] == "--version" else 1, (), version)

    return run


def test_the_first_client_that_fits_is_taken() -> None:
    versions = {"/a/docker": "Docker version 28.2.2", "/b/docker": "Docker version 20.10.24"}
    assert find_client(scripted(versions), versions, stop=STOP) == "/b/docker"


def test_no_client_that_fits_is_said_with_those_seen() -> None:
    versions = {"/a/docker": "Docker version 28.2.2"}
    with pytest.raises(WorldFailed, match=r"/a/docker \(Docker version 28\.2\.2\)"):
        find_client(scripted(versions), versions, stop=STOP)
    with pytest.raises(WorldFailed, match="none found"):
        find_client(scripted({}), [], stop=STOP)


def test_every_client_on_the_path_is_tried_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        program = tmp_path / name / "docker"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755 if name == "b" else 0o644)
    (tmp_path / "c" / "docker").symlink_to(tmp_path / "b" / "docker")
    path = ":".join(str(tmp_path / name) for name in ("a", "b", "c", "none"))
    assert client_programs(path) == [str(tmp_path / "b" / "docker")]


def test_a_client_sees_the_daemon_and_nothing_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    seen = environment(Path("/config"))
    assert seen["DOCKER_HOST"] == "unix:///x"
    assert seen["DOCKER_CONFIG"] == "/config"
    assert not any(name.startswith("AWS_") for name in seen)


def test_a_token_of_ecr_is_user_and_password() -> None:
    token = base64.b64encode(b"AWS:pass:word").decode()
    login = RegistryLogin.of_token("r", token)
    assert (login.user, login.password) == ("AWS", "pass:word")
    assert "pass" not in repr(login)


# --- the disk


class Daemon:
    """A disk that each prune frees some of."""

    def __init__(self, free: list[int], total: int = 100 * GIB) -> None:
        self.free = free
        self.total = total
        self.commands: list[list[str]] = []

    def run(self, command: Sequence[str], **_options: Any) -> Finished:
        self.commands.append(list(command[1:]))
        if len(self.free) > 1:
            self.free.pop(0)
        return Finished(0, (), "")

    def disk(self, folder: Path, *, prune_cache: bool = True) -> Disk:
        docker = Docker(lambda: "docker", self.run, folder)
        return Disk(docker, folder, prune_cache, space=lambda _f: (self.free[0], self.total))


def make_room(disk: Disk, least: int = FOR_BUILD) -> None:
    disk.make_room("https://git/app", least=least, stop=STOP, sink=lambda line: None)


def test_nothing_is_pruned_while_there_is_room(tmp_path: Path) -> None:
    daemon = Daemon([50 * GIB])
    make_room(daemon.disk(tmp_path))
    assert daemon.commands == []


def test_pruning_goes_no_further_than_needed(tmp_path: Path) -> None:
    daemon = Daemon([GIB, GIB, 30 * GIB])
    make_room(daemon.disk(tmp_path))
    assert [c[0] for c in daemon.commands] == ["image", "builder"]
    assert "--all" not in daemon.commands[1]


def test_a_disk_that_stays_full_is_the_worlds_fault(tmp_path: Path) -> None:
    daemon = Daemon([GIB])
    with pytest.raises(WorldFailed, match="disk is full"):
        make_room(daemon.disk(tmp_path))
    assert len(daemon.commands) == 4


def test_little_room_is_enough_to_try(tmp_path: Path) -> None:
    make_room(Daemon([10 * GIB]).disk(tmp_path))
    make_room(Daemon([GIB]).disk(tmp_path), least=FOR_FETCH)


def test_a_prune_writes_nothing_to_a_disk_that_may_be_full(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    make_room(Daemon([0, 30 * GIB]).disk(folder))
    assert not folder.exists()


def test_on_a_shared_daemon_only_our_own_images_go() -> None:
    commands = prune_commands("https://git/app", 20 * GIB, cache=False)
    assert all("label=org.opencontainers.image.source=https://git/app" in c for c in commands)
    assert not any(c[0] in ("builder", "system", "volume") for c in commands)


@pytest.mark.parametrize(("total", "kept"), [(20 * GIB, "6144MB"), (100 * GIB, "8192MB")])
def test_a_gentle_prune_leaves_a_cache_that_fits_the_disk(total: int, kept: str) -> None:
    commands = prune_commands("https://git/app", total, cache=True)
    assert commands[1] == ["builder", "prune", "--force", "--keep-storage", kept]


@pytest.mark.parametrize(
    ("free", "total", "tight"),
    [(19 * GIB, 100 * GIB, True), (21 * GIB, 100 * GIB, False), (60 * GIB, 1000 * GIB, False)],
)
def test_tight_is_a_share_of_the_disk_up_to_a_bound(free: int, total: int, tight: bool) -> None:
    assert is_tight(free, total) is tight
