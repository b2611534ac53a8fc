"""The timed states of instances, with time in the test's hand."""

from __future__ import annotations

import json

import pytest
from ministack.core.responses import request_scope
from ministack.services import ec2, eventbridge

from local.emulator.extension.ec2_states import InstanceStates, find_instance, next_launch_time
from local.emulator.settings import EmulatorSettings

INSTANCE = "i-0123456789abcdef0"


class Clock:
    """Collects what is to happen later and lets it happen."""

    def __init__(self) -> None:
        self.waiting = []

    def later(self, seconds, action) -> None:
        self.waiting.append((seconds, action))

    def pass_time(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, action in waiting:
            action()


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """The states that EventBridge hears."""
    heard: list[str] = []

    def put_events(data, allow_aws_source=False):
        assert allow_aws_source
        heard.extend(json.loads(entry["Detail"])["state"] for entry in data["Entries"])

    monkeypatch.setattr(eventbridge, "_put_events", put_events)
    return heard


@pytest.fixture
def world(told, tmp_path):
    """An instance that ministack has just launched, the machine, and the clock."""
    clock = Clock()
    settings = EmulatorSettings(
        port=1, data_dir=tmp_path, docker_host="", pending_seconds=2, stopping_seconds=3
    )
    states = InstanceStates(settings, clock.later)
    with request_scope("222222222222", "us-east-1"):
        instance = {
            "InstanceId": INSTANCE,
            "State": {"Code": 16, "Name": "running"},
            "LaunchTime": "2026-01-01T00:00:00.000Z",
        }
        ec2._instances[INSTANCE] = instance
        yield states, clock, instance
        del ec2._instances[INSTANCE]


def state(instance) -> str:
    return instance["State"]["Name"]


def start(states) -> tuple[int, str]:
    status, _, body = states.start_instances({"InstanceId.1": [INSTANCE]})
    return status, body.decode()


def stop(states) -> tuple[int, str]:
    status, _, body = states.stop_instances({"InstanceId.1": [INSTANCE]})
    return status, body.decode()


def test_a_new_instance_is_pending_first(world, told):
    # GIVEN / WHEN it is launched
    states, clock, instance = world
    states.launched([instance])
    # THEN it is pending for the time of the settings, then running, and both are told
    assert state(instance) == "pending"
    assert clock.waiting[0][0] == 2
    clock.pass_time()
    assert state(instance) == "running"
    assert told == ["pending", "running"]


def test_stop_and_start_take_their_time(world, told):
    # GIVEN a running instance
    states, clock, instance = world
    # WHEN it is stopped
    status, body = stop(states)
    # THEN it is stopping, cannot be started, is stopped later, and starts with a new launch time
    assert status == 200
    assert "<name>stopping</name>" in body
    status, body = start(states)
    assert status == 400
    assert "IncorrectInstanceState" in body
    clock.pass_time()
    assert state(instance) == "stopped"
    before = instance["LaunchTime"]
    assert start(states)[0] == 200
    assert state(instance) == "pending"
    assert instance["LaunchTime"] > before
    status, body = stop(states)
    assert status == 400
    assert "not in a state from which it can be stopped" in body
    clock.pass_time()
    assert told == ["stopping", "stopped", "pending", "running"]


def test_start_of_a_running_instance_changes_nothing(world, told):
    states, clock, instance = world
    before = instance["LaunchTime"]
    assert start(states)[0] == 200
    assert (state(instance), instance["LaunchTime"], told) == ("running", before, [])
    assert clock.waiting == []


def test_stop_of_a_stopped_instance_changes_nothing(world, told):
    states, clock, instance = world
    stop(states)
    clock.pass_time()
    assert stop(states)[0] == 200
    assert (state(instance), told) == ("stopped", ["stopping", "stopped"])


def test_a_sudden_death_overtakes_what_was_to_come(world, told):
    # GIVEN an instance on its way to running
    states, clock, instance = world
    states.launched([instance])
    # WHEN it dies
    assert states.die(INSTANCE)
    clock.pass_time()
    # THEN it stays stopped
    assert state(instance) == "stopped"
    assert told == ["pending", "stopped"]
    assert not states.die("i-unknown")


def test_an_unknown_instance_is_not_found(world):
    states, _, _ = world
    status, _, body = states.start_instances({"InstanceId.1": ["i-00000000000000000"]})
    assert status == 400
    assert b"InvalidInstanceID.NotFound" in body


def test_an_instance_is_found_without_its_account(world):
    located = find_instance(INSTANCE)
    assert located is not None
    assert (located.account, located.region) == ("222222222222", "us-east-1")


def test_two_boots_never_share_a_launch_time():
    # GIVEN a boot in this very second / WHEN / THEN the next one is a second later
    assert next_launch_time("2026-03-01T12:00:00.000Z", 1772366400.9) == "2026-03-01T12:00:01.000Z"
    assert next_launch_time("2026-03-01T11:00:00.000Z", 1772366400.9) == "2026-03-01T12:00:00.000Z"
