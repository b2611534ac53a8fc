"""What is left of pipelines that are configured no more, where CodeBuild builds; pure.

Their requests become dead letters, never silently, and rows of builders that are over go. Their
locks stay, for the number in them only grows: a pipeline of the same name goes on from there.
"""

from __future__ import annotations

from lambdas.decide.situation import Action, ForgetBuilder, GiveUp, Snapshot

PATIENCE = 3600.0
"""Seconds for which something is left alone: functions learn of a pipeline one after the other."""


def unconfigured_actions(snapshot: Snapshot) -> list[Action]:
    """Requests to give up on, then builders to forget."""
    if not snapshot.engine.uses_code_build:
        return []
    return [*_requests(snapshot), *_builders(snapshot)]


def _requests(snapshot: Snapshot) -> list[Action]:
    """Those of pending rows, and of wants that have none."""
    with_rows = {row.request_id for row in snapshot.pending}
    rows: list[Action] = [
        GiveUp(
            pipeline=row.pipeline, request_id=row.request_id, body=row.body, row=row,
            why=_why(row.pipeline),
        )
        for row in snapshot.pending
        if snapshot.now - row.since > PATIENCE and _is_left(snapshot, row.pipeline)
    ]  # fmt: skip
    wants: list[Action] = [
        GiveUp(
            pipeline=want.pipeline, request_id=want.request_id, body=want.body, row=None,
            why=_why(want.pipeline),
        )
        for want in snapshot.wants
        if want.request_id not in with_rows
        and snapshot.now - want.pushed_at > PATIENCE
        and _is_left(snapshot, want.pipeline)
    ]  # fmt: skip
    return [*rows, *wants]


def _builders(snapshot: Snapshot) -> list[Action]:
    """Those that have been over for long, once nothing is left that names their generation."""
    with_rows = {row.pipeline for row in snapshot.pending}
    return [
        ForgetBuilder(builder=row, why=_why(row.pipeline))
        for name, row in sorted(snapshot.builders.items())
        if name not in with_rows
        and not row.is_live
        and snapshot.now - max(row.asked_at, row.ended_at or 0.0) > PATIENCE
        and _is_left(snapshot, name)
    ]


def _is_left(snapshot: Snapshot, pipeline: str) -> bool:
    """It is configured no more, nobody is at it, and no outcome of it is still to be told."""
    lock = snapshot.locks.get(pipeline)
    return (
        pipeline not in snapshot.configured
        and pipeline not in snapshot.at_work
        and not snapshot.locked(pipeline)
        and (lock is None or lock.untold is None)
    )


def _why(pipeline: str) -> str:
    return f"pipeline {pipeline!r} is configured no more"
