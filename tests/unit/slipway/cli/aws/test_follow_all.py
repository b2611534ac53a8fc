"""`watch` without a pipeline: all that are being deployed, each with its progress, to the last."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from slipway.cli.show.live import run_table
from slipway.cli.show.progress import Usual
from slipway.cli.show.views import Seen
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.slipway.cli.world import NOW, World, commit_of


def begin(world: World, pipeline: str, number: int, run: int) -> DeploymentRow:
    """A deployment under way, its pipeline's lock with a run of the host."""
    row = world.begin(pipeline, number, started_at=NOW - 10)
    assert world.table.locks.take(pipeline, f"i-1/b/p.{run}", NOW - 10, ttl=6000)
    return row


def end(world: World, row: DeploymentRow, status: str = "succeeded") -> None:
    world.end(row, status, at=world.clock.now())
    lock = world.table.locks.get(row.pipeline)
    world.table.locks.take(row.pipeline, lock.holder, world.clock.now(), ttl=0)


def ask(world: World, pipeline: str, request_id: str = "a" * 32) -> BuildRequest:
    request = BuildRequest(
        request_id=request_id, pipeline=pipeline, pushed_by="ada", pushed_at=NOW, reason="push"
    )
    world.table.wants.note(request, NOW)
    return request


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1)])
def test_all_are_followed_until_each_has_ended(world: World, status: str, code: int) -> None:
    # GIVEN two deployments under way, of which one ends two looks before the other
    shop, api = begin(world, "shop", 1, 1), begin(world, "api", 2, 2)
    enter = world.table.deployments.enter_stage
    world.clock.then(lambda: enter(api.deployment_id, "build", world.clock.now()))
    world.clock.then(lambda: end(world, shop, status))
    world.clock.then(lambda: None)
    world.clock.then(lambda: end(world, api))
    # WHEN
    result = world.run("watch")
    # THEN each line names its pipeline, and the exit code is the worst
    assert result.exit_code == code, result.output
    lines = result.output.splitlines()
    assert "shop: received" in lines
    assert "api: build" in lines
    told = [line for line in lines if "commit 0000000" in line]
    assert [line.split(":")[0] for line in told] == ["shop", "api"]


def test_the_watch_of_one_ends_with_it_though_others_go_on(world: World) -> None:
    # GIVEN two, of which one ends
    shop = begin(world, "shop", 1, 1)
    begin(world, "api", 2, 2)
    world.clock.then(lambda: end(world, shop))
    # WHEN, THEN
    result = world.run("watch", "shop")
    assert result.exit_code == 0, result.output
    assert "api" not in result.output


def test_what_begins_while_one_alone_is_deployed_is_followed_too(world: World) -> None:
    # GIVEN one deployment under way, and another pipeline's, which begins after the first look
    shop = begin(world, "shop", 1, 1)
    begun: list[DeploymentRow] = []
    world.clock.then(lambda: begun.append(begin(world, "api", 2, 2)))
    world.clock.then(lambda: end(world, shop))
    world.clock.then(lambda: end(world, begun[0], "failed"))
    # WHEN
    result = world.run("watch")
    # THEN it ends with the last of them
    assert result.exit_code == 1, result.output
    told = [line for line in result.output.splitlines() if "commit 0000000" in line]
    assert [line.split(":")[0] for line in told] == ["shop", "api"]


def test_the_next_push_of_the_only_one_under_way_is_followed_too(world: World) -> None:
    # GIVEN one deployment under way, and a newer push of its pipeline, which waits for its end
    shop = begin(world, "shop", 1, 1)
    request = ask(world, "shop")
    begun: list[DeploymentRow] = []
    world.clock.then(lambda: end(world, shop))
    world.clock.then(lambda: begun.append(begin(world, "shop", 2, 1)))
    world.clock.then(lambda: world.table.wants.clear([request]))
    world.clock.then(lambda: end(world, begun[0]))
    # WHEN
    events = [json.loads(line) for line in world.run("watch", "--json").stdout.splitlines()]
    # THEN
    ends = [event["result"]["deployment_id"] for event in events if "result" in event]
    assert ends == [shop.deployment_id, begun[0].deployment_id]


