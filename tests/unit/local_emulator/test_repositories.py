"""CodeCommit's repositories on disk."""

from __future__ import annotations

import pytest

from contracts.errors import WorldFailed
from local.emulator.extension.repositories import Repositories, Trigger, references, run_git

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
