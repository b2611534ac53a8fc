"""What doctor finds of alarms and of where smoke tests go."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.cli.doctor.findings import carried_out
from slipway.cli.doctor.proof_checks import proof_checks
from slipway.contracts.deployed_to import SmokeSettings
from slipway.contracts.installation import RolloutSettings
from tests.aws.answers import AwsFake
from tests.unit.slipway.following.three_ways import PIPELINE


@dataclass
class CloudWatch(AwsFake, service="cloudwatch"):
    """Alarms by name, with their states."""

    alarms: Mapping[str, str]

    def describe_alarms(self, **_asked: Any) -> Any:
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": state} for name, state in self.alarms.items()
            ]
        }


@dataclass
class Ecs(AwsFake, service="ecs"):
    """A service whose deployments watch these alarms themselves."""

    watched: tuple[str, ...]

    def describe_services(self, **_asked: Any) -> Any:
        alarms = {"alarmNames": list(self.watched), "enable": True, "rollback": True}
        return {"services": [{"deploymentConfiguration": {"alarms": alarms}}]}


def session(*, mode: str = "aws", watched: tuple[str, ...] = (), **alarms: str) -> Any:
    clients = {"ecs": Ecs(watched), "cloudwatch": CloudWatch(alarms)}
    installation = SimpleNamespace(mode=mode)
    return SimpleNamespace(client=clients.__getitem__, installation=installation)


WATCHED = replace(PIPELINE, rollout=RolloutSettings(alarms=("errors", "slow"), bake=600))
ASKED = replace(PIPELINE, smoke=SmokeSettings(url="https://shop.example.com/health"))


def found(of: Any, pipeline: Any) -> list[tuple[str, str]]:
    return [(f.verdict, f.detail) for f in carried_out(proof_checks(of, pipeline))]


def test_nothing_is_looked_at_where_nothing_is_proved() -> None:
    assert proof_checks(session(), PIPELINE) == []


@pytest.mark.parametrize(
    ("of", "verdict", "says"),
    [
        (session(errors="OK", slow="INSUFFICIENT_DATA"), "ok", "2 quiet, watched for 10 min"),
        (session(errors="OK"), "wrong", "there is no metric alarm 'slow'"),
        (session(errors="ALARM", slow="OK"), "wrong", "'errors': in ALARM now"),
        (session(errors="OK", slow="OK", watched=("slow",)), "ok", "ECS itself watches slow"),
    ],
)
def test_alarms_are_there_and_quiet(of: Any, verdict: str, says: str) -> None:
    ((told, detail),) = found(of, WATCHED)
    assert told == verdict
    assert says in detail


@pytest.mark.parametrize(
    ("address", "verdict", "says"),
    [
        ("93.184.215.14", "ok", "is at 93.184.215.14"),
        ("10.0.0.7", "wrong", "10.0.0.7, which is no public address"),
        (None, "wrong", "is not resolved"),
    ],
)
def test_the_host_is_public(
    monkeypatch: pytest.MonkeyPatch, address: str | None, verdict: str, says: str
) -> None:
    def resolve(*_asked: Any) -> Any:
        if address is None:
            raise OSError("Name or service not known")
        return [(2, 1, 6, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    ((told, detail),) = found(session(), ASKED)
    assert told == verdict
    assert says in detail


def test_the_local_run_asks_any_address() -> None:
    assert [verdict for verdict, _ in found(session(mode="local"), ASKED)] == ["skipped"]
