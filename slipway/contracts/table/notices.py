"""Notice rows: what is being posted or was posted, so that a doubled delivery posts none."""

from __future__ import annotations

from typing import Literal

from slipway.contracts.table.store import Store

Claim = Literal["mine", "posted", "busy"]


class Notices:
    """Notice rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, notice_id: str, now: float, *, ttl: float) -> Claim:
        """`mine`: post it now; `posted`: it was; `busy`: another poster's claim has not expired.

        `ttl`: seconds of the claim, longer than a poster can live.
        """
        claimed = self._store.put(
            {
                **_key(notice_id),
                "claim_expires": now + ttl,
                "expires": int(now + 40 * 86400),
            },
            condition="attribute_not_exists(pk)"
            " OR (attribute_not_exists(posted_at) AND claim_expires <= :now)",
            parameters={":now": now},
        )
        if claimed:
            return "mine"
        row = self._store.get(f"NOTICE#{notice_id}", "-") or {}
        return "posted" if "posted_at" in row else "busy"

    def mark_posted(self, notice_id: str, now: float) -> None:
        self._store.update(
            f"NOTICE#{notice_id}", "-", "SET posted_at = :now", parameters={":now": now}
        )

    def give_back(self, notice_id: str) -> None:
        """Posting failed: let the next delivery claim it at once."""
        self._store.delete(f"NOTICE#{notice_id}", "-", condition="attribute_not_exists(posted_at)")


def _key(notice_id: str) -> dict[str, str]:
    return {"pk": f"NOTICE#{notice_id}", "sk": "-"}
