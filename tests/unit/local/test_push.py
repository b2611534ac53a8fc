"""A push of the sample application: what may be asked of the release, and what the run is like."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.configuration import LONGEST_START, local_configuration, pipeline_names
from local.plan import Options, Ports, make_plan
from local.push import push_release
from local.sample_repository import Release, SampleRepository
from local.state import PipelineState, State, write_state
from local.up import _configuration
from local.workplace import Workplace
from slipway.configuration import Configuration, parse
from slipway.contracts.errors import WrongUse


def configuration(**options: int) -> Configuration:
    return parse(
        local_configuration(
            endpoint_url="http://127.0.0.1:4566",
            registry="127.0.0.1:4566",
            initial_image="127.0.0.1:0/first:1",
            pipelines=pipeline_names(1),
            **options,
        )
    )


@pytest.mark.parametrize("builds", [None, 2])
def test_the_build_slots_of_a_local_run_are_the_hosts(tmp_path: Path, builds: int | None) -> None:
    plan = make_plan(Workplace(tmp_path), Options(builds=builds), Ports(1, 2, (3,)))
    assert parse(_configuration(plan)).build_host.builds == builds


@pytest.fixture
def repository(tmp_path: Path) -> SampleRepository:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"")
    made = SampleRepository(tmp_path / "sample")
    made.create("http://127.0.0.1:1/none", "production", busybox, Release("first"))
    return made


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A run whose containers may be unhealthy for 30 s."""
    made = Workplace(tmp_path / "run")
    made.directory.mkdir()
    pipeline = PipelineState(
        git_url="u", branch="b", service_url="s", cluster="c", service="s", ecr_repository="e"
    )
    state = State(
        endpoint_url="e", region="r", dev_account="1", prod_account="2",
        pipelines={"sample": pipeline}, slack_url="s", queue_url="q", request_topic_arn="r",
        close_topic_arn="c", table="t", hosts=(), log_dir="l", start_period=30,
    )  # fmt: skip
    write_state(made, state)
    return made


def test_a_run_is_as_its_options_say():
    # GIVEN / WHEN
    usual, slow = configuration(), configuration(idle_period=7, start_period=150)
    # THEN the service may take its time, and the rollout waits for three such tasks to crash
    assert (usual.limits.idle_period, slow.limits.idle_period) == (3, 7)
    service, rollout = slow.pipelines[0].service, slow.pipelines[0].rollout
    assert (usual.pipelines[0].service.health_start_period, service.health_start_period) == (0, 150)
    assert rollout.healthy_timeout == usual.pipelines[0].rollout.healthy_timeout + 3 * 150


def test_the_longest_start_period_is_ecs_own():
    longest = configuration(start_period=LONGEST_START).pipelines[0].service.health_start_period
    assert longest == LONGEST_START
    with pytest.raises(Exception, match="less than or equal to 300"):
        configuration(start_period=LONGEST_START + 1)


def test_a_release_says_how_long_it_takes(repository):
    # WHEN it is changed twice
    repository.change("slow", "crash", 12)
    said = (repository.directory / "release.txt").read_text()
    repository.change("quick")
    # THEN each release stands for itself
    assert said == "message=slow\nbehaviour=crash\nnumber=2\nafter=12\n"
    now = (repository.directory / "release.txt").read_text()
    assert now == "message=quick\nbehaviour=works\nnumber=3\nafter=0\n"


def test_a_release_that_takes_longer_than_its_health_check_waits_is_not_pushed(workplace):
    with pytest.raises(WrongUse, match=r"`slipway local up --start-period 31`"):
        push_release(workplace, "sample", after=31)
