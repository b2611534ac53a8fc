"""Builders that are killed, stopped, refused; events of builds lost and doubled; Lambdas killed.

Five pipelines share a local run without a host, and each case breaks all of them at once. Each ends
as if nothing had happened: live, one notice, one rollout, one outcome for each request; no build
runs, and no row waits for one.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from local.plan import Options
from tests.e2e.builds import FIRST_SECONDS, live, until_no_build
from tests.e2e.chain import Chain, local_chain
from tests.e2e.chaos.builder_trial import LONG, BuilderTrial, Trials, noting_builds
from tests.e2e.chaos.slow_motion import kill_when
from tests.e2e.chaos.test_lambdas import Killer
from tests.e2e.chaos.trial import Cost, Say
from tests.e2e.chaos.witness import Witness
from tests.e2e.permissions import asked
from tests.places import EVENTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1500)]

PIPELINES = 5
ONCE = Cost()
TWICE = Cost(builds=2)
"""The layers come from Docker's cache."""
STAGES = {
    "receive": Cost(),
    "in fetch": Cost(),
    "in build": TWICE,
    "in push": TWICE,
    "handed over": Cost(),
}
"""A point for each pipeline, by which the cases that are about something else break it."""


@pytest.fixture(scope="module")
def hostless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Five pipelines and no host, each with its first commit deployed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(
        pipelines=PIPELINES, builders="codeBuild", internal_endpoints=True, wait_for_first=False
    )
    with local_chain(tmp_path_factory.mktemp("builders"), options) as chain:
        for name in chain.state.pipelines:
            tip = chain.repository(name).git("rev-parse", "HEAD")
            chain.until(f"{name}'s notice", lambda t=tip: chain.notices(t[:7]), FIRST_SECONDS)  # type: ignore[misc]
        until_no_build(chain)
        yield chain


@pytest.fixture(scope="module")
def witness(hostless: Chain) -> Iterator[Witness]:
    with noting_builds(hostless) as witness:
        yield witness


@pytest.fixture
def trials(hostless: Chain, witness: Witness, say: Say) -> Trials:
    """A part of the case for each pipeline, with nothing under way."""
    until_no_build(hostless)
    return Trials.of(hostless, witness, say)


# --- the builder is killed


@dataclass(frozen=True)
class Death:
    """Where a builder's agent dies, in words, and what the whole may cost then."""

    point: str
    words: str
    passes: int = 1
    cost: Cost = ONCE


BEFORE = (
    Death("receive", "it held the request's row"),
    Death("in fetch", "the fetch had begun"),
    Death("in build", "the build had begun", cost=TWICE),
    Death("in push", "the push had begun", cost=TWICE),
    Death("tagged", "the layers were in ECR, the build's own tag was not", cost=TWICE),
)
AFTER = (
    Death("tagged", "the image was whole in ECR", passes=3),
    Death("handed over", "the row owned the rollout, and nobody had been told"),
    Death("deleted", "the request's row was gone, nothing in ECS was changed"),
    Death("registered", "ECS had the new revision, nobody had noted which", cost=Cost(revisions=2)),
    Death("updated", "ECS had taken the new revision"),
)
AT_THE_END = tuple(Death("done", "it had said that nothing is left to do") for _ in range(5))


@pytest.mark.parametrize("deaths", [BEFORE, AFTER, AT_THE_END], ids=["before", "after", "the end"])
def test_kill_the_builders(trials: Trials, deaths: tuple[Death, ...]) -> None:
    # GIVEN builders each of which will die at another point
    for trial, death in zip(trials.each, deaths, strict=True):
        trial.die_at(death.point, death.passes)

    # WHEN somebody pushes to all at once
    pushes = trials.push("its builder is killed")
    trials.until_dead()
    for trial, death in zip(trials.each, deaths, strict=True):
        trials.say(f"kill -9 of {trial.pipeline}'s builder when {death.words}")

    # THEN each ends as if nothing had happened
    trials.end_well(pushes, [death.cost for death in deaths])
    for trial in trials.each:
        assert trial.ended_builds()[0] == "FAILED"


