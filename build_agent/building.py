"""The images of one deployment: built from one tree, tested, pushed, side by side where slots are
free.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from build_agent.host.process import Sink
from build_agent.host.side_by_side import SlotsLike, side_by_side
from build_agent.host.stop import Stop
from build_agent.image.images import Built, Made
from build_agent.image.tested import Tested
from build_agent.image.testing import STAGE_TAG
from build_agent.means import Means
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.following.deployed import Deployed


@dataclass
class Building:
    """`wanted`: build tags by the image's number in the pipeline; `fresh`: without any cache.

    `line` takes the output; `slots` are taken for further threads. `on_tests` is called when the
    last image is built and tests are under way or to be run, `on_built` when the last one is built
    and tested and is to be pushed. `tested`: what the tests told, by the image's number.
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
    on_tests: Callable[[], None] = lambda: None
    tested: dict[int, Tested] = field(default_factory=dict)
    _to_build: set[int] = field(init=False)
    _to_test: set[int] = field(init=False)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._to_build = set(self.wanted)
        self._to_test = set(self.wanted)

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
        self._is_built(number)
        self._is_last(number)
        return digest

    def _make(self, number: int, *, stop: Stop, sink: Sink) -> Made:
        image, tag, images = self.pipeline.images[number], self.wanted[number], self.means.images
        built = self._build(image, tag, stop=stop, sink=sink)
        self.running.check(image, built.architecture)
        stage = self._stage_to_test(image, tag, stop=stop, sink=sink)
        self._is_built(number)
        if stage is not None:
            self._test(number, stage, stop=stop, sink=sink)
        same, last = self._same_as_running(image, built, stop, sink), self._is_last(number)
        if same is not None:
            return Made(same, is_pushed=False)
        if last:
            self.on_built()
        digest = images.push(image, built, commit=self.commit.id, tag=tag, stop=stop, sink=sink)
        for one in (built, stage):
            if one is not None:
                images.keep_layers(
                    self.pipeline, image, self.commit, self.tree, one, stop=stop, sink=sink
                )
        return Made(digest, is_pushed=True)

    def _build(self, image: ImageSettings, tag: str, *, stop: Stop, sink: Sink) -> Built:
        with self.means.disk.watched(sink) as watched:
            return self.means.images.build(
                self.pipeline, image, self.commit, self.tree, tag=tag, fresh=self.fresh,
                stop=stop, sink=watched,
            )  # fmt: skip

    def _stage_to_test(
        self, image: ImageSettings, tag: str, *, stop: Stop, sink: Sink
    ) -> Built | None:
        """The stage that the image's tests run in, built as the image is."""
        if image.test is None:
            return None
        stage = replace(image, target=image.test.target)
        return self._build(stage, STAGE_TAG + tag, stop=stop, sink=sink)

    def _test(self, number: int, stage: Built, *, stop: Stop, sink: Sink) -> None:
        """DeploymentFailed where the tests fail."""
        with self.means.disk.watched(sink) as watched:
            told = self.means.tests.run(
                self.pipeline.images[number], stage, stop=stop, sink=watched
            )
            self.tested[number] = told
            if told.failure is not None:
                raise DeploymentFailed(told.failure, stage="test", log_tail=told.tail)

    def _same_as_running(
        self, image: ImageSettings, built: Built, stop: Stop, sink: Sink
    ) -> str | None:
        """The running digest if `built` is the same but for our own labels, else None."""
        digest = self.running.digest(image)
        if digest is None or not self.means.images.same_as_running(image, built, digest, stop=stop):
            return None
        sink(f"the image is the same as the one that runs ({digest}): not pushed")
        return digest

    def _is_built(self, number: int) -> None:
        """One more is built. What comes of the last one is told before any test can be over."""
        with self._mutex:
            was_there = number in self._to_build
            self._to_build.discard(number)
            if was_there and not self._to_build and self._has_tests_left:
                self.on_tests()

    @property
    def _has_tests_left(self) -> bool:
        return any(self.pipeline.images[number].test is not None for number in self._to_test)

    def _is_last(self, number: int) -> bool:
        """Whether nothing is left to build and to test now that this one is."""
        with self._mutex:
            self._to_test.discard(number)
            return not self._to_test

    def _sink(self, image: ImageSettings) -> Sink:
        """Of several images at once each line names its own."""
        if len(self.wanted) == 1:
            return self.line
        return lambda line: self.line(f"[{image.repository}] {line}")
