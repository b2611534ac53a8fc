"""Keeps what identity policies were asked: which principal, which action, the answer, how often.

So a test can hold every granted action against what the chain really asks for, see each denial, and
count who made a call.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator

from local.emulator.extension.iam_rules import refused_check
from local.emulator.extension.private import need, wrap


class Asked:
    """Each question once, and how often it was asked; safe for many threads."""

    def __init__(self) -> None:
        self._questions: Counter[tuple[str, str, bool]] = Counter()
        self._lock = threading.Lock()

    def note(self, principal_arn: str, action: str, allowed: bool) -> None:
        """Keep one question and its answer."""
        with self._lock:
            self._questions[principal_arn, action, allowed] += 1

    def listed(self) -> list[dict[str, Any]]:
        """`principal` (an ARN), `action`, `allowed`, `times`, in order."""
        with self._lock:
            questions = sorted(self._questions.items())
        return [
            {"principal": principal, "action": action, "allowed": allowed, "times": times}
            for (principal, action, allowed), times in questions
        ]


def install() -> Asked:
    """Listen to ministack's evaluation of policies, and to what it makes of all of them.

    To be installed after `iam_rules`, so that a denial is the final one.
    """
    need(iam_evaluator, "evaluate")
    asked = Asked()

    def noting(evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def evaluated(context: Any, *policies: Any) -> Any:
            result = evaluate(context, *policies)
            if result.decision == "Allow":
                asked.note(context.principal_arn, context.action, True)
            return result

        return evaluated

    def noting_denials(enforce: Callable[..., Any]) -> Callable[..., Any]:
        def enforced(access_key_id: str, action: str, *rest: Any, **details: Any) -> Any:
            refused = enforce(access_key_id, action, *rest, **details)
            principal = getattr(refused, "principal_arn", "")
            if principal:
                asked.note(principal, refused_check() or action, False)
            return refused

        return enforced

    wrap(iam_evaluator, "evaluate", noting)
    wrap(iam_evaluator, "enforce", noting_denials)
    return asked
