"""One invocation's part in a rollout: its steps, and what is left to whoever comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.shared.observability import logger
from slipway.contracts.errors import Interrupted
from slipway.following.backoff import look_pause
from slipway.following.follower import Held, UnknownState

if TYPE_CHECKING:
    from lambdas.follower.world import World


def go_on(held: Held, here: World) -> None:
    """Take the steps that are due, at least one, and let others take the next.

    No step is begun after `here.until`. One that was begun is bounded by its calls alone: each is
    tried once, for as long as its client waits. Lambda ends a function that takes longer, and then
    the claim stands until its end.
    What fails here is raised; the claim is given back before, so that nobody waits for its end.
    """
    try:
        held.go_on(until=here.until)
        held.let_go(at=_next(held, here))
    except Interrupted as lost:
        logger.info("the step is another's", extra={"why": str(lost)})
    except Exception:
        _give_back(held, here)
        raise


def not_followed(unknown: UnknownState, here: World) -> None:
    """Said once by the reconciler; the row stays as it is, for the code that knows it."""
    text = str(unknown)
    logger.error("a rollout cannot be followed", extra={"problem": text})
    here.table.alerts.raise_once("not_followed", unknown.deployment_id, here.parts.now(), text=text)


def _next(held: Held, here: World) -> float:
    """When the next look is due: the later the rollout, the rarer; an event may come before."""
    age = here.parts.now() - min(state.begun for state in held.followed.rollouts)
    return held.look_within(look_pause(age, here.installation.limits))


def _give_back(held: Held, here: World) -> None:
    """Where even this fails the claim ends by itself."""
    try:
        held.let_go(at=_next(held, here))
    except Exception as error:  # noqa: BLE001 - what is raised is why the step failed
        logger.warning("a claim was not given back", extra={"error": str(error)})
