"""Whether a push concerns its pipeline, found out before anything is woken or started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.shared.observability import logger
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest
from slipway.following.deployed import Deployed
from slipway.following.untouched import compared, is_filtered, runs_as_known, to_compare

if TYPE_CHECKING:
    from lambdas.follower.world import World


def untouched_since(
    request: BuildRequest, tip: str, pipeline: PipelineSettings, here: World
) -> str | None:
    """The commit since which none of the pipeline's paths is touched; None: it is to be deployed.

    The pipeline's lock is not held: whoever takes it looks again at which commit is compared.
    """
    if not is_filtered(pipeline, request) or here.table.locks.get(request.pipeline).is_followed:
        return None  # what runs is about to change
    before = here.table.pipelines.get(request.pipeline)
    since = to_compare(before)
    if since is None or not _runs_as_known(request.pipeline, here):
        return None
    touched = here.touched(pipeline, since, tip)
    logger.info("compared", extra={"says": compared(since, touched=touched)})
    return since if touched is False else None


def _runs_as_known(name: str, here: World) -> bool:
    pipeline, before = here.installation.pipeline(name), here.table.pipelines.get(name)
    live = before.running_deployment
    row = here.table.deployments.get(live) if live is not None else None
    try:
        running = Deployed.of(pipeline, here.running)
        return runs_as_known(pipeline, before, row.images if row else {}, running)
    except DeploymentFailed as error:  # whoever builds it says so
        logger.info("what runs is not known", extra={"why": str(error)})
        return False
