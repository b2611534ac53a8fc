"""Whatever comes in at a Lambda's door ends in work or in a clear error, never in a crash."""

from __future__ import annotations

import contextlib
import json

from hypothesis import assume, given
from hypothesis import strategies as st

from lambdas.reconciler.handler import EC2_EVENT, reconcile
from lambdas.starter.handler import start
from lambdas.stopper.handler import stop
from slipway.contracts.errors import SlipwayError
from tests.unit.lambdas.world import World, idle_notice, request, sns_event

NAMES = ["Records", "Sns", "Message", "detail-type", "detail", "instance-id", "state", "source"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(EC2_EVENT),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=15,
)


def nothing_happened(world: World) -> bool:
    return not (world.ec2.started or world.ec2.stopped or world.sns.published)


@given(event=JSON)
def test_any_event_is_refused_by_starter_and_stopper(event):
    for handle in (start, stop):
        world = World()
        try:
            handle(event, world.services)
        except SlipwayError as refusal:
            assert "\n" not in str(refusal)
        assert nothing_happened(world)


@given(event=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_any_event_is_a_look_or_refused_by_the_reconciler(event):
    world = World()
    try:
        reconcile(event, world.services)
    except SlipwayError as refusal:
        assert str(refusal)
    assert nothing_happened(world)


@given(body=st.text(max_size=300), data=st.data())
def test_any_body_beside_a_request_leaves_the_request_its_due(body, data):
    # GIVEN a request and something else in one event, in any order
    messages = data.draw(st.permutations([body, request().to_json()]))
    world = World()
    # WHEN the starter has both, THEN the something is refused and the request is noted
    with contextlib.suppress(SlipwayError):
        start(sns_event(*messages), world.services)
    assert [w.request for w in world.table.wants.all()] == [request()]


@given(
    member=st.sampled_from(["host_id", "boot", "idle_number", "kind", "schema", "notice_id"]),
    value=JSON,
)
def test_an_idle_notice_with_any_member_broken_stops_nobody_else(member, value):
    assume((member, value) != ("idle_number", 0))  # the host's own
    world = World()
    world.boot()
    notice = json.loads(idle_notice("boot-1", 7).to_json())
    try:
        stop(sns_event(json.dumps({**notice, member: value})), world.services)
    except SlipwayError as refusal:
        assert str(refusal)
    assert world.ec2.stopped == []
