"""state.json: what tools read of a local run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.state import HostState, PipelineState, State, read_state, write_state
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed, WrongUse

MEMBERS = {
    "endpoint_url", "region", "dev_account", "prod_account", "pipelines", "slack_url", "queue_url",
    "request_topic_arn", "close_topic_arn", "table", "hosts", "log_dir",
    "start_period",
}  # fmt: skip


@pytest.fixture
def state() -> State:
    pipeline = PipelineState(
        git_url="http://h/r",
        branch="production",
        service_url="http://s",
        cluster="c",
        service="s",
        ecr_repository="e",
    )
    return State(
        endpoint_url="http://127.0.0.1:1",
        region="us-east-1",
        dev_account="111111111111",
        prod_account="222222222222",
        pipelines={"sample": pipeline},
        slack_url="http://127.0.0.1:2",
        queue_url="q",
        request_topic_arn="r",
        close_topic_arn="c",
        table="t",
        hosts=(HostState(instance_id="i-1"),),
        log_dir="/l",
    )


def test_it_holds_what_the_design_says_and_comes_back(state: State, tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    write_state(workplace, state)

    written = json.loads(workplace.state_file.read_text())

    assert set(written) == MEMBERS
    assert written["hosts"] == [{"instance_id": "i-1", "agent_pid": None}]
    assert read_state(workplace) == state
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]  # nothing half-written is left


def test_an_agent_is_noted_with_its_host(state: State) -> None:
    changed = state.with_agent("i-1", 42).with_agent("i-0", None)
    assert changed.hosts == (
        HostState(instance_id="i-0"),
        HostState(instance_id="i-1", agent_pid=42),
    )


def test_nothing_runs_is_wrong_use_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="slipway local up"):
        read_state(Workplace(tmp_path))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(WorldFailed, match="damaged"):
        read_state(Workplace(tmp_path))


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    with (
        workplace.locked(),
        pytest.raises(WrongUse, match="another `slipway local"),
        Workplace(tmp_path).locked(),
    ):
        pass
