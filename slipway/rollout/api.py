"""Calls to AWS: throttling and the network waited out, errors told apart, changes guarded.

No boto3 here: a client comes in as an argument, and botocore's exceptions are recognised by what
they carry, so that importing this costs nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from slipway.rollout.clock import NotNow
from slipway.rollout.plan import Clock, Guard

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
    }
)
_PASSING = frozenset(
    {
        "ServerException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
_BUSY_REGISTERING = "too many concurrent attempts to create a new revision"
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
_NOT_AUTHORIZED = "not authorized to perform"
_WRONG = frozenset(
    {
        "ClientException",
        "ClusterNotFoundException",
        "InvalidParameterException",
        "LimitExceededException",
        "PlatformTaskDefinitionIncompatibilityException",
        "PlatformUnknownException",
        "ServiceNotActiveException",
        "ServiceNotFoundException",
        "UnsupportedFeatureException",
        "ValidationException",
        "InvalidParameterValueException",
    }
)
GROUP_IS_BUSY = "DeploymentLimitExceededException"
"""CodeDeploy's word where the group has another deployment under way."""
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")


class Refused(WorldFailed):
    """AWS answered with an error that trying again does not cure. `code` is AWS's own."""

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code


class Denied(Refused):
    """AWS says that the caller may not. `action` is what was asked, e.g. `ecs:UpdateService`."""

    def __init__(self, text: str, *, code: str, action: str) -> None:
        super().__init__(text, code=code)
        self.action = action


class WrongForAws(WrongUse):
    """AWS says that what was asked for cannot be right. `code` is AWS's own."""

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code


class Unanswered(WorldFailed):
    """AWS kept throttling or failing, or could not be reached, until the patience ended."""


@dataclass
class Changes:
    """Which changes AWS took, over all services that a rollout calls, in order.

    `taken`: operations that AWS answered well. `unsure`: those of which an answer was lost.
    """

    taken: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.taken or self.unsure)

    def may_hold(self, *operations: str) -> bool:
        """Whether AWS took one of `operations`, or may have."""
        return any(name in self.taken or name in self.unsure for name in operations)


UNREACHED = 10.0
"""Seconds for which a service that has never answered is called: its address may be wrong."""

NO_ANSWER = (Refused, Unanswered, WrongForAws)
"""Whatever `Api` raises: caught where what was asked can be done without."""


