"""Layers that travel: what a Dockerfile's stages made, kept in the image's repository in ECR.

A builder whose docker has nothing builds from it. Each stage that the image is made from is an
image of its own there, with BuildKit's inline cache, which every docker since 19.03 reads and
writes: a registry cache (`mode=max`) holds the same in one, and docker writes none without the
containerd image store or a builder in a container. One tag for each stage of one Dockerfile, branch
and repository: no other branch reads it.

It costs a build nothing but one call of ECR where docker has the layers already. It is written
after the image was pushed, and only where a later build gains by it: `is_worth_writing`. Whatever
fails here, the build goes on without.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from build_agent.host.process import Sink
from build_agent.host.stop import Stop
from build_agent.image.cache_records import Record, Records
from build_agent.image.docker import DockerSession
from build_agent.image.stages import Stage, lineage, stages_of, worth_keeping
from build_agent.image.steps import Step, Steps
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.names import CACHE

MOST_STAGES = 10
"""Of one Dockerfile; the last ones, which are the image's own."""
_NO_NAME = re.compile(r"[^a-z0-9_.-]")


@dataclass(frozen=True)
class KeptStage:
    """A stage and where it is kept. `names`: of its lineage, as BuildKit's progress calls them."""

    stage: Stage
    tag: str
    names: tuple[str, ...]

    @property
    def text_hash(self) -> str:
        """Of the Dockerfile up to the stage's end."""
        return hashlib.sha256(self.stage.text.encode(errors="surrogateescape")).hexdigest()[:16]


@dataclass
class Use:
    """The cache in one build. `held`: what ECR has, digests by tag; None: it is not known.

    `imports`: what docker shall read, as references. `steps` hears the build.
    """

    repository_uri: str = ""
    stages: tuple[KeptStage, ...] = ()
    held: Mapping[str, str] | None = None
    imports: tuple[str, ...] = ()
    steps: Steps = field(default_factory=Steps)

    @property
    def options(self) -> list[str]:
        """Of `docker build`: to read what is imported."""
        return [word for reference in self.imports for word in ("--cache-from", reference)]

    def heard(self, sink: Sink) -> Sink:
        """`sink`, with the steps told of as well."""

        def hear(line: str) -> None:
            self.steps.hear(line)
            sink(line)

        return hear

    def name(self, kept: KeptStage) -> str:
        """The image's name in ECR."""
        return f"{self.repository_uri}:{kept.tag}"


