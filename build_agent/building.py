"""The images of one deployment: built from one tree, side by side where slots are free, pushed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from build_agent.host.process import Sink
from build_agent.host.side_by_side import SlotsLike, side_by_side
from build_agent.host.stop import Stop
from build_agent.image.images import Built, Made
from build_agent.means import Means
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.following.deployed import Deployed


@dataclass
class Building:
    """`wanted`: build tags by the image's number in the pipeline; `fresh`: without any cache.

    `line` takes the output; `slots` are taken for further threads. `on_built` is called when the
    last image is built and is to be pushed.
    """

    means: Means
    pipeline: PipelineSettings
    commit: Commit
    running: Deployed
    tree: Path
    wanted: Mapping[int, str]
    fresh: bool
    line: Sink
    slots: SlotsLike
    on_built: Callable[[], None]
    _to_build: set[int] = field(init=False)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._to_build = set(self.wanted)

    def run(self, stop: Stop) -> dict[int, str]:
        """The images' digests. One that fails ends the others, and what it raised is raised."""
        jobs = [partial(self._provide, number) for number in self.wanted]
        made = side_by_side(jobs, slots=self.slots, stop=stop)
        return dict(zip(self.wanted, made, strict=True))

    def _provide(self, number: int, stop: Stop) -> str:
        """The digest of one image: made here, or by another run that is at it."""
        image, tag = self.pipeline.images[number], self.wanted[number]
        sink = self._sink(image)
        make = partial(self._make, number, stop=stop, sink=sink)
        digest = self.means.images.once(image, tag, make, stop=stop, sink=sink)
        self._is_last(number)
        return digest

    def _make(self, number: int, *, stop: Stop, sink: Sink) -> Made:
        image, tag, images = self.pipeline.images[number], self.wanted[number], self.means.images
        with self.means.disk.watched(sink) as watched:
            built = images.build(
                self.pipeline, image, self.commit, self.tree, tag=tag, fresh=self.fresh,
                stop=stop, sink=watched,
            )  # fmt: skip
        self.running.check(image, built.architecture)
        same, last = self._same_as_running(image, built, stop, sink), self._is_last(number)
        if same is not None:
            return Made(same, is_pushed=False)
        if last:
            self.on_built()
        digest = images.push(image, built, commit=self.commit.id, tag=tag, stop=stop, sink=sink)
        images.keep_layers(
            self.pipeline, image, self.commit, self.tree, built, stop=stop, sink=sink
        )
        return Made(digest, is_pushed=True)

    def _same_as_running(
        self, image: ImageSettings, built: Built, stop: Stop, sink: Sink
    ) -> str | None:
        """The running digest if `built` is the same but for our own labels, else None."""
        digest = self.running.digest(image)
        if digest is None or not self.means.images.same_as_running(image, built, digest, stop=stop):
            return None
        sink(f"the image is the same as the one that runs ({digest}): not pushed")
        return digest

    def _is_last(self, number: int) -> bool:
        """Whether nothing is left to build now that this one is."""
        with self._mutex:
            self._to_build.discard(number)
            return not self._to_build

    def _sink(self, image: ImageSettings) -> Sink:
        """Of several images at once each line names its own."""
        if len(self.wanted) == 1:
            return self.line
        return lambda line: self.line(f"[{image.repository}] {line}")
