"""What `slipway history` lists, and what it leaves out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from slipway.cli.aws.session import Session
from slipway.cli.show.plots import _draw, _durations, _outcomes
from slipway.cli.verbs.history import select
from slipway.contracts.dora import DAY
from tests.unit.slipway.cli.rollouts import Followed
from tests.unit.slipway.cli.world import NOW, World, commit_of, result_of


def history(world: World, *arguments: str) -> list[dict[str, Any]]:
    result = world.run("history", "--json", *arguments)
    assert result.exit_code == 0, result.output
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return answer


def test_deployments_of_all_pipelines_are_listed_newest_first(world: World) -> None:
    # GIVEN deployments of two pipelines in turn
    ids = [world.deployed("shop" if n % 2 else "api", n) for n in range(1, 6)]

    # WHEN, THEN the newest is first, whatever its pipeline
    assert [entry["deployment"] for entry in history(world)] == ids[::-1]


def test_the_limit_counts_over_all_pipelines(world: World) -> None:
    for number in range(1, 6):
        world.deployed("shop" if number % 2 else "api", number)

    assert [e["commit"] for e in history(world, "--limit", "2")] == [
        commit_of(5).id,
        commit_of(4).id,
    ]


def test_durations_are_push_to_steady_and_lead_time_of_a_push(world: World) -> None:
    # GIVEN a success that took 101 s, pushed 5 s before it began
    deployment = world.deployed("shop", 3)
    row = world.table.deployments.get(deployment)
    assert row and row.commit and row.commit.committed_at

    # WHEN
    (entry,) = history(world, "shop")

    # THEN
    assert entry["seconds"] == 101
    assert entry["push_to_steady"] == 106
    assert entry["lead_time"] == row.started_at + 101 - row.commit.committed_at


def test_a_rollback_and_a_failure_have_no_lead_time(world: World) -> None:
    # GIVEN what is no push's own success
    world.deployed("shop", 1, reason="rollback")
    world.deployed("shop", 2, "failed")

    # WHEN, THEN
    assert [(e["lead_time"], e["push_to_steady"]) for e in history(world)] == [(None, None)] * 2


def test_failed_lists_only_failures_and_why(world: World) -> None:
    # GIVEN every way to end
    ends = ("succeeded", "failed", "rolled_back", "superseded", "unchanged", "gave_up", "cancelled")
    for number, status in enumerate(ends, start=100):
        world.deployed("shop", number, status)

    # WHEN
    failures = history(world, "--failed")

    # THEN
    assert [f["status"] for f in failures] == ["gave_up", "rolled_back", "failed"]
    assert failures[0]["cause"] == "the command `make` failed"


def test_a_rollout_under_way_says_who_follows(world: World) -> None:
    # GIVEN one that is over, and one that was handed over
    world.deployed("shop", 1)
    rollout = Followed(world, number=2)
    # WHEN
    text = world.run("history", "shop").output
    newest, older = history(world)
    # THEN
    assert "rolling out" in text
    assert f"{rollout.deployment_id}: followed by the follower, next look in 12 s\n" in text
    assert (newest["followed_by"], newest["next_look"]) == ("the follower", NOW + 12)
    assert (older["followed_by"], older["next_look"]) == (None, None)


def test_since_leaves_out_what_is_older(world: World) -> None:
    # GIVEN a deployment three days old and one an hour old
    world.deployed("shop", 1, started_at=NOW - 3 * 86400)
    young = world.deployed("shop", 2, started_at=NOW - 3600)

    # WHEN, THEN
    assert [e["deployment"] for e in history(world, "--since", "2d")] == [young]
    assert len(history(world, "--since", "2026-11-01")) == 2


def test_since_that_is_no_time_is_wrong_use(world: World) -> None:
    result = world.run("history", "--since", "yesterdayish")

    assert result.exit_code == 2
    assert "--since 'yesterdayish': must be a length" in result.output


def test_people_see_outcome_and_commit(world: World) -> None:
    world.deployed("shop", 2, "rolled_back")

    text = world.run("history", "shop").output

    assert "rolled back" in text
    assert "00000000 Change 2" in text


def test_the_terminal_plot_draws_longer_bars_for_longer_deployments(world: World) -> None:
    # GIVEN one of 50 s and one of 101 s
    row = world.begin("shop", 1)
    world.end(row, "succeeded", at=row.started_at + 50)
    world.deployed("shop", 2, "failed")

    # WHEN
    lines = world.run("history", "shop", "--plot").output.splitlines()

    # THEN oldest first, the longer one with the longer bar
    assert [line.split()[-1] for line in lines] == ["succeeded", "failed"]
    assert 0 < lines[0].count("█") < lines[1].count("█")


def test_people_read_why_each_failure_failed(world: World) -> None:
    # GIVEN a failure among successes
    world.deployed("shop", 1)
    failed = world.deployed("shop", 2, "failed")
    world.deployed("shop", 3)

    # WHEN, THEN its cause stands below the list, with its id; nothing is said of the others
    lines = world.run("history", "shop").output.splitlines()
    assert lines[-1] == f"{failed}: the command `make` failed"
    assert sum("the command" in line for line in lines) == 1


def test_people_read_what_took_the_place_of_a_superseded_build(world: World) -> None:
    # GIVEN a build that a newer push ended, and one that was superseded before it began
    stale, unbegun = world.begin("shop", 1), world.begin("shop", 2)
    cause = "a newer push took the place of its build"
    world.end(stale, "superseded", at=NOW - 60, cause=cause)
    world.end(unbegun, "superseded", at=NOW - 50)
    # WHEN
    lines = world.run("history", "shop").output.splitlines()
    # THEN what is known stands below the list; it is no failure that lacks a cause
    assert lines[-1] == f"{stale.deployment_id}: {cause}"
    assert not any(line.startswith(f"{unbegun.deployment_id}:") for line in lines)
    assert history(world, "shop", "--failed") == []


def test_the_axis_covers_the_period_that_was_asked_for(world: World) -> None:
    # GIVEN one deployment an hour ago
    world.deployed("shop", 1, started_at=NOW - 3600)
    rows = list(
        select(Session(installation=world.path), ["shop"], None, failed=False, most=5, whole=False)
    )

    # WHEN thirty days are drawn
    figure = _draw(rows, (_durations, _outcomes), (NOW - 30 * DAY, NOW))

    # THEN both plots show thirty days, not the one that has something
    for axes in figure.axes:
        left, right = axes.get_xlim()
        assert 29.9 < right - left < 31.1


def test_what_a_definition_changed_is_told_below_the_list_where_it_may(world: World) -> None:
    # GIVEN two deployments that changed more than images, one of a pipeline that may
    changes = ("cpu: 256 → 512", "web.environment.LEVEL: changed")
    shop, api = (world.begin(name, n) for n, name in enumerate(("shop", "api"), 1))
    for row in (shop, api):
        result = replace(result_of(row, "succeeded", row.started_at + 9.0),
                         definition_changes=changes)  # fmt: skip
        assert world.table.deployments.finish(result)
    pipelines = [
        replace(p, task_definition="taskdef.json") if p.name == "shop" else p
        for p in world.installation.pipelines
    ]
    world.installation = replace(world.installation, pipelines=tuple(pipelines))
    world.path.write_text(world.installation.to_json(), encoding="utf-8")

    # WHEN
    told = world.run("history").stdout

    # THEN
    lines = "".join(f"\n  {line}" for line in changes)
    assert f"{shop.deployment_id} changed in the task definition, beside images:{lines}" in told
    assert f"{api.deployment_id} changed" not in told
    assert history(world)[0]["definition_changes"] == list(changes)


def test_a_push_that_concerns_others_is_told_from_an_image_that_ran(world: World) -> None:
    # GIVEN one of each
    world.deployed("shop", 1, "unchanged")
    row = world.begin("shop", 2)
    result = replace(
        result_of(row, "unchanged", NOW),
        stage="fetch",
        untouched_since=commit_of(1).id,
        image_digest=None,
    )
    assert world.table.deployments.finish(result)

    # WHEN, THEN
    assert [e.get("untouched_since") for e in history(world, "shop")] == [commit_of(1).id, None]
    text = world.run("history", "shop").output
    assert text.count("unchanged (other paths)") == 1
    # AND it is nothing to go back to
    refused = world.run("rollback", "shop", "--to", row.deployment_id)
    assert refused.exit_code == 2
    assert "it touched none of the pipeline's paths" in refused.output
