"""A request becomes a want row, then a host that is awake."""

from __future__ import annotations

import pytest

from lambdas.starter.handler import start
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.table.requests import Settled
from tests.aws.answers import instead
from tests.unit.lambdas.world import HOST, OTHER, START, World, error, request, sns_event


def test_a_request_is_wanted_and_a_host_started(world):
    # GIVEN a stopped host, WHEN a request comes
    start(sns_event(request().to_json()), world.services)
    # THEN the want row remembers it, the host starts, and the start is counted as silent so far
    (want,) = world.table.wants.all()
    assert want.request == request()
    assert world.ec2.started == [HOST]
    assert world.table.hosts.get(HOST).silent_boots == 1


@pytest.mark.parametrize(
    ("said", "needed"), [("no", False), ("yes", True), (None, True), ("perhaps", True)]
)
def test_the_queues_filter_says_whether_a_host_is_started(world, said, needed):
    # GIVEN a request whose attribute says who else has it (none: a dev stack of long ago)
    start(sns_event(request().to_json(), builder=said), world.services)
    # THEN the want says so, too, and a host starts only for what is in the build queue
    assert [want.builder for want in world.table.wants.all()] == [needed]
    assert world.ec2.started == ([HOST] if needed else [])


def test_a_builder_that_is_needed_after_all_starts_a_host(world):
    start(sns_event(request().to_json(), builder="no"), world.services)
    start(sns_event(request().to_json(), builder="yes"), world.services)
    assert world.ec2.started == [HOST]


@pytest.mark.parametrize("attributes", [None, [], {"builder": "no"}, {"builder": {"Value": 1}}])
def test_attributes_that_cannot_be_read_say_nothing(world, attributes):
    event = sns_event(request().to_json())
    event["Records"][0]["Sns"]["MessageAttributes"] = attributes
    start(event, world.services)
    assert world.ec2.started == [HOST]


def test_the_want_is_there_though_the_start_fails(world):
    # GIVEN an EC2 that answers with an error
    world.ec2.start_failures[HOST] = error("InternalError", 500)
    # WHEN a request comes, THEN the invocation fails, to be repeated, and the want stands
    with pytest.raises(WorldFailed, match="InternalError"):
        start(sns_event(request().to_json()), world.services)
    assert world.table.wants.all()


def test_a_settled_request_wakes_nobody(world):
    # GIVEN a request that was settled long ago
    old = Settled(
        request_id=request().request_id, outcome="succeeded", pipeline="shop", settled_at=1
    )
    world.table.requests.settle([old], kept=9)
    # WHEN its duplicate comes, THEN there is no want and no start
    start(sns_event(request().to_json()), world.services)
    assert world.table.wants.all() == []
    assert world.ec2.started == []


def test_an_older_request_does_not_replace_a_newer_want(world):
    newer, older = request(START), request(START - 60)
    start(sns_event(newer.to_json()), world.services)
    start(sns_event(older.to_json()), world.services)
    assert [w.request for w in world.table.wants.all()] == [newer]


def test_a_lost_race_is_not_an_error(world):
    world.ec2.start_failures[HOST] = error("IncorrectInstanceState")
    start(sns_event(request().to_json()), world.services)
    assert world.table.alerts.all() == []


@pytest.mark.parametrize(
    "code",
    [
        "InsufficientInstanceCapacity",
        "VcpuLimitExceeded",
        "InsufficientFreeAddressesInSubnet",
        "PendingVerification",
    ],
)
def test_without_capacity_the_next_host_is_tried_and_it_is_noted_once(code):
    # GIVEN two stopped hosts, and no capacity for the first
    world = World(hosts=(HOST, OTHER))
    world.ec2.start_failures[HOST] = error(code, 500)
    # WHEN two requests come
    for seed in "12":
        start(sns_event(request(seed=seed).to_json()), world.services)
    # THEN the second host is started, and one alert stands, for the reconciler to say
    assert OTHER in world.ec2.started
    assert [(a.kind, a.subject, a.said_at) for a in world.table.alerts.all()] == [
        ("start_failed", HOST, 0.0)
    ]


def test_a_start_is_not_noted_over_an_arrival(world):
    # GIVEN a host that arrives before its start could be noted
    seen = world.table.hosts
    start_instances = world.ec2.start_instances

    def start_and_arrive(**arguments):
        answer = start_instances(**arguments)
        seen.arrive(HOST, "boot-1", world.now)
        return answer

    instead(world.ec2, "start_instances", start_and_arrive)
    start(sns_event(request().to_json()), world.services)
    # THEN it does not count as a silent boot
    assert seen.get(HOST).silent_boots == 0


@pytest.mark.parametrize(
    "message",
    ["no JSON", "{}", '{"schema": 2}', request(name="unknown").to_json(), "[" * 100_000],
    ids=["text", "empty", "schema", "pipeline", "deep"],
)
def test_an_invalid_message_is_refused_after_the_valid_ones(world, message):
    with pytest.raises(InvalidMessage):
        start(sns_event(message, request().to_json()), world.services)
    assert [w.request for w in world.table.wants.all()] == [request()]
    assert world.ec2.started == [HOST]


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"Records": [{}]}, {"Records": 1}])
def test_what_is_no_sns_event_is_refused(world, event):
    with pytest.raises(InvalidMessage, match="Records"):
        start(event, world.services)
