"""Requests for what is in ECR already: begun here, with every build host asleep.

A rollback names what ran. A redeploy, and what the drift check asks for, name a commit whose images
may be there by their build tags; if one is not, the request goes to the build hosts. A push that
touches none of its pipeline's paths ends here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lambdas.follower.ends import begun, close, end, end_left_behind, end_undone
from lambdas.follower.giving_way import gave_way
from lambdas.follower.paths import untouched_since
from lambdas.follower.stepping import not_followed
from lambdas.shared.observability import logger
from slipway.contracts.errors import DeploymentFailed, Interrupted, WrongUse
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult
from slipway.contracts.requesting import configured
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.backoff import PAUSED_DELAY, delay_after, is_given_up
from slipway.following.build_key import build_tag
from slipway.following.deployed import Deployed
from slipway.following.earlier import to_earlier
from slipway.following.follower import Held, UnknownState
from slipway.following.handing import ToRollOut, hand_over
from slipway.following.outcome import (
    Ended,
    of_failure,
    of_given_up,
    of_told,
    tip_seen,
    undoes_rollback,
)
from slipway.following.told import told_of
from slipway.following.untouched import to_compare, untouched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lambdas.follower.world import World

GIVES_WAY = 2.0
"""Seconds until a rollback looks again whether the deployment under way has given way."""
LOCKED = 30.0
"""The same, where it waits for the end of a build or of a command."""
MOVED = 1.0
"""The same, where the branch has moved since its tip was looked up."""
LOOKED_BACK = 50
"""Newest deployments among which a commit's author and subject are looked for."""

Found = Sequence[tuple[ImageSettings, str]]
"""A pipeline's images with their digests."""


def begin(request: BuildRequest, here: World) -> Held | None:
    """Begin the request's rollout; the step that is claimed with it, or None.

    None: it has its outcome, waits (for its want, or a message that comes later), or is the build
    hosts'. Raises InvalidMessage for a pipeline that is not configured. What the world fails is
    tried again by a later message, and given up on as a build host does.
    """
    pipeline = configured(request, here.installation)
    before = here.table.pipelines.get(request.pipeline)
    if here.table.requests.settled([request.request_id]):
        here.table.wants.clear([request])
        return None
    if before.paused:  # `resume` publishes its want; a newer push may have that by then
        _later(request, PAUSED_DELAY, here)
        return None
    try:
        return _tried(request, pipeline, before, here)
    except UnknownState as unknown:  # what is under way can be asked nothing: no failure of this
        not_followed(unknown, here)
        _later(request, LOCKED, here)
        return None


def _tried(
    request: BuildRequest, pipeline: PipelineSettings, before: PipelineRow, here: World
) -> Held | None:
    try:
        if undoes_rollback(request, before):
            _stay_back(request, here)
            return None
        return _begin(request, pipeline, here)
    except UnknownState:
        raise
    except Interrupted as lost:
        # Perhaps for this very request: then it is found settled when it comes again.
        logger.info("the lock is another's", extra={"why": str(lost)})
        _later(request, LOCKED, here)
        return None
    except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
        _failed(request, error, here)
        return None


def _begin(request: BuildRequest, pipeline: PipelineSettings, here: World) -> Held | None:
    looked = _looked_up(request, pipeline, here)
    if looked is None:
        _to_builder(request, here)
        return None
    with _locked(request, here) as lock:
        return _under_lock(request, looked, lock, here) if lock is not None else None


def _to_builder(request: BuildRequest, here: World) -> None:
    here.table.wants.note(request, here.parts.now(), builder=True)
    here.publish(request, True)


def _later(request: BuildRequest, delay: float, here: World) -> None:
    """The request comes again. A push waits where a builder finds it, and not here: a newer push
    takes its want, and then nothing but one message would be left of it.
    """
    if request.reason == "push":
        _to_builder(request, here)
    else:
        here.come_again(request, delay)


