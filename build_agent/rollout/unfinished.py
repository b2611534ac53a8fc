"""What is said where a rollout ends without its end: AWS was changed, and nobody watches it."""

from __future__ import annotations

from build_agent.rollout.plan import RolloutResult
from contracts.errors import WorldFailed


class Unfinished(WorldFailed):
    """Something failed after AWS was changed: what was begun stays or goes on there, unwatched.

    `roll_out` raises it for whatever fails after the first change that AWS took, or may have taken
    (its answer was lost): credentials that end, a permission that is missing, the network, a lost
    lock. It is never WrongUse: that means that nothing was changed. `str(error)` is the cause and
    what goes on, one sentence; `__cause__` is the failure itself.

    `result`: the same as a result, for `--json`: `outcome` is `unwatched`, `cause` is the sentence,
    `before` what the service ran, `after` the revision (registered, or on its way), `deployment`
    ECS's (or CodeDeploy's) id where it is known, `running` None where it is not known.
    `goes_on`: a deployment of `after` goes on, or may; False: the service was not changed, only
    the revision was registered (or its task was started).
    """

    def __init__(self, text: str, *, result: RolloutResult, goes_on: bool) -> None:
        super().__init__(text)
        self.result = result
        self.goes_on = goes_on
