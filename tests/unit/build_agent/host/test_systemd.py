"""What systemd hears of the agent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_agent.host.systemd import SAY_EVERY, Systemd


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        yield heard


def said(listener: socket.socket) -> list[bytes]:
    words = []
    while True:
        try:
            words.append(listener.recv(100))
        except BlockingIOError:
            return words


def test_signs_of_life_are_rare_enough_and_often_enough(
    listener: socket.socket, tmp_path: Path
) -> None:
    # GIVEN systemd listens, and a clock
    now = [100.0]
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")}, lambda: now[0])
    # WHEN the agent says eight times a second for a while that it lives
    systemd.ready()
    for _ in range(161):
        systemd.alive()
        now[0] += 0.125
    systemd.stopping()
    # THEN systemd hears it once in ten seconds
    assert SAY_EVERY == 10.0
    assert said(listener) == [b"READY=1", *[b"WATCHDOG=1"] * 3, b"STOPPING=1"]


def test_what_the_agent_does_is_said_when_it_changes(
    listener: socket.socket, tmp_path: Path
) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")}, lambda: 0.0)
    for what in ("at work", "at work", "idle", "idle", "at work"):
        systemd.doing(what)
    assert said(listener) == [b"STATUS=at work", b"STATUS=idle", b"STATUS=at work"]


def test_without_systemd_nothing_is_said(tmp_path: Path) -> None:
    Systemd({}, lambda: 0.0).ready()


def test_a_systemd_that_went_away_ends_nothing(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}, lambda: 0.0).alive()
