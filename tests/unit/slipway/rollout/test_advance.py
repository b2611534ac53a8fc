"""The pure step: what follows from a state and a look, above all where an answer was lost."""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from slipway.contracts.errors import InvalidMessage
from slipway.rollout import OneOffTask, RolloutPlan
from slipway.rollout.actions import Change, Tell
from slipway.rollout.advance import advance, takes
from slipway.rollout.beginning import begin
from slipway.rollout.health import Proof, TasksSeen, prove
from slipway.rollout.hooks import Hook
from slipway.rollout.judge import STALE, ServiceDeployment
from slipway.rollout.looking import _LOOKS
from slipway.rollout.looking_after import LOOKS_AFTER
from slipway.rollout.looks import (
    DeploymentSeen,
    Preparation,
    Revisions,
    Survey,
    TaskToRun,
)
from slipway.rollout.plan import CodeDeployGroup
from slipway.rollout.roll_out import resumed
from slipway.rollout.saved import from_json, to_json
from slipway.rollout.service import Deployment, Service, parse_service
from slipway.rollout.state import Intent, RolloutState, StepName, next_look
from slipway.rollout.unfinished import left_behind
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs
from tests.unit.slipway.rollout.running import V6, V7, V8
from tests.unit.slipway.rollout.stepwise import World, rolled_out

NOW = 2000.0


def service_of(*revisions: str, number: int = 102) -> Service:
    """A service whose primary deployment is of the first revision; the rest are older."""
    scripted = ScriptedEcs()
    raw = dict(scripted.service)
    raw["deployments"] = [
        {"id": f"ecs-svc/{number - at}", "status": "PRIMARY" if at == 0 else "ACTIVE",
         "taskDefinition": revision, "createdAt": 1000.0 + number - at}
        for at, revision in enumerate(revisions)
    ]  # fmt: skip
    return parse_service(raw)


