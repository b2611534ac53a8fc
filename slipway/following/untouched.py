"""A push that concerns another pipeline of its repository: nothing of this one's paths is touched.

What counts is the difference between what runs and the branch's tip, not the last push alone: so
nothing is skipped because an earlier push failed. Where that is not known for certain, it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.deployed import Deployed
from slipway.following.outcome import Ended
from slipway.following.told import is_found


def is_filtered(pipeline: PipelineSettings, request: BuildRequest) -> bool:
    """Whether paths decide on the request. Never on what an operator asks for."""
    return bool(pipeline.paths) and is_found(request) and not request.force_rebuild


def to_compare(before: PipelineRow) -> str | None:
    """The commit that the tip is compared with; None: it is not known, and the tip is built.

    What runs; while an operator's rollback stands, the tip that was handled last: else a push that
    concerns others would bring back what was rolled back.
    """
    return before.handled_tip if before.rolled_back_to else before.running_commit


def runs_as_known(
    pipeline: PipelineSettings,
    before: PipelineRow,
    images: Mapping[str, str],
    running: Deployed,
) -> bool:
    """Whether the service runs the images of the commit that the pipeline's row names.

    Of several services what runs is one commit only if all of them run it. `images`: of the
    deployment that runs, digests by repository. While a rollback stands, that one is what shall
    run, whatever somebody did to the services since.
    """
    if before.rolled_back_to:
        return True
    if before.mixed is not None:
        return False
    known = dict(images)
    if before.running_digest is not None:
        known[pipeline.images[0].repository] = before.running_digest
    expected = [(image, known[image.repository]) for image in pipeline.images
                if image.repository in known]  # fmt: skip
    return bool(expected) and all(running.digest(i) == d for i, d in expected)


def untouched(since: str, running: Deployed) -> Ended:
    """How a request ends that touches none of the pipeline's paths since that commit: in the fetch,
    by which lists tell it from an image that ran already.
    """
    return replace(running.unchanged(), stage="fetch", untouched_since=since)


def compared(since: str, *, touched: bool | None) -> str:
    """What a log says of a comparison."""
    if touched is None:
        return f"whether the pipeline's paths have changed since {since} is not known: it is built"
    what = "something" if touched else "nothing"
    return f"{what} under the pipeline's paths has changed since {since}"
