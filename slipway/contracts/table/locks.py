"""The pipeline lock: one worker at a time deploys a pipeline.

A lock is a lease with an expiry and a fencing number that grows with every taking; its holder
renews it with its heartbeat and looks at it before every change in ECS. Who finds it taken leaves
a note (`again`) and settles its tip request into it: the holder, or the reconciler after expiry,
runs the tip once more. Released locks keep their row, so that the fencing number only grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.contracts.codec import decode
from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.table.requests import settled_key
from slipway.contracts.table.store import Store

PARTITION = "LOCK"
NEVER = 253402300800.0
"""The end of the year 9999: when a deployment's lock expires."""
_DEPLOYMENT = "deployment:"
_CANCEL = "cancel:"
_PEOPLE = "cli:"
_ROLLBACK = "rollback"
NO_TAKEOVER = "takeover, takeover_at, takeover_reason"
"""What to remove of a lock's row so that nobody asks its holder for anything."""
_NOT_AGAIN = "REMOVE again, again_by, again_at, again_commit"


@dataclass(frozen=True, kw_only=True)
class LockRow:
    """`holder`: `host id/boot/process.run` of an agent, `cli:<who>`, or `deployment:<id>`; empty:
    free.

    `again`: the request that asked for another run of the tip; `again_by`, `again_at` and
    `again_commit`: who pushed it, when, and which commit, where that is known (see
    `again_request`). `takeover`: the request that asks the holder to give
    way, or `cancel:<deployment>`; `takeover_at`, `takeover_reason`: its `pushed_at` and its reason.
    `untold`: the deployment whose outcome is recorded, until all that follows from the outcome is
    done.
    """

    pipeline: str
    holder: str = ""
    fence: int = 0
    expires_at: float = 0.0
    taken_at: float = 0.0
    again: str | None = None
    again_by: str | None = None
    again_at: float | None = None
    again_commit: str | None = None
    takeover: str | None = None
    takeover_at: float | None = None
    takeover_reason: str | None = None
    untold: str | None = None

    @property
    def deployment(self) -> str | None:
        """The deployment that holds the lock: its rollout is followed, and keeps nobody awake."""
        return self.holder.removeprefix(_DEPLOYMENT) if self.is_followed else None

    @property
    def is_followed(self) -> bool:
        return self.holder.startswith(_DEPLOYMENT)

    @property
    def host(self) -> str | None:
        """The host whose run holds the lock, or held it."""
        host, slash, _ = self.holder.partition("/")
        return host if slash and not self.holder.startswith((_PEOPLE, _DEPLOYMENT)) else None

    @property
    def cancelled(self) -> str | None:
        """The deployment that the holder is to end, for it was cancelled: that takes nothing over.

        Named, because the note stays: the holder may work on another deployment by now.
        """
        asked = self.takeover or ""
        return asked.removeprefix(_CANCEL) if asked.startswith(_CANCEL) else None

    def ends(self, deployment_id: str | None) -> bool:
        """Whether the holder is to end this deployment, on which it works, for it was cancelled.

        An earlier version's command line names who cancelled it instead, by an ARN.
        """
        cancelled = self.cancelled or ""
        return bool(deployment_id) and (cancelled == deployment_id or cancelled.startswith("arn:"))

    def gives_way(self, request: BuildRequest) -> bool:
        """Whether the holder, which works on `request`, is to give way.

        To a newer request, and to an operator's rollback whatever was pushed since. Never to the
        request itself, which may be delivered twice, nor to an older one that comes late.
        """
        if self.takeover in (None, request.request_id) or self.cancelled is not None:
            return False
        if self.takeover_reason == _ROLLBACK != request.reason:
            return True
        return self.takeover_at is None or self.takeover_at > request.pushed_at

    def taken(self, now: float) -> bool:
        return bool(self.holder) and self.expires_at > now


@dataclass(frozen=True)
class Lock:
    """A lock that this worker holds; `fence` proves which taking it was."""

    pipeline: str
    holder: str
    fence: int


