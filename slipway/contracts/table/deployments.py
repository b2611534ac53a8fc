"""Deployment rows: one attempt of the agent to make a commit run, its stages and its outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.codec import decode, encode
from slipway.contracts.messages import Commit, DeploymentResult
from slipway.contracts.table.locks import NO_TAKEOVER, Lock, held_by
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.pipelines import PARTITION as PIPELINE
from slipway.contracts.table.pipelines import change_expression
from slipway.contracts.table.store import Store, Write

FOLLOWER = "the follower"
"""How the follower Lambda is called; a host that follows is `host <id>`. What comes after a `/` in
`claimed_by` tells processes apart.
"""


@dataclass(frozen=True, kw_only=True)
class DeploymentRow:
    """`status` is None while it runs. `stages`: start of each stage, seconds since the epoch.

    `result` is set once, with the outcome. `announced_at`: the close notice was published.
    `heartbeat` of a running deployment is its host's. Once handed over: `rollout` is what is known
    of it (JSON, `slipway/following`), `step` how often somebody took a step, `claimed_by` who does
    until `claimed_until`, `next_look` when the next step is due. `cancelled_by`: who cancelled it.
    """

    deployment_id: str
    pipeline: str
    request_id: str
    reason: str
    pushed_by: str = ""
    pushed_at: float | None = None
    started_at: float = 0.0
    host_id: str = ""
    boot: str = ""
    fence: int = 0
    stage: str = "received"
    stages: dict[str, float] = field(default_factory=dict)
    detail: str | None = None
    commit: Commit | None = None
    images: dict[str, str] = field(default_factory=dict)
    task_definition_before: str | None = None
    task_definition_after: str | None = None
    status: str | None = None
    ended_at: float | None = None
    result: DeploymentResult | None = None
    announced_at: float | None = None
    rollout: str | None = None
    step: int = 0
    claimed_by: str | None = None
    claimed_until: float = 0.0
    next_look: float | None = None
    cancelled_by: str | None = None

    @property
    def is_followed(self) -> bool:
        """Its rollout was handed over, and is not over."""
        return self.rollout is not None and self.ended_at is None

    def claimed(self, now: float) -> bool:
        """Somebody takes a step of its rollout just now."""
        return self.claimed_by is not None and self.claimed_until > now

    def followed_by(self, now: float) -> str | None:
        """Who follows the rollout: an awake host, or the follower; None: it is not followed."""
        if not self.is_followed:
            return None
        by = self.claimed_by if self.claimed(now) else None
        return by.partition("/")[0] if by else FOLLOWER


@dataclass(frozen=True)
class Claim:
    """Step `step` of a handed-over rollout is taken by `by`: proof that nobody else takes it."""

    deployment_id: str
    by: str
    step: int


class Deployments:
    """Deployment rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, row: DeploymentRow, *, kept: float) -> bool:
        """Write a new deployment; False if its id exists. `kept`: seconds until it may expire."""
        return self._store.put(
            {
                **deployment_key(row.deployment_id),
                **encode(row),
                "expires": int(row.started_at + kept),
            },
            condition="attribute_not_exists(pk)",
        )

    def take_up(self, deployment_id: str, *, host_id: str, boot: str, fence: int) -> bool:
        """Note who works on it now, under the lock of this fence; False if it is over, or if a
        later holder of the lock has taken it up.
        """
        return self._store.update(
            *_key_pair(deployment_id),
            "SET host_id = :host, boot = :boot, fence = :fence",
            condition=f"{_NOT_OVER} AND fence <= :fence",
            parameters={":host": host_id, ":boot": boot, ":fence": fence},
        )

    def enter_stage(
        self, deployment_id: str, stage: str, now: float, *, under: int | None = None
    ) -> bool:
        """Note that a stage starts; False if the deployment is over or unknown.

        `under`: the lock's fence of who notes it. False as well once a later holder of the lock has
        taken the deployment up: who was frozen, or lost its lock, must not say what is built now.
        """
        condition, parameters = _not_over(under)
        return self._store.update(
            *_key_pair(deployment_id),
            "SET stage = :stage, stages.#stage = if_not_exists(stages.#stage, :now) REMOVE detail",
            condition=condition,
            names={"#stage": stage},
            parameters={":stage": stage, ":now": now, **parameters},
        )

    def note(self, deployment_id: str, *, under: int | None = None, **values: object) -> bool:
        """Set members of a running deployment (commit, images, detail, task definitions …).

        `under` as for `enter_stage`.
        """
        encoded = {name: encode(value) for name, value in values.items()}
        condition, parameters = _not_over(under)
        for name in encoded:
            if name not in DeploymentRow.__dataclass_fields__:
                raise TypeError(f"a deployment row has no member {name!r}")
        return self._store.update(
            *_key_pair(deployment_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in encoded),
            condition=condition,
            names={f"#{name}": name for name in encoded},
            parameters={**{f":{name}": value for name, value in encoded.items()}, **parameters},
        )

    def finish(
        self,
        result: DeploymentResult,
        changes: Mapping[str, str | float | int | bool | None] | None = None,
        *,
        lock: Lock | None = None,
        claim: Claim | None = None,
    ) -> bool:
        """Record the outcome, once; False if it has one already, or if `lock` is not held any more.

        `changes` to the pipeline's row go in the same transaction: they are made once, too, and
        only under the lock (fencing). `claim`: of a rollout that was handed over; its lock, which
        the deployment holds, is freed. False as well if another transaction was in the way.
        """
        if not changes and lock is None:
            return self._store.update(
                *_key_pair(result.deployment_id), **_finish_expressions(result, claim)
            )
        expression, parameters = change_expression(result.pipeline, changes or {})
        change = Write(
            "update",
            {"pk": PIPELINE, "sk": result.pipeline},
            expression=expression,
            parameters=parameters,
        )
        fenced = [_fenced(lock, result.deployment_id)] if lock else []
        return self._store.transact([finishing(result, claim), change, *fenced])

    def announced(self, deployment_id: str, now: float) -> None:
        """Note that the close notice was accepted by SNS."""
        self._store.update(
            *_key_pair(deployment_id), "SET announced_at = :now", parameters={":now": now}
        )

    def get(self, deployment_id: str) -> DeploymentRow | None:
        row = self._store.get(*_key_pair(deployment_id))
        return decode(DeploymentRow, row, strict=False) if row else None

    def get_many(self, deployment_ids: Iterable[str]) -> dict[str, DeploymentRow]:
        """Those of `deployment_ids` that exist, by id."""
        found = self._store.get_many(_key_pair(deployment_id) for deployment_id in deployment_ids)
        rows = (decode(DeploymentRow, row, strict=False) for row in found)
        return {row.deployment_id: row for row in rows}

    def newest(self, pipeline: str, limit: int) -> list[DeploymentRow]:
        rows = self._store.query(f"DEPLOYMENT#{pipeline}", limit=limit, newest=True)
        return [decode(DeploymentRow, row, strict=False) for row in rows]

    def newest_first(
        self, pipeline: str, *, page: int = 100, statuses: Collection[str] = ()
    ) -> Iterator[DeploymentRow]:
        """As far back as asked for, `page` rows a call; only those of `statuses`, if any."""
        having = {"status": statuses} if statuses else None
        for row in self._store.newest_first(f"DEPLOYMENT#{pipeline}", page=page, having=having):
            yield decode(DeploymentRow, row, strict=False)


