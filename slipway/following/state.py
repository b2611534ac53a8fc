"""What a deployment's row knows of a rollout that it owns: all that another process goes on with.

JSON with a version, some kilobytes, no credentials. A state of a version that this code does not
know is left as it is, for the code that knows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.codec import compact, decode
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest, Commit, CompanionKind, Stage
from slipway.rollout.state import VERSION as ROLLOUT_VERSION
from slipway.rollout.state import RolloutState

VERSION = 1
"""Of the form of `Followed`."""


@dataclass(frozen=True, kw_only=True)
class StageBegun:
    """A stage of the deployment, and when it began."""

    stage: Stage
    at: float


@dataclass(frozen=True, kw_only=True)
class Part:
    """One service of several. `ran`: its task definition's ARN at the hand-over, if it was looked
    at. `moves`: a rollout was on its way there then, and may still be taken back.

    With a `kind` it is none, but a companion of the services (see `ServiceOutcome`).
    """

    cluster: str
    service: str
    ran: str | None = None
    moves: bool | None = None
    kind: CompanionKind | None = None


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """How often in a row the world failed a step, since when, and how it failed last.

    `change`: the rollout's step in which a change failed, if one did: looks that succeed, as before
    each try of it, do not end such a trouble. `rollout`: the number of that of several that failed
    last: what another one does ends no trouble of it.
    """

    count: int
    first_at: float
    text: str
    change: str | None = None
    rollout: int | None = None


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One deployment from its hand-over on. `rollouts`: those of its services, in order.

    `settles`: how many requests end with it. `image_digest`: of the pipeline's first image;
    `images`: repository to digest, to be tagged as what runs. `tip_seen`: the branch's tip that the
    request has dealt with. `stages`: those before the rollout, too, for the notice's timings.
    `parts`: the services, where there are several, and then their companions; `together`: the
    services are rolled out side by side.
    `definition_changes`: as in `DeploymentResult`.
    """

    request: BuildRequest
    rollouts: tuple[RolloutState, ...]
    settles: int = 1
    commit: Commit | None = None
    warning: str | None = None
    tests: str | None = None
    commits_since: tuple[Commit, ...] = ()
    commits_since_count: int | None = None
    image_digest: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    tip_seen: str | None = None
    stages: tuple[StageBegun, ...] = ()
    trouble: Trouble | None = None
    cancelled_by: str | None = None
    parts: tuple[Part, ...] | None = None
    together: bool | None = None
    definition_changes: tuple[str, ...] | None = None
    version: int = VERSION

    @property
    def under_way(self) -> RolloutState | None:
        """The first rollout that is not over; None once all are."""
        return next((state for state in self.rollouts if state.result is None), None)

    def with_rollout(self, number: int, state: RolloutState) -> Followed:
        """The same, with what is known of one of its rollouts now."""
        there = (*self.rollouts[:number], state, *self.rollouts[number + 1 :])
        return replace(self, rollouts=there)

    @property
    def stage(self) -> Stage:
        """Where it is."""
        return self.stages[-1].stage if self.stages else "rollout"

    def entered(self, stage: Stage, now: float) -> Followed:
        """The same, in `stage` from `now` on."""
        return replace(self, stages=(*self.stages, StageBegun(stage=stage, at=now)))


def to_json(followed: Followed) -> str:
    """The state as JSON, without blanks."""
    return compact(followed)


def from_json(text: str) -> Followed:
    """The state of which `to_json` made `text`.

    Raises InvalidMessage for what is none, and for a version that this code does not know: then it
    must be left as it is.
    """
    try:
        data: Any = json.loads(text)
    except ValueError:
        raise InvalidMessage("$", "must be JSON") from None
    if not isinstance(data, dict):
        raise InvalidMessage("$", "must be an object")
    _check_version(data, "version", VERSION)
    for number, state in enumerate(data.get("rollouts") or ()):
        known = state if isinstance(state, dict) else {}
        _check_version(known, f"rollouts[{number}].version", ROLLOUT_VERSION)
    return decode(Followed, data)


def _check_version(data: Mapping[str, Any], path: str, known: int) -> None:
    if data.get("version") != known:
        raise InvalidMessage(path, f"must be {known}, not {data.get('version')!r}")