def test_stop_the_builds(trials: Trials) -> None:
    # GIVEN builders each of which is held at another point, but for one that has barely started
    with ExitStack() as held:
        holds = [
            held.enter_context(trial.holding({trial.pipeline: point}))
            for trial, point in zip(trials.each[1:], list(STAGES)[1:], strict=True)
        ]
        pushes = trials.push("its build is stopped")

        # WHEN each is stopped from outside
        with ThreadPoolExecutor(len(trials.each)) as pool:
            list(pool.map(stop, trials.each, [lambda: True, *holds]))
    trials.say(f"StopBuild as it has begun, and at {list(STAGES)[1:]}")

    # THEN each ends as if nothing had happened
    trials.end_well(pushes, list(STAGES.values()))
    for trial in trials.each:
        assert trial.ended_builds()[0] == "STOPPED"


def stop(trial: BuilderTrial, is_held: Callable[[], bool]) -> None:
    """StopBuild of the pipeline's one build, once it is held."""
    chain = trial.chain
    chain.until(f"the point in {trial.pipeline}", is_held, LONG)
    (build,) = chain.until("its build", lambda: live(chain, trial.pipeline), LONG)
    chain.prod("codebuild").stop_build(id=build["id"])


# --- what CodeBuild tells


def die_in_each_stage(trials: Trials) -> None:
    for trial, point in zip(trials.each, STAGES, strict=True):
        trial.die_at(point)


def test_the_events_of_ends_are_lost(trials: Trials) -> None:
    # GIVEN builders that will die, each in another stage, and nobody who hears of it
    die_in_each_stage(trials)
    with unheard(trials.chain) as rule:
        # WHEN somebody pushes to all at once
        pushes = trials.push("nobody hears of its end")
        trials.until_dead()
        trials.say(f"rule {rule} is off: no end of a build is told")

        # THEN the schedule's minute finds them
        trials.end_well(pushes, list(STAGES.values()))


@contextmanager
def unheard(chain: Chain) -> Iterator[str]:
    """No event of CodeBuild reaches anybody."""
    events, (rule,) = chain.prod("events"), rules_of_builds(chain)
    events.disable_rule(Name=rule["Name"])
    try:
        yield rule["Name"]
    finally:
        events.enable_rule(Name=rule["Name"])


def rules_of_builds(chain: Chain) -> list[dict[str, Any]]:
    rules = chain.prod("events").list_rules()["Rules"]
    return [rule for rule in rules if "aws.codebuild" in rule.get("EventPattern", "")]


def test_the_events_of_ends_come_twice_and_late(trials: Trials) -> None:
    # GIVEN builders that will die, each in another stage, and a second rule for what is told
    die_in_each_stage(trials)
    with doubled(trials.chain):
        # WHEN somebody pushes to all at once
        pushes = trials.push("its end is told twice", "slow")
        trials.until_dead()
        # AND the end of each lost build is told once more when the next one is at work
        for trial in trials.each[:4]:
            lost, _ = trials.chain.until(
                "the next build", lambda t=trial: two_builds(t), LONG, poll=0.05
            )  # type: ignore[misc]
            tell_again(trials.chain, lost)
        trials.say("each end of a build is told twice, that of a lost one three times")

        # THEN no build is taken for ended that is not: one build more for each, no further
        trials.end_well(pushes, list(STAGES.values()))
    for trial in trials.each[:4]:
        assert trial.ended_builds() == ["FAILED", "SUCCEEDED"]