def _under_lock(request: BuildRequest, looked: Looked, lock: Lock, here: World) -> Held | None:
    commit = looked.commit
    end_left_behind(request, lock, here)
    before = here.table.pipelines.get(request.pipeline)
    if undoes_rollback(request, before):  # one that has ended since the request came
        end_undone(request, lock, here)
        return None
    if _has_moved(request, looked, before, here):
        _later(request, MOVED, here)
        return None
    row = here.recorder.begin(request, lock)
    if row is not None and row.result is not None:
        close(request, row, here)
    if row is None or row.result is not None:
        return None
    try:
        what = _to_roll_out(request, looked, before, here)
    except DeploymentFailed as error:
        what = of_failure(error, stage="rollout", now_running=None)
    what = replace(what, commit=what.commit or commit, tip_seen=tip_seen(request, commit))
    if isinstance(what, ToRollOut):
        return _hand_over(request, row, what, lock, here)
    end(request, row, what, lock, here)
    return None


def _has_moved(request: BuildRequest, looked: Looked, before: PipelineRow, here: World) -> bool:
    """The branch has another tip by now, which may run already: no older one replaces it.

    The same where something else runs by now than the tip was compared with.
    """
    commit = looked.commit
    if not request.is_tip or commit is None:
        return False
    if looked.untouched_since not in (None, to_compare(before)):
        return True
    return here.tip(here.installation.pipeline(request.pipeline)) != commit.id


