"""One deployment, from its request to its end: fetch → build → push → rollout.

What was done before a crash is found again by what was noted under the request's own deployment,
by what ECR holds and by what the service runs: an image that is in ECR is not built again, and a
digest that the service runs or is getting is not rolled out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from build_agent.image.build_key import build_tag
from build_agent.image.disk import FOR_BUILD, FOR_FETCH
from build_agent.image.images import Built
from build_agent.means import Means
from build_agent.queue.lease import Work
from build_agent.service import (
    Running,
    check_architecture,
    plan_of,
    running_digest,
    runs_already,
    runs_as_told,
    stage_of,
    wanted_images,
)
from build_agent.source.left_out import left_out
from build_agent.telling.logs import BuildLog
from build_agent.telling.outcome import Ended, of_failure, of_rollout, of_told, tip_seen
from build_agent.telling.told import told_of
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult, Stage
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of
from slipway.contracts.table.pipelines import PipelineRow
from slipway.rollout import Progress, RolloutPlan, short

COMMITS_TOLD = 10
BEFORE_ROLLOUT = ("received", "fetch", "build", "push")
"""Stages of their own; what comes after them is one rollout."""


@dataclass
class Deployment:
    """One deployment under way; `before` is the pipeline's row when it began.

    `tip`: the branch's tip as this attempt has met it, fetched or refused.
    """

    means: Means
    pipeline: PipelineSettings
    request: BuildRequest
    row: DeploymentRow
    work: Work
    before: PipelineRow
    commit: Commit | None = None
    tip: str | None = None
    running: Running | None = None
    stages: list[tuple[Stage, float]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    warning: str | None = None

    def __post_init__(self) -> None:
        self.output = BuildLog(self.means.shipper, self.row.deployment_id)
        self.commit = self.row.commit

    def run(self) -> Ended:
        """See it through. Raises Interrupted or WorldFailed (and AWS's errors): not ended."""
        try:
            ended = self._go_back() if self._names_deployment else self._build_and_roll_out()
        except DeploymentFailed as error:
            ended = self._failed(error)
            self.output(f"failed: {error.cause}")
        if ended.status != "unchanged" and not ended.log_tail and ended.cause:
            ended = replace(ended, log_tail=self.output.tail)
        self.output.end()
        return self._told(ended)

    def _failed(self, error: DeploymentFailed) -> Ended:
        """The commit is wrong; a tip that is refused once more was told of before."""
        told = self._told_before() if self._stage == "fetch" else None
        if told is not None:
            return of_told(told)
        return of_failure(error, stage=self._stage, now_running=self._now_running)

    # --- the chain

    def _build_and_roll_out(self) -> Ended:
        commit, running = self.means.parallel([self._fetch, self._look])
        told = self._told_before()
        if told is not None and runs_as_told(told, running):
            return of_told(told)
        digests = self._images(commit, running)
        return self._roll_out(digests, running)

    def _told_before(self) -> DeploymentResult | None:
        """The outcome that told of this push already: of the very tip that this one has met."""
        if self.tip is None or self.tip != self.before.handled_tip:
            return None
        return told_of(self.request, self.tip, self.means.recorder.newest(self.pipeline.name))

    def _fetch(self) -> Commit:
        self._enter("fetch")
        self._make_room(FOR_FETCH)
        wanted = self.request.target.commit_id
        try:
            self.commit = self.means.source.fetch(
                self.pipeline, wanted, stop=self.work.stop, sink=self.output
            )
        except DeploymentFailed as refused:
            self.tip = refused.commit_id
            if wanted is None and refused.commit_id is not None:
                self.commit = Commit(id=refused.commit_id)
                self._note(commit=self.commit)
            raise
        self.tip = self.commit.id
        self.output(f"{self.pipeline.branch} is at {self.commit.id}: {self.commit.subject}")
        self._note(commit=self.commit)
        return self.commit

    def _look(self) -> Running:
        """What the service runs, and whether the images that are wanted can run there at all."""
        self.running = self.means.services.running(self.pipeline, stop=self.work.stop)
        for image in self.pipeline.images:
            running_digest(image, self.running)
            check_architecture(image.platform, self.running)
        return self.running

    def _images(self, commit: Commit, running: Running) -> list[tuple[ImageSettings, str]]:
        """Each image's digest: found in ECR, or built; pushed unless it is what runs."""
        force = self.request.request_id if self.request.force_rebuild else None
        tags = {i: build_tag(image, commit.id, force=force)
                for i, image in enumerate(self.pipeline.images)}  # fmt: skip
        found = {i: self.means.images.find(self.pipeline.images[i], tags[i]) for i in tags}
        missing = [i for i, digest in found.items() if digest is None]
        built = self._build(commit, [(i, tags[i]) for i in missing]) if missing else {}
        for i, image_built in built.items():
            check_architecture(image_built.architecture, running)
            found[i] = self._same_as_running(self.pipeline.images[i], image_built, running)
        to_push = [i for i in built if found[i] is None]
        if to_push:
            self._enter("push")
        for i in to_push:
            found[i] = self.means.images.push(
                self.pipeline.images[i], built[i], commit=commit.id, tag=tags[i],
                stop=self.work.stop, sink=self.output,
            )  # fmt: skip
            self.means.keeper.progress(self.work)
        digests = {i: digest for i, digest in found.items() if digest is not None}
        self.digests = {self.pipeline.images[i].repository: d for i, d in digests.items()}
        if self.row.task_definition_after is None:
            self._note(images=self.digests)
        return [(self.pipeline.images[i], digest) for i, digest in digests.items()]

    def _build(self, commit: Commit, wanted: Sequence[tuple[int, str]]) -> dict[int, Built]:
        self._enter("build")
        self._make_room(FOR_BUILD)
        built = {}
        with self.means.source.tree(self.pipeline, commit.id, stop=self.work.stop) as tree:
            self._warn(left_out(tree, (self.pipeline.images[i].context for i, _tag in wanted)))
            for number, tag in wanted:
                built[number] = self._build_one(self.pipeline.images[number], commit, tree, tag)
        return built

    def _build_one(self, image: ImageSettings, commit: Commit, tree: Path, tag: str) -> Built:
        try:
            return self.means.images.build(
                self.pipeline, image, commit, tree, tag=tag,
                fresh=self.request.force_rebuild, stop=self.work.stop, sink=self._line,
            )  # fmt: skip
        except DeploymentFailed:
            self.means.disk.check_not_full()  # a step that found no room is not to blame
            raise

    def _warn(self, warning: str | None) -> None:
        self.warning = warning
        if warning:
            self.output(f"warning: {warning}")

    def _make_room(self, least: int) -> None:
        self.means.disk.make_room(
            self.pipeline.git_url, least=least, stop=self.work.stop, sink=self._line
        )

    def _same_as_running(self, image: ImageSettings, built: Built, running: Running) -> str | None:
        """The running digest if `built` is the same but for our own labels, else None."""
        digest = running_digest(image, running)
        if digest is None:
            return None
        same = self.means.images.same_as_running(image, built, digest, stop=self.work.stop)
        if same:
            self.output(f"the image is the same as the one that runs ({digest}): not pushed")
        return digest if same else None

    def _roll_out(self, images: list[tuple[ImageSettings, str]], running: Running) -> Ended:
        self._enter("rollout")
        wanted = wanted_images(images, running)
        resumed = self._is_resumed(images)
        digest = images[0][1] if images else None
        has_them = all(running.images.get(name) == ref for name, ref in wanted.items())
        if runs_already(wanted, running) and not resumed:
            name = short(running.task_definition)
            ended = Ended(status="unchanged", stage="close", now_running=name, before=name)
            return replace(ended, image_digest=digest)
        if resumed:
            plan = plan_of(
                self.pipeline,
                target=self.row.task_definition_after,
                previous=self.row.task_definition_before,
            )
        elif has_them:
            plan = plan_of(self.pipeline, target=running.task_definition)
        else:
            plan = plan_of(self.pipeline, images=wanted)
        return replace(self._follow(plan, running, resumed=resumed), image_digest=digest)

    def _is_resumed(self, images: list[tuple[ImageSettings, str]]) -> bool:
        """Whether this deployment registered a task definition for these very images before."""
        digests = {image.repository: digest for image, digest in images}
        return self.row.task_definition_after is not None and self.row.images == digests

    def _go_back(self) -> Ended:
        """Run what an earlier deployment ran: its task definition, nothing is built."""
        earlier = self._earlier()
        result = earlier.result
        target = earlier.task_definition_after or (result and result.now_running)
        if result is None or result.status not in ("succeeded", "unchanged") or not target:
            cause = f"deployment {earlier.deployment_id} did not succeed: nothing to go back to"
            raise DeploymentFailed(cause, stage="rollout")
        self.commit = result.commit
        self.digests = dict(earlier.images)
        self._note(commit=self.commit, images=earlier.images)
        self._enter("rollout")
        running = self.running = self.means.services.running(self.pipeline, stop=self.work.stop)
        plan = plan_of(self.pipeline, target=target, previous=self.row.task_definition_before)
        resumed = self.row.task_definition_after is not None
        ended = self._follow(plan, running, resumed=resumed)
        return replace(ended, image_digest=result.image_digest)

    def _earlier(self) -> DeploymentRow:
        named = self.request.target.deployment_id or ""
        found = self.means.recorder.find(named)
        if found is None or pipeline_of(named) != self.pipeline.name:
            cause = f"pipeline {self.pipeline.name} has no deployment {named}"
            raise DeploymentFailed(cause, stage="received")
        return found

    def _follow(self, plan: RolloutPlan, running: Running, *, resumed: bool) -> Ended:
        result = self.means.services.roll_out(
            plan,
            stop=self.work.stop,
            guard=lambda: self.means.keeper.check(self.work),
            on_progress=lambda progress: self._progress(progress, running),
        )
        for line in (*result.changes, *result.warnings, *result.skipped, result.cause):
            self.output(line)
        ended = of_rollout(result, stage=self._stage, resumed=resumed)
        return replace(ended, log_tail=self._said_by_containers(ended, result.after))

    def _said_by_containers(self, ended: Ended, after: str | None) -> tuple[str, ...]:
        """What the new revision's containers said last, or where that is, if it failed."""
        if ended.status not in ("failed", "rolled_back") or not (self.means.containers and after):
            return ()
        said = self.means.containers.of_stopped(self.pipeline, after)
        for line in said:
            self.output(line)
        return said

    # --- telling

    def _progress(self, progress: Progress, running: Running) -> None:
        stage = stage_of(progress.step)
        if stage != self._stage:
            self._enter(stage)
        self.means.keeper.progress(self.work, stage)
        if progress.step == "update" and progress.task_definition:
            # Before the service changes: who comes after a crash follows this very revision. Its
            # images are noted with it, in one write: an attempt at a newer tip that ends before
            # its own revision must not make an older revision look like the newer images'.
            self.row = replace(
                self.row,
                images=self.digests or self.row.images,
                task_definition_after=progress.task_definition,
                task_definition_before=self.row.task_definition_before or running.task_definition,
            )
            self._note(
                images=self.row.images,
                task_definition_after=self.row.task_definition_after,
                task_definition_before=self.row.task_definition_before,
            )
        detail = progress_text(progress)
        if detail and detail != self.row.detail:
            self.row = replace(self.row, detail=detail)
            self._note(detail=detail)

    def _enter(self, stage: Stage) -> None:
        self.work.stop.check()
        if self._stage in BEFORE_ROLLOUT:
            self.output.begin_stage()
        self.stages.append((stage, self.means.clock.now()))
        self.means.keeper.progress(self.work, stage)
        self.means.recorder.enter(self.row.deployment_id, stage)
        self.row = replace(self.row, detail=None)

    def _line(self, line: str) -> None:
        """A line of a build's output is progress."""
        self.means.keeper.progress(self.work)
        self.output(line)

    def _note(self, **values: object) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        if given:
            self.means.recorder.note(self.row.deployment_id, **given)

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
    def _names_deployment(self) -> bool:
        return self.request.target.kind == "deployment"

    def _told(self, ended: Ended) -> Ended:
        """`ended` with what the notice tells besides."""
        told = replace(
            ended,
            commit=self.commit,
            warning=self.warning,
            tip_seen=tip_seen(self.request, self.commit),
            timings=timings_of(self.stages, self.means.clock.now()),
        )
        old = self.before.running_commit
        if self.commit is None or old in (None, self.commit.id) or self._names_deployment:
            return told
        try:
            since, count = self.means.source.commits_between(
                self.pipeline, str(old), self.commit.id, limit=COMMITS_TOLD, stop=self.work.stop
            )
        except WorldFailed:
            self.work.stop.check()
            return told
        return replace(told, commits_since=since, commits_since_count=count)


def timings_of(stages: Sequence[tuple[Stage, float]], now: float) -> Mapping[str, float]:
    """Seconds by stage; a stage that was entered twice has the sum."""
    spent: dict[str, float] = {}
    if not stages:
        return spent
    ends = [*(at for _, at in stages[1:]), now]
    for (stage, at), end in zip(stages, ends, strict=True):
        spent[stage] = spent.get(stage, 0.0) + max(0.0, end - at)
    return spent


def progress_text(progress: Progress) -> str | None:
    """What a watcher reads while a rollout goes on: how far it is, and what it waits for."""
    told = _counts_text(progress)
    return f"{told}: {progress.waits}" if told and progress.waits else progress.waits or told


def _counts_text(progress: Progress) -> str | None:
    if progress.desired is None:
        return progress.note or progress.stage
    text = f"{progress.running or 0} of {progress.desired} running"
    if progress.failed:
        text += f", {progress.failed} failed"
    return f"{text} ({progress.stage})" if progress.stage else text
