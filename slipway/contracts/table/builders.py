"""Builder rows: which build of CodeBuild works for a pipeline, if one does.

A row is moved to its next generation before StartBuild, and the token of that call is made of both:
ten pushes start one build. A build that is not of the row's generation has nothing to do. With the
row goes a place (`places.py`): no more builders than places are live at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from slipway.contracts.codec import decode
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.places import MARK, Place, keeping, taking
from slipway.contracts.table.store import Store, Write

PARTITION = "BUILDER"
_HOST = "codebuild:"
PATIENT = 3
"""Builds that may end early, one right after the other."""
PAUSE, LONGEST_PAUSE = 300.0, 3600.0
"""Seconds between the starts of two builds after that, doubled each time, and at most."""

BuilderState = Literal["none", "asked", "started", "done", "ended"]
"""`asked`: StartBuild is on its way, or its answer is; `started`: a build is there, perhaps still
in CodeBuild's queue; `done`: the builder has said that nothing is left to do; `ended`: CodeBuild
has said that the build is over.
"""


@dataclass(frozen=True, kw_only=True)
class BuilderRow:
    """Times are seconds since the epoch. `refused_since`: since when CodeBuild refuses to start one
    for the pipeline; `status`: CodeBuild's word on a build that has ended. `failures`: builds in a
    row that ended before their builder had said that it is done, this one counted until it does.
    `place`: the number of the one that it took; None: of a version that knew none.
    """

    pipeline: str
    generation: int = 0
    state: BuilderState = "none"
    asked_at: float = 0.0
    build_id: str | None = None
    ended_at: float | None = None
    status: str | None = None
    refused_since: float | None = None
    failures: int = 0
    place: int | None = None

    @property
    def next_at(self) -> float:
        """When the next build may be asked for: at once, but ever later where builds end early, so
        that what fails at once does not fail for money all day.
        """
        over = self.failures - PATIENT
        return self.asked_at + min(LONGEST_PAUSE, PAUSE * 2**over) if over >= 0 else 0.0

    @property
    def is_live(self) -> bool:
        """Somebody works for the pipeline, or is about to: nobody else is started."""
        return self.state in ("asked", "started")

    def is_heard(self, host: HostRow) -> bool:
        """Whether this very builder writes that host row: it has begun."""
        return host.boot == str(self.generation) and host.heartbeat_at >= self.asked_at

    @property
    def token(self) -> str:
        """StartBuild's `idempotencyToken` (at most 64 characters); CodeBuild knows it for five
        minutes.
        """
        return f"{self.pipeline}-{self.generation}"[-64:]

    @property
    def host_id(self) -> str:
        """How the builder is called where a build host's id stands."""
        return builder_host(self.pipeline)


_LIVE = "(#s = :asked OR #s = :started)"


def builder_host(pipeline: str) -> str:
    """The host id that a pipeline's builder works under."""
    return f"{_HOST}{pipeline}"


def is_builder(host_id: str) -> bool:
    """Whether the row of that host is a builder's, not a build host's."""
    return host_id.startswith(_HOST)


