"""Two services of one pipeline: how each scenario ends, and what runs of each at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from slipway.contracts.sentences import runs_now, service_lines
from slipway.rollout import OneOffTask
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import Json, ScriptedEcs, denied
from tests.unit.slipway.following.several import Pair, World, two
from tests.unit.slipway.following.test_giving_way import ROLLBACK
from tests.unit.slipway.following.three_ways import DEPLOYMENT
from tests.unit.slipway.rollout import test_codedeploy
from tests.unit.slipway.rollout.stepwise import _live
from tests.unit.slipway.rollout.test_registering import exits

GOOD = ecs.becomes_healthy(8.0)
NEW, OLD = "web:8", "web:7"
MIGRATE = OneOffTask(command=("migrate",))
SPOKEN = Fault("InvalidParameterException", "The service is locked.")


@dataclass(frozen=True)
class Scenario:
    """`make`: both services' worlds. Then how it ends: the status, what is said that each runs, and
    what each runs. `asks`: what somebody asks for after each change that was made, by its number.
    """

    make: Callable[[], list[World]]
    status: str
    runs: tuple[str, str]
    live: tuple[str, str]
    sentence: str
    together: bool = False
    mixed: bool = False
    asks: Callable[[Pair, int], None] = lambda _pair, _number: None

    def pair(self, **members: Any) -> Pair:
        return Pair.of(self.make(), together=self.together, after=self.asks, **members)


def of(web: Any, worker: Any, **members: Any) -> Callable[[], list[World]]:
    return lambda: two(ScriptedEcs(behaviour=web), ScriptedEcs(behaviour=worker), **members)


def migration(code: int) -> Callable[[], list[World]]:
    return lambda: two(
        ScriptedEcs(behaviour=GOOD, one_off=exits(web=code)),
        ScriptedEcs(behaviour=GOOD),
        task=MIGRATE,
    )


def refused() -> list[World]:
    """Once the second one fails, the first cannot be set back."""
    web = ScriptedEcs(behaviour=GOOD)

    def worker(scripted: ScriptedEcs, new: Json) -> None:
        web.faults["UpdateService"] = SPOKEN
        ecs.crashes(scripted, new)

    return two(web, ScriptedEcs(behaviour=worker))


def overtaken_after() -> list[World]:
    """Once the second one fails, somebody else has given the first another revision."""
    web = ScriptedEcs(behaviour=GOOD)

    def worker(scripted: ScriptedEcs, new: Json) -> None:
        ecs.superseded(web, web.service["deployments"][0])
        ecs.crashes(scripted, new)

    return two(web, ScriptedEcs(behaviour=worker))


def not_there() -> list[World]:
    """The second service is gone by then: nothing that is tried again."""
    worker = ScriptedEcs(behaviour=GOOD)
    worker.service["status"] = "INACTIVE"
    return two(ScriptedEcs(behaviour=GOOD), worker)


def may_not() -> list[World]:
    """The second one may not be updated, however often that is tried."""
    worker = ScriptedEcs(behaviour=GOOD, faults={"UpdateService": denied("ecs:UpdateService")})
    return two(ScriptedEcs(behaviour=GOOD), worker)


def codedeploy_first() -> list[World]:
    """CodeDeploy deploys the first one, and has finished when the second fails."""
    plays = [test_codedeploy.WELL, test_codedeploy.WELL]
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=plays)
    worlds = two(deploy.ecs, ScriptedEcs(behaviour=ecs.crashes))
    worlds[0].codedeploy = deploy
    return worlds


def cancelled(pair: Pair, _number: int) -> None:
    """As soon as the first one runs the new revision, steady, and the second has not begun."""
    if _is_between(pair):
        pair.table.following.ask_cancel(DEPLOYMENT, "bob")


def taken_over(pair: Pair, _number: int) -> None:
    if _is_between(pair):
        pair.table.locks.ask_takeover(ROLLBACK, pair.now)


def _is_between(pair: Pair) -> bool:
    (first, *_), (second, *_) = (world.ecs.service["deployments"] for world in pair.worlds)
    is_new = first["taskDefinition"].endswith(NEW) and first["rolloutState"] == "COMPLETED"
    return is_new and second["taskDefinition"].endswith(OLD)


BOTH_NEW, BOTH_OLD = "Both services run the new version.", "Both services run what they ran before."
MIXED = "The services do not run the same version."
NOT_KNOWN = "It is not known what every service runs now."
BEFORE = ("before", "before")
SCENARIOS = {
    "all succeed": Scenario(of(GOOD, GOOD), "succeeded", ("new", "new"), (NEW, NEW), BOTH_NEW),
    "the first fails": Scenario(of(ecs.crashes, GOOD), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD),
    "the second fails": Scenario(
        of(GOOD, ecs.crashes), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD
    ),
    "ECS takes the second back": Scenario(
        of(GOOD, ecs.breaker_rolls_back(having_run=True)), "rolled_back", BEFORE, (OLD, OLD),
        BOTH_OLD,
    ),
    "somebody overtakes the second": Scenario(
        of(GOOD, ecs.superseded), "failed", ("before", "other"), (OLD, "web:5"), MIXED, mixed=True
    ),
    "somebody overtakes the first after its end": Scenario(
        overtaken_after, "failed", ("other", "before"), ("web:5", OLD), MIXED, mixed=True
    ),
    "going back is refused": Scenario(
        refused, "failed", ("new", "before"), (NEW, OLD), MIXED, mixed=True
    ),
    "the second is not there": Scenario(not_there, "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD),
    "the second may not be updated": Scenario(
        may_not, "gave_up", BEFORE, (OLD, OLD), BOTH_OLD
    ),
    "the migration fails": Scenario(migration(3), "failed", BEFORE, (OLD, OLD), BOTH_OLD),
    "one migration for both": Scenario(
        migration(0), "succeeded", ("new", "new"), (NEW, NEW), BOTH_NEW
    ),
    "cancelled between them": Scenario(
        of(GOOD, GOOD), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD, asks=cancelled
    ),
    "superseded between them": Scenario(
        of(GOOD, GOOD), "superseded", ("new", "before"), (NEW, OLD), MIXED, mixed=True,
        asks=taken_over,
    ),
    "CodeDeploy has deployed the first": Scenario(
        codedeploy_first, "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD
    ),
    "together": Scenario(
        of(GOOD, GOOD), "succeeded", ("new", "new"), (NEW, NEW), BOTH_NEW, together=True
    ),
    "together, the first fails": Scenario(
        of(ecs.crashes, GOOD), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD, together=True
    ),
    "together, the second fails late": Scenario(
        of(GOOD, ecs.never_steady), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD, together=True
    ),
    "together, the migration fails": Scenario(
        migration(3), "failed", BEFORE, (OLD, OLD), BOTH_OLD, together=True
    ),
}  # fmt: skip


def check(scenario: Scenario, pair: Pair) -> None:
    told = pair.told()
    assert (told["status"], tuple(told["runs"]), tuple(told["live"])) == (
        scenario.status, scenario.runs, scenario.live,
    )  # fmt: skip
    assert runs_now(pair.result) == scenario.sentence
    assert (told["mixed"] is not None) == scenario.mixed
    known = [now for now in told["now"] if now is not None]
    assert known == [live for live, now in zip(told["live"], told["now"], strict=True) if now]


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_service_runs_at_the_end_what_is_said_of_it(name: str) -> None:
    scenario = SCENARIOS[name]
    for follow in (Pair.by_agent, Pair.by_follower):
        pair = scenario.pair()
        follow(pair)
        check(scenario, pair)
        assert len(pair.said.told) == 1


@pytest.mark.parametrize(
    "name", [name for name in SCENARIOS if name != "the second may not be updated"]
)
def test_a_death_in_any_change_leaves_no_other_end(name: str) -> None:
    # GIVEN how it goes where nobody dies
    scenario = SCENARIOS[name]
    whole = scenario.pair()
    whole.by_follower()
    for change in whole.changes:
        for answered in (False, True):
            # WHEN a process dies in a call that changes AWS, before it or after
            pair = scenario.pair(kill_at=change.number, answered=answered)
            pair.by_follower()
            # THEN
            check(scenario, pair)


def test_one_migration_runs_before_any_service_changes() -> None:
    for together in (False, True):
        pair = Pair.of(migration(0)(), together=together)
        pair.by_follower()
        made = [operation for operation, _ in pair.told()["made"]]
        assert made.count("RunTask") == 1
        assert made.index("RunTask") < made.index("UpdateService")


def test_the_second_waits_for_the_first_unless_they_go_together() -> None:
    seen: dict[bool, set[tuple[str, str]]] = {}
    for together in (False, True):
        states: set[tuple[str, str]] = set()

        def note(pair: Pair, _number: int, states: set[tuple[str, str]] = states) -> None:
            states.add(tuple(w.ecs.service["deployments"][0]["rolloutState"] for w in pair.worlds))  # type: ignore[arg-type]

        pair = Pair.of(of(GOOD, GOOD)(), together=together, after=note)
        pair.by_follower(every=1.0)
        seen[together] = states
    assert ("IN_PROGRESS", "IN_PROGRESS") in seen[True]
    assert ("IN_PROGRESS", "IN_PROGRESS") not in seen[False]


def test_what_failed_is_named_with_what_each_service_runs() -> None:
    pair = Pair.of(of(GOOD, ecs.crashes)())
    pair.by_follower()
    result = pair.result
    assert (result.cause or "").startswith("worker: ")
    assert service_lines(result) == (
        "web: web:7, the version before", "worker: web:7, the version before",
    )  # fmt: skip
    assert any(line.startswith("web: ") for line in pair.said.lines)
    assert [_live(world) for world in pair.worlds] == [OLD, OLD]
