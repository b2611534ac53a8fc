"""Where no machine can run, that is said in one sentence, and nothing is begun."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.machine import cgroup, possible
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As if root on Debian, with every tool; whatever this test runs as."""
    for program in ("mmdebstrap", "systemd-nspawn", "apt-get"):
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cgroup, "hierarchy", lambda: tmp_path)
    monkeypatch.setattr(possible, "_refused", lambda _: None)
    return tmp_path


def test_nothing_stands_in_the_way(root: Path) -> None:
    assert possible.obstacle(Workplace(root)) is None


def test_somebody_else_than_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(WorldFailed, match=r"only root can start a machine; .*without --machine"):
        possible.prepare(Workplace(root))


def test_another_distribution(root: Path) -> None:
    (root / "systemd-nspawn").unlink()
    assert possible.obstacle(Workplace(root)) is None  # it would be installed

    (root / "apt-get").unlink()
    assert possible.obstacle(Workplace(root)) == (
        "systemd-nspawn is missing, and apt-get is not there to install it"
    )


def test_a_kernel_without_cgroup_2(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "hierarchy", lambda: None)

    assert possible.obstacle(Workplace(root)) == "cgroup v2 is not mounted"


def test_what_the_kernel_refuses_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(possible, "_refused", lambda _: "this machine refuses new namespaces")

    assert possible.obstacle(Workplace(root)) == "this machine refuses new namespaces"
