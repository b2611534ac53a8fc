"""Who builds in a local run: its configuration, what needs a host, and what `status` says."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from local import status, up
from local.command import command
from local.configuration import local_configuration, pipeline_names
from local.plan import Options
from local.progress import Progress
from local.state import State, read_state, write_state
from local.supervisor import instances_of
from local.workplace import Workplace
from slipway.configuration import Configuration, parse
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import Installation
from tests.aws.answers import AwsFake
from tests.aws.builds import build_told


def installation(builders: str, **options: int) -> tuple[Configuration, Installation]:
    configured = local_configuration(
        endpoint_url="http://127.0.0.1:1",
        registry="127.0.0.1:1",
        initial_image="127.0.0.1:0/run/initial:1",
        pipelines=pipeline_names(2),
        builders=builders,
        **options,
    )
    configuration = parse(configured)
    return configuration, resolve(configuration)


@pytest.mark.parametrize(
    ("builders", "hosts", "count"), [("hosts", 3, 3), ("overflow", 1, 1), ("codeBuild", 1, 0)]
)
def test_there_are_as_many_hosts_as_build(builders, hosts, count):
    configuration, settings = installation(builders, hosts=hosts, build_limit=7)
    assert (settings.builders.when, settings.host_count) == (builders, count)
    assert Options(builders=builders, hosts=hosts).host_count == count
    assert (configuration.hosts is None) == (count == 0)
    assert settings.builders.limit == (20 if builders == "hosts" else 7)


def test_the_patience_with_hosts_is_an_option():
    _, settings = installation("overflow", overflow_after=4)
    assert settings.builders.overflow_after == 4


def test_the_last_pipeline_may_have_paths():
    _, settings = installation("hosts", paths=("**", "!**/*.md"))
    assert [pipeline.paths for pipeline in settings.pipelines] == [(), ("**", "!**/*.md")]


def test_nothing_is_asked_of_ec2_where_there_is_no_host():
    _, settings = installation("codeBuild")
    assert instances_of(None, settings) == []


@pytest.mark.parametrize("option", [["--machine"], ["--builds", "2"]])
def test_what_is_of_hosts_is_refused_without_them(tmp_path, option):
    arguments = ["up", "--directory", str(tmp_path), "--builders", "codeBuild", *option]
    refused = CliRunner().invoke(command, arguments)
    assert "are of hosts" in str(refused.exception)


def test_builds_need_the_aws_cli(tmp_path, monkeypatch):
    monkeypatch.setattr(up.shutil, "which", lambda *_, **__: None)
    with pytest.raises(WorldFailed, match="AWS CLI"):
        up.bring_up(Workplace(tmp_path), Options(builders="codeBuild"), Progress())
    assert not Workplace(tmp_path).started_file.exists()


class CodeBuild(AwsFake, service="codebuild"):
    """Two builds: one at work, one over."""

    def list_builds_for_project(self, *, projectName):
        assert projectName == "slipway-builder"
        return {"ids": ["b:2", "b:1"]}

    def batch_get_builds(self, *, ids):
        def build(name, *, over):
            given = [{"name": "SLIPWAY_PIPELINE", "value": "sample"}]
            phase = "COMPLETED" if over else "BUILD"
            return build_told(name, given, buildComplete=over, currentPhase=phase)

        return {"builds": [build("b:2", over=False), build("b:1", over=True)]}


def test_status_tells_the_builds_at_work(tmp_path, monkeypatch):
    # GIVEN a run with builds of CodeBuild, whose state is read back
    state = State(
        endpoint_url="http://127.0.0.1:1",
        region="us-east-1",
        dev_account="1",
        prod_account="2",
        pipelines={},
        slack_url="",
        queue_url="",
        request_topic_arn="",
        close_topic_arn="",
        table="",
        hosts=(),
        log_dir="",
        builder_project="slipway-builder",
    )
    write_state(Workplace(tmp_path), state)
    assert json.loads(Workplace(tmp_path).state_file.read_text())["hosts"] == []
    monkeypatch.setattr(status, "client_of", lambda *_: CodeBuild())
    # WHEN / THEN
    assert status._builds(read_state(Workplace(tmp_path))) == [
        "builds of CodeBuild: 1 at work, 1 over",
        "  b:2: BUILD, for sample",
    ]
