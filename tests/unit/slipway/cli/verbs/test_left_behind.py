"""Every verb that changes something: what fails after that is 3 and says what goes on, never 2."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from slipway.contracts.messages import BuildRequest, Commit
from tests.aws.answers import after_answers, refuse_all
from tests.unit.slipway.cli.aws.agents import published
from tests.unit.slipway.cli.verbs.test_push_to_live import clone as clone  # noqa: PLC0414 - a fixture
from tests.unit.slipway.cli.verbs.test_push_to_live import git
from tests.unit.slipway.cli.verbs.test_redrive import REQUEST, count, put
from tests.unit.slipway.cli.world import NOW, World

DEAD = "slipway-build-dead-letters"
CODES = ["ExpiredTokenException", "AccessDeniedException", "UnrecognizedClientException"]
FOLLOWS = "`slipway watch shop` follows it, `slipway cancel shop` ends it"
Break = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def after(world: World, monkeypatch: pytest.MonkeyPatch) -> Break:
    """Let something happen once AWS has taken a call."""

    return partial(after_answers, monkeypatch)


def refusal(monkeypatch: pytest.MonkeyPatch, code: str) -> Callable[[], None]:
    """To be called when AWS shall refuse whatever is asked from then on."""
    return partial(refuse_all, monkeypatch, code)


def resume(world: World) -> tuple[str, list[str], str]:
    world.run("pause", "shop")
    return "UpdateItem", ["resume", "shop"], "shop is resumed, what waits is deployed"


def release(world: World) -> tuple[str, list[str], str]:
    world.add_host()
    return "UpdateItem", ["release"], "is released: the next look wakes it for what waits"


def redeploy(world: World) -> tuple[str, list[str], str]:
    return (
        "Publish",
        ["redeploy", "shop"],
        f"the request stands: {FOLLOWS}",
    )


def rollback(world: World) -> tuple[str, list[str], str]:
    first, second = world.deployed("shop", 1), world.deployed("shop", 2)
    world.runs("shop", second)
    said = f"the request stands: {FOLLOWS}"
    return "Publish", ["rollback", "shop", "--to", first], said


def redrive(world: World) -> tuple[str, list[str], str]:
    put(world, DEAD, REQUEST.to_json())
    put(world, DEAD, REQUEST.to_json())
    return "DeleteMessage", ["redrive"], "1 sent again, the others stay where they are"


def discard(world: World) -> tuple[str, list[str], str]:
    put(world, DEAD, "nonsense")
    put(world, DEAD, "more of it")
    said = "1 removed, the others stay where they are"
    return "DeleteMessage", ["redrive", "--discard", "--yes"], said


def cancel(world: World) -> tuple[str, list[str], str]:
    world.begin("shop", 1, started_at=NOW - 10)
    world.table.locks.take("shop", "i-1/boot", NOW - 10, ttl=600)
    return "UpdateItem", ["cancel", "shop"], "the cancel stands: `slipway watch shop` follows it"


def cancel_what_waits(world: World) -> tuple[str, list[str], str]:
    world.table.wants.note(REQUEST, NOW)
    said = "cancelled, and to be told within minutes: shop-2026"
    return "TransactWriteItems", ["cancel", "shop"], said


VERBS = [resume, release, redeploy, rollback, cancel, cancel_what_waits, redrive, discard]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("arrange", VERBS, ids=[verb.__name__ for verb in VERBS])
def test_what_is_refused_after_a_change_is_3_and_says_what_stands(
    world: World,
    after: Break,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[World], tuple[str, list[str], str]],
    code: str,
) -> None:
    # GIVEN credentials that are refused once the change is made
    operation, line, says = arrange(world)
    after(operation, refusal(monkeypatch, code))

    # WHEN
    result = world.run(*line, "--json")

    # THEN
    assert result.exit_code == 3, result.output
    assert says in result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert says in told["left"]
    assert told["error"] in result.stderr


@pytest.mark.parametrize("verb", ["watch", "push-to-live"])
def test_who_only_follows_is_told_that_it_goes_on(
    world: World, clone: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    # GIVEN a deployment under way, and credentials that end while it is followed
    commit = Commit(id=git(clone, "rev-parse", "HEAD"), subject="First")
    world.begin("shop", 1, started_at=NOW - 30, commit=commit)
    world.clock.then(refusal(monkeypatch, "ExpiredTokenException"))

    # WHEN
    result = world.run(verb, "shop", "--json")

    # THEN
    assert result.exit_code == 3, result.output
    assert f"it goes on: {FOLLOWS}" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["left"].startswith("it goes on")


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_dead_letters_are_given_back_when_the_command_is_ended(
    world: World, after: Break, number: signal.Signals
) -> None:
    # GIVEN two dead letters, and somebody who ends the command while the first one is sent on
    put(world, DEAD, REQUEST.to_json())
    put(world, DEAD, REQUEST.to_json())
    after("Publish", lambda: os.kill(os.getpid(), number))

    # WHEN
    result = world.run("redrive")

    # THEN what was begun is whole, and the other one can be received at once
    assert result.exit_code == 128 + number
    assert "interrupted: 1 sent again, the others stay where they are" in result.stderr
    assert len(published(world)) == 1
    answer = world.client("sqs").receive_message(QueueUrl=world.queues[DEAD])
    assert [BuildRequest.from_json(m["Body"]) for m in answer["Messages"]] == [REQUEST]
    assert count(world, DEAD) == 1


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("arrange", [redeploy, rollback])
def test_who_ends_the_command_while_it_asks_is_told_that_it_was_asked_for(
    world: World, after: Break, arrange: Callable[[World], tuple[str, list[str], str]]
) -> None:
    # GIVEN somebody who ends the command before SNS's answer has come back
    operation, line, says = arrange(world)
    after(operation, lambda: os.kill(os.getpid(), signal.SIGINT))
    # WHEN
    result = world.run(*line)
    # THEN
    assert result.exit_code == 130, result.output
    assert f"interrupted: {says}" in result.stderr
    assert len(published(world)) == 1


@pytest.mark.usefixtures("heard_signals")
def test_who_waits_for_a_push_is_told_that_it_goes_on(world: World, clone: Path) -> None:
    # GIVEN a push of which nothing is seen yet
    world.clock.then(lambda: os.kill(os.getpid(), signal.SIGINT))
    # WHEN, THEN
    result = world.run("push-to-live", "shop")
    assert result.exit_code == 130, result.output
    says = f"interrupted: the push goes on: {FOLLOWS}"
    assert says in result.stderr


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("line", [["watch", "shop"], ["redeploy", "shop"], ["push-to-live"]])
def test_who_leaves_a_deployment_under_way_is_told_that_it_goes_on(
    world: World, clone: Path, line: list[str]
) -> None:
    # GIVEN a deployment under way that somebody follows, and leaves
    def begin() -> None:
        asked = published(world)
        row = world.begin("shop", 1, started_at=NOW, commit=Commit(id=head),
                          **({"request_id": asked[0].request_id} if asked else {}))  # fmt: skip
        world.table.requests.point(row.request_id, row.deployment_id, NOW, kept=86400)

    head = git(clone, "rev-parse", "HEAD")
    world.clock.then(begin)
    world.clock.then(lambda: os.kill(os.getpid(), signal.SIGINT))
    # WHEN, THEN
    result = world.run(*line)
    assert result.exit_code == 130, result.output
    assert f"interrupted: it goes on: {FOLLOWS}" in result.stderr


def test_who_waits_for_what_was_asked_for_is_told_that_it_stands(world: World) -> None:
    world.clock.then(lambda: os.kill(os.getpid(), signal.SIGTERM))

    result = world.run("redeploy", "shop", "--json")

    assert result.exit_code == 143
    assert f"interrupted: the request stands: {FOLLOWS}" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["error"] == "interrupted"
    assert len(published(world)) == 1
