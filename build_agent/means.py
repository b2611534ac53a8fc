"""What a deployment works with: source, images, services, disk, each as the story needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from build_agent.host.clock import Clock
from build_agent.host.parallel import Parallel, one_by_one
from build_agent.host.process import Sink
from build_agent.host.stop import Stop
from build_agent.image.images import Built, Made
from build_agent.image.tested import Tested
from build_agent.queue.lease import Keeper
from build_agent.source.known import Pushed
from build_agent.source.submodules import Submodule
from build_agent.telling.logs import Shipper
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.following.record import Recorder
from slipway.following.service import Running


class SourceLike(Protocol):
    """What `source.Source` is."""

    def fetch(
        self,
        pipeline: PipelineSettings,
        commit: str | None,
        *,
        stop: Stop,
        sink: Sink,
        pushed: Pushed | None = None,
    ) -> Commit: ...

    def tree(
        self, pipeline: PipelineSettings, commit: str, *, stop: Stop
    ) -> AbstractContextManager[Path]: ...

    def submodules(
        self, pipeline: PipelineSettings, commit: str, *, stop: Stop
    ) -> Sequence[Submodule]: ...

    def commits_between(
        self, pipeline: PipelineSettings, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]: ...

    def touched(
        self, pipeline: PipelineSettings, old: str, new: str, *, stop: Stop, sink: Sink
    ) -> bool | None: ...


class ImagesLike(Protocol):
    """What `image.Images` is."""

    def find(self, image: ImageSettings, tag: str) -> str | None: ...

    def once(
        self, image: ImageSettings, tag: str, make: Callable[[], Made], *, stop: Stop, sink: Sink
    ) -> str: ...

    def build(
        self,
        pipeline: PipelineSettings,
        image: ImageSettings,
        commit: Commit,
        tree: Path,
        *,
        tag: str,
        fresh: bool,
        stop: Stop,
        sink: Sink,
    ) -> Built: ...

    def same_as_running(
        self, image: ImageSettings, built: Built, digest: str, *, stop: Stop
    ) -> bool: ...

    def push(
        self, image: ImageSettings, built: Built, *, commit: str, tag: str, stop: Stop, sink: Sink
    ) -> str: ...

    def keep_layers(
        self,
        pipeline: PipelineSettings,
        image: ImageSettings,
        commit: Commit,
        tree: Path,
        built: Built,
        *,
        stop: Stop,
        sink: Sink,
    ) -> None: ...

    def keep(self, image: ImageSettings, digest: str, pipeline: str, *, sink: Sink) -> None: ...


class TestsLike(Protocol):
    """What `testing.Tests` is."""

    def run(self, image: ImageSettings, stage: Built, *, stop: Stop, sink: Sink) -> Tested: ...


class ServicesLike(Protocol):
    """What `service.Services` is. `model`: botocore's of ECS."""

    @property
    def model(self) -> Any: ...

    def running(self, pipeline: PipelineSettings, *, stop: Stop) -> Running: ...


class DiskLike(Protocol):
    """What `disk.Disk` is."""

    def make_room(self, source: str, *, least: int, stop: Stop, sink: Sink) -> None: ...

    def watched(self, sink: Sink) -> AbstractContextManager[Sink]: ...


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a deployment works with."""

    source: SourceLike
    images: ImagesLike
    tests: TestsLike
    services: ServicesLike
    disk: DiskLike
    recorder: Recorder
    keeper: Keeper
    clock: Clock
    shipper: Shipper | None = None
    parallel: Parallel = one_by_one
