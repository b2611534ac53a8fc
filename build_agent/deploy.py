"""One deployment, from its request to its rollout: fetch → build → push.

What was done before a crash is found again by what ECR holds and by what the service runs: an image
that is in ECR is not built again, and a digest that the service runs or is getting is not rolled
out again. The rollout itself is handed over to the deployment's row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from build_agent.building import Building
from build_agent.contexts import contexts_of
from build_agent.image.disk import FOR_BUILD, FOR_FETCH
from build_agent.means import Means
from build_agent.queue.lease import Work
from build_agent.queue.overtaken import Overtaken
from build_agent.source.definition_text import definition_text
from build_agent.source.known import Pushed
from build_agent.source.left_out import left_out, pointers_told
from build_agent.source.submodules import lacking
from build_agent.telling.logs import BuildLog
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult, Stage
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.build_key import build_tag
from slipway.following.definition_file import Written, written_definition
from slipway.following.deployed import Deployed
from slipway.following.earlier import to_earlier
from slipway.following.handing import ToRollOut
from slipway.following.outcome import Ended, of_failure, of_told, tip_seen
from slipway.following.progress import timings_of
from slipway.following.state import StageBegun
from slipway.following.told import told_of
from slipway.following.untouched import (
    compared,
    is_filtered,
    runs_as_known,
    to_compare,
    untouched,
)

Outcome = Ended | ToRollOut
Noted = TypeVar("Noted", Ended, ToRollOut)

COMMITS_TOLD = 10
FETCHES = 5
"""Of one deployment at most. Where pushes come faster than they are fetched the last is built, and
what came after it runs next.
"""
BEFORE_ROLLOUT = ("received", "fetch", "build", "test", "push")
"""Stages of their own; what comes after them is one rollout."""


@dataclass
class Deployment:
    """One deployment under way; `before` is the pipeline's row when it began.

    `overtaken`: which newer pushes have come. `is_first`: the request's first attempt, which takes
    no other's place. `tip`: the branch's tip as this attempt has met it, fetched or refused.
    """

    means: Means
    pipeline: PipelineSettings
    request: BuildRequest
    row: DeploymentRow
    work: Work
    before: PipelineRow
    overtaken: Overtaken
    is_first: bool
    commit: Commit | None = None
    tip: str | None = None
    running: Deployed | None = None
    stages: list[tuple[Stage, float]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    warning: str | None = None
    tests: str | None = None

    def __post_init__(self) -> None:
        self.output = BuildLog(self.means.shipper, self.row.deployment_id)
        self.commit = self.row.commit

    def run(self) -> Outcome:
        """See it through to its end, or to the rollout. Nothing in ECS is changed.

        Raises Interrupted or WorldFailed (and AWS's errors): not ended.
        """
        try:
            outcome = self._go_back() if self._names_deployment else self._build_and_roll_out()
        except DeploymentFailed as error:
            outcome = self._failed(error)
            self.output(f"failed: {error.cause}")
        if isinstance(outcome, Ended):
            return self._told(outcome)
        self.output.end()
        begun = tuple(StageBegun(stage=stage, at=at) for stage, at in self.stages)
        return replace(self._with_notes(outcome), stages=begun)

    def _told(self, ended: Ended) -> Ended:
        """`ended` with what the notice tells besides."""
        if ended.status != "unchanged" and not ended.log_tail and ended.cause:
            ended = replace(ended, log_tail=self.output.tail)
        self.output.end()
        timings = timings_of(self.stages, self.means.clock.now())
        return replace(self._with_notes(ended), timings=timings)

    def _failed(self, error: DeploymentFailed) -> Ended:
        """The commit is wrong; a tip that is refused once more was told of before."""
        told = self._told_before() if self._stage == "fetch" else None
        if told is not None:
            return of_told(told)
        return of_failure(error, stage=self._stage, now_running=self._now_running)

    # --- the chain

    def _build_and_roll_out(self) -> Outcome:
        if self.request.is_tip and self.overtaken.is_joined():
            self.is_first = False
        commit, running = self.means.parallel([self._fetch, self._look])
        told = self._told_before()
        if told is not None and running.is_as_told(told):
            return of_told(told)
        for _ in range(FETCHES - 1):
            if not self.request.is_tip or not self.overtaken.since(commit.id):
                break
            self.output("a newer push has come: its commit is fetched")
            commit = self._fetch()
        since = self._untouched_since(commit, running)
        if since is not None:
            return untouched(since, running)
        with self._definition(commit, running) as running:
            digests = self._images(commit, running)
        return self._roll_out(digests, running)

    @contextmanager
    def _definition(self, commit: Commit, running: Deployed) -> Iterator[Deployed]:
        """What the services run, as who goes on to the repository's own task definitions sees it.

        They are checked before anything is built. The build shares the files that they were read
        from.
        """
        if not self.pipeline.reads_definition:
            yield running
            return
        self._make_room(FOR_FETCH)
        with self.means.source.tree(self.pipeline, commit.id, stop=self.work.stop) as tree:
            running = running.under(self._written(tree))
            running.check_platforms()
            yield running

    def _written(self, tree: Path) -> dict[int, Written]:
        """The repository's own task definitions, by the number of their service."""
        there = enumerate(self.pipeline.per_service)
        named = [(n, one, one.task_definition) for n, one in there if one.task_definition]
        model = self.means.services.model
        return {n: written_definition(definition_text(tree, name), one, model)
                for n, one, name in named}  # fmt: skip

    def _told_before(self) -> DeploymentResult | None:
        """The outcome that told of this push already: of the very tip that this one has met."""
        if self.tip is None or self.tip != self.before.handled_tip:
            return None
        return told_of(self.request, self.tip, self.means.recorder.newest(self.pipeline.name))

    def _untouched_since(self, commit: Commit, running: Deployed) -> str | None:
        """The commit since which none of the pipeline's paths is touched; None: it is built."""
        if not is_filtered(self.pipeline, self.request):
            return None
        since = to_compare(self.before)
        if since is None or not runs_as_known(self.pipeline, self.before, self._live(), running):
            return None
        touched = self.means.source.touched(
            self.pipeline, since, commit.id, stop=self.work.stop, sink=self.output
        )
        self.output(compared(since, touched=touched))
        return since if touched is False else None

    def _live(self) -> Mapping[str, str]:
        """The images of the deployment that runs, as far as they are recorded."""
        live = self.before.running_deployment
        row = self.means.recorder.find(live) if live is not None else None
        return row.images if row is not None else {}

    def _fetch(self) -> Commit:
        self._enter("fetch")
        self._make_room(FOR_FETCH)
        wanted = self.request.target.commit_id
        try:
            self.commit = self.means.source.fetch(
                self.pipeline, wanted, stop=self.work.stop, sink=self.output, pushed=self._pushed
            )
        except DeploymentFailed as refused:
            self.tip = refused.commit_id
            if wanted is None and refused.commit_id is not None:
                self.commit = Commit(id=refused.commit_id)
                self._note(commit=self.commit)
                self.overtaken.has_fetched()
            raise
        self.tip = self.work.commit = self.commit.id
        self.output(f"{self.pipeline.branch} is at {self.commit.id}: {self.commit.subject}")
        self._note(commit=self.commit)
        self.overtaken.has_fetched()
        return self.commit

    def _look(self) -> Deployed:
        """What the services run, and whether the images that are wanted can run there at all."""
        self.running = Deployed.of(
            self.pipeline, lambda one: self.means.services.running(one, stop=self.work.stop)
        )
        if not self.pipeline.reads_definition:
            self.running.check_platforms()
        return self.running

    def _images(self, commit: Commit, running: Deployed) -> list[tuple[ImageSettings, str]]:
        """Each image's digest: found in ECR, or built, and pushed unless it is what runs."""
        force = self.request.request_id if self.request.force_rebuild else None
        tags = {i: build_tag(image, commit.id, force=force)
                for i, image in enumerate(self.pipeline.images)}  # fmt: skip
        found = {i: self.means.images.find(self.pipeline.images[i], tags[i]) for i in tags}
        missing = {i: tags[i] for i, digest in found.items() if digest is None}
        found |= self._build(commit, running, missing) if missing else {}
        digests = {i: digest for i, digest in found.items() if digest is not None}
        self.digests = {self.pipeline.images[i].repository: d for i, d in digests.items()}
        self._note(images=self.digests)
        return [(self.pipeline.images[i], digest) for i, digest in digests.items()]

    def _build(
        self, commit: Commit, running: Deployed, wanted: Mapping[int, str]
    ) -> dict[int, str]:
        """The digests of the images of these numbers and build tags, built and pushed."""
        self._enter("build")
        self._make_room(FOR_BUILD)
        with self.means.source.tree(self.pipeline, commit.id, stop=self.work.stop) as tree:
            self._need_whole(tree, commit, [self.pipeline.images[i] for i in wanted])
            building = Building(
                means=self.means, pipeline=self.pipeline, commit=commit, running=running,
                tree=tree, wanted=wanted, fresh=self.request.force_rebuild, line=self._line,
                slots=self.work.slots, on_built=lambda: self._enter("push"),
                on_tests=lambda: self._enter("test"),
            )  # fmt: skip
            try:
                digests = building.run(self.work.stop)
            finally:
                self._note_tests(building)
        self.means.keeper.progress(self.work)
        return digests

    def _need_whole(self, tree: Path, commit: Commit, images: Sequence[ImageSettings]) -> None:
        """DeploymentFailed where builds would lack what the commit has: an empty folder, or a
        pointer in a file's place, is not to be run.
        """
        found = left_out(tree, contexts_of(tree, images))
        if found.folders:
            all_of_it = self.means.source.submodules(self.pipeline, commit.id, stop=self.work.stop)
            raise DeploymentFailed(lacking(found.folders, all_of_it), stage="fetch")
        if found.pointers:
            raise DeploymentFailed(pointers_told(found.pointers), stage="fetch")

    def _note_tests(self, building: Building) -> None:
        """What the tests of the images told, each by its image's name where there are several."""
        told = sorted(building.tested.items())
        name = {
            n: f"{self.pipeline.images[n].repository}: " if len(told) > 1 else "" for n, _ in told
        }
        self.tests = "; ".join(name[n] + one.summary for n, one in told if one.summary) or None
        warnings = [*(name[n] + text for n, one in told for text in one.warnings)]
        self.warning = "; ".join(text for text in warnings if text) or None

    def _make_room(self, least: int) -> None:
        self.means.disk.make_room(
            self.pipeline.git_url, least=least, stop=self.work.stop, sink=self._line
        )

    def _roll_out(self, images: list[tuple[ImageSettings, str]], running: Deployed) -> Outcome:
        self._enter("rollout")
        return running.roll_out(images)

    def _go_back(self) -> Outcome:
        """Run what an earlier deployment ran: its task definition, nothing is built."""
        what = to_earlier(self.means.recorder.find, self.pipeline, self.request)
        self.commit = what.commit
        self._note(commit=self.commit)
        self._enter("rollout")
        return what

    # --- telling

    def _enter(self, stage: Stage) -> None:
        self.work.stop.check()
        if self._stage in BEFORE_ROLLOUT:
            self.output.begin_stage()
        self.stages.append((stage, self.means.clock.now()))
        self.means.keeper.progress(self.work, stage)
        self.means.recorder.enter(self.row, stage)
        self.row = replace(self.row, detail=None)

    def _line(self, line: str) -> None:
        """A line of a build's output is progress."""
        self.means.keeper.progress(self.work)
        self.output(line)

    def _note(self, **values: object) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        if given:
            self.means.recorder.note(self.row, **given)

    @property
    def _stage(self) -> Stage:
        return self.stages[-1][0] if self.stages else "received"

    @property
    def _now_running(self) -> str | None:
        """What the service ran when it was looked at; unknown if an attempt before touched it."""
        if self.running is not None:
            return self.running.task_definition
        return None if self.row.task_definition_after else self.before.running_task_definition

    @property
    def _pushed(self) -> Pushed | None:
        """What this host may have fetched already, for another pipeline. Another reason asks what
        the tip is now. So does who may owe a newer push its fetch: what has joined comes no more.
        """
        request, before = self.request, self.before
        if request.reason != "push" or request.commit_id is None:
            return None
        if self.commit is not None or not self.is_first:
            return None
        return Pushed(request.commit_id, before.handled_tip, before.handled_at)

    @property
    def _names_deployment(self) -> bool:
        return self.request.target.kind == "deployment"

    def _with_notes(self, outcome: Noted) -> Noted:
        """`outcome` with what this deployment knows besides."""
        noted = replace(
            outcome,
            commit=self.commit,
            warning=self.warning,
            tests=self.tests,
            tip_seen=tip_seen(self.request, self.commit),
        )
        old = self.before.running_commit
        if self.commit is None or old in (None, self.commit.id) or self._names_deployment:
            return noted
        try:
            since, count = self.means.source.commits_between(
                self.pipeline, str(old), self.commit.id, limit=COMMITS_TOLD, stop=self.work.stop
            )
        except WorldFailed:
            self.work.stop.check()
            return noted
        # each write of the row is charged for all that it holds, and their times are not told
        told = tuple(replace(commit, committed_at=None) for commit in since)
        return replace(noted, commits_since=told, commits_since_count=count)
