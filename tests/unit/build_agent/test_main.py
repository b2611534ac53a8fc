"""The command: its exit codes, its signals, one agent a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from build_agent.__main__ import POLL_PATIENCE, main, run_until_stopped
from build_agent.assemble import Agent, build_secret, own
from build_agent.host.parallel import Threads
from build_agent.host.stop import Stop
from build_agent.telling.logs import Log
from slipway.contracts.errors import DeploymentFailed, WorldFailed, WrongUse
from tests.unit.build_agent.world import make_installation

pytestmark = pytest.mark.usefixtures("heard_signals")  # which also puts the handlers back


ENDS = ["worker ends", "keeper stops", "shipper stops", "threads end"]
HANGS = """
import threading
from build_agent.__main__ import leave
from build_agent.host.parallel import Threads
threads, begun = Threads(2), threading.Event()

def hang():
    begun.set()
    threading.Event().wait()

asks = lambda: threads([begun.wait, hang])
threading.Thread(target=asks, daemon=True).start()
begun.wait()
threads.end()
print("ended")
leave(3)
"""


class Part:
    """A worker, an inbox, a keeper or a shipper that notes what happens to it."""

    def __init__(self, name: str, said: list[str], stop: Stop) -> None:
        self.name, self.said, self.stop_event = name, said, stop
        self.waiting = self.resting = False
        self.ends_on_stop = self.holds_nothing = True
        self.ends_after = threading.Event()
        self.ends_after.set()

    def start(self) -> None:
        self.said.append(f"{self.name} starts")

    def stop(self) -> None:
        self.said.append(f"{self.name} stops")

    def end(self) -> None:
        self.said.append(f"{self.name} end")

    def run(self) -> None:
        while not (self.stop_event.wait(0.01) and self.ends_on_stop):
            if self.said[-1] == "die":
                return
        self.ends_after.wait()
        self.said.append("worker ends")

    def request_stop(self, reason: str) -> None:
        self.stop_event.request(reason)


class Assembled:
    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        stop = Stop()
        names = ("worker", "inbox", "keeper", "shipper", "threads")
        self.parts = {name: Part(name, self.said, stop) for name in names}
        self.agent: Any = Agent(**self.parts, stop=stop, folder_lock=own(folder))  # type: ignore[arg-type]


def sigterm_soon() -> None:
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()


def test_on_sigterm_the_work_ends_before_the_keeper_does(tmp_path: Path) -> None:
    assembled = Assembled(tmp_path)
    sigterm_soon()
    assert run_until_stopped(assembled.agent, Log()) == 0
    assert assembled.said[-4:] == ENDS


def test_a_long_poll_that_has_nothing_is_not_awaited(tmp_path: Path) -> None:
    assembled = Assembled(tmp_path)
    assembled.parts["worker"].ends_on_stop = False
    assembled.parts["inbox"].waiting = True
    sigterm_soon()
    began = time.monotonic()
    assert run_until_stopped(assembled.agent, Log()) == 0
    assert time.monotonic() - began < 3
    assembled.said.append("die")


def test_a_run_beside_a_long_poll_gives_back_before_the_end(tmp_path: Path) -> None:
    # GIVEN a worker that polls while a run is at work, which takes longer than a poll is waited for
    assembled = Assembled(tmp_path)
    worker = assembled.parts["worker"]
    assembled.parts["inbox"].waiting, worker.holds_nothing = True, False
    worker.ends_after.clear()
    threading.Timer(0.2 + 3 * POLL_PATIENCE, worker.ends_after.set).start()
    # WHEN
    sigterm_soon()
    # THEN
    assert run_until_stopped(assembled.agent, Log()) == 0
    assert assembled.said[-4:] == ENDS


def test_the_threads_end_with_the_agent() -> None:
    # GIVEN a thread that is at work
    threads, goes_on, at_work = Threads(3), threading.Event(), threading.Event()
    pool: list[threading.Thread] = []

    def hangs() -> None:
        pool.append(threading.current_thread())
        at_work.set()
        goes_on.wait()

    asks = threading.Thread(target=lambda: threads([goes_on.wait, hangs]), daemon=True)
    asks.start()
    at_work.wait()
    # WHEN the agent ends, THEN nobody waits for it, and nothing more is begun
    threads.end()
    assert pool[0].is_alive()
    with pytest.raises(RuntimeError):
        threads([int, int])
    # AND it ends with its call
    goes_on.set()
    pool[0].join(10)
    assert not pool[0].is_alive()


def test_the_process_ends_though_a_thread_hangs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (3, "ended\n"), ended.stderr


def test_a_worker_that_ends_by_itself_is_a_failure(tmp_path: Path) -> None:
    assembled = Assembled(tmp_path)
    assembled.said.append("die")
    assembled.parts["keeper"].start = lambda: None  # type: ignore[method-assign]
    assembled.parts["shipper"].start = lambda: None  # type: ignore[method-assign]
    assert run_until_stopped(assembled.agent, Log()) == WorldFailed.exit_code


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return line


def test_no_settings_are_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.json"
    assert main(["run", "--installation", str(missing)]) == 2
    assert "none.json" in said(capsys)["error"]


def test_malformed_settings_name_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "installation.json"
    settings.write_text(
        make_installation().to_json().replace('"host_count": 1', '"host_count": []')
    )
    assert main(["run", "--installation", str(settings)]) == 2
    assert "host_count" in said(capsys)["error"]


def test_no_metadata_service_is_the_worlds_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    settings = tmp_path / "installation.json"
    settings.write_text(make_installation().to_json())
    assert main(["run", "--installation", str(settings), "--work-dir", str(tmp_path)]) == 3
    assert "metadata" in said(capsys)["error"]


def test_a_folder_has_one_agent(tmp_path: Path) -> None:
    lock = own(tmp_path / "a")
    with pytest.raises(WrongUse, match="in use by another agent"):
        own(tmp_path / "a")
    lock.close()
    own(tmp_path / "a").close()


def test_a_folder_that_cannot_be_made_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WrongUse, match="cannot be used"):
        own(tmp_path / "file" / "a")


def test_a_build_secret_is_read_from_where_its_name_says(aws: Any) -> None:
    clients = {s: aws(s, region_name="us-east-1") for s in ("ssm", "secretsmanager")}
    clients["ssm"].put_parameter(Name="/npm", Value="one", Type="SecureString")
    arn = clients["secretsmanager"].create_secret(Name="npm", SecretString="two")["ARN"]
    assert build_secret(clients.__getitem__, "/npm") == "one"
    assert build_secret(clients.__getitem__, arn) == "two"
    for place in ("/none", arn.replace("npm", "none")):
        with pytest.raises(DeploymentFailed, match="there is no build secret"):
            build_secret(clients.__getitem__, place)
