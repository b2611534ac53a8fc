"""Two services, whose task definitions stand in the repository, built and rolled out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.contracts.deployed_to import ServiceSettings
from slipway.contracts.notice_text import plain_text
from slipway.following.service import Running
from tests.unit.build_agent.fakes import URI, A
from tests.unit.build_agent.test_definition import MODEL
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request

SERVICES = tuple(
    ServiceSettings(cluster="prod", service=name, family=name, task_definition=f"{name}.json")
    for name in ("web", "jobs")
)


def definition(name: str, image: str, **members: Any) -> dict[str, Any]:
    container = {"name": name, "image": image}
    return {"family": name, "containerDefinitions": [container], **members}


class Repository:
    """A folder with a file for each service, and services that run something older."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        pipeline = make_pipeline(services=SERVICES, task_definition=SERVICES[0].task_definition)
        world.installation = make_installation(pipelines=(pipeline,))
        world.source.tree = self._tree  # type: ignore[method-assign,assignment]
        services: Any = world.services
        services.model = MODEL
        services.running = self._running

    def write(self, name: str, content: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(content))

    @contextmanager
    def _tree(self, pipeline: Any, commit: str, *, stop: Any) -> Iterator[Path]:
        yield self.folder

    def _running(self, pipeline: Any, *, stop: Any) -> Running:
        old = f"{URI}@sha256:{'0' * 64}"
        name = pipeline.service
        return Running(
            task_definition=f"arn:aws:ecs:x:1:task-definition/{name}:1", steady=True,
            images={name: old}, definition=definition(name, old, cpu="256"),
        )  # fmt: skip


def test_one_build_is_rolled_out_as_each_file_says(world: World, tmp_path: Path) -> None:
    # GIVEN a commit that gives one of the services more
    repository = Repository(world, tmp_path)
    repository.write("web", definition("web", "<IMAGE1_NAME>", cpu="256"))
    repository.write("jobs", definition("jobs", "<IMAGE1_NAME>", cpu="1024"))

    # WHEN it is pushed
    world.send(make_request(1, commit_id=A))
    assert world.worker().step() == "worked"

    # THEN both have it, by one digest, and what changed is told with the service's name
    web, jobs = world.services.plans
    (digest,) = world.images.ecr.values()
    assert isinstance(web.base, dict) and isinstance(jobs.base, dict)
    assert [one.base["containerDefinitions"][0]["image"] for one in (web, jobs)] == (
        [f"{URI}@{digest}"] * 2
    )
    assert (web.base["cpu"], jobs.base["cpu"]) == ("256", "1024")
    result = world.topic.results[-1]
    assert result.definition_changes == ("jobs: cpu: 256 → 1024",)
    assert "jobs: cpu: 256 → 1024" in plain_text(world.topic.notices[0])


def test_what_is_wrong_with_one_file_ends_it_before_anything_is_built(
    world: World, tmp_path: Path
) -> None:
    repository = Repository(world, tmp_path)
    repository.write("web", definition("web", "<IMAGE1_NAME>"))
    repository.write("jobs", definition("jobs", "<IMAGE1_NAME>", cpu=256))

    world.send(make_request(1, commit_id=A))
    assert world.worker().step() == "worked"

    result = world.topic.results[-1]
    assert (result.status, result.stage) == ("failed", "register")
    assert "jobs.json: cpu: " in (result.cause or "")
    assert not world.images.ecr and not world.services.plans
