"""Hours of work that come at once: what waits for a slot does not wear out in the queue."""

from __future__ import annotations

from tests.simulation.agent import BUILD, DEAD
from tests.simulation.history import SETTLED_FOR
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import START, World, calm_world

PIPELINES = 120
LASTS = 3 * 3600.0
"""Seconds for which two hosts of two slots are at it."""
WORN_OUT = 200
"""Receives after which SQS takes a message to the dead letters."""
MOST = 60
"""Receives of one request that are not reached here: the most were 36."""


def rest(world: World) -> None:
    """Until nothing has happened for a while; each promise holds then."""
    rested = 0.0
    while rested < SETTLED_FOR:
        assert world.clockwork.time < START + 8 * 3600, "no rest"
        world.clockwork.run_until(world.clockwork.time + 120)
        rested = rested + 120 if world.at_rest else 0.0
    check_at_rest(world)


def test_three_hours_of_builds_pushed_at_once_leave_no_dead_letter() -> None:
    # GIVEN two hosts of two slots
    world = calm_world(pipelines=PIPELINES, hosts=2, slots=2)
    world.long_builds = 0.32
    try:
        # WHEN all pipelines are pushed to within a minute
        for number, name in enumerate(world.repositories):
            at = START + number * 60 / PIPELINES
            world.clockwork.at(at, lambda name=name: world.people.push(name, "good"))  # type: ignore[misc]
        rest(world)
    finally:
        world.clockwork.end()
    # THEN it takes them three hours
    rows = {name: world.table.deployments.newest(name, 10) for name in world.repositories}
    ends = [row.ended_at or 0.0 for found in rows.values() for row in found]
    assert max(ends) - START > LASTS
    # AND each push has one outcome
    assert [[row.status for row in found] for found in rows.values()] == [["succeeded"]] * PIPELINES
    settled = world.table.requests.settled(world.accepted)
    assert len(world.accepted) == len(settled) == PIPELINES
    # AND no request has come near to what SQS takes away
    assert not world.queues[DEAD].messages
    assert 10 < world.queues[BUILD].most_receives < MOST < WORN_OUT
