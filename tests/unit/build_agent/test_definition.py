"""A pipeline whose task definition stands in the repository, or is the family's newest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from build_agent.source.definition_text import MOST_BYTES, definition_text
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import DeploymentResult
from slipway.contracts.notice_text import plain_text
from slipway.following.service import Running
from tests.unit.build_agent.fakes import URI, A, B, definition
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request

MODEL = botocore.session.Session().get_service_model("ecs")
ROLE = "arn:aws:iam::222222222222:role/web"
SECRET = "hunter2"
NAME = "deploy/taskdef.json"
RUNS: dict[str, Any] = {
    "family": "web",
    "cpu": "256",
    "containerDefinitions": [
        {
            "name": "app",
            "image": f"{URI}@sha256:{'0' * 64}",
            "cpu": 0,
            "essential": True,
            "environment": [{"name": "LEVEL", "value": "info"}],
        },
    ],
}
"""As ECS describes what runs at first."""


def in_repository(**members: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "<IMAGE1_NAME>",
        "environment": [{"name": "LEVEL", "value": "info"}],
    }
    return {"cpu": "256", "containerDefinitions": [container], **members}


class Tree:
    """The repository, and a service that remembers what it was given."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.runs = RUNS
        world.installation = make_installation(
            pipelines=(make_pipeline(family="web", task_definition=NAME, roles=(ROLE,)),)
        )
        world.source.tree = self._tree  # type: ignore[method-assign,assignment]
        services: Any = world.services
        services.model = MODEL
        services.running = self._running

    def write(self, content: Any) -> None:
        file = self.folder / NAME
        file.parent.mkdir(exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    def push(self, number: int, commit: str) -> DeploymentResult:
        self.world.source.tip = commit
        self.world.send(make_request(number, commit_id=commit))
        assert self.world.worker().step() == "worked"
        plan = self.world.services.plans[-1] if self.world.services.plans else None
        if plan is not None and not isinstance(plan.base, str):
            self.runs = dict(plan.base)
        return self.world.topic.results[-1]

    @contextmanager
    def _tree(self, pipeline: Any, commit: str, *, stop: Any) -> Iterator[Path]:
        yield self.folder

    def _running(self, pipeline: Any, *, stop: Any) -> Running:
        services = self.world.services
        images = {c["name"]: c["image"] for c in self.runs["containerDefinitions"]}
        return Running(
            task_definition=definition(services.revision), steady=services.steady, images=images,
            definition=self.runs,
        )  # fmt: skip


@pytest.fixture
def tree(world: World, tmp_path: Path) -> Tree:
    made = Tree(world, tmp_path)
    made.write(in_repository())
    return made


def test_the_commit_says_what_runs(tree: Tree) -> None:
    # GIVEN a commit with a new variable, a new container and a role
    changed = in_repository(taskRoleArn=ROLE, cpu="512")
    changed["containerDefinitions"][0]["environment"] = [
        {"name": "LEVEL", "value": SECRET}, {"name": "NEW", "value": SECRET},
    ]  # fmt: skip
    changed["containerDefinitions"].append({"name": "proxy", "image": "envoy:v1"})
    tree.write(changed)

    # WHEN it is pushed
    result = tree.push(1, A)

    # THEN all of it is rolled out, with the image by its digest in the service's family
    (plan,) = tree.world.services.plans
    digest = next(iter(tree.world.images.ecr.values()))
    assert isinstance(plan.base, dict)
    assert plan.base["family"] == "web"
    assert plan.base["containerDefinitions"][0]["image"] == f"{URI}@{digest}"
    assert plan.base["containerDefinitions"][1] == {"name": "proxy", "image": "envoy:v1"}
    # AND the notice tells what changed beside the image, by names alone
    assert result.status == "succeeded"
    assert result.definition_changes == (
        "cpu: 256 → 512", "taskRoleArn: added", "app.environment.LEVEL: changed",
        "app.environment.NEW: added", "container proxy: added",
    )  # fmt: skip
    notice = plain_text(tree.world.topic.notices[0])
    assert "Changed in the task definition, beside images:\n  cpu: 256 → 512\n" in notice
    assert all(SECRET not in json.dumps(p) for p in tree.world.topic.published)


def test_a_commit_that_changes_its_image_alone_says_nothing_of_the_definition(tree: Tree) -> None:
    assert tree.push(1, A).definition_changes == ()


def test_what_runs_already_is_not_rolled_out_again(tree: Tree) -> None:
    # GIVEN a commit that runs
    tree.push(1, A)
    # WHEN the next one builds the very same image, of the same definition
    tree.world.images.same = True
    again = tree.push(2, B)
    # THEN nothing is changed; and where the definition alone is another one, that is rolled out
    assert (again.status, len(tree.world.services.plans)) == ("unchanged", 1)
    tree.write(in_repository(cpu="1024"))
    other = tree.push(3, "c" * 40)
    assert (other.status, other.definition_changes) == ("succeeded", ("cpu: 256 → 1024",))
    assert len(tree.world.services.plans) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (in_repository(cpu=256), f"{NAME}: cpu: must be a text, not a number"),
        (in_repository(family="api"), "family: 'api': the configuration allows 'web' alone"),
        (in_repository(taskRoleArn="admin"), "the configuration allows no such role"),
        ("{", "is not JSON"),
    ],
)
def test_what_is_wrong_is_the_commits_failure_and_nothing_is_built(
    tree: Tree, content: Any, said: str
) -> None:
    tree.write(content)

    result = tree.push(1, A)

    assert result.status == "failed"
    assert said in (result.cause or "")
    assert result.now_running == "web:1"
    assert (tree.world.images.built, tree.world.services.plans) == ([], [])
    # AND it is no failure of the world: the request is settled, and not tried again
    assert tree.world.queued() == (0, 0)


