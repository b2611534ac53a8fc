"""Deployment rows: one attempt of the agent to make a commit run, its stages and its outcome."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.codec import decode, encode
from slipway.contracts.messages import Commit, DeploymentResult
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.pipelines import PARTITION as PIPELINE
from slipway.contracts.table.pipelines import change_expression
from slipway.contracts.table.store import Store, Write


@dataclass(frozen=True, kw_only=True)
class DeploymentRow:
    """`status` is None while it runs. `stages`: start of each stage, seconds since the epoch.

    `result` is set once, with the outcome. `announced_at`: the close notice was published.
    `heartbeat` of a running deployment is its host's.
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


class Deployments:
    """Deployment rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def start(self, row: DeploymentRow, *, kept: float) -> bool:
        """Write a new deployment; False if its id exists. `kept`: seconds until it may expire."""
        return self._store.put(
            {**_key(row.deployment_id), **encode(row), "expires": int(row.started_at + kept)},
            condition="attribute_not_exists(pk)",
        )

    def enter_stage(self, deployment_id: str, stage: str, now: float) -> bool:
        """Note that a stage starts; False if the deployment is over or unknown."""
        return self._store.update(
            *_key_pair(deployment_id),
            "SET stage = :stage, stages.#stage = if_not_exists(stages.#stage, :now) REMOVE detail",
            condition="attribute_exists(pk) AND attribute_not_exists(ended_at)",
            names={"#stage": stage},
            parameters={":stage": stage, ":now": now},
        )

    def note(self, deployment_id: str, **values: object) -> bool:
        """Set members of a running deployment (commit, images, detail, task definitions …)."""
        encoded = {name: encode(value) for name, value in values.items()}
        for name in encoded:
            if name not in DeploymentRow.__dataclass_fields__:
                raise TypeError(f"a deployment row has no member {name!r}")
        return self._store.update(
            *_key_pair(deployment_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in encoded),
            condition="attribute_exists(pk) AND attribute_not_exists(ended_at)",
            names={f"#{name}": name for name in encoded},
            parameters={f":{name}": value for name, value in encoded.items()},
        )

    def finish(
        self,
        result: DeploymentResult,
        changes: Mapping[str, str | float | int | bool | None] | None = None,
        *,
        lock: Lock | None = None,
    ) -> bool:
        """Record the outcome, once; False if it has one already, or if `lock` is not held any more.

        `changes` to the pipeline's row go in the same transaction: they are made once, too, and
        only under the lock (fencing). False as well if another transaction was in the way.
        """
        if not changes:
            return self._store.update(
                *_key_pair(result.deployment_id), _FINISH, **_finish_expressions(result)
            )
        expression, parameters = change_expression(result.pipeline, changes)
        finish = Write(
            "update",
            _key(result.deployment_id),
            expression=_FINISH,
            **_finish_expressions(result),
        )
        change = Write(
            "update",
            {"pk": PIPELINE, "sk": result.pipeline},
            expression=expression,
            parameters=parameters,
        )
        fenced = [_fenced(lock, result.deployment_id)] if lock else []
        return self._store.transact([finish, change, *fenced])

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


def _fenced(lock: Lock, deployment_id: str) -> Write:
    """An update, not a check: it needs no permission that the other moves do not need."""
    return Write(
        "update",
        {"pk": LOCK, "sk": lock.pipeline},
        expression="SET recorded = :id",
        condition="fence = :fence AND holder = :holder",
        parameters={":id": deployment_id, ":fence": lock.fence, ":holder": lock.holder},
    )


def _finish_expressions(result: DeploymentResult) -> dict[str, Any]:
    return {
        "condition": "attribute_exists(pk) AND attribute_not_exists(ended_at)",
        "names": {"#status": "status", "#result": "result"},
        "parameters": {
            ":status": result.status,
            ":stage": result.stage,
            ":ended": result.ended_at,
            ":result": encode(result),
        },
    }


def _key(deployment_id: str) -> dict[str, str]:
    pk, sk = _key_pair(deployment_id)
    return {"pk": pk, "sk": sk}


def _key_pair(deployment_id: str) -> tuple[str, str]:
    return f"DEPLOYMENT#{pipeline_of(deployment_id)}", deployment_id
