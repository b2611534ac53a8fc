"""An idle notice stops its host, under a claim; every way this can fail leaves the host usable."""

from __future__ import annotations

import pytest
from botocore.exceptions import ReadTimeoutError

from lambdas.stopper.handler import stop
from slipway.contracts.errors import InvalidMessage, WorldFailed
from tests.aws.answers import instead
from tests.unit.lambdas.world import HOST, World, error, idle_notice, request, sns_event

BOOT = "boot-1"


@pytest.fixture
def idle(world: World) -> World:
    """A running host that has arrived: idle(0)."""
    world.boot()
    return world


def say(world: World, number: int = 0, boot: str = BOOT) -> None:
    stop(sns_event(idle_notice(boot, number).to_json()), world.services)


def test_an_idle_host_is_claimed_and_stopped(idle):
    say(idle)
    row = idle.table.hosts.get(HOST)
    assert idle.ec2.stopped == [HOST]
    assert (row.state, row.claim_expires) == ("stopping", 0)


def test_a_host_that_begins_work_first_is_not_stopped(idle):
    # GIVEN a host that gets work after the stopper has looked at it
    describe = idle.ec2.describe_instances
    rows = idle.table.hosts.all

    def look_then_work():
        found = rows()
        assert idle.table.hosts.begin_work(HOST, BOOT, idle.now)
        return found

    idle.table.hosts.all = look_then_work
    # WHEN its notice comes, THEN the claim loses
    say(idle)
    assert idle.ec2.stopped == []
    assert idle.table.hosts.get(HOST).state == "busy"
    assert describe


def test_the_claim_stands_before_ec2_is_asked(idle):
    # GIVEN an EC2 that looks at the row when it is asked to stop
    stop_instances = idle.ec2.stop_instances

    def look_and_stop(**arguments):
        row = idle.table.hosts.get(HOST)
        assert (row.state, row.claim_expires) == ("stopping", idle.now + 120)
        assert not idle.table.hosts.begin_work(HOST, BOOT, idle.now)
        return stop_instances(**arguments)

    instead(idle.ec2, "stop_instances", look_and_stop)
    say(idle)
    assert idle.ec2.stopped == [HOST]


@pytest.mark.parametrize(
    ("code", "status"), [("UnauthorizedOperation", 403), ("RequestLimitExceeded", 503)]
)
def test_a_refused_stop_takes_the_claim_back_and_raises(idle, code, status):
    idle.ec2.stop_failure = error(code, status)
    with pytest.raises(WorldFailed, match=code):
        say(idle)
    assert idle.table.hosts.get(HOST).state == "idle"


@pytest.mark.parametrize(
    "failure", [error("InternalError", 500), ReadTimeoutError(endpoint_url="https://ec2.example")]
)
def test_a_stop_without_a_clear_answer_keeps_the_claim_until_it_lapses(idle, failure):
    # GIVEN a stop that may or may not have happened
    idle.ec2.stop_failure = failure
    with pytest.raises(WorldFailed):
        say(idle)
    # THEN the host does not work until the claim has lapsed, and then it does
    assert not idle.table.hosts.begin_work(HOST, BOOT, idle.now + 119)
    assert idle.table.hosts.begin_work(HOST, BOOT, idle.now + 120)


def test_a_stop_of_a_host_that_ec2_is_changing_is_a_lost_race(idle):
    idle.ec2.stop_failure = error("IncorrectInstanceState")
    say(idle)
    assert idle.table.hosts.get(HOST).state == "idle"


def test_a_late_notice_and_a_notice_with_work_stop_nothing(idle):
    say(idle, number=7)
    say(idle, boot="boot-0")
    idle.note(request())
    say(idle)
    assert idle.ec2.stopped == []


def test_a_count_above_zero_stops_nothing(idle):
    idle.sqs.visible = 1
    say(idle)
    assert idle.ec2.stopped == []


def test_an_invalid_notice_is_refused(idle):
    with pytest.raises(InvalidMessage):
        stop(sns_event("{}"), idle.services)
