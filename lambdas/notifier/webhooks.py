"""The Slack webhooks: SSM SecureStrings, read when first needed and kept for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lambdas.notifier.slack import check_webhook
from slipway.contracts.errors import WorldFailed

KEPT = 300.0
"""Seconds after which a webhook is read again: a changed one is used before the old one dies."""


class Webhooks:
    """`ssm` is boto3's client, `clock` gives seconds; `allow_local` as in `check_webhook`."""

    def __init__(self, ssm: Any, clock: Callable[[], float], *, allow_local: bool) -> None:
        self._ssm = ssm
        self._clock = clock
        self._allow_local = allow_local
        self._known: dict[str, tuple[float, str]] = {}

    def url(self, parameter: str) -> str:
        """The webhook in `parameter`; WorldFailed (it may be set later) if there is none."""
        read_at, url = self._known.get(parameter, (0.0, ""))
        if url and self._clock() - read_at < KEPT:
            return url
        return self.read_again(parameter)

    def read_again(self, parameter: str) -> str:
        """The webhook as it is now: Slack has refused the one that was known, or it is old."""
        self._known.pop(parameter, None)
        try:
            answer = self._ssm.get_parameter(Name=parameter, WithDecryption=True)
        except self._ssm.exceptions.ParameterNotFound:
            hint = "set it with: slipway webhook set"
            raise WorldFailed(f"there is no Slack webhook in {parameter}; {hint}") from None
        url: str = answer["Parameter"]["Value"].strip()
        problem = check_webhook(url, allow_local=self._allow_local)
        if problem:
            raise WorldFailed(f"the Slack webhook in {parameter} {problem}")
        self._known[parameter] = (self._clock(), url)
        return url