def test_an_image_for_another_processor_is_refused_before_the_build(tree: Tree) -> None:
    tree.write(in_repository(runtimePlatform={"cpuArchitecture": "ARM64"}))

    result = tree.push(1, A)

    assert "runtime platform is ARM64" in (result.cause or "")
    assert tree.world.images.built == []


def test_a_container_that_is_new_may_run_the_image(tree: Tree) -> None:
    changed = in_repository()
    changed["containerDefinitions"][0]["name"] = "renamed"
    tree.write(changed)

    assert tree.push(1, A).status == "succeeded"
    assert list(tree.world.services.plans[0].images) == ["renamed"]


def test_the_familys_newest_revision_is_rolled_out_with_the_image(tree: Tree) -> None:
    # GIVEN a pipeline that goes on from the family's newest, which somebody has registered
    tree.world.installation = make_installation(
        pipelines=(make_pipeline(family="web", base="family"),)
    )
    newest = {**RUNS, "memory": "512"}
    running = tree._running
    services: Any = tree.world.services
    services.running = lambda pipeline, stop: running(pipeline, stop=stop).under(newest)
    # WHEN the image that runs is built once more
    tree.world.images.same = True
    result = tree.push(1, A)
    # THEN that revision is rolled out all the same, and its change told
    (plan,) = services.plans
    assert plan.base == "family"
    assert (result.status, result.definition_changes) == ("succeeded", ("memory: none → 512",))


def out_of(folder: Path) -> None:
    (folder.parent / "secret.json").write_text("{}")
    (folder / NAME).symlink_to("../../secret.json")


PLACES: dict[str, tuple[Any, str]] = {
    "not there": (lambda folder: None, "the repository has no task definition"),
    "a folder": (lambda folder: (folder / NAME).mkdir(), "the repository has no task definition"),
    "a link out": (out_of, "leads out of the repository"),
    "an absolute link": (
        lambda folder: (folder / NAME).symlink_to("/etc/hostname"), "leads out of the repository",
    ),
    "a circle": (
        lambda folder: (folder / NAME).symlink_to("taskdef.json"), "has no task definition",
    ),
    "too large": (
        lambda folder: (folder / NAME).write_text(" " * (MOST_BYTES + 1)), "is larger than 256 KiB",
    ),
    "not UTF-8": (lambda folder: (folder / NAME).write_bytes(b"\xff\xfe{"), "is not UTF-8"),
    "Git LFS": (
        lambda folder: (folder / NAME).write_text("version https://git-lfs.github.com/spec/v1\n"),
        "is a file of Git LFS",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lay_out", "said"), PLACES.values(), ids=list(PLACES))
def test_only_a_file_of_the_repository_is_read(tmp_path: Path, lay_out: Any, said: str) -> None:
    folder = tmp_path / "tree"
    (folder / "deploy").mkdir(parents=True)
    lay_out(folder)

    with pytest.raises(DeploymentFailed, match=said):
        definition_text(folder, NAME)


def test_a_link_inside_the_repository_is_followed(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / NAME).symlink_to("../real.json")

    assert definition_text(tmp_path, NAME) == "{}"


def test_a_pipeline_without_one_reads_no_file(world: World) -> None:
    world.send(make_request(1, commit_id=A))
    world.worker().step()

    (result,) = world.topic.results
    assert result.definition_changes is None
    assert "definition_changes" not in world.topic.published[0]["Message"]
    assert world.services.plans[0].base == "service"