BASE: Json = {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v7"}]}
OURS: Json = {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v8"}]}
EMPTY: Json = {**OURS, "volumes": [], "containerDefinitions": [
    {**OURS["containerDefinitions"][0], "environment": []}
]}  # fmt: skip
IMAGE_8 = {"image": f"{IMAGE}:v8"}
WELL, CRASHES = ecs.becomes_healthy(1.0), ecs.crashes


def registered(newest: Json | None) -> Preparation:
    return Preparation(service=service_of(V7), base=BASE, base_arn=V7, newest=newest, newest_arn=V8)


def deployment(status: str) -> DeploymentSeen:
    mine = ServiceDeployment(arn="sd-ours", status=status)
    return DeploymentSeen(service=service_of(V8, V7), ours=mine, finding=typing.cast(Any, None))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A change whose answer was lost, what another process sees, and what it does then."""

    step: StepName
    plan: dict[str, Any] = field(default_factory=lambda: dict(IMAGE_8))
    behaviour: ecs.Behaviour = WELL
    look: Any
    goes_to: StepName
    does: tuple[str, ...] = ()
    after: float = 1.0


LOST = {
    "registered: the newest revision is ours": Row(
        step="register", look=registered(OURS), goes_to="update", does=("update_service",)
    ),
    "registered: ECS answers empty members": Row(
        step="register", look=registered(EMPTY), goes_to="update", does=("update_service",)
    ),
    "not registered: the newest is another": Row(
        step="register", look=registered(BASE), goes_to="register",
        does=("register_task_definition",),
    ),
    "the task, started or not": Row(
        step="task", plan={**IMAGE_8, "task": OneOffTask(command=("x",))},
        look=TaskToRun(definition=OURS, service=service_of(V7)),
        goes_to="task", does=("run_task",),
    ),
    "updated: ours is there": Row(
        step="update", look=Survey(service=service_of(V8, V7), ours="ecs-svc/102"), goes_to="wait"
    ),
    "updated, and rolled back since": Row(
        step="update", look=Survey(service=service_of(V7), ours="ecs-svc/102"), goes_to="wait"
    ),
    "not updated": Row(
        step="update", look=Survey(service=service_of(V7)), goes_to="update",
        does=("update_service",),
    ),
    "forced, and not there yet: an old answer may be all": Row(
        step="update", plan={"force": True}, look=Survey(service=service_of(V7)), goes_to="update"
    ),
    "forced, and it did not come": Row(
        step="update", plan={"force": True}, look=Survey(service=service_of(V7)),
        goes_to="update", does=("update_service",), after=STALE + 1,
    ),
    "stopped: ECS rolls it back": Row(
        step="agree", behaviour=CRASHES, look=deployment("ROLLBACK_REQUESTED"),
        goes_to="wait_stopped",
    ),
    "not stopped": Row(
        step="agree", behaviour=CRASHES, look=deployment("IN_PROGRESS"), goes_to="agree",
        does=("stop_service_deployment",),
    ),
    "half of the old revisions are gone": Row(
        step="prune", plan={**IMAGE_8, "max_definitions": 1},
        look=Revisions(service=service_of(V8), active=(V8, V7, V6)),
        goes_to="prune", does=("deregister_task_definition",),
    ),
    "all of the old revisions are gone": Row(
        step="prune", plan={**IMAGE_8, "max_definitions": 1},
        look=Revisions(service=service_of(V8), active=(V8, V7)), goes_to="over",
    ),
}  # fmt: skip


def under_way(row: Row) -> RolloutState:
    """The state with the row's change begun."""
    world = World(
        RolloutPlan(cluster="prod", service="web", **row.plan),
        ScriptedEcs(behaviour=row.behaviour, one_off=lambda _ecs, task: task),
    )
    saved: list[str] = []
    rolled_out(world, saved=saved)
    return next(s for s in map(from_json, saved) if s.step == row.step and s.intent is not None)


@pytest.mark.parametrize("row", LOST.values(), ids=list(LOST))
def test_what_another_process_does_where_an_answer_was_lost(row: Row) -> None:
    # GIVEN a state with the intent of a change
    state = under_way(row)
    assert state.intent is not None
    text, now = to_json(state), state.intent.at + row.after

    # WHEN another process looks
    advanced = advance(state, row.look, now)

    # THEN it repeats the change, or takes it as made
    changes = [a for a in advanced.actions if isinstance(a, Change)]
    assert (advanced.state.step, tuple(c.operation for c in changes)) == (row.goes_to, row.does)
    assert advanced.next == next_look(advanced.state)
    assert (advanced.state.intent is not None) == bool(row.does) or row.plan.get("force")
    # AND the step is pure: the same once more, and the state is as it was
    assert to_json(advance(state, row.look, now).state) == to_json(advanced.state)
    assert to_json(state) == text


def test_an_answer_that_is_lost_with_its_process_is_not_known() -> None:
    """Where the next process gets no answer at all, it does not say that nothing was changed."""
    state = under_way(LOST["not updated"])
    assert "the service was not changed" in left_behind(state)
    taken_up = resumed(state).state
    assert "it is not known whether ECS took web:8" in left_behind(taken_up)
    assert resumed(taken_up).state == taken_up


def test_a_repeated_task_has_the_same_client_token() -> None:
    state = under_way(LOST["the task, started or not"])
    look = LOST["the task, started or not"].look
    tokens = {
        change.request["clientToken"]
        for now in (NOW, NOW + 60)
        for change in advance(state, look, now).actions
        if isinstance(change, Change)
    }
    assert tokens == {state.id}


def test_a_repeated_codedeploy_deployment_is_known_by_its_description() -> None:
    state = replace(
        under_way(LOST["not updated"]),
        step="create",
        group=CodeDeployGroup(application="shop", name="prod"),
        intent=Intent(operation="create_deployment", at=NOW),
    )
    again = advance(state, Survey(service=service_of(V7)), NOW)
    (change,) = [a for a in again.actions if isinstance(a, Change)]
    assert change.request["description"] == f"Slipway rollout {state.id}"
    found = advance(state, Survey(service=service_of(V7), ours="d-1"), NOW)
    assert (found.state.step, found.state.deployment, found.actions) == (
        "codedeploy_wait",
        "d-1",
        (),
    )


def test_a_line_that_was_told_is_not_new() -> None:
    # GIVEN a rollout that waits
    states = under_way_states(ecs.never_steady)
    waiting = [s for s in states if s.step == "wait"]
    look = DeploymentSeen(
        service=service_of(V8, V7),
        ours=None,
        finding=waiting[0].following.finding,  # type: ignore[union-attr]
    )
    # WHEN the same is seen twice
    first = advance(waiting[1], look, NOW)
    second = advance(first.state, look, NOW + 1)
    # THEN the second line is told as the one that was told
    assert [a.is_new for a in (*first.actions, *second.actions) if isinstance(a, Tell)][-1] is False


def under_way_states(behaviour: ecs.Behaviour) -> list[RolloutState]:
    saved: list[str] = []
    rolled_out(
        World(
            RolloutPlan(cluster="prod", service="web", **IMAGE_8), ScriptedEcs(behaviour=behaviour)
        ),
        saved=saved,
    )
    return list(map(from_json, saved))


def test_a_look_at_a_wait_changes_no_state() -> None:
    # GIVEN a rollout that waits, and an answer after which much is remembered
    state = [s for s in under_way_states(ecs.never_steady) if s.step == "wait"][1]
    assert state.following is not None
    mine = ServiceDeployment(arn="sd-ours", status="IN_PROGRESS", hooks=(
        Hook(id="h", kind="PAUSE", status="AWAITING_ACTION", stage="SCALE_UP"),
    ))  # fmt: skip
    finding = state.following.finding
    look = DeploymentSeen(service=service_of(V8, V7), ours=mine, finding=finding)
    text = to_json(state)
    # WHEN it is looked at twice, THEN that is the same step, and the state is as it was
    steps = [to_json(advance(state, look, NOW).state) for _ in range(2)]
    assert steps[0] == steps[1] != text
    assert to_json(state) == text


def test_every_step_has_its_look_and_its_function() -> None:
    steps = set(typing.get_args(StepName)) - {"over"}
    assert steps == {*_LOOKS, *LOOKS_AFTER}
    assert all(isinstance(takes(step), Callable) for step in steps)  # type: ignore[arg-type]


FULL = RolloutPlan(
    base={"family": "web", "containerDefinitions": [], "tags": [{"key": "a", "value": None}]},
    task=OneOffTask(network_configuration={"awsvpcConfiguration": {"subnets": ["a"]}}),
    code_deploy=CodeDeployGroup(application="a", name="b"),
)


def test_a_plan_goes_through_json_whole() -> None:
    state = begin(replace(FULL, images={"web": "app:1"}), NOW, "x").state
    read = from_json(to_json(state))
    assert read == replace(state, plan=read.plan)
    assert read.plan == replace(FULL, images={"web": "app:1"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "must be JSON"),
        ("[]", "version: must be 1, not None"),
        ('{"version": 2}', "version: must be 1, not 2"),
        ('{"version": 1}', "id: is missing"),
        ('{"version": 1, "id": "x", "new": 1}', "new: is not a member"),
        (to_json(begin(FULL, NOW, "x").state).replace('"family"', "1:", 1), "must be JSON"),
    ],
)
def test_a_state_of_another_form_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidMessage, match=says):
        from_json(text)