def two_builds(trial: BuilderTrial) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The lost build and the one after it, once the row knows that."""
    fresh = trial.fresh_builds()
    return (
        (fresh[0], fresh[1]) if len(fresh) == 2 and trial.row.build_id == fresh[1]["id"] else None
    )


@contextmanager
def doubled(chain: Chain) -> Iterator[None]:
    """Each event of CodeBuild reaches the reconciler a second time, by a rule of the tests' own."""
    events, (rule,) = chain.prod("events"), rules_of_builds(chain)
    function = chain.names.function("reconciler")
    made = events.put_rule(Name="chaos-twice", EventPattern=rule["EventPattern"])["RuleArn"]
    targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    chain.prod("lambda").add_permission(
        FunctionName=function,
        StatementId="chaos-twice",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=made,
    )
    events.put_targets(Rule="chaos-twice", Targets=targets)
    try:
        yield
    finally:
        events.remove_targets(Rule="chaos-twice", Ids=[target["Id"] for target in targets])
        events.delete_rule(Name="chaos-twice")
        chain.prod("lambda").remove_permission(FunctionName=function, StatementId="chaos-twice")


def tell_again(chain: Chain, build: dict[str, Any]) -> None:
    """The event of a build that has failed, as if it came late."""
    event = json.loads((EVENTS / "codebuild_stopped.json").read_text(encoding="utf-8"))
    event["detail"].update({"build-id": build["arn"], "build-status": "FAILED"})
    answer = chain.prod("lambda").invoke(
        FunctionName=chain.names.function("reconciler"), Payload=json.dumps(event).encode()
    )
    assert "FunctionError" not in answer


def test_the_account_is_full(trials: Trials) -> None:
    # GIVEN an account that may have no build at all now
    trials.full(0)
    try:
        # WHEN somebody pushes to all at once, and all are refused
        pushes = trials.push("CodeBuild refuses it")
        for trial in trials.each:
            trials.chain.until(
                f"the refusal of {trial.pipeline}", lambda t=trial: t.row.refused_since, LONG
            )  # type: ignore[misc]
        # AND then two builds may run at the same time
        trials.full(2)
        trials.say("AccountLimitExceededException for all; then two builds may run at a time")

        # THEN they come one after the other
        trials.end_well(pushes)
    finally:
        trials.full(None)
    for trial in trials.each:
        assert trial.ended_builds() == ["SUCCEEDED"]
        assert trial.row.refused_since is None


# --- the Lambdas are killed

KILLS = {
    "starter": (2, "builders are being started"),
    "reconciler": (2, "it is told of builds that are over"),
}
"""Lambda runs an event three times."""


@pytest.mark.parametrize("function", KILLS)
def test_kill_a_lambda(trials: Trials, function: str) -> None:
    # GIVEN somebody who kills the function's process whenever it is at work
    kills, words = KILLS[function]
    costs = None
    if function == "reconciler":
        die_in_each_stage(trials)
        costs = list(STAGES.values())
    killer = Killer(trials.chain.workplace, function, kills)
    killer.start()
    try:
        # WHEN somebody pushes to all at once
        pushes = trials.push(f"{function} is killed")
        trials.chain.until("the kills", lambda: len(killer.killed) == kills, LONG)
        trials.say(f"kill -9 of λ {function} while {words}: processes {killer.killed}")
    finally:
        killer.stop()

    # THEN the function is run again, and it ends as if nothing had happened
    trials.end_well(pushes, costs)


def test_nobody_hears_the_answer_to_a_start(trials: Trials) -> None:
    # GIVEN a push to all at once
    chain = trials.chain
    pushes = trials.push("its start has no answer")

    # WHEN whoever starts a builder is killed when the row says so, and the answer is not noted
    def asked_for() -> bool:
        return any(row.state == "asked" for row in chain.table.builders.all())

    assert kill_when(chain.workplace, ["starter"], asked_for, LONG), "the moment was missed"
    rows = {row.pipeline: row.state for row in chain.table.builders.all()}
    trials.say(f"kill -9 of λ starter; the builders' rows: {rows}")

    # THEN each ends as if nothing had happened: the same token starts no second build
    trials.end_well(pushes)
    for trial in trials.each:
        assert trial.ended_builds() == ["SUCCEEDED"]


def test_no_role_was_denied_anything(hostless: Chain) -> None:
    """Comes last: it looks back at the others."""
    assert sorted(asked(hostless.state, allowed=False)) == []
