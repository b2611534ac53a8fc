"""The emulator's command line, its faults, and its loud failure without a name that it needs."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from local.emulator import __main__ as command
from local.emulator.extension import private
from local.emulator.extension.faults import Faults
from local.emulator.process import command_line
from local.emulator.settings import EmulatorSettings
from slipway.contracts.errors import WorldFailed, WrongUse


def test_the_starters_command_line_gives_the_same_settings(tmp_path):
    # GIVEN settings that are no defaults
    settings = EmulatorSettings(
        port=4999,
        data_dir=tmp_path,
        docker_host="unix:///d.sock",
        region="eu-central-1",
        dev_account="333333333333",
        prod_account="444444444444",
        pending_seconds=0.1,
        stopping_seconds=0.2,
        retry_seconds=0.3,
        health_interval_seconds=0.4,
        build_start_seconds=0.5,
        build_minute_seconds=0.6,
        build_log_dir=tmp_path / "log",
        instances_start_stopped=True,
        git_users=(("alice", "secret"),),
        internal_endpoints=True,
    )
    users = tmp_path / "users.json"
    users.write_text('{"alice": "secret"}')
    # WHEN they go through the command line / THEN they come out the same
    assert command.parse(command_line(settings, users)) == settings


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"alice": 1}'])
def test_bad_git_users_are_wrong_use(tmp_path, text):
    users = tmp_path / "users.json"
    users.write_text(text)
    with pytest.raises(WrongUse, match="--git-users"):
        command.read_git_users(users)


def test_a_taken_port_is_wrong_use(tmp_path):
    # GIVEN a port in use
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # WHEN / THEN
        settings = EmulatorSettings(port=port, data_dir=tmp_path, docker_host="")
        with pytest.raises(WrongUse, match=f"port {port} on 127.0.0.1 cannot be used"):
            command.prepare(settings)


def test_a_name_that_is_gone_stops_the_start():
    # GIVEN a module of a ministack that has changed
    module = SimpleNamespace(__name__="ministack.services.sns", present=1, table={"A": 1})
    # WHEN / THEN
    assert private.need(module, "present") == 1
    with pytest.raises(WorldFailed, match=r"ministack\.services\.sns\._fanout"):
        private.wrap(module, "_fanout", lambda original: original)
    with pytest.raises(WorldFailed, match=r"table\['B'\]"):
        private.entry(module, "table", "B", 2)


def test_another_version_stops_the_start(monkeypatch):
    monkeypatch.setattr(private.importlib.metadata, "version", lambda _name: "1.5.34")
    with pytest.raises(WorldFailed, match=r"supports 1\.5\.33 only"):
        private.check_version()


def test_a_fault_strikes_as_often_as_it_was_asked_to():
    # GIVEN
    faults = Faults()
    faults.add({"service": "sns", "action": "Publish", "times": 2, "code": "Throttling"})
    # WHEN / THEN
    assert faults.strike("sns", "Subscribe") is None
    assert faults.strike("sqs", "Publish") is None
    struck = [faults.strike("sns", "Publish") for _ in range(3)]
    assert [fault.code if fault else None for fault in struck] == ["Throttling", "Throttling", None]


def test_a_fault_ends_with_its_time():
    faults = Faults()
    faults.add({"service": "ecr", "seconds": 60})
    faults.add({"service": "ecs", "seconds": -1})
    assert faults.strike("ecr", "DescribeImages") is not None
    assert faults.strike("ecs", "DescribeServices") is None
    faults.clear()
    assert faults.strike("ecr", "DescribeImages") is None


@pytest.mark.parametrize("data", [{}, {"service": "sns"}, {"times": 1}])
def test_a_fault_without_a_service_or_an_end_is_wrong_use(data):
    with pytest.raises(WrongUse, match="fault"):
        Faults().add(data)
