"""`push-to-live`: which pipeline and which deployment the commit just pushed is."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import git_remote_codecommit
import pytest

from slipway.cli.user.git import repository_name
from slipway.contracts.messages import Commit
from tests.unit.slipway.cli.world import NOW, World, commit_of, result_of


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit on `production` and a remote `shop-repository`."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "production")
    git(folder, "commit", "-q", "--allow-empty", "-m", "First")
    git(folder, "remote", "add", "origin", "https://example.com/v1/repos/shop-repository")
    monkeypatch.chdir(folder)
    return folder


def deploy(world: World, number: int, commit_id: str, *, began: float = NOW - 30) -> None:
    commit = Commit(id=commit_id, subject="First")
    row = world.begin("shop", number, started_at=began, commit=commit)
    world.end(row, "succeeded", at=began + 20)


def test_the_pipeline_is_the_one_of_branch_and_remote(world: World, clone: Path) -> None:
    # GIVEN the commit's deployment has just ended
    deploy(world, 1, git(clone, "rev-parse", "HEAD"))

    # WHEN, THEN no pipeline need be named
    result = world.run("push-to-live")
    assert result.exit_code == 0, result.output
    assert re.search(r"^shop: commit \w{8} is live$", result.output, re.M)


def test_it_waits_for_the_commits_own_deployment(world: World, clone: Path) -> None:
    # GIVEN an older commit's deployment that failed, and ours to begin in a second
    deploy_id = world.deployed("shop", 1, "failed")
    head = git(clone, "rev-parse", "HEAD")
    world.clock.then(lambda: deploy(world, 2, head, began=world.clock.now()))

    # WHEN, THEN
    result = world.run("push-to-live", "shop")
    assert result.exit_code == 0, result.output
    assert deploy_id not in result.output


def test_a_push_that_an_earlier_deployment_told_of_ends_as_that_one(
    world: World, clone: Path
) -> None:
    # GIVEN a burst: the deployment under way met our commit, whose own request finds it deployed
    head = git(clone, "rev-parse", "HEAD")
    deploy(world, 1, head)
    row = world.begin("shop", 2, started_at=NOW - 5, commit=Commit(id=head))
    told_by = world.table.deployments.newest("shop", 2)[1].deployment_id
    result = replace(result_of(row, "superseded", NOW), told_by=told_by)
    world.clock.then(lambda: world.table.deployments.finish(result) and None)
    # WHEN, THEN
    waited = world.run("push-to-live", "shop")
    assert waited.exit_code == 0, waited.output
    assert re.search(r"^shop: commit \w{8} is live$", waited.output, re.M)


def test_an_older_deployment_of_the_same_commit_does_not_count(world: World, clone: Path) -> None:
    # GIVEN a branch that went A, B, and A again just now
    head = git(clone, "rev-parse", "HEAD")
    deploy(world, 1, head, began=NOW - 900)
    deploy(world, 2, commit_of(2).id, began=NOW - 600)

    def fail() -> None:
        row = world.begin("shop", 3, started_at=NOW + 1, commit=Commit(id=head))
        world.end(row, "failed", at=NOW + 2)

    world.clock.then(fail)

    # WHEN, THEN the second A's outcome counts
    assert world.run("push-to-live", "shop").exit_code == 1


def test_a_newer_push_that_holds_the_commit_deploys_it_too(world: World, clone: Path) -> None:
    # GIVEN a colleague's commit on top of ours, deployed in its place
    first = git(clone, "rev-parse", "HEAD")
    git(clone, "commit", "-q", "--allow-empty", "-m", "Second")
    deploy(world, 1, git(clone, "rev-parse", "HEAD"))

    # WHEN, THEN
    assert world.run("push-to-live", "--commit", first).exit_code == 0


def test_commits_unknown_here_are_found_in_the_results_list(world: World, clone: Path) -> None:
    # GIVEN the colleague's commit was never fetched, but the result lists ours
    head = git(clone, "rev-parse", "HEAD")
    row = world.begin("shop", 1, started_at=NOW - 30)
    world.end(row, "succeeded", at=NOW, commits_since=(Commit(id=head),))

    # WHEN, THEN
    assert world.run("push-to-live").exit_code == 0


def test_two_pipelines_of_one_repository_are_both_waited_for(world: World, clone: Path) -> None:
    # GIVEN both pipelines deploy this branch; the second one failed
    shop, api = world.installation.pipelines
    both = replace(world.installation, pipelines=(shop, replace(api, repository=shop.repository)))
    world.path.write_text(both.to_json(), encoding="utf-8")
    head = Commit(id=git(clone, "rev-parse", "HEAD"))
    for number, (pipeline, status) in enumerate((("shop", "succeeded"), ("api", "failed"))):
        row = world.begin(pipeline, number, started_at=NOW - 30, commit=head)
        world.end(row, status, at=NOW)

    # WHEN, THEN
    result = world.run("push-to-live")
    assert result.exit_code == 1
    assert re.search(r"^shop: commit \w{8} is live$", result.output, re.M)
    assert re.search(r"^api: commit \w{8} failed in the build$", result.output, re.M)


def test_a_branch_that_nothing_deploys_is_wrong_use(world: World, clone: Path) -> None:
    git(clone, "checkout", "-q", "-b", "feature")

    result = world.run("push-to-live")

    assert result.exit_code == 2
    assert "no pipeline deploys branch 'feature' of shop-repository" in result.output


FOLLOWED = {
    "its upstream is the production branch": [
        ("config", "branch.feature.merge", "refs/heads/production"),
        ("config", "branch.feature.remote", "origin"),
    ],
    "git push goes there": [
        ("config", "remote.origin.push", "refs/heads/feature:refs/heads/production"),
    ],
    "push.default is its upstream": [
        ("config", "push.default", "upstream"),
        ("config", "branch.feature.merge", "refs/heads/production"),
        ("config", "branch.feature.remote", "origin"),
    ],
}


@pytest.mark.parametrize("how", FOLLOWED)
def test_a_branch_that_is_pushed_to_the_production_branch_is_followed(
    world: World, clone: Path, how: str
) -> None:
    # GIVEN a branch of another name, which goes to the production branch of the remote
    git(clone, "checkout", "-q", "-b", "feature")
    for arguments in FOLLOWED[how]:
        git(clone, *arguments)
    deploy(world, 1, git(clone, "rev-parse", "HEAD"))

    # WHEN, THEN
    result = world.run("push-to-live")
    assert result.exit_code == 0, result.output
    assert re.search(r"^shop: commit \w{8} is live$", result.output, re.M)


def test_a_branch_of_the_productions_name_that_goes_elsewhere_is_not_taken_for_it(
    world: World, clone: Path
) -> None:
    # GIVEN a pipeline of `staging` too, and a local `production` that is pushed there
    shop, api = world.installation.pipelines
    staging = replace(api, repository=shop.repository, branch="staging")
    world.path.write_text(replace(world.installation, pipelines=(shop, staging)).to_json())
    for key, value in (
        ("push.default", "upstream"),
        ("branch.production.merge", "refs/heads/staging"),
        ("branch.production.remote", "origin"),
    ):
        git(clone, "config", key, value)
    row = world.begin(
        "api", 1, started_at=NOW - 30, commit=Commit(id=git(clone, "rev-parse", "HEAD"))
    )
    world.end(row, "succeeded", at=NOW)

    # WHEN, THEN
    result = world.run("push-to-live")
    assert result.exit_code == 0, result.output
    assert re.search(r"^api: commit \w{8} is live$", result.output, re.M)


def test_outside_a_repository_it_says_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    result = world.run("push-to-live")

    assert result.exit_code == 2
    assert "not a git repository" in result.output


@pytest.mark.parametrize(
    "address",
    [
        "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/shop",
        "codecommit::us-east-1://profile@shop",
        "codecommit://shop",
        "codecommit://shop/",
        "codecommit://me@shop/some/path",
        "codecommit::eu-west-1://shop/path.git/",
        "ssh://git-codecommit.us-east-1.amazonaws.com/v1/repos/shop",
        "http://127.0.0.1:8080/shop.git/",
        "git@example.com:shop",
    ],
)
def test_a_remotes_address_names_the_repository(address: str) -> None:
    assert repository_name(address) == "shop"


@pytest.mark.parametrize(
    "rest",
    [
        "shop",
        "shop/",
        "shop/a/b",
        "me@shop",
        "me@shop/a",
        "me@shop//",
        "shop.b",
        "me@a@shop",
        "a-b_c",
    ],
)
@pytest.mark.parametrize("helper", ["codecommit", "codecommit::eu-west-1"])
def test_the_repository_is_the_one_that_gits_own_helper_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helper: str, rest: str
) -> None:
    # GIVEN git-remote-codecommit, and a profile for it
    config = tmp_path / "config"
    keys = "region = eu-west-1\naws_access_key_id = AKIA\naws_secret_access_key = s\n"
    config.write_text(f"[default]\n{keys}[profile me]\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    url = f"{helper.rpartition('::')[2]}://{rest}"  # git gives it what follows `codecommit::`
    taken = git_remote_codecommit.Context.from_url(url)
    # THEN the address names the same repository
    assert repository_name(f"{helper}://{rest}") == taken.repository
