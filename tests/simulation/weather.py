"""Which faults a history has, and how many of each have happened."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

CALLS = {"slow": 0.04, "refused": 0.03, "lost": 0.02, "unanswered": 0.02}
"""Chance of each fault in a call to AWS, where the history has it."""
REPEATED = 0.5
"""Chance that a conditional write which got no answer is repeated, and answered then."""
REPEATED_FROM = 3_700_000
"""The first seed with such repeats: histories of earlier ones stay what they were."""

KINDS = (
    "call slow",
    "call refused",
    "call lost",
    "call unanswered",
    "delivery late",
    "delivery twice",
    "delivery lost",
    "received twice",
    "wrong counts",
    "EC2 answers late",
    "no capacity",
    "start dies",
    "stop refused",
    "slow stop",
    "silent boot",
    "slow boot",
    "Lambda crashes",
    "Lambda is lost",
    "event lost",
    "event twice",
    "schedule skipped",
    "agent killed",
    "host dies",
    "host killed at update",
    "host frozen",
    "held up",
    "worker hangs",
    "host is stopped",
    "fetch fails",
    "build fails",
    "push fails",
    "ECS fails",
    "ECS is slow",
    "Slack answers 500",
    "Slack answers 429",
    "Slack is silent",
    "Slack's answer is lost",
    "dev side is silent",
    "old duplicate",
    "follow message lost",
    "follow message late",
    "ECS event lost",
    "ECS event late",
    "ECS event twice",
)


class Weather:
    """Faults of `kinds` happen until `until`, with the chances that whoever asks gives."""

    def __init__(
        self,
        kinds: frozenset[str],
        dice: random.Random,
        until: float,
        now: Callable[[], float],
        repeats: random.Random | None = None,
    ) -> None:
        """`repeats`: dice of their own for calls that the client repeats; None: none are."""
        self.kinds = kinds
        self.dice = dice
        self.until = until
        self.happened: Counter[str] = Counter()
        self._now = now
        self._repeats = repeats
        self._calls = [(k, p) for k, p in CALLS.items() if f"call {k}" in kinds]

    @property
    def over(self) -> bool:
        return self._now() >= self.until

    def happens(self, kind: str, chance: float) -> bool:
        if kind not in self.kinds or self._now() >= self.until:
            return False
        if self.dice.random() >= chance:
            return False
        self.happened[kind] += 1
        return True

    def is_repeated(self) -> bool:
        """Whether the client repeats a call that got no answer, as botocore does at first."""
        if self._repeats is None or self._repeats.random() >= REPEATED:
            return False
        self.happened["call repeated"] += 1
        return True

    def call_fault(self, _service: str) -> str:
        """What befalls a call: nothing, or one of CALLS."""
        if not self._calls or self._now() >= self.until:
            return ""
        roll = self.dice.random()
        for kind, chance in self._calls:
            if roll < chance:
                self.happened[f"call {kind}"] += 1
                return kind
            roll -= chance
        return ""
