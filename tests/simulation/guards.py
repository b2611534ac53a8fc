"""Switches that take one guard out of the real code, to see what breaks without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.simulation.dynamodb import FakeDynamoDB


@dataclass(frozen=True)
class Guard:
    """One guard. `conditions`: texts taken out of the table's write conditions (each must occur);
    `patches`: dotted names of functions that the real code calls, with what stands in for them;
    `parts`: parts of the modelled world that are taken out.
    """

    name: str
    conditions: tuple[tuple[str, str], ...] = ()
    patches: tuple[tuple[str, Callable[..., Any]], ...] = ()
    parts: frozenset[str] = frozenset()

    @contextlib.contextmanager
    def out(self) -> Iterator[Callable[[], FakeDynamoDB]]:
        """The guard is out; gives what makes a table without it."""
        used: set[str] = set()
        with contextlib.ExitStack() as stack:
            for target, stand_in in self.patches:
                stack.enter_context(patch(target, stand_in))
            yield lambda: LooseDynamoDB(self.conditions, used)
        unused = {text for text, _ in self.conditions} - used
        assert not unused, f"guard {self.name!r}: no condition has {unused}"


class LooseDynamoDB(FakeDynamoDB):
    """A table that leaves parts of its conditions out."""

    def __init__(self, conditions: tuple[tuple[str, str], ...], used: set[str]) -> None:
        super().__init__()
        self._conditions = conditions
        self._used = used

    def _holds(self, key: dict[str, Any], expressions: dict[str, Any]) -> bool:
        condition = expressions.get("ConditionExpression")
        if condition is not None:
            for text, instead in self._conditions:
                if text in condition:
                    self._used.add(text)
                    condition = condition.replace(text, instead)
            expressions = {**expressions, "ConditionExpression": condition}
        return super()._holds(key, expressions)


def nothing(*arguments: Any, **named: Any) -> list[Any]:
    """In place of a rule: no actions."""
    return []


NOT_STOPPING = "(#s <> :stopping OR (claim_expires > :zero AND claim_expires <= :now))"


WITHOUT_DRIFT = Guard("drift", patches=(("lambdas.decide.decision.drift_actions", nothing),))
"""The drift check would find a lost request after twenty minutes."""
