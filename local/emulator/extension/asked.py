"""Keeps what identity policies were asked: which principal, which action, and the answer.

So a test can hold every granted action against what the chain really asks for, and see each denial.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator

from local.emulator.extension.iam_rules import refused_check
from local.emulator.extension.private import need, wrap


class Asked:
    """Each question once; safe for many threads, since a set's `add` is one step."""

    def __init__(self) -> None:
        self._questions: set[tuple[str, str, bool]] = set()

    def note(self, principal_arn: str, action: str, allowed: bool) -> None:
        """Keep one question and its answer."""
        self._questions.add((principal_arn, action, allowed))

    def listed(self) -> list[dict[str, Any]]:
        """`principal` (an ARN), `action`, `allowed`, in order."""
        return [
            {"principal": principal, "action": action, "allowed": allowed}
            for principal, action, allowed in sorted(self._questions)
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