class Builders:
    """Builder rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[BuilderRow]:
        return list(self.with_places()[0].values())

    def with_places(self) -> tuple[dict[str, BuilderRow], tuple[Place, ...]]:
        """All rows, by pipeline, and the places that were ever taken; read in one query."""
        found = self._store.query(PARTITION)
        places = [decode(Place, row, strict=False) for row in found if _is_place(row)]
        rows = [decode(BuilderRow, row, strict=False) for row in found if not _is_place(row)]
        return {row.pipeline: row for row in rows}, tuple(places)

    def get(self, pipeline: str) -> BuilderRow:
        row = self._store.get(PARTITION, pipeline)
        if row is None:
            return BuilderRow(pipeline=pipeline)
        return decode(BuilderRow, row, strict=False)

    def ask(
        self, before: BuilderRow, now: float, *, places: Sequence[Place] | None = None
    ) -> BuilderRow | None:
        """The next generation, for which StartBuild is to be called; None if somebody else asks,
        or if none of the `places`, which were free, is free any more. None of them is tried twice.

        `places` None: without one, whatever the limit.
        """
        mine = replace(
            before, generation=before.generation + 1, state="asked", asked_at=now, build_id=None,
            ended_at=None, status=None, failures=before.failures + 1, place=None,
        )  # fmt: skip
        for place in [None] if places is None else places:
            asking = mine if place is None else replace(mine, place=place.number)
            taken = [] if place is None else [_taking(place, asking)]
            if self._store.transact([_asking(asking, before.generation), *taken]):
                return asking
            found = self.get(before.pipeline)  # the answer to this very call may have been lost
            if (found.generation, found.state, found.asked_at) == (mine.generation, "asked", now):
                return found
            if found.generation != before.generation or found.is_live:
                return None
        return None

    def refuse(self, row: BuilderRow, now: float, *, is_full: bool = True) -> bool:
        """Nothing was started: the pipeline waits, and is asked for again at once.

        `is_full`: because CodeBuild takes no further build now; since when is noted.
        """
        since = ", refused_since = if_not_exists(refused_since, :now)" if is_full else ""
        return self._update(
            row.pipeline,
            "SET #s = :ended, ended_at = :now, asked_at = :long_ago, failures = :failures" + since,
            "generation = :generation AND #s = :asked",
            {
                ":ended": "ended",
                ":asked": "asked",
                ":now": now,
                ":generation": row.generation,
                ":failures": max(0, row.failures - 1),
                ":long_ago": 0,
            },
        )

    def start(self, pipeline: str, generation: int, build_id: str) -> bool:
        """A build of that generation is there; False if it is not the row's, or has ended, or if
        another build of the generation was quicker.
        """
        return self._update(
            pipeline,
            "SET #s = :started, build_id = :build REMOVE refused_since",
            f"generation = :generation AND {_LIVE}"
            " AND (attribute_not_exists(build_id) OR build_id = :build)",
            {
                ":started": "started",
                ":asked": "asked",
                ":build": build_id,
                ":generation": generation,
            },
        )

    def say_done(self, pipeline: str, generation: int, now: float) -> bool:
        """The builder finds nothing left to do. It looks once more afterwards: whoever has work
        meanwhile looks at this row after writing it.
        """
        return self._update(
            pipeline,
            "SET #s = :done, ended_at = :now, failures = :none",
            "generation = :generation AND #s <> :ended",
            {
                ":done": "done",
                ":ended": "ended",
                ":now": now,
                ":none": 0,
                ":generation": generation,
            },
        )

    def go_on(self, pipeline: str, generation: int) -> bool:
        """There is work after all; False if another builder is asked for it already, or another
        has the place: then what is left to do waits for the end of this build, and a next one.
        """
        place = self.get(pipeline).place
        kept = [] if place is None else [keeping(PARTITION, place, pipeline, generation)]
        return self._store.transact(
            [
                _moving(
                    pipeline,
                    "SET #s = :started REMOVE ended_at",
                    "generation = :generation AND (#s = :done OR #s = :started)",
                    {":started": "started", ":done": "done", ":generation": generation},
                ),
                *kept,
            ]
        )

    def end(self, row: BuilderRow, status: str, now: float) -> bool:
        """CodeBuild says that the build has ended; False if the row is of another one by now."""
        return self._update(
            row.pipeline,
            "SET #s = :ended, ended_at = :now, #status = :status",
            "generation = :generation AND #s <> :ended",
            {":ended": "ended", ":now": now, ":status": status, ":generation": row.generation},
            names={"#status": "status"},
        )

    def forget(self, row: BuilderRow) -> bool:
        """Delete the row of a builder that is over, and its place; False if there is another."""
        if row.place is not None:
            self._store.delete(
                PARTITION,
                Place(number=row.place).sort_key,
                condition="pipeline = :pipeline AND generation = :generation",
                parameters={":pipeline": row.pipeline, ":generation": row.generation},
            )
        return self._store.delete(
            PARTITION,
            row.pipeline,
            condition="generation = :generation AND #s <> :asked AND #s <> :started",
            names={"#s": "state"},
            parameters={
                ":generation": row.generation,
                ":started": "started",
                ":asked": "asked",
            },
        )

    def _update(
        self,
        pipeline: str,
        expression: str,
        condition: str,
        parameters: dict[str, object],
        names: dict[str, str] | None = None,
    ) -> bool:
        return self._store.update(
            PARTITION,
            pipeline,
            expression,
            condition=condition,
            names={"#s": "state", **(names or {})},
            parameters=parameters,
        )


def _asking(row: BuilderRow, before: int) -> Write:
    """The move to the next generation, from the one `before`."""
    return _moving(
        row.pipeline,
        "SET pipeline = :pipeline, generation = :next, #s = :asked, asked_at = :now,"
        " failures = :failures, place = :place REMOVE build_id, ended_at, #status",
        "attribute_not_exists(pk) OR (generation = :before AND #s <> :asked AND #s <> :started)",
        {
            ":pipeline": row.pipeline,
            ":next": row.generation,
            ":before": before,
            ":failures": row.failures,
            ":place": row.place,
            ":asked": "asked",
            ":started": "started",
            ":now": row.asked_at,
        },
        {"#status": "status"},
    )


def _taking(place: Place, row: BuilderRow) -> Write:
    return taking(PARTITION, place, row.pipeline, row.generation)


def _moving(
    pipeline: str,
    expression: str,
    condition: str,
    parameters: Mapping[str, object],
    names: Mapping[str, str] | None = None,
) -> Write:
    return Write(
        "update",
        {"pk": PARTITION, "sk": pipeline},
        expression=expression,
        condition=condition,
        names={"#s": "state", **(names or {})},
        parameters=parameters,
    )


def _is_place(row: Mapping[str, Any]) -> bool:
    return str(row["sk"]).startswith(MARK)
