"""The panel beside the messages: what is read and shown, and what is said where it cannot be."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from local.slack_page.panel import gist_html, panel_html
from local.slack_page.status import Instance, Reader, Status, assemble, stages_of, usual_time
from local.state import write_state
from local.workplace import Workplace
from slipway.contracts.table import Table
from tests.unit.lambdas.notifier.conftest import create_table
from tests.unit.local.slack_page.panel_samples import REQUEST, rows, state

NOW = 1_795_256_400.0


def test_stages_end_where_the_next_begins() -> None:
    running, done = rows(NOW).deployments["shop"]
    names = [(s.name, s.ended_at is None) for s in stages_of(running)]
    assert names == [("received", False), ("fetch", False), ("build", True)]
    failed = rows(NOW).deployments["blog"][0]
    assert stages_of(failed)[-1].ended_at == failed.ended_at
    assert stages_of(done) == ()


def test_the_usual_time_is_that_of_earlier_successes() -> None:
    running, done = rows(NOW).deployments["shop"]
    failed = rows(NOW).deployments["blog"][0]
    assert usual_time([done, failed, running]) == 42
    assert usual_time([failed]) is None


def test_everything_read_is_on_the_panel() -> None:
    shown = panel_html(assemble(state(), rows(NOW), NOW))
    for words in (
        "Runs <code>bbbbbbbb</code> for",
        "by ada",
        'href="http://127.0.0.1:8301"',
        '<li class="done">fetch <small>0.5 s</small></li>',
        f'<li class="now">build <span class="counting" data-since="{NOW - 20.1:.1f}"></span></li>',
        "usually 42 s",
        "Fix the &lt;basket&gt;&#39;s total",
        "#7 [3/4] RUN make all",
        '<li class="bad">rollout <small>18 s</small></li>',
        "2 failed in a row",
        ">paused<",
        ">wanted<",
        '<span class="mark good">running</span>',
        "busy: 2 runs, 2 build slots free",
        "<li>shop · build</li><li>blog · received <small>no slot</small></li>",
        '<span class="mark asleep">stopped</span>',
        "0 requests waiting, 1 held by a host",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("claimed", "by"),
    [
        ({}, "the follower"),
        ({"claimed_by": "host i-0abc1234/7", "claimed_until": NOW + 9}, "host i-0abc1234"),
        ({"claimed_by": "host i-0abc1234/7", "claimed_until": NOW - 9}, "the follower"),
    ],
    ids=["nobody has claimed a step", "a host follows", "a host's claim has ended"],
)
def test_a_rollout_that_needs_no_host_says_who_follows_and_when_the_next_look_is(
    claimed: dict[str, Any], by: str
) -> None:
    # GIVEN a rollout that was handed over, and no host that is awake
    read = rows(NOW)
    row = replace(read.deployments["shop"][0], rollout="{}", next_look=NOW + 12, **claimed)
    asleep = replace(read, deployments={"shop": [row]}, ec2={"i-0abc1234": Instance("stopped")})
    # WHEN
    status = assemble(state(), asleep, NOW)
    shown = panel_html(status)
    # THEN
    assert '<span class="mark busy">rolling out</span>' in shown
    assert (
        f'followed by {by}, next look in <span class="counting" data-until="{NOW + 12:.1f}">'
        in (shown)
    )
    assert "shop: rolling out" in gist_html(status)


def test_what_is_built_or_over_is_followed_by_nobody() -> None:
    assert "followed by" not in panel_html(assemble(state(), rows(NOW), NOW))


HOSTILE = "<script>\"'&lt;{{ 7 * 7 }}"


def hostile(value: Any) -> Any:
    """The same with every text that says nothing to the page itself replaced."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return value
    told = {field.name: hostile(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return type(value)(**told)


def test_nothing_read_becomes_a_tag_or_a_template() -> None:
    # GIVEN a status whose every text is another's
    shown = panel_html(hostile(dataclasses.replace(assemble(state(), rows(NOW), NOW), problem="?")))
    # THEN each stays a text
    assert shown.count("&lt;script&gt;") > 20
    assert "<script" not in shown
    assert "49" not in shown.replace(f"{NOW:.0f}", "")


def test_a_stopped_host_is_not_said_to_be_what_its_row_last_said() -> None:
    read = rows(NOW)
    stopped = replace(read, ec2={"i-0abc1234": Instance("stopped")})
    status = assemble(state(), stopped, NOW)
    assert (status.hosts[0].ec2, status.hosts[0].state) == ("stopped", None)
    assert status.hosts[1].ec2 == "unknown"


def test_a_host_that_boots_is_not_said_to_be_what_its_last_boot_was() -> None:
    # GIVEN a row that was last written a few seconds ago, by a boot that is over
    read = rows(NOW)
    ended_at = read.hosts[0].heartbeat_at
    booting = replace(read, ec2={"i-0abc1234": Instance("running", launched_at=ended_at + 2)})
    # WHEN, THEN it runs, and nothing is known of its agent yet
    host = assemble(state(), booting, NOW).hosts[0]
    assert (host.ec2, host.state, host.runs, host.heartbeat_at) == ("running", None, (), None)
    # AND once the agent of this boot is heard, it is what that says
    arrived = replace(read.hosts[0], state="idle", heartbeat_at=ended_at + 2.2)
    host = assemble(state(), replace(booting, hosts=(arrived,)), NOW).hosts[0]
    assert (host.state, host.heartbeat_at) == ("idle", ended_at + 2.2)


def test_without_a_state_file_the_panel_says_so(tmp_path: Path) -> None:
    assert "--state" in (Reader(None).read().problem or "")
    assert "still starting" in (Reader(tmp_path / "state.json").read().problem or "")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert "cannot be read" in (Reader(broken).read().problem or "")
    assert "still starting" in panel_html(Status(problem="The local run is still starting."))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    place = Workplace(tmp_path)
    place.state_file.parent.mkdir(parents=True, exist_ok=True)
    write_state(place, state())
    return place


def test_an_emulator_that_does_not_answer_is_said(workplace: Workplace) -> None:
    def no_client(*arguments: str) -> Any:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:4566")

    problem = Reader(workplace.state_file, no_client).read().problem or ""
    assert "The emulator cannot be read" in problem
    assert "127.0.0.1:4566" in problem


def test_the_status_is_read_from_table_ec2_and_queue(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN the parts of a local run in moto, with a deployment under way and a host that is up
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        world = {n: boto3.client(n, region_name="us-east-1") for n in ("dynamodb", "ec2", "sqs")}
        create_table(world["dynamodb"], "slipway-deployments")
        host = world["ec2"].run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)[
            "Instances"
        ][0]
        queue = world["sqs"].create_queue(QueueName="slipway-build")["QueueUrl"]
        world["sqs"].send_message(QueueUrl=queue, MessageBody="x")
        table = Table(world["dynamodb"], "slipway-deployments")
        for row in rows(NOW).deployments["shop"]:
            table.deployments.start(row, kept=1000)
        table.wants.note(REQUEST, NOW)
        launched = host["LaunchTime"].timestamp()
        table.hosts.arrive(host["InstanceId"], "an earlier boot", launched - 60)
        place = state().with_agent(host["InstanceId"], 1)
        here = [h for h in place.hosts if h.instance_id == host["InstanceId"]]
        write_state(
            workplace, type(place)(**{**vars(place), "hosts": tuple(here), "queue_url": queue})
        )
        # WHEN the status is read
        status = Reader(workplace.state_file, lambda service, *_: world[service]).read()
    # THEN it is what they say
    assert status.problem is None
    blog, shop = status.pipelines
    assert blog.deployment is None
    assert shop.wanted
    assert shop.deployment is not None
    assert [stage.name for stage in shop.deployment.stages] == ["received", "fetch", "build"]
    assert [(h.ec2, h.state) for h in status.hosts] == [("running", None)]
    assert status.requests_waiting == 1
