"""CodeCommit's repositories on disk."""

from __future__ import annotations

import subprocess

import pytest

from local.emulator.extension.repositories import (
    Repositories,
    Trigger,
    git_environment,
    references,
    run_git,
    settle_default_branch,
)
from slipway.contracts.errors import WorldFailed

DEV = "111111111111"


def test_a_repository_is_found_again_with_its_triggers(tmp_path):
    # GIVEN a repository with a trigger
    store = Repositories(tmp_path)
    made = store.create(DEV, "us-east-1", "sample", "what it is")
    trigger = Trigger("t", "arn:aws:lambda:us-east-1:1:function:f", "c", ("main",), ("all",))
    store.set_triggers(made, (trigger,))
    # WHEN another process looks
    found = Repositories(tmp_path).get(DEV, "us-east-1", "sample")
    # THEN
    assert found is not None
    assert found.triggers == (trigger,)
    assert found.arn == "arn:aws:codecommit:us-east-1:111111111111:sample"
    assert Repositories(tmp_path).find(DEV, made.repository_id) == found
    assert references(found) == {}


def test_what_does_not_exist_is_none(tmp_path):
    store = Repositories(tmp_path)
    made = store.create(DEV, "us-east-1", "sample")
    assert store.get(DEV, "us-east-1", "other") is None
    assert store.get("222222222222", "us-east-1", "sample") is None
    assert store.get(DEV, "us-east-1", "../sample") is None
    assert store.find(DEV, "unknown") is None
    store.delete(made)
    assert store.get(DEV, "us-east-1", "sample") is None


@pytest.mark.parametrize("name", ["", "a/b", "..\n", "x.git", "x" * 101, "a b"])
def test_a_bad_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="invalid CodeCommit repository name"):
        Repositories(tmp_path).create(DEV, "us-east-1", name)


def test_a_taken_name_is_refused(tmp_path):
    store = Repositories(tmp_path)
    store.create(DEV, "us-east-1", "sample")
    with pytest.raises(ValueError, match="already exists"):
        store.create(DEV, "us-east-1", "sample")


def test_a_failing_git_says_what_it_did(tmp_path):
    made = Repositories(tmp_path).create(DEV, "us-east-1", "sample")
    with pytest.raises(WorldFailed, match=r"git rev-parse in sample\.git failed"):
        run_git(made.path, "rev-parse", "--verify", "no-such-thing")


def git(*arguments, cwd=None):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(["git", *who, *arguments], cwd=cwd, env=git_environment(), check=True)


def test_a_clone_of_whatever_branch_was_pushed_first_has_its_files(tmp_path):
    # GIVEN a repository whose first branch is not called main
    made = Repositories(tmp_path / "git").create(DEV, "us-east-1", "sample")
    work = tmp_path / "work"
    git("init", "--quiet", "--initial-branch=prod", str(work))
    (work / "file").write_text("content")
    git("add", "--all", cwd=work)
    git("commit", "--quiet", "--message=first", cwd=work)
    git("push", "--quiet", str(made.path), "prod", cwd=work)
    # WHEN it is cloned as the printed line says, without a branch
    settle_default_branch(made)
    git("clone", "--quiet", str(made.path), str(tmp_path / "clone"))
    # THEN the files are there
    assert (tmp_path / "clone" / "file").read_text() == "content"
    # AND a branch that comes later changes nothing
    git("push", "--quiet", str(made.path), "prod:refs/heads/another", cwd=work)
    settle_default_branch(made)
    assert run_git(made.path, "symbolic-ref", "HEAD") == "refs/heads/prod"
