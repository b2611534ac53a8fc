"""What is proved for all services of a pipeline is proved once all of them are steady."""

from __future__ import annotations

from dataclasses import replace

from tests import scripted_ecs as ecs
from tests.scripted_ecs import ScriptedEcs
from tests.unit.slipway.following.several import Pair, two
from tests.unit.slipway.rollout.proofs import goes_off, quiet, watched


def test_the_bake_begins_once_all_services_are_steady_also_side_by_side() -> None:
    # GIVEN two services side by side, of which the last one, which bakes for all, is steady first
    slow, fast = ecs.becomes_healthy(50.0), ecs.becomes_healthy(2.0)
    worlds = two(ScriptedEcs(behaviour=slow), ScriptedEcs(behaviour=fast))
    worlds[1].plan = replace(worlds[1].plan, alarms=("errors",), bake=30.0)
    # AND an alarm that goes off soon after the other one is steady, too
    worlds[1].means["cloudwatch_client"] = watched(errors=goes_off(1065.0), slow=quiet)
    pair = Pair.of(worlds, together=True)
    # WHEN they are rolled out
    pair.by_follower(every=1.0)
    # THEN it was watched for
    assert "alarm 'errors' went off" in str(pair.result.cause)
    assert (pair.result.status, pair.live) == ("rolled_back", ["web:7", "web:7"])
