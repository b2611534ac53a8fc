"""The pipeline lock: taken where one is configured, renewed, given back, and nowhere else."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from slipway.cli.deploy.lock import INSTALLATION_VARIABLE, LockPlace, held, lock_place
from slipway.contracts.deployed_to import ServiceSettings
from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.contracts.installation import PATH_VARIABLE
from slipway.contracts.table import Table
from slipway.contracts.table.locks import Lock
from tests.aws.answers import AwsFake
from tests.aws.wire import answer_from
from tests.scripted_ecs import IMAGE, ScriptedEcs, becomes_healthy
from tests.unit.slipway.cli.deploy.command import Clients, slipway
from tests.unit.slipway.cli.world import settings

PLACE = LockPlace(table="slipway-deployments", pipeline="shop", ttl=120.0)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table behind moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws(config={"core": {"passthrough": {"services": ["ecs", "ecr"]}}}):
        client = botocore.session.Session().create_client("dynamodb", region_name="us-east-1")
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        client.create_table(
            TableName=PLACE.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in keys],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in keys],
        )
        yield client


def find(**given: Any) -> LockPlace | None:
    members: dict[str, Any] = {
        "table": None,
        "pipeline": None,
        "cluster": "prod",
        "service": "web",
        "environment": {},
        "folder": Path.cwd(),
    }
    return lock_place(**{**members, **given})


def write_installation(path: Path) -> tuple[str, str]:
    """An installation beside `path`; cluster and service of its first pipeline."""
    made = settings("shop", "api")
    path.write_text(made.to_json())
    return made.pipelines[0].cluster, made.pipelines[0].service


def test_the_name_of_the_variable_is_that_of_the_installation() -> None:
    assert INSTALLATION_VARIABLE == PATH_VARIABLE


def test_nothing_is_configured() -> None:
    assert find() is None


def test_a_table_and_a_pipeline_are_enough() -> None:
    assert find(table="t", pipeline="p") == LockPlace(table="t", pipeline="p")
    environment = {"SLIPWAY_TABLE": "t"}
    assert find(environment=environment, pipeline="p") == LockPlace(table="t", pipeline="p")


@pytest.mark.parametrize("given", [{"table": "t"}, {"pipeline": "p"}])
def test_half_of_it_is_wrong_use(given: dict[str, str]) -> None:
    with pytest.raises(WrongUse, match="the pipeline lock needs"):
        find(**given)


def test_the_pipeline_is_found_by_cluster_and_service(tmp_path: Path) -> None:
    file = tmp_path / "installation.json"
    cluster, service = write_installation(file)
    environment = {PATH_VARIABLE: str(file)}

    found = find(environment=environment, cluster=f"arn:x/{cluster}", service=service)

    assert found is not None
    assert (found.pipeline, found.ttl) == ("shop", settings("shop").limits.lock_ttl)
    assert found.table == settings("shop").names.table
    assert find(environment=environment, cluster="another", service=service) is None


def test_each_service_of_a_pipeline_has_its_lock(tmp_path: Path) -> None:
    made, file = settings("shop"), tmp_path / "installation.json"
    services = tuple(ServiceSettings(cluster="prod", service=name) for name in ("web", "worker"))
    pipelines = (replace(made.pipelines[0], services=services),)
    file.write_text(replace(made, pipelines=pipelines).to_json())
    for name in ("web", "worker"):
        found = find(environment={PATH_VARIABLE: str(file)}, service=name)
        assert found is not None and found.pipeline == "shop"


def test_a_local_run_of_this_folder_counts(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "state.json").write_text("{}")
    cluster, service = write_installation(tmp_path / ".local" / "installation.json")

    found = find(cluster=cluster, service=service, folder=tmp_path)

    assert found is not None
    assert found.pipeline == "shop"
    assert find(cluster=cluster, service="elsewhere", folder=tmp_path) is None


def test_an_installation_that_is_named_and_not_there_is_wrong_use() -> None:
    with pytest.raises(WrongUse):
        find(environment={PATH_VARIABLE: "/nowhere.json"})


def test_held_renewed_and_given_back(dynamodb: Any) -> None:
    clock = [1000.0]
    locks = Table(dynamodb, PLACE.table).locks

    with held(PLACE, lambda _service: dynamodb, now=lambda: clock[0]) as holding:
        taken = locks.get("shop")
        assert taken.holder.startswith("cli:")
        # WHEN time passes beyond what the lock was taken for, with a look now and then
        for _ in range(10):
            clock[0] += 60.0
            holding.keep()
        # THEN it is ours still
        assert locks.get("shop").expires_at == clock[0] + PLACE.ttl

    assert not locks.get("shop").taken(clock[0])


def test_a_holder_without_a_name_is_an_id(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a user id that no passwd entry names
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)

    with held(PLACE, lambda _service: dynamodb):
        holder = Table(dynamodb, PLACE.table).locks.get("shop").holder
    assert holder.startswith(f"cli:uid-{os.getuid()}@")


class Failing(AwsFake, service="dynamodb"):
    """A client of the table that refuses its n-th change and all later ones."""

    def __init__(self, client: Any, at: int, code: str, until: int = 1000) -> None:
        self._client, self._at, self._until, self._code, self.changes = client, at, until, code, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def update_item(self, **request: Any) -> Any:
        self.changes += 1
        if self._at <= self.changes < self._until:
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "UpdateItem")
        return self._client.update_item(**request)


def test_one_that_cannot_be_given_back_does_not_hide_how_it_ended(
    dynamodb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN credentials that end before the lock is given back
    failing = Failing(dynamodb, 2, "ExpiredTokenException")

    # WHEN the deployment has ended well, THEN that stands, and what is left is said
    with held(PLACE, lambda _service: failing):
        pass
    said = capsys.readouterr().err
    assert "the lock of pipeline 'shop' could not be given back: it ends by itself" in said


def test_a_renewal_that_fails_once_is_tried_again(dynamodb: Any) -> None:
    clock = [1000.0]
    failing = Failing(dynamodb, 2, "InternalServerError", until=3)

    with held(PLACE, lambda _service: failing, now=lambda: clock[0]) as holding:
        clock[0] += PLACE.ttl / 3
        holding.keep()  # not answered; it is ours for long
        clock[0] += 1.0
        holding.keep()
        assert Table(dynamodb, PLACE.table).locks.get("shop").expires_at == clock[0] + PLACE.ttl
    # AND one that fails until it could be another's ends the work
    failing = Failing(dynamodb, 2, "InternalServerError", until=4)
    with (
        pytest.raises(WorldFailed, match="InternalServerError"),
        held(PLACE, lambda _service: failing, now=lambda: clock[0]) as holding,
    ):
        clock[0] += PLACE.ttl * 3 / 4
        holding.keep()


def test_one_that_another_holds_is_not_taken(dynamodb: Any) -> None:
    locks = Table(dynamodb, PLACE.table).locks
    locks.take("shop", "i-123/boot", 1000.0, ttl=120.0)

    with (
        pytest.raises(WorldFailed, match="'shop' is being deployed by i-123/boot"),
        held(PLACE, lambda _service: dynamodb, now=lambda: 1001.0),
    ):
        pass
    assert locks.get("shop").holder == "i-123/boot"


def test_one_that_was_lost_stops_the_work_and_is_left_alone(dynamodb: Any) -> None:
    clock = [1000.0]
    locks = Table(dynamodb, PLACE.table).locks

    with (
        pytest.raises(WorldFailed, match="lock of pipeline 'shop' was lost"),
        held(PLACE, lambda _service: dynamodb, now=lambda: clock[0]) as holding,
    ):
        clock[0] += 500.0
        locks.take("shop", "i-123/boot", clock[0], ttl=120.0)
        holding.keep()
    assert locks.get("shop").holder == "i-123/boot"


def test_a_change_needs_a_look_right_before_it(dynamodb: Any) -> None:
    # GIVEN a lock that is held, a client of ECS, and a laptop that sleeps
    asleep = [0.0]
    sent: list[str] = []
    ecs = botocore.session.Session().create_client("ecs", region_name="us-east-1")

    def now() -> float:
        return time.time() - asleep[0]

    def answer(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        sent.append(operation)
        return {}

    with held(PLACE, lambda _service: dynamodb, now=now) as holding:
        fenced = answer_from(holding.around(ecs), answer, first=False)
        # THEN what comes right after a look is sent
        holding.look()
        fenced.update_service(service="web")
        assert len(sent) == 1
        # AND what was slept over is not
        asleep[0] = 3600.0
        holding.look()
        with pytest.raises(WorldFailed, match="held up for"):
            fenced.update_service(service="web")
    assert len(sent) == 1


def test_a_look_finds_a_lost_lock_at_once(dynamodb: Any) -> None:
    clock = [1000.0]
    locks = Table(dynamodb, PLACE.table).locks

    with (
        pytest.raises(WorldFailed, match="lock of pipeline 'shop' was lost"),
        held(PLACE, lambda _service: dynamodb, now=lambda: clock[0]) as holding,
    ):
        locks.abandon(Lock("shop", locks.get("shop").holder, locks.get("shop").fence))
        locks.take("shop", "i-123/boot", clock[0], ttl=120.0)
        holding.keep()  # it is too early to renew it
        holding.look()


def test_the_command_holds_it_from_the_first_look_to_the_last(dynamodb: Any) -> None:
    # GIVEN a lock that the command is told of, and a look at it with every call to ECS
    scripted = ScriptedEcs(behaviour=becomes_healthy(3.0))
    clients = Clients(scripted)
    clients.others["dynamodb"] = lambda: dynamodb
    locks = Table(dynamodb, PLACE.table).locks
    holders: set[str] = set()
    scripted.throttled = lambda _n: bool(holders.add(locks.get("shop").holder))  # type: ignore[func-returns-value]

    # WHEN
    line = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
    result = slipway(clients, *line, "--table", PLACE.table, "--pipeline", "shop")

    # THEN it was held all the time, and is given back
    assert result.exit_code == 0, result.output
    assert len(holders) == 1
    assert holders.pop().startswith("cli:")
    assert locks.get("shop").holder == ""


def test_the_command_sends_no_change_that_is_late(
    dynamodb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a lock, and a fence to which every change is late
    monkeypatch.setattr("slipway.rollout.fence.LATE", -10.0)
    scripted = ScriptedEcs(behaviour=becomes_healthy(3.0))
    clients = Clients(scripted)
    clients.others["dynamodb"] = lambda: dynamodb

    line = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
    result = slipway(clients, *line, "--table", PLACE.table, "--pipeline", "shop")

    assert result.exit_code == 3
    assert "held up" in result.output
    assert Table(dynamodb, PLACE.table).locks.get("shop").holder == ""


def test_the_command_does_nothing_while_another_deploys(dynamodb: Any) -> None:
    scripted = ScriptedEcs()
    clients = Clients(scripted)
    clients.others["dynamodb"] = lambda: dynamodb
    Table(dynamodb, PLACE.table).locks.take("shop", "i-123/boot", time.time(), ttl=120.0)

    line = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
    result = slipway(clients, *line, "--table", PLACE.table, "--pipeline", "shop")

    assert result.exit_code == 3
    assert "being deployed by i-123/boot" in result.stderr
    assert scripted.calls == []


def test_a_folder_s_files_are_read_in_full_only_if_they_name_the_service(tmp_path: Path) -> None:
    # GIVEN a cdk.json of some other installation, broken
    (tmp_path / "cdk.json").write_text(json.dumps({"context": {"slipway": {"broken": True}}}))

    # THEN a deployment of something else does not look into it
    assert find(folder=tmp_path) is None
