"""Two services of one pipeline: how each scenario ends, and what runs of each at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from slipway.contracts.sentences import runs_now, service_lines
from slipway.following.several import NEWER, failed_one, in_hand, is_to_be_told
from slipway.following.several_ended import over_by_itself
from slipway.following.state import Followed, Part
from slipway.rollout import OneOffTask, RolloutResult
from slipway.rollout.beginning import begin
from slipway.rollout.state import Cancelled, on
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import Json, ScriptedEcs, denied
from tests.unit.slipway.following.several import NAMES, Pair, World, two
from tests.unit.slipway.following.test_giving_way import ROLLBACK
from tests.unit.slipway.following.three_ways import DEPLOYMENT, REQUEST
from tests.unit.slipway.rollout import proofs, test_codedeploy
from tests.unit.slipway.rollout.stepwise import _live
from tests.unit.slipway.rollout.test_discarding import newest
from tests.unit.slipway.rollout.test_registering import exits

GOOD = ecs.becomes_healthy(8.0)
NEW, OLD = "web:8", "web:7"
MIGRATE = OneOffTask(command=("migrate",))
SPOKEN = Fault("InvalidParameterException", "The service is locked.")


@dataclass(frozen=True)
class Scenario:
    """`make`: both services' worlds. Then how it ends: the status, what is said that each runs, and
    what each runs. `left`: the services whose new revision stays though it does not run. `asks`:
    what somebody asks for after each change that was made, by its number.
    """

    make: Callable[[], list[World]]
    status: str
    runs: tuple[str, str]
    live: tuple[str, str]
    sentence: str
    together: bool = False
    mixed: bool = False
    left: tuple[int, ...] = ()
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


def codedeploy_cannot_go_back() -> list[World]:
    """CodeDeploy has deployed the first one when the second fails, and cannot bring back what ran:
    the new version stays.
    """
    plays = [test_codedeploy.WELL, test_codedeploy.FAILS, test_codedeploy.BACK]
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=plays)
    worlds = two(deploy.ecs, ScriptedEcs(behaviour=ecs.crashes))
    worlds[0].codedeploy = deploy
    return worlds


def proved(
    code: int = 0, *, well: bool = True, alarm: float | None = None, last_is_new: bool = True
) -> Callable[[], list[World]]:
    """The first one's smoke test, then a task of the second one, then alarms: all are asked for.

    `alarm`: when it goes off; `last_is_new` False: the second one runs already what is wanted.
    """

    def make() -> list[World]:
        worlds = two(
            ScriptedEcs(behaviour=GOOD), ScriptedEcs(behaviour=GOOD, one_off=exits(web=code))
        )
        web, worker = (world.plan for world in worlds)
        worlds[0].plan = replace(web, smoke=proofs.SMOKE, alarms=("errors",))
        after = {"post_task": MIGRATE, "alarms": ("errors",), "bake": 30.0}
        worlds[1].plan = replace(worker, **after)
        if not last_is_new:
            old = worlds[1].ecs.service["taskDefinition"]
            worlds[1].plan = replace(worlds[1].plan, image=None, target=old, discard_failed=False)
        seen = proofs.watched(errors=proofs.quiet if alarm is None else proofs.goes_off(alarm))
        for world in worlds:
            world.means["visit"] = proofs.answers(lambda _age: well)
            world.means["cloudwatch_client"] = seen
        return worlds

    return make


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
PROVED = {"status": "succeeded", "runs": ("new", "new"), "live": (NEW, NEW), "sentence": BOTH_NEW}
TAKEN_BACK = {"status": "rolled_back", "runs": BEFORE, "live": (OLD, OLD), "sentence": BOTH_OLD}
PROOFS_OF_TWO: dict[str, dict[str, Any]] = {
    f"{'together' if together else 'in turn'}, {name}": {
        **ended, "make": make, "together": together,
    }
    for together in (False, True)
    for name, make, ended in (
        ("proved", proved(), PROVED),
        ("the first one's smoke test fails", proved(well=False), TAKEN_BACK),
        ("the task after both fails", proved(3), TAKEN_BACK),
        ("an alarm goes off after both", proved(alarm=1040.0), TAKEN_BACK),
        ("the task after fails where the second one did not change",
         proved(3, last_is_new=False), TAKEN_BACK),
    )
}  # fmt: skip
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
        may_not, "gave_up", BEFORE, (OLD, OLD), BOTH_OLD, left=(1,)
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
    "CodeDeploy cannot bring back what ran": Scenario(
        codedeploy_cannot_go_back, "failed", ("new", "before"), (NEW, OLD), MIXED, mixed=True
    ),
    "both fail together": Scenario(
        of(ecs.crashes, ecs.crashes), "rolled_back", BEFORE, (OLD, OLD), BOTH_OLD, together=True
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
    **{name: Scenario(**members) for name, members in PROOFS_OF_TWO.items()},
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
    stays = [
        NEW if runs in ("new", "other") or number in scenario.left else OLD
        for number, runs in enumerate(scenario.runs)
    ]
    assert [newest(world.ecs) for world in pair.worlds] == stays
    gone = [of for operation, of in told["made"] if operation == "DeregisterTaskDefinition"]
    assert all(str(of).endswith(NEW) for of in gone)
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


def test_what_was_on_its_way_at_the_hand_over_is_not_said_to_run() -> None:
    # GIVEN a worker that a rollout which gave way was still bringing to a revision
    pair = Pair.of(of(ecs.crashes, GOOD)(), moving=("worker",))
    # WHEN the first of the two fails, so that the worker is not begun
    pair.by_follower()
    # THEN no revision is named of it: ECS may take back what was on its way
    assert pair.told()["now"] == [OLD, None]
    assert service_lines(pair.result) == (
        "web: web:7, the version before", "worker: was not touched",
    )  # fmt: skip


def test_no_way_back_waits_for_a_revision_that_is_deregistered() -> None:
    pair = Pair.of(of(GOOD, ecs.crashes)())
    pair.by_follower()
    made = [operation for operation, _ in pair.told()["made"]]
    first = made.index("DeregisterTaskDefinition")
    assert made.count("DeregisterTaskDefinition") == 2
    assert set(made[first:]) == {"DeregisterTaskDefinition"}


def begun(*steps: str, together: bool = False) -> Followed:
    """A rollout in each of these steps; one that is to be discarded has failed."""
    failed = RolloutResult(outcome="rolled_back", cause="it crashed")
    states = [begin(world.plan, 0.0, str(n)).state for n, world in enumerate(of(GOOD, GOOD)())]
    return Followed(
        request=REQUEST,
        rollouts=tuple(
            replace(state, step=step, ending=failed if step == "discard" else None)  # type: ignore[arg-type]
            for state, step in zip(states, steps, strict=True)
        ),
        parts=tuple(Part(cluster="prod", service=name) for name in NAMES),
        together=together or None,
    )


def test_a_revision_that_failed_goes_last_and_a_newer_request_waits_for_no_more_than_that() -> None:
    # what is still open comes first
    assert in_hand(begun("discard", "wait")) == (1,)
    assert in_hand(begun("discard", "wait", together=True)) == (0, 1)
    # then what failed, and with that the outcome stands
    assert in_hand(begun("discard", "discard")) == (0,)
    assert is_to_be_told(begun("discard", "discard"))
    assert not is_to_be_told(begun("discard", "wait", together=True))
    assert failed_one(begun("wait", "discard")) == 1


def test_what_gives_way_deregisters_what_had_to_end_before() -> None:
    stopped = begun("discard", "read")
    first = replace(stopped.rollouts[0], cancelled=Cancelled(by=NEWER, at=0.0))
    stopped = stopped.with_rollout(0, first)
    assert in_hand(stopped) == (0,) and is_to_be_told(stopped)


def test_a_revision_that_cannot_be_deregistered_changes_no_outcome() -> None:
    step = on(begun("discard", "read").rollouts[0])
    state = over_by_itself(step, "unwatched", "given up", RuntimeError("a bug"), 9.0)
    assert state.result is not None and state.result.outcome == "rolled_back"
    assert state.result.warnings[0].endswith("was not deregistered: a bug")
