"""One step of a rollout: from what is known and what is seen to what is known and done next.

    state, actions, next = advance(state, look, now)

Pure: nothing is asked or changed here, and the same arguments give the same step. Between any two
steps the state may go through JSON (`saved.py`) into another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from slipway.contracts.errors import Interrupted, SlipwayError
from slipway.rollout.api import GROUP_IS_BUSY, Refused, WrongForAws
from slipway.rollout.clock import NotNow
from slipway.rollout.looks import Look, Refusal
from slipway.rollout.state import Advanced, RolloutState

_ROOMS: Mapping[str, tuple[str, ...]] = {
    "beginning": (
        "read", "target", "base", "verify", "group", "register", "survey", "update",
    ),
    "oneoff": ("task", "task_wait"),
    "waiting": ("wait",),
    "going_back": (
        "failed", "agree", "wait_stopped", "pin", "survey_back", "update_back", "wait_back",
        "settings",
    ),
    "prune": ("prune",),
    "discarding": ("discard",),
    "cancelling": ("cancel_task", "cancel_update", "cancel_create"),
    "schedules": (
        "sight", "aim", "aim_register", "aim_put", "aim_back", "aim_cancel", "aim_unregister",
    ),
    "afterwards": ("smoke", "post_task", "post_task_wait", "cancel_post_task"),
    "baking": ("alarms", "bake"),
    "by_codedeploy": (
        "create", "codedeploy_wait", "codedeploy_stop", "codedeploy_back", "codedeploy_end",
    ),
}  # fmt: skip
"""Where each step is: what only some rollouts need is loaded when it is needed."""
_ROOM_OF = {step: room for room, steps in _ROOMS.items() for step in steps}
_GOES_BACK = frozenset(
    {"agree", "pin", "survey_back", "update_back", "wait_stopped", "wait_back", "settings"}
)
_PROVES = frozenset({"alarms", "post_task", "post_task_wait", "bake"})
"""Where a refusal is the proof's failure: what cannot be proved is taken back."""


def advance(state: RolloutState, look: Look, now: float) -> Advanced:
    """The step that `look` leads to. `now`: seconds since the epoch.

    Raises WrongUse where the plan cannot be right (then nothing was changed), Unanswered where AWS
    answered a change with something that says nothing.
    """
    if isinstance(look, Refusal) and state.step in _GOES_BACK and not _expected(state):
        from slipway.rollout.going_back import refused

        return refused(state, look.text, now)
    taken: Advanced = takes(state.step)(state, look, now)
    return taken


def takes(step: str) -> Any:
    """The function that takes the look of a step."""
    return import_module(f"slipway.rollout.{_ROOM_OF[step]}").STEPS[step]


def forgives(state: RolloutState, error: Exception) -> bool:
    """Whether the rollout knows what to do where its look or change fails like this.

    Then `advance` takes a Refusal; else the failure ends the process's work on the rollout.
    """
    if isinstance(error, Interrupted | NotNow) or not isinstance(error, SlipwayError):
        return False
    if state.step in ("prune", "discard") or (
        state.step == "settings" and state.intent is not None
    ):
        return True
    if state.step in ("aim_put", "aim_back") and state.intent is not None:
        from slipway.rollout.schedules import is_about_date

        return is_about_date(state, error)
    if state.step == "create":
        return isinstance(error, Refused) and error.code == GROUP_IS_BUSY
    stops = ("codedeploy_stop", "cancel_task", "cancel_post_task")
    known = state.step in _GOES_BACK or state.step in _PROVES
    known = known or (state.step in stops and state.intent is not None)
    return known and isinstance(error, Refused | WrongForAws)


def _expected(state: RolloutState) -> bool:
    """Whether the step itself has another way: not to be stopped, settings that stay."""
    if state.step == "settings":
        return state.ending is not None
    return state.step == "agree" and state.intent is not None
