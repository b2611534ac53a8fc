"""Images over a docker that only remembers, and moto's ECR."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from build_agent.host.process import Finished
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Built, Images
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests.unit.build_agent.fakes import A
from tests.unit.build_agent.world import FakeClock, make_pipeline

V2 = "application/vnd.docker.distribution.manifest.v2+json"


STOP = Stop()
COMMIT = Commit(id=A)
INSPECTED = {
    "Architecture": "amd64",
    "Os": "linux",
    "RootFS": {"Layers": ["sha256:1"]},
    "Config": {"Cmd": ["/bin/x"], "Labels": {"org.opencontainers.image.revision": A}},
}


MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": V2,
        "config": {"mediaType": V2, "size": 1, "digest": "sha256:" + "1" * 64},
        "layers": [],
    }
)


class FakeDocker:
    """Answers docker's commands; `answers` maps a verb to what it does instead."""

    def __init__(self, ecr: Any = None) -> None:
        self.ecr = ecr
        self.calls: list[tuple[list[str], Mapping[str, str], str | None]] = []
        self.answers: dict[str, Callable[[list[str]], Finished]] = {}
        self.inspected: dict[str, Any] = INSPECTED

    def __call__(
        self, command: Sequence[str], *, timeout: float, stop: Stop, sink: Any = None,
        env: Mapping[str, str] | None = None, cwd: Path | None = None, text: str | None = None,
    ) -> Finished:  # fmt: skip
        arguments = list(command[1:])
        self.calls.append((arguments, env or {}, text))
        ended = self.answers.get(arguments[0], self._usual)(arguments)
        for line in ended.tail:
            if sink is not None:
                sink(line)
        return ended

    def _usual(self, arguments: list[str]) -> Finished:
        if arguments[0] == "build":
            Path(arguments[arguments.index("--iidfile") + 1]).write_text("sha256:" + "2" * 64)
        if arguments[:2] == ["image", "inspect"]:
            return Finished(0, (), json.dumps([self.inspected]))
        if arguments[0] == "push":
            tag = arguments[-1].rpartition(":")[2]
            self.ecr.put_image(repositoryName="app", imageManifest=MANIFEST, imageTag=tag)
        return Finished(0, (), "")

    def verbs(self) -> list[str]:
        return [" ".join(a[:2]) if a[0] == "image" else a[0] for a, _env, _text in self.calls]


class Bench:
    def __init__(self, aws: Any, folder: Path, *, docker_hub: str | None = None) -> None:
        self.ecr = aws("ecr", region_name="us-east-1")
        self.ecr.create_repository(repositoryName="app")
        self.docker = FakeDocker(self.ecr)
        self.secrets = {"/npm": "t0ken-value"}
        self.images = Images(
            docker=Docker(lambda: "docker", self.docker, folder / "docker"),
            ecr=self.ecr,
            secret=lambda place: self.secrets[place],
            clock=FakeClock(),
            folder=folder,
            names=Names("slipway"),
            docker_hub=docker_hub,
        )
        self.tree = folder / "tree"
        self.tree.mkdir()
        (self.tree / "Dockerfile").write_text("FROM scratch\n")
        self.pipeline = make_pipeline()
        self.image = replace(self.pipeline.images[0], build_arguments={"environment": "prod"})
        self.lines: list[str] = []

    def build(self, **changes: Any) -> Built:
        return self.images.build(
            self.pipeline, replace(self.image, **changes), COMMIT, self.tree,
            tag="build-1", fresh=False, stop=STOP, sink=self.lines.append,
        )  # fmt: skip

    def push(self, built: Built | None = None, *, tag: str = "build-1") -> str:
        built = built or Built("sha256:" + "2" * 64, "amd64", {})
        return self.images.push(
            self.image, built, commit=A, tag=tag, stop=STOP, sink=self.lines.append
        )

    def tags(self) -> set[str]:
        (image,) = self.ecr.describe_images(repositoryName="app")["imageDetails"]
        return set(image["imageTags"])
