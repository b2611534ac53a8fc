"""`slipway logs`: a deployment's lines, all of them, to its end."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.slipway.cli.rollouts import Followed
from tests.unit.slipway.cli.world import NOW, World


def write(world: World, stream: str, *lines: str) -> None:
    client, group = world.client("logs"), world.names.build_log_group
    streams = client.describe_log_streams(logGroupName=group)["logStreams"]
    if stream not in {s["logStreamName"] for s in streams}:
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    world.log_time = getattr(world, "log_time", 0) + 1  # type: ignore[attr-defined]
    at = int(NOW * 1000) + world.log_time  # type: ignore[attr-defined]
    client.put_log_events(
        logGroupName=group,
        logStreamName=stream,
        logEvents=[{"timestamp": at, "message": line} for line in lines],
    )


def test_all_lines_are_printed_in_order(world: World) -> None:
    # GIVEN more lines than one answer holds
    stream = world.deployed("shop", 1)
    for part in range(3):
        write(world, stream, *(f"line {part * 50 + n}" for n in range(50)))

    # WHEN, THEN
    result = world.run("logs", stream)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"line {n}" for n in range(150)]


def test_following_ends_with_the_deployment_and_misses_no_last_line(world: World) -> None:
    # GIVEN a deployment under way that prints once more in the moment in which it ends
    row = world.begin("shop", 1, started_at=NOW - 10)
    write(world, row.deployment_id, "begun")

    def last_words() -> None:
        write(world, row.deployment_id, "last words")
        world.end(row, "failed", at=NOW)

    world.clock.then(lambda: None)
    world.clock.then(last_words)

    # WHEN, THEN
    result = world.run("logs", row.deployment_id, "--follow")
    assert result.stdout.splitlines() == ["begun", "last words"]


def test_a_deployment_that_ends_right_after_a_read_is_read_once_more(world: World) -> None:
    # GIVEN a deployment that prints its last line and ends just after we have read its lines
    row = world.begin("shop", 1, started_at=NOW - 10)
    lines = ["begun"]

    def read_then_end(request: dict[str, Any]) -> Any:
        begin = int(request.get("nextToken", "0"))
        answer = [{"timestamp": 0, "message": line} for line in lines[begin:]]
        token = str(len(lines))
        if not answer and len(lines) == 1:
            lines.append("last words")
            world.end(row, "failed", at=NOW)
        return {"events": answer, "nextForwardToken": token}

    world.answers["GetLogEvents"] = read_then_end

    # WHEN, THEN
    result = world.run("logs", row.deployment_id, "--follow")
    assert result.stdout.splitlines() == ["begun", "last words"]


def test_a_pipelines_name_means_its_newest_deployment(world: World) -> None:
    world.deployed("shop", 1)
    write(world, world.deployed("shop", 2), "newest")

    (line,) = world.run("logs", "shop", "--json").stdout.splitlines()

    assert json.loads(line)["line"] == "newest"


def test_a_deployment_that_printed_nothing_says_so(world: World) -> None:
    result = world.run("logs", world.deployed("shop", 1))

    assert result.exit_code == 0
    assert "has printed nothing" in result.output


def test_an_unknown_deployment_is_wrong_use(world: World) -> None:
    for name, problem in (
        ("shop-20261118000000-ffffff", "no deployment"),
        ("shpo-20261118000000-ffffff", "is not configured"),
        ("nonsense", "is not configured"),
        ("api", "has no deployments yet"),
    ):
        result = world.run("logs", name)
        assert result.exit_code == 2, name
        assert problem in result.output


def test_escape_sequences_in_a_log_do_not_reach_the_terminal(world: World) -> None:
    stream = world.deployed("shop", 1)
    write(world, stream, "\x1b]0;owned\x07 \x1b[2Jgone\u202e")

    assert not {"\x1b", "\x07", "\u202e"} & set(world.run("logs", stream).output)


def test_lines_that_cloudwatch_shows_a_moment_after_the_end_are_read_too(world: World) -> None:
    # GIVEN a deployment that has just ended, whose last line CloudWatch does not show yet
    row = world.begin("shop", 1, started_at=NOW - 10)
    write(world, row.deployment_id, "begun")
    world.end(row, "failed", at=NOW - 1)
    world.clock.then(lambda: write(world, row.deployment_id, "last words"))

    # WHEN, THEN
    assert world.run("logs", row.deployment_id).stdout.splitlines() == ["begun", "last words"]


def test_logs_of_a_followed_rollout_say_who_follows(world: World) -> None:
    rollout = Followed(world)

    result = world.run("logs", "shop")

    assert result.exit_code == 0, result.output
    says = f"slipway: {rollout.deployment_id} is followed by the follower, next look in 12 s\n"
    assert says in result.stderr
    assert "followed by" not in result.stdout