class BuildCache:
    """The build cache of all images. `ecr`: boto3's client; `installation`: its name."""

    def __init__(self, ecr: Any, records: Records, installation: str) -> None:
        self._ecr = ecr
        self._records = records
        self._installation = installation

    def begin(
        self,
        pipeline: PipelineSettings,
        image: ImageSettings,
        dockerfile: Path,
        *,
        fresh: bool,
        docker: DockerSession,
        stop: Stop,
        say: Sink,
    ) -> Use:
        """What a build of `image` reads. `fresh`: nothing, but it may be written after that."""
        if not image.build_cache:
            return Use()
        stages = self._kept(pipeline, image, dockerfile)
        use = Use(image.repository_uri, stages)
        if not stages:
            return use
        try:
            use.held = self._held(image, stages)
        except (BotoCoreError, ClientError) as error:
            say(f"the build cache in ECR is not used: {error}")
            return use
        if not fresh:
            use.imports = tuple(
                f"{image.repository_uri}@{use.held[kept.tag]}"
                for kept in stages
                if kept.tag in use.held and not self._has(use, kept, docker, stop)
            )
        return use

    def built(self, use: Use, image_id: str) -> None:
        """The build succeeded: docker has now what it read, and what it made."""
        for kept in use.stages:
            held = (use.held or {}).get(kept.tag)
            known = {"digest": held} if held in {r.partition("@")[2] for r in use.imports} else {}
            self._records.note(use.name(kept), image=image_id, **known)

    def to_write(self, use: Use) -> list[KeptStage]:
        """The stages that shall be written now that the image is in ECR."""
        if use.held is None:
            return []
        return [
            kept
            for kept in use.stages
            if use.steps.has_seen(kept.names)
            and is_worth_writing(
                self._records.get(use.name(kept)),
                is_there=kept.tag in use.held,
                first=use.steps.first_that_ran(kept.names),
                text=kept.text_hash,
            )
        ]

    def writing(self, use: Use, kept: KeptStage) -> None:
        """It is written now; where that is cut short it is owed."""
        name, text = use.name(kept), kept.text_hash
        record = self._records.get(name)
        is_there = kept.tag in (use.held or {})
        first = use.steps.first_that_ran(kept.names)
        varies = varies_from(record, is_there=is_there, first=first, text=text)
        self._records.note(name, owed=True, varies=varies, text=text)

    def written(self, use: Use, kept: KeptStage, digest: str | None) -> None:
        """docker has pushed it; `digest`: as it told."""
        self._records.note(use.name(kept), owed=False, digest=digest)

    # --- steps

    def _kept(
        self, pipeline: PipelineSettings, image: ImageSettings, dockerfile: Path
    ) -> tuple[KeptStage, ...]:
        text = dockerfile.read_bytes().decode(errors="surrogateescape")
        stages = stages_of(text)
        names = [stage.name for stage in stages]
        if len(names) == 1 and names[0] == "stage-0":
            names = [""]  # as BuildKit calls the only one
        return tuple(
            KeptStage(
                stage,
                cache_tag(self._installation, pipeline, image, stage.name),
                tuple(names[s.number] for s in lineage(stages, stage)),
            )
            for stage in worth_keeping(stages, image.target)[-MOST_STAGES:]
        )

    def _held(self, image: ImageSettings, stages: Sequence[KeptStage]) -> dict[str, str]:
        answer = self._ecr.batch_get_image(
            repositoryName=image.repository,
            imageIds=[{"imageTag": kept.tag} for kept in stages],
        )
        ids = [found["imageId"] for found in answer.get("images") or []]
        return {str(i["imageTag"]): str(i["imageDigest"]) for i in ids if i.get("imageTag")}

    def _has(self, use: Use, kept: KeptStage, docker: DockerSession, stop: Stop) -> bool:
        """Whether this host's docker has what ECR holds: it was here, and no prune since.

        The image that was built last goes with docker's cache where somebody empties that by hand.
        """
        record = self._records.get(use.name(kept))
        if record.image is None or record.digest != (use.held or {}).get(kept.tag):
            return False
        form = ["--format", "{{.Id}}"]
        return docker(["image", "inspect", *form, "--", record.image], stop=stop).ok


def cache_tag(
    installation: str, pipeline: PipelineSettings, image: ImageSettings, stage: str
) -> str:
    """`cache.<stage>.<12 hex digits>`: of one stage, branch and repository; it moves on.

    Pipelines that build the same share it, as they share the image.
    """
    parts = [
        installation, pipeline.git_url, pipeline.branch, image.dockerfile, image.context,
        image.platform, stage,
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return f"{CACHE}{_NO_NAME.sub('-', stage)[:60]}.{key}"


def is_worth_writing(record: Record, *, is_there: bool, first: Step | None, text: str) -> bool:
    """Whether ECR shall have what was just built of a stage.

    `first`: the first step that ran; None: docker had them all. Where the same step begins to
    differ as always, ECR has what comes before it, and the next commit needs no more: so a commit
    that changes the source writes nothing, and one that changes what is installed does.
    """
    if not is_there:
        return True
    if first is None or record.owed:
        return record.owed
    return record.text != text or record.varies is None or first != record.varies


def varies_from(record: Record, *, is_there: bool, first: Step | None, text: str) -> Step | None:
    """The step from which on the stage is taken to differ from commit to commit.

    The latest at which it has begun to: what differs earlier now and then is what is worth keeping.
    A first build, and one of another Dockerfile, runs steps that the next one may find.
    """
    before = record.varies if record.text == text else None
    is_first = not is_there or (record.text not in ("", text))
    if first is None or is_first:
        return before
    return first if before is None else max(before, first)
