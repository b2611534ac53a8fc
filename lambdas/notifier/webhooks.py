"""The Slack webhooks: SSM SecureStrings, read for each notice.

None is kept: `slipway webhook set` says that the next notice goes to the new one, and an old one
may have leaked. It is one call of tens of milliseconds for each notice, and nobody waits for it.
"""

from __future__ import annotations

from typing import Any

from lambdas.notifier.slack import check_webhook
from slipway.contracts.errors import WorldFailed


class Webhooks:
    """`ssm` is botocore's client; `allow_local` as in `check_webhook`."""

    def __init__(self, ssm: Any, *, allow_local: bool) -> None:
        self._ssm = ssm
        self._allow_local = allow_local

    def url(self, parameter: str) -> str:
        """The webhook in `parameter` now; WorldFailed (it may be set later) if there is none."""
        try:
            answer = self._ssm.get_parameter(Name=parameter, WithDecryption=True)
        except self._ssm.exceptions.ParameterNotFound:
            hint = "set it with: slipway webhook set"
            raise WorldFailed(f"there is no Slack webhook in {parameter}; {hint}") from None
        url: str = answer["Parameter"]["Value"].strip()
        problem = check_webhook(url, allow_local=self._allow_local)
        if problem:
            raise WorldFailed(f"the Slack webhook in {parameter} {problem}")
        return url