# --- what there is


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A request's commit and its images. `untouched_since`: the commit since which none of the
    pipeline's paths is touched; then no image is needed.
    """

    commit: Commit | None = None
    found: Found = ()
    untouched_since: str | None = None


def _looked_up(request: BuildRequest, pipeline: PipelineSettings, here: World) -> Looked | None:
    """What there is for the request; None: an image is to be built.

    A rollback names a deployment: there is nothing to look up.
    """
    if request.target.kind == "deployment":
        return Looked()
    commit_id = request.target.commit_id or here.tip(pipeline)
    if commit_id is None:
        return None
    since = untouched_since(request, commit_id, pipeline, here)
    if since is not None:
        described = _described(commit_id, pipeline.name, here)
        return Looked(commit=described, untouched_since=since)
    # Who builds tells a push with what came since, and reads the repository's task definition.
    if request.reason == "push" or pipeline.reads_definition:
        return None
    tags = [(image, build_tag(image, commit_id)) for image in pipeline.images]
    found = [(image, here.registry.digest(image, tag)) for image, tag in tags]
    there = [(image, digest) for image, digest in found if digest is not None]
    if len(there) == len(found):
        return Looked(commit=_described(commit_id, pipeline.name, here), found=there)
    return None


def _described(commit_id: str, pipeline: str, here: World) -> Commit:
    """The commit as an earlier deployment has told it."""
    for row in here.table.deployments.newest(pipeline, LOOKED_BACK):
        if row.commit is not None and row.commit.id == commit_id and row.commit.subject:
            return row.commit
    return Commit(id=commit_id)


def _to_roll_out(
    request: BuildRequest, looked: Looked, before: PipelineRow, here: World
) -> ToRollOut | Ended:
    """What is to be rolled out; Ended where it runs already, or its push was told of before.

    DeploymentFailed where it cannot run.
    """
    pipeline = here.installation.pipeline(request.pipeline)
    if request.target.kind == "deployment":
        return to_earlier(here.table.deployments.get, pipeline, request)
    commit, running = looked.commit, Deployed.of(pipeline, here.running)
    if not pipeline.reads_definition:
        running.check_platforms()
    told = _told_before(request, commit, before, here)
    if told is not None and running.is_as_told(told):
        return of_told(told)
    if looked.untouched_since is not None:
        return untouched(looked.untouched_since, running)
    return running.roll_out(looked.found)


def _told_before(
    request: BuildRequest, commit: Commit | None, before: PipelineRow, here: World
) -> DeploymentResult | None:
    """The outcome that told of this push already, of the very tip that the branch is at."""
    if commit is None or commit.id != before.handled_tip:
        return None
    return told_of(request, commit.id, here.recorder.newest(request.pipeline))


# --- under the pipeline's lock


@contextmanager
def _locked(request: BuildRequest, here: World) -> Iterator[Lock | None]:
    """The pipeline's lock, given back afterwards unless the deployment has it then.

    None while another has it: then the request comes again, or its want does. After a failure what
    waits for the lock is not asked for at once: it would come without its delay, and twice.
    """
    lock = _take(request, here) or (_take(request, here) if gave_way(request, here) else None)
    if lock is None:
        _wait(request, here)
        yield None
        return
    try:
        yield lock
    except BaseException:
        here.table.locks.abandon(lock)
        raise
    if here.table.locks.get(lock.pipeline).fence == lock.fence:
        here.table.locks.abandon(lock)
        here.parts.ending.decide_anew(lock.pipeline)


def _take(request: BuildRequest, here: World) -> Lock | None:
    ttl = here.installation.limits.lock_ttl
    return here.table.locks.take(request.pipeline, here.parts.name, here.parts.now(), ttl=ttl)


def _wait(request: BuildRequest, here: World) -> None:
    """A request whose pipeline is followed is published again from its want; others come back.

    The want is noted before the lock is looked at: the starter may not have heard the request yet,
    and whoever ends what is followed publishes the wants that stand then. A newer push may have
    taken a tip's want by then: so a message of it is on its way as well.
    """
    if request.reason == "push":
        _to_builder(request, here)
        return
    if request.reason == "rollback":
        here.come_again(request, GIVES_WAY)
        return
    _note(request, here)
    if not here.table.locks.get(request.pipeline).is_followed:
        here.come_again(request, LOCKED)
    elif request.is_tip:
        here.come_again(request, PAUSED_DELAY)


def _note(request: BuildRequest, here: World) -> None:
    """Its want, unless that stands: it says when the next message of the request comes."""
    want = here.table.wants.get(request)
    if want is None or want.request_id != request.request_id:
        here.table.wants.note(request, here.parts.now(), builder=False)


def _hand_over(
    request: BuildRequest, row: DeploymentRow, what: ToRollOut, lock: Lock, here: World
) -> Held | None:
    if what.commit is not None:
        here.recorder.note(row, commit=what.commit)
    try:
        held = hand_over(here.parts, row, request, what, lock, settles=1)
    except WrongUse as error:
        failure = DeploymentFailed(str(error), stage="rollout")
        ended = of_failure(failure, stage="rollout", now_running=None)
        end(request, row, replace(ended, commit=what.commit, tip_seen=what.tip_seen), lock, here)
        return None
    logger.info("begun without a build", extra={"deployment_id": row.deployment_id})
    return held


# --- its end, where nothing is rolled out


def _stay_back(request: BuildRequest, here: World) -> None:
    """An operator's rollback is newer than this request."""
    with _locked(request, here) as lock:
        if lock is not None:
            end_left_behind(request, lock, here)
            end_undone(request, lock, here)


def _failed(request: BuildRequest, error: Exception, here: World) -> None:
    """Count the attempt and try again later, or give up."""
    now, limits = here.parts.now(), here.installation.limits
    attempts = here.table.requests.count_attempt(request.request_id, now, kept=limits.settled_kept)
    logger.warning("not begun", extra={"error": str(error), "attempts": attempts.count})
    if not is_given_up(attempts, now, limits) or _is_recorded(request, here):
        here.come_again(request, delay_after(attempts.count, here.parts.jitter()), surely=True)
        return
    with _locked(request, here) as lock:
        if lock is None:
            return
        end_left_behind(request, lock, here)
        row = here.recorder.begin(request, lock)
        if row is None:
            return
        ended = of_given_up(attempts.count, str(error), "rollout")
        here.parts.ending.dead_letter(request.to_json(), ended.cause or "")
        end(request, row, replace(ended, tip_seen=tip_seen(request, row.commit)), lock, here)


def _is_recorded(request: BuildRequest, here: World) -> bool:
    """What has its outcome is only to be told and settled: that is never given up."""
    row = begun(request, here)
    return row is not None and row.result is not None
