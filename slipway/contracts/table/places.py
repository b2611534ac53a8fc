"""Places of builders: one for each build that the limit allows at the same time.

A place names the builder that took it last, by pipeline and generation, and is free once that one
is over. So nobody gives a place back, and none can be lost. Who takes one names what it saw there:
of two who take the same place in the same moment one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from slipway.contracts.table.store import Write

MARK = "#"
"""Begins the sort key of a place, in the builders' partition: no pipeline's name begins so."""


class Row(Protocol):
    """What a place has to know of a builder's row."""

    @property
    def generation(self) -> int: ...
    @property
    def is_live(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """Place `number`, from 0. `kept` counts how often its builder, done, went on after all."""

    number: int
    pipeline: str = ""
    generation: int = 0
    kept: int = 0

    def is_free(self, builders: Mapping[str, Row]) -> bool:
        """Whether the builder that took it is over. A row that is older than the place says nothing
        of that one.
        """
        if not self.pipeline:
            return True
        row = builders.get(self.pipeline)
        if row is None or row.generation < self.generation:
            return False
        return row.generation > self.generation or not row.is_live

    @property
    def sort_key(self) -> str:
        return f"{MARK}{self.number:04d}"


def taking(partition: str, place: Place, pipeline: str, generation: int) -> Write:
    """The write that takes the place as it was seen, for a transaction."""
    seen = place.pipeline != ""
    condition = "pipeline = :was AND generation = :before AND kept = :kept"
    before = {":was": place.pipeline, ":before": place.generation, ":kept": place.kept}
    return Write(
        "update",
        {"pk": partition, "sk": place.sort_key},
        expression="SET #number = :number, pipeline = :pipeline, generation = :mine, kept = :zero",
        condition=condition if seen else "attribute_not_exists(pk)",
        names={"#number": "number"},
        parameters={
            ":number": place.number,
            ":pipeline": pipeline,
            ":mine": generation,
            ":zero": 0,
            **(before if seen else {}),
        },
    )


def keeping(partition: str, number: int, pipeline: str, generation: int) -> Write:
    """The write of a builder that has said it is done, and goes on: whoever saw the place as free
    is refused. The condition fails where another was quicker.
    """
    return Write(
        "update",
        {"pk": partition, "sk": Place(number=number).sort_key},
        expression="ADD kept :one",
        condition="pipeline = :pipeline AND generation = :mine",
        parameters={":one": 1, ":pipeline": pipeline, ":mine": generation},
    )
