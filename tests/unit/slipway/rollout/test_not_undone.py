"""A pre-deploy task that ran is not undone where its revision is taken back, and that is said."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.contracts.messages import CloseNotice
from slipway.contracts.notice_text import plain_text
from slipway.rollout.unfinished import NOT_UNDONE
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, ScriptedEcs
from tests.unit.slipway.following.three_ways import Chain
from tests.unit.slipway.rollout.running import run
from tests.unit.slipway.rollout.test_registering import MIGRATE, exits
from tests.unit.slipway.rollout.test_stepwise import world

ENDS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("crashes", {"behaviour": ecs.crashes}, {}, True),
    ("never steady", {"behaviour": ecs.never_steady}, {}, True),
    ("ECS rolls back", {"behaviour": ecs.breaker_rolls_back(having_run=True)}, {}, True),
    ("well", {"behaviour": ecs.becomes_healthy(2.0)}, {}, False),
    ("superseded: another one rules", {"behaviour": ecs.superseded}, {}, False),
    ("left as it is", {"behaviour": ecs.crashes}, {"rollback": False}, False),
    ("without a task", {"behaviour": ecs.crashes}, {"task": None}, False),
    ("the task fails", {"one_off": exits(web=1)}, {}, False),
]


@pytest.mark.parametrize(
    ("state", "plan", "said"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
def test_a_task_that_ran_is_told_of_where_its_revision_is_taken_back(
    state: dict[str, Any], plan: dict[str, Any], said: bool
) -> None:
    scripted = ScriptedEcs(**{"one_off": exits(web=0), **state})

    result = run(scripted, image=f"{IMAGE}:v8", **{"task": MIGRATE, **plan})

    assert (NOT_UNDONE in result.warnings) == said, result


def test_the_notice_says_it_beside_what_it_warns_of_anyway() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes, one_off=exits(web=0))
    chain = Chain(world(scripted, task=MIGRATE))

    chain.by_follower()

    (told,) = chain.said.told
    assert told.status == "rolled_back"
    assert told.warning == f"{NOT_UNDONE}; the branch has moved"
    text = plain_text(CloseNotice(kind="deployment", notice_id="n", result=told))
    assert f"Warning: {NOT_UNDONE}" in text
