"""How a request ends that the follower deals with, where nothing is rolled out.

Recorded, announced, settled, in this order, as on a build host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.requests import Settled
from slipway.following.outcome import Ended, of_superseded

if TYPE_CHECKING:
    from lambdas.follower.world import World


def end_left_behind(request: BuildRequest, lock: Lock, here: World) -> None:
    """What older pushes left behind is superseded, or told: this request takes their place."""
    if not request.is_tip:
        return
    for older, row in here.recorder.left_behind(request):
        if row.result is not None:
            close(older, row, here)
            continue
        ended = of_superseded("received", "a newer push took its place")
        end(older, row, replace(ended, commit=row.commit), lock, here)


def end_undone(request: BuildRequest, lock: Lock, here: World) -> None:
    """Superseded, with what was begun for it. The tip stays unrun on purpose: it is dealt with."""
    if request.commit_id is not None:
        here.table.pipelines.change(
            request.pipeline, handled_tip=request.commit_id, handled_at=request.pushed_at,
            ahead_tip=None, ahead_since=None,
        )  # fmt: skip
    row = begun(request, here)
    if row is None:
        settle(request, "superseded", None, here)
    elif row.result is not None:
        close(request, row, here)
    else:
        ended = of_superseded("received", "an operator's rollback is newer than this request")
        end(request, row, replace(ended, commit=row.commit), lock, here)


def end(request: BuildRequest, row: DeploymentRow, ended: Ended, lock: Lock, here: World) -> None:
    """Recorded, announced, settled, in this order: as on a build host."""
    result = here.recorder.finish(row, request, ended, settles=1, lock=lock)
    images = {} if ended.image_digest is None else _images(request.pipeline, ended, here)
    close(request, replace(row, result=result, images=images), here)


def _images(pipeline: str, ended: Ended, here: World) -> dict[str, str]:
    first = here.installation.pipeline(pipeline).images[0]
    return {first.repository: ended.image_digest or ""}


def close(request: BuildRequest, row: DeploymentRow, here: World) -> None:
    """Tell a recorded outcome, unless it was told, and settle its request."""
    result = row.result
    if result is None:
        return
    if row.announced_at is None:
        here.recorder.announce(result)
    if result.status == "unchanged":
        here.parts.ending.keep_images(row.pipeline, row.deployment_id, row.images)
    settle(request, result.status, row.deployment_id, here)


def settle(request: BuildRequest, outcome: str, deployment_id: str | None, here: World) -> None:
    """The request is dealt with."""
    settled = Settled(
        request_id=request.request_id,
        outcome=outcome,
        pipeline=request.pipeline,
        settled_at=here.parts.now(),
        deployment_id=deployment_id,
    )
    here.table.requests.settle_once(settled, kept=here.installation.limits.settled_kept)
    here.table.wants.clear([request])


def begun(request: BuildRequest, here: World) -> DeploymentRow | None:
    """The deployment that was begun for the request, if any."""
    begun = here.table.requests.deployments_of([request.request_id])
    return here.recorder.find(begun[request.request_id]) if begun else None