def test_a_base_is_a_name_or_a_document() -> None:
    text = to_json(begin(replace(FULL, base="definition:web", image="a"), NOW, "x").state)
    assert from_json(text).plan.base == "definition:web"
    with pytest.raises(InvalidMessage, match=r"plan\.base: must be an object"):
        from_json(text.replace('"definition:web"', "7"))


def test_what_is_remembered_of_five_thousand_tasks_fits_a_row() -> None:
    """The most that a service may have (ECS service quotas); a row has 400 KB."""
    tasks = tuple(
        {"taskArn": f"arn:aws:ecs:us-east-1:222222222222:task/prod/{n:032x}",
         "lastStatus": "RUNNING"}
        for n in range(5000)
    )  # fmt: skip
    mine = Deployment(id="ecs-svc/2", status="PRIMARY", task_definition=V8, desired=5000)
    proof = Proof().up(mine, NOW)
    for tick in range(10):  # they come up by and by
        seen = TasksSeen(tasks=tasks[: 500 * (tick + 1)], checked=frozenset())
        proof = prove(proof, service_of(V8), mine, seen, NOW + tick)
    state = under_way_states(ecs.never_steady)[-3]
    assert state.following is not None
    whole = replace(state, following=replace(state.following, proof=proof))
    assert len(to_json(whole)) < 80_000
    # AND they count once each has run for its time
    late = prove(proof, service_of(V8), mine, TasksSeen(tasks=tasks, checked=frozenset()), NOW + 50)
    assert late.last is not None
    assert late.last.healthy