class Api:
    """One AWS service, called with patience.

    `deadline` (on the clock) bounds trying again; outside of a wait it is `patience` seconds from
    the call, and `UNREACHED` until there was a first answer. With a patience of 0 each call is
    tried once, in a wait as well. A clock that does not sleep ends a call that would be tried
    again: NotNow, also from `look`. `calls` counts every attempt.
    """

    def __init__(
        self,
        client: Any,
        clock: Clock,
        *,
        guard: Guard | None = None,
        patience: float = 60.0,
        jitter: Callable[[], float] = random.random,
        changes: Changes | None = None,
    ) -> None:
        self.client = client
        self.clock = clock
        self.changes = changes if changes is not None else Changes()
        self.deadline: float | None = None
        self.calls = 0
        self._guard = guard
        self._patience = patience
        self._jitter = jitter
        self._answered = False

    @property
    def service(self) -> str:
        """The service as IAM's actions name it, which is what its requests are signed for."""
        model = self.client.meta.service_model
        return str(getattr(model, "signing_name", None) or model.service_name)

    def read(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of a call that changes nothing.

        Raises Denied, WrongForAws, Refused, or Unanswered once the patience is at its end.
        """
        return self._call(operation, parameters, self._limit())

    def look(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Like `read`, for an answer that can be done without: failures of AWS are not waited out.

        Only throttling is, briefly. Raises what `read` raises.
        """
        return self._call(operation, parameters, self._limit(), optional=True)

    def pages(
        self, operation: str, member: str, *, optional: bool = False, **parameters: Any
    ) -> list[Any]:
        """All of `member` that a listing has, page by page; `optional` as in `look`.

        Raises what `read` raises.
        """
        call = self.look if optional else self.read
        found: list[Any] = []
        token: dict[str, str] = {}
        while True:
            page = call(operation, **parameters, **token)
            found += page.get(member) or []
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def change(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of a call that changes something; the guard is asked right before it."""
        if self._guard is not None:
            self._guard()
        answer = self._call(operation, parameters, self._limit(), guarded=True)
        self.changes.taken.append(operation)
        return answer

    def _limit(self) -> float:
        patient = self.clock.now() + self._patience
        if not self._patience:
            return patient
        return patient if self.deadline is None else max(self.deadline, self.clock.now() + 5.0)

    def _call(
        self,
        operation: str,
        parameters: dict[str, Any],
        limit: float,
        *,
        guarded: bool = False,
        optional: bool = False,
    ) -> dict[str, Any]:
        method = getattr(self.client, operation)
        unreached = self.clock.now() + UNREACHED
        attempt = 0
        while True:
            self.calls += 1
            try:
                answer: dict[str, Any] = method(**parameters)
                self._answered = True
                return answer
            except SlipwayError:
                raise
            except Exception as error:  # botocore's are told apart by what they carry
                self._answered = self._answered or _error_of(error)[0] is not None
                if guarded and _may_have_worked(error):
                    self.changes.unsure.append(operation)
                passing = self._passing(error, optional=optional)
                if passing is None:
                    raise self._refusal(operation, error) from error
                delay = min(5.0, 0.25 * 2**attempt) * (0.5 + self._jitter() / 2)
                end = limit if self._answered else min(limit, unreached)
                if self.clock.now() + delay > end or (optional and attempt >= 6):
                    text = f"{self._action(operation)} was not answered: {passing}"
                    raise Unanswered(text) from error
            self._wait(delay, self._action(operation), passing)
            attempt += 1
            if guarded and self._guard is not None:
                self._guard()

    def _wait(self, delay: float, action: str, why: str) -> None:
        try:
            self.clock.sleep(delay)
        except NotNow as error:
            raise NotNow(f"{action} was not answered: {why}") from error

    def _passing(self, error: Exception, *, optional: bool) -> str | None:
        """Why it is worth trying again, or None if it is not (`optional`: only throttling is)."""
        code, message, status = _error_of(error)
        if code is None:
            if optional or not _is_connection_error(error):
                return None
            return clean(str(error)) or type(error).__name__
        if code in _THROTTLED or _BUSY_REGISTERING in message.lower():
            return f"AWS is throttling ({code})"
        if not optional and (code in _PASSING or status >= 500):
            return f"AWS failed ({code})"
        return None

    def _refusal(self, operation: str, error: Exception) -> Exception:
        code, message, _status = _error_of(error)
        action = self._action(operation)
        if code is None:
            return _not_from_aws(action, error)
        text = f"{action}: {clean(message) or code}"
        if code in _DENIED or _NOT_AUTHORIZED in message:
            return Denied(f"not allowed: {text}", code=code, action=action)
        if code in _WRONG:
            return WrongForAws(text, code=code)
        return Refused(f"{text} ({code})", code=code)

    def _action(self, operation: str) -> str:
        name = "".join(part.capitalize() for part in operation.split("_"))
        return f"{self.service}:{name}"


def clean(text: str) -> str:
    """`text` on one line, without access key ids."""
    return _KEY_ID.sub("<key id>", " ".join(text.split()))


def _not_from_aws(action: str, error: Exception) -> Exception:
    """What an exception means that botocore or the network raised, not AWS."""
    if _is_connection_error(error):
        return Unanswered(f"{action} was not answered: {clean(str(error))}")
    name = type(error).__name__
    if name == "ParamValidationError":
        return WrongForAws(f"{action}: {clean(str(error))}", code=name)
    if _bases(error) & {"NoCredentialsError", "NoRegionError", "PartialCredentialsError"}:
        return WrongUse(f"{action}: {clean(str(error))}")
    if _bases(error) & {"BotoCoreError", "HTTPClientError"}:
        return Refused(f"{action}: {clean(str(error))}", code=name)
    return error


def _error_of(error: Exception) -> tuple[str | None, str, int]:
    """AWS's code, message and HTTP status; code None where the exception is not AWS's answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict) or "Error" not in response:
        return None, "", 0
    body = response["Error"]
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(body.get("Code") or "Unknown"), str(body.get("Message") or ""), int(status)


_UNSENT = frozenset(
    {"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"}
)
"""Of botocore: the request did not leave."""


def _may_have_worked(error: Exception) -> bool:
    """Whether AWS may have done what was asked although this came instead of its answer."""
    code, _message, status = _error_of(error)
    if code is not None:
        return status >= 500 or code in _PASSING
    return _is_connection_error(error) and not _bases(error) & _UNSENT


def _is_connection_error(error: Exception) -> bool:
    names = {
        "ConnectionError",
        "HTTPClientError",
        "ConnectionClosedError",
        "ResponseStreamingError",
    }
    return isinstance(error, OSError) or bool(_bases(error) & names)


def _bases(error: Exception) -> set[str]:
    return {base.__name__ for base in type(error).__mro__}