def test_the_want_of_what_has_ended_is_not_waited_for(world: World) -> None:
    # GIVEN a deployment whose want goes a moment after its outcome
    shop = begin(world, "shop", 1, 1)
    ask(world, "shop", shop.request_id)
    world.clock.then(lambda: end(world, shop))
    # WHEN, THEN
    result = world.run("watch")
    assert result.exit_code == 0, result.output
    assert "waiting" not in result.output


def test_what_waits_says_for_what_and_is_followed_once_it_begins(world: World) -> None:
    # GIVEN one under way, and a request for another pipeline that begins later
    shop = begin(world, "shop", 1, 1)
    ask(world, "api")
    begun: list[DeploymentRow] = []
    world.clock.then(lambda: end(world, shop))
    world.clock.then(lambda: begun.append(begin(world, "api", 2, 2)))
    world.clock.then(lambda: world.table.wants.clear([world.table.wants.all()[0].request]))
    world.clock.then(lambda: end(world, begun[0]))
    # WHEN
    events = [json.loads(line) for line in world.run("watch", "--json").stdout.splitlines()]
    # THEN
    assert {"pipeline": "api", "waiting": True, "why": "waiting for a host to take it"} in events
    assert [e["result"]["pipeline"] for e in events if "result" in e] == ["shop", "api"]
    assert {e["pipeline"] for e in events if "stage" in e} == {"shop", "api"}


def test_what_is_paused_is_not_waited_for(world: World) -> None:
    # GIVEN two under way, and the second's pipeline paused with a request that waits
    shop, api = begin(world, "shop", 1, 1), begin(world, "api", 2, 2)
    ask(world, "api")
    world.table.pipelines.change("api", paused=True, paused_by="grace")
    world.clock.then(lambda: end(world, api))
    world.clock.then(lambda: end(world, shop))
    # WHEN, THEN it ends with the deployments, and not only when somebody resumes
    result = world.run("watch")
    assert result.exit_code == 0, result.output


def test_a_lock_that_is_freed_after_the_outcome_is_waited_for_no_longer(world: World) -> None:
    # GIVEN a deployment that is over two looks before its lock is free
    shop, api = begin(world, "shop", 1, 1), begin(world, "api", 2, 2)
    world.clock.then(lambda: world.end(api, "succeeded", at=world.clock.now()))
    world.clock.then(lambda: None)
    world.clock.then(lambda: world.table.locks.take("api", "i-1/b/p.2", NOW, ttl=0))
    world.clock.then(lambda: end(world, shop))
    # WHEN, THEN
    result = world.run("watch")
    assert result.exit_code == 0, result.output


def test_what_is_not_over_in_time_is_named(world: World) -> None:
    begin(world, "shop", 1, 1)
    begin(world, "api", 2, 2)
    result = world.run("watch", "--timeout", "3")
    assert result.exit_code == 3
    assert "api and shop: not over after 3.0 s; `slipway watch` follows further" in result.output


def test_the_table_has_a_line_for_each() -> None:
    # GIVEN one under way with a usual time, one that waits, one that is over
    def row(pipeline: str, **values: object) -> DeploymentRow:
        return DeploymentRow(
            deployment_id=f"{pipeline}-1", pipeline=pipeline, request_id="1" * 32, reason="push",
            started_at=NOW - 30, stage="build", stages={"fetch": NOW - 30, "build": NOW - 20},
            commit=commit_of(1), **values,
        )  # type: ignore[arg-type]  # fmt: skip

    known = Usual(total=90, stages={"fetch": 10, "build": 50, "wait": 30})
    lines = [
        Seen("shop", row("shop"), known),
        Seen("blog", None, known, "waiting for a free build slot (2 of 2 taken: shop, api)"),
        Seen("api", row("api", status="failed", ended_at=NOW - 5), known),
    ]
    # WHEN it is drawn
    page = io.StringIO()
    Console(file=page, width=80, highlight=False).print(run_table(lines, NOW))
    # THEN
    heading, shop, blog, api, why = (line.split() for line in page.getvalue().splitlines())
    assert heading == ["PIPELINE", "COMMIT", "NOW", "TIME", "PROGRESS"]
    assert shop[:5] == ["shop", "00000000", "build", "30", "s"]
    assert " ".join(shop[-5:]) == "usually 1 min to go"
    assert blog == ["blog", "waits"]
    assert " ".join(why) == "blog: waiting for a free build slot (2 of 2 taken: shop, api)"
    assert api == ["api", "00000000", "failed", "25", "s"]