def pipeline_of(deployment_id: str) -> str:
    """The pipeline that a deployment id names: `<pipeline>-<YYYYMMDDHHMMSS>-<6 hex digits>`."""
    return deployment_id.rsplit("-", 2)[0]


_FINISH = "SET #status = :status, stage = :stage, ended_at = :ended, #result = :result"
_FORGET = " REMOVE rollout, claimed_by, claimed_until, next_look"
_NOT_OVER = "attribute_exists(pk) AND attribute_not_exists(ended_at)"


def _not_over(under: int | None) -> tuple[str, dict[str, Any]]:
    if under is None:
        return _NOT_OVER, {}
    return f"{_NOT_OVER} AND fence = :under", {":under": under}


def _fenced(lock: Lock, deployment_id: str) -> Write:
    """An update, not a check: it needs no permission that the other moves do not need.

    A lock that the deployment itself holds is freed, and remembers that people are to be told.
    """
    expression = "SET recorded = :id"
    parameters: dict[str, Any] = {":id": deployment_id}
    if lock.holder == held_by(deployment_id):
        expression += f", untold = :id, holder = :free, expires_at = :zero REMOVE {NO_TAKEOVER}"
        parameters |= {":free": "", ":zero": 0}
    return Write(
        "update",
        {"pk": LOCK, "sk": lock.pipeline},
        expression=expression,
        condition="fence = :fence AND holder = :holder",
        parameters={**parameters, ":fence": lock.fence, ":holder": lock.holder},
    )


def finishing(result: DeploymentResult, claim: Claim | None = None) -> Write:
    """The write that records the outcome of a deployment that has none, for a transaction.

    Without `claim`: only of one that was not handed over.
    """
    return Write(
        "update", deployment_key(result.deployment_id), **_finish_expressions(result, claim)
    )


def _finish_expressions(result: DeploymentResult, claim: Claim | None) -> dict[str, Any]:
    parameters = {
        ":status": result.status,
        ":stage": result.stage,
        ":ended": result.ended_at,
        ":result": encode(result),
    }
    expression = _FINISH
    if result.cancelled_by is not None:
        expression += ", cancelled_by = :cancelled"
        parameters[":cancelled"] = result.cancelled_by
    condition = f"{_NOT_OVER} AND attribute_not_exists(rollout)"
    if claim is not None:
        condition = f"{_NOT_OVER} AND step = :step AND claimed_by = :by"
        parameters |= {":step": claim.step, ":by": claim.by}
    return {
        "expression": expression + _FORGET,
        "condition": condition,
        "names": {"#status": "status", "#result": "result"},
        "parameters": parameters,
    }


def deployment_key(deployment_id: str) -> dict[str, str]:
    """The key of a deployment's row."""
    pk, sk = _key_pair(deployment_id)
    return {"pk": pk, "sk": sk}


def _key_pair(deployment_id: str) -> tuple[str, str]:
    return f"DEPLOYMENT#{pipeline_of(deployment_id)}", deployment_id
