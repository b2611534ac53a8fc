"""Which commit a text means: a whole id, its beginning, or a revision of one's own clone."""

from __future__ import annotations

from pathlib import Path

from slipway.contracts.messages import Commit
from tests.unit.slipway.cli.aws.agents import published
from tests.unit.slipway.cli.verbs.test_push_to_live import clone as clone  # noqa: PLC0414 - a fixture
from tests.unit.slipway.cli.verbs.test_push_to_live import git
from tests.unit.slipway.cli.world import World

ONE, OTHER = "abcd" + "1" * 36, "abcd" + "2" * 36


def ran(world: World, number: int, commit_id: str, status: str = "succeeded") -> str:
    return world.deployed("shop", number, status, commit=Commit(id=commit_id, subject="It"))


def asked_for(world: World, *arguments: str) -> str | None:
    """The commit of the request that was published."""
    result = world.run(*arguments, "--no-wait")
    assert result.exit_code == 0, result.output
    return published(world)[-1].commit_id


def test_the_beginning_of_an_id_is_enough_where_one_commit_has_it(world: World) -> None:
    # GIVEN two commits that were deployed
    ran(world, 1, ONE)
    ran(world, 2, OTHER)

    # WHEN, THEN five digits tell them apart, whatever their case
    assert asked_for(world, "redeploy", "shop", "--commit", "ABCD2") == OTHER


def test_an_ambiguous_beginning_names_what_it_may_mean(world: World) -> None:
    ran(world, 1, ONE)
    ran(world, 2, OTHER)

    result = world.run("redeploy", "shop", "--commit", "abcd")

    assert result.exit_code == 2
    assert f"means more than one commit: {ONE}, {OTHER}" in result.output
    assert published(world) == []


def test_an_unknown_beginning_asks_for_the_whole_id(world: World) -> None:
    result = world.run("redeploy", "shop", "--commit", "abcd")

    assert result.exit_code == 2
    assert "give the whole id" in result.output


def test_a_revision_of_the_clone_that_one_stands_in_is_understood(
    world: World, clone: Path
) -> None:
    # GIVEN a clone of the pipeline's repository with two commits
    first = git(clone, "rev-parse", "HEAD")
    git(clone, "commit", "-q", "--allow-empty", "-m", "Second")
    git(clone, "tag", "v1", "HEAD~1")

    # WHEN, THEN revisions and short ids mean what they mean to git
    for text in ("HEAD~1", "v1", first[:7]):
        assert asked_for(world, "redeploy", "shop", "--commit", text) == first


def test_another_repositorys_revision_is_not_taken_for_the_pipelines(
    world: World, clone: Path
) -> None:
    # GIVEN a clone of shop's repository
    # WHEN another pipeline is asked to deploy its HEAD
    result = world.run("redeploy", "api", "--commit", "HEAD")

    # THEN
    assert result.exit_code == 2
    assert "no revision of a clone of pipeline 'api'" in result.output


def test_a_rollback_takes_a_commit_that_ran(world: World) -> None:
    # GIVEN a commit that ran twice, and one that never did
    ran(world, 1, ONE)
    newest = ran(world, 2, ONE)
    ran(world, 3, "f" * 40, "failed")

    # WHEN, THEN it goes back to the newest deployment of that commit
    result = world.run("rollback", "shop", "--to", "abcd1", "--no-wait")
    assert result.exit_code == 0, result.output
    assert published(world)[0].target.deployment_id == newest

    # AND not to what never ran
    refused = world.run("rollback", "shop", "--to", "ffff")
    assert refused.exit_code == 2
    assert "made it run" in refused.output
