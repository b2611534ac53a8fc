"""Control-C, SIGTERM, SIGHUP: what is held is given back, and what goes on is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from slipway.cli.user.ending import Ended, check_ended, ended_by_signals, uninterrupted
from tests.scripted_ecs import IMAGE, ScriptedEcs, never_steady, serve
from tests.unit.slipway.cli.deploy.real import RealClock, environment

pytestmark = pytest.mark.usefixtures("heard_signals")

DEPLOY = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8")
LOCK = ("--table", "slipway-deployments", "--pipeline", "shop")
WITH_A_TABLE = """
import sys
from moto import mock_aws
from slipway.cli.main import main
from slipway.contracts.table import Table
import botocore.session
with mock_aws():
    client = botocore.session.Session().create_client("dynamodb", region_name="us-east-1")
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName="slipway-deployments", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": n, "KeyType": k} for n, k in keys],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in keys],
    )
    try:
        main()
    finally:
        lock = Table(client, "slipway-deployments").locks.get("shop")
        print("LOCKED BY", lock.holder or "nobody")
"""
"""The real command with a table of its own, which says at the end who has the lock."""


@contextmanager
def deploying(scripted: ScriptedEcs, *more: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """The real command, holding the lock, once it waits for the new tasks."""
    with serve(scripted) as url:
        given = environment(url)
        del given["AWS_ENDPOINT_URL"]
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_A_TABLE, *DEPLOY, *LOCK, *more],
            env=given | {"AWS_ENDPOINT_URL_ECS": url, "AWS_ENDPOINT_URL_ECR": url},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            told = ""
            while "1 pending" not in told:
                told = process.stderr.readline()
                assert told, "it ended before it waited"
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("signals", "exit_code"),
    [
        ((signal.SIGINT,), 130),
        ((signal.SIGTERM,), 143),
        ((signal.SIGHUP,), 129),
        ((signal.SIGINT, signal.SIGTERM), 130),
        ((signal.SIGTERM, signal.SIGTERM, signal.SIGINT), 143),
    ],
)
def test_the_lock_is_given_back_and_what_goes_on_is_said(
    signals: tuple[signal.Signals, ...], exit_code: int
) -> None:
    with deploying(ScriptedEcs(clock=RealClock(), behaviour=never_steady)) as process:
        for number in signals:
            process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert process.returncode in {exit_code, *(128 + n for n in signals)}, err
    assert "LOCKED BY nobody" in out
    assert "interrupted: the deployment of web:8 goes on in ECS, unwatched" in err
    assert "Traceback" not in err


def test_json_says_it_too() -> None:
    with deploying(ScriptedEcs(clock=RealClock(), behaviour=never_steady), "--json") as process:
        process.send_signal(signal.SIGTERM)
        out, _err = process.communicate(timeout=60)

    told = json.loads(out.partition("LOCKED BY")[0])
    assert (told["outcome"], told["done"]) == ("unwatched", False)
    assert told["after"].endswith("task-definition/web:8")
    assert "goes on in ECS" in told["cause"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_nohup_or_a_background_shell_ignores_stays_ignored(number: signal.Signals) -> None:
    def ignore() -> None:
        signal.signal(number, signal.SIG_IGN)

    scripted = ScriptedEcs(clock=RealClock(), behaviour=never_steady)
    with deploying(scripted, "-t", "3", preexec_fn=ignore) as process:
        process.send_signal(number)
        out, _err = process.communicate(timeout=60)

    assert process.returncode == 1, out
    assert scripted.live == "web:7"


def test_what_is_in_hand_is_finished_first() -> None:
    done = []
    with ended_by_signals():
        with pytest.raises(Ended) as ended, uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")
        # AND an end that Python dropped is not forgotten
        with pytest.raises(Ended):
            check_ended()

    assert (done, ended.value.number) == (["whole"], signal.SIGTERM)


def test_the_handlers_are_those_of_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_thread_that_is_not_the_first_leaves_signals_alone() -> None:
    seen = []

    def run() -> None:
        with ended_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