class Locks:
    """Lock rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[LockRow]:
        return [decode(LockRow, row, strict=False) for row in self._store.query(PARTITION)]

    def get(self, pipeline: str) -> LockRow:
        row = self._store.get(PARTITION, pipeline)
        return decode(LockRow, row, strict=False) if row else LockRow(pipeline=pipeline)

    def take(self, pipeline: str, holder: str, now: float, *, ttl: float) -> Lock | None:
        """The lock, or None while another holds it. `ttl`: seconds until it expires unrenewed.

        An expired lock is taken over, and one of an earlier process on the same host; the note
        `again` that its last holder left stands. A client repeats a call whose answer it did not
        get: then the taking that is found may be this very one.
        """
        before = self.get(pipeline)
        if before.taken(now) and not _left_behind(before.holder, holder):
            return None
        fence = before.fence + 1
        taken = self._store.update(
            PARTITION,
            pipeline,
            "SET pipeline = :p, holder = :h, fence = :next, expires_at = :e, taken_at = :now"
            f" REMOVE {NO_TAKEOVER}",
            condition="attribute_not_exists(fence) OR fence = :fence",
            parameters={
                ":p": pipeline,
                ":h": holder,
                ":next": fence,
                ":e": now + ttl,
                ":now": now,
                ":fence": before.fence,
            },
        )
        if not taken:
            now_there = self.get(pipeline)
            found = (now_there.holder, now_there.fence, now_there.expires_at)
            taken = found == (holder, fence, now + ttl)
        return Lock(pipeline, holder, fence) if taken else None

    def renew(self, lock: Lock, now: float, *, ttl: float) -> bool:
        """Extend; False: it expired and is not ours any more, stop working."""
        return self._store.update(
            PARTITION,
            lock.pipeline,
            "SET expires_at = :e",
            condition="fence = :fence AND holder = :h AND expires_at > :now",
            parameters={
                ":e": now + ttl,
                ":fence": lock.fence,
                ":h": lock.holder,
                ":now": now,
            },
        )

    def ask_again(
        self,
        pipeline: str,
        asker: str,
        now: float,
        *,
        by: str = "",
        pushed_at: float = 0.0,
        commit_id: str | None = None,
    ) -> bool:
        """Note that the holder must run the tip once more; False if nobody holds the lock now.

        `asker` is the asking request's id, `by` who pushed it, `commit_id` what, where it is known.
        A note of a later push stays.
        """
        noted = self._store.update(
            PARTITION,
            pipeline,
            "SET again = :asker, again_by = :by, again_at = :at, again_commit = :commit",
            condition="holder <> :free AND expires_at > :now AND"
            " (attribute_not_exists(again) OR attribute_not_exists(again_at) OR again_at <= :at)",
            parameters={
                ":asker": asker,
                ":by": by,
                ":at": pushed_at,
                ":commit": commit_id or "",
                ":free": "",
                ":now": now,
            },
        )
        if noted:
            return True
        row = self.get(pipeline)
        return row.taken(now) and bool(row.again)

    def is_to_give_way(self, row: LockRow, request: BuildRequest) -> bool:
        """Whether the holder, which works on `request`, is to give way (see `LockRow.gives_way`).

        Not to a request that has its outcome: one that was cancelled while it waited has left its
        note, and nothing would come in the holder's place.
        """
        if row.takeover is None or not row.gives_way(request):
            return False
        key = settled_key(row.takeover)
        return self._store.get(key["pk"], key["sk"]) is None

    def ask_takeover(self, request: BuildRequest, now: float) -> bool:
        """Ask the holder to give way to `request`; False if nobody holds the lock now.

        The holder decides (see `is_to_give_way`).
        """
        return self._ask(
            request.pipeline,
            "SET takeover = :asker, takeover_at = :at, takeover_reason = :reason",
            now,
            {":asker": request.request_id, ":at": request.pushed_at, ":reason": request.reason},
        )

    def interrupt(self, pipeline: str, deployment_id: str, now: float) -> bool:
        """Interrupt the holder if it works on this deployment, which somebody has cancelled.

        False as `ask_takeover`.
        """
        return self._ask(
            pipeline,
            "SET takeover = :asker REMOVE takeover_at, takeover_reason",
            now,
            {":asker": f"{_CANCEL}{deployment_id}"},
        )

    def _ask(self, pipeline: str, what: str, now: float, parameters: dict[str, Any]) -> bool:
        """Write what the lock's holder is asked for; False if nobody holds it now."""
        return self._store.update(
            PARTITION,
            pipeline,
            what,
            condition="holder <> :free AND expires_at > :now",
            parameters={**parameters, ":free": "", ":now": now},
        )

    def take_again(self, lock: Lock, asker: str) -> bool:
        """Take the note `again` of that request as done by the run that holds the lock; False if it
        is gone, or a later push has left its own in its place: that one stands.
        """
        return self._store.update(
            PARTITION,
            lock.pipeline,
            _NOT_AGAIN,
            condition="fence = :fence AND again = :asker",
            parameters={":fence": lock.fence, ":asker": asker},
        )

    def release(self, lock: Lock) -> bool:
        """Give the lock back, unless the note `again` stands: then False, and run the tip first.

        True as well when the lock was lost meanwhile.
        """
        released = self._store.update(
            PARTITION,
            lock.pipeline,
            "SET holder = :free, expires_at = :zero",
            condition="fence = :fence AND attribute_not_exists(again)",
            parameters={":free": "", ":zero": 0, ":fence": lock.fence},
        )
        return released or self.get(lock.pipeline).fence != lock.fence

    def abandon(self, lock: Lock) -> None:
        """Give the lock back at once and leave the note `again` to whoever comes next."""
        self._store.update(
            PARTITION,
            lock.pipeline,
            "SET holder = :free, expires_at = :zero",
            condition="fence = :fence",
            parameters={":free": "", ":zero": 0, ":fence": lock.fence},
        )

    def told(self, pipeline: str, deployment_id: str) -> bool:
        """All that follows from the deployment's outcome is done; False if it was before."""
        return self._store.update(
            PARTITION,
            pipeline,
            "REMOVE untold",
            condition="untold = :id",
            parameters={":id": deployment_id},
        )

    def take_orphaned_again(self, row: LockRow, now: float) -> bool:
        """For the reconciler: take the note `again` in `row`, of a lock that nobody holds any more.
        False as `take_again`.
        """
        return self._store.update(
            PARTITION,
            row.pipeline,
            _NOT_AGAIN,
            condition="fence = :fence AND again = :asker"
            " AND (holder = :free OR expires_at <= :now)",
            parameters={
                ":fence": row.fence,
                ":asker": row.again or "",
                ":free": "",
                ":now": now,
            },
        )


def held_by(deployment_id: str) -> str:
    """The holder of the lock of a deployment whose rollout was handed over."""
    return f"{_DEPLOYMENT}{deployment_id}"


def _left_behind(holder: str, asker: str) -> bool:
    """A host has one agent: what an earlier process of it held is nobody's. A run of the asker's
    own process lives, and so does every other host's. Who is no run of a host (a person, one of the
    follower's invocations) has left nothing behind.
    """
    if holder == asker:
        return True
    process, is_run, _ = asker.rpartition(".")
    if not is_run or asker.startswith(_PEOPLE):
        return False
    host, _, _ = asker.partition("/")
    return holder.startswith(f"{host}/") and not holder.startswith(f"{process}.")


def again_request(row: LockRow, now: float) -> BuildRequest:
    """The tip request that the note `again` stands for.

    Its id comes from the taking and the asker: whoever turns the note into a request, and however
    often, makes the same one.
    """
    return BuildRequest(
        request_id=request_id_of("again", row.pipeline, f"{row.fence} {row.again}"),
        pipeline=row.pipeline,
        pushed_by=row.again_by or "",
        pushed_at=row.again_at or now,
        reason="push",
    )
