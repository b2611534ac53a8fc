"""What botocore raises, as one clear sentence and the right kind of error.

Wrong use (exit code 2): trying again cannot help until the caller changes something: credentials,
profile, permissions, a name that does not exist. The world failed (3): it may work later.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from slipway.contracts.wording import duration, moment

_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
}
_TIME = {"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"}
"""The request's time is not AWS's: the clock is wrong, or (EC2) the session is over."""
_TIME_SAID = re.compile(r"signature (?:expired|not yet current)|request has expired", re.IGNORECASE)
"""The same as AWS says it under codes that mean other things too (`SignatureDoesNotMatch`)."""
_TOLERATED = 240.0
"""Seconds that a clock may be wrong; AWS tolerates five minutes."""
_UNKNOWN_KEY = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
}
DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
MISSING = {
    "ResourceNotFoundException",
    "NotFound",
    "NotFoundException",
    "ParameterNotFound",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "RepositoryDoesNotExistException",
    "ClusterNotFoundException",
    "BranchDoesNotExistException",
    "NoSuchEntity",
    "RepositoryNotFoundException",
    "ServiceNotFoundException",
}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
    "SlowDown",
}
_AGAIN = "log in again (`aws sso login`, or new keys)"
LOG_IN = f"{_AGAIN} and repeat the command"


@contextmanager
def plainly(where: str = "") -> Iterator[None]:
    """Whatever botocore raises inside becomes an error of Slipway's.

    `where` names the installation, account and region for a thing that does not exist there.
    """
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:
        translated = translate(error, where)
        if translated is None:
            raise
        raise translated from error


@contextmanager
def credentials_plainly() -> Iterator[None]:
    """What the rollout was refused for credentials that AWS does not take is the caller's to mend.

    The agent, whose credentials are renewed for it, is right to try again.
    """
    try:
        yield
    except SlipwayError as error:
        plain = translate(error.__cause__) if is_of_credentials(error.__cause__) else None
        if plain is not None:
            raise plain from error
        raise


def is_of_credentials(error: BaseException | None) -> TypeGuard[Exception]:
    """Whether it is AWS's answer to credentials (or a clock) that it does not take."""
    answer = (getattr(error, "response", None) or {}).get("Error") or {}
    code, text = answer.get("Code"), str(answer.get("Message", ""))
    return code in _EXPIRED | _UNKNOWN_KEY | _TIME or bool(_TIME_SAID.search(text))


def log_in_hint(error: BaseException | None) -> str:
    """`; log in again …` where credentials are behind `error`, for what was begun with them."""
    of_credentials = any(is_of_credentials(cause) for cause in _causes(error))
    return f"; {_AGAIN} to look at it" if of_credentials else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, each once: a chain that is a ring has no end."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def translate(error: Exception, where: str = "") -> SlipwayError | None:
    """The error that `error` of botocore stands for; None if it is none of botocore's."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _of_answer(error, where)
    if not isinstance(error, aws.BotoCoreError):
        return None
    for kinds, meaning, text in _untold(aws):
        if isinstance(error, kinds):
            return meaning(text.format(said(error)))
    return WorldFailed(f"AWS cannot be asked: {said(error)}")


def said(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _untold(aws: Any) -> list[tuple[tuple[type[Exception], ...], type[SlipwayError], str]]:
    """Errors before there is an answer: their types, what they mean, how that is said."""
    log_in = (
        aws.SSOError,
        aws.TokenRetrievalError,
        aws.NoAuthTokenError,
        aws.LoginError,
        aws.RefreshWithMFAUnsupportedError,
    )
    settings = (
        aws.ConfigNotFound,
        aws.ConfigParseError,
        aws.InvalidConfigError,
        aws.InvalidRegionError,
        aws.NoRegionError,
        aws.ParamValidationError,
        aws.UnknownEndpointError,
        aws.UnknownRegionError,
    )
    no_credentials = (aws.NoCredentialsError, aws.PartialCredentialsError)
    return [
        (
            (aws.ProfileNotFound,),
            WrongUse,
            "{}: `aws configure list-profiles` names those there are",
        ),
        (
            no_credentials,
            WrongUse,
            "no AWS credentials ({}): set AWS_PROFILE, give --profile, or log in",
        ),
        (log_in, WrongUse, f"the AWS credentials cannot be used ({{}}): {LOG_IN}"),
        ((aws.HTTPClientError, aws.ConnectionError), WorldFailed, "AWS does not answer: {}"),
        (settings, WrongUse, "AWS cannot be asked: {}"),
    ]


def _of_answer(error: Any, where: str) -> SlipwayError:
    answer = error.response.get("Error", {})
    code, text = str(answer.get("Code", "")), " ".join(str(answer.get("Message", "")).split())
    operation = error.operation_name
    place = f" in {where}" if where else ""
    if wrong_time := _of_time(error, code, text):
        return wrong_time
    for codes, meaning, sentence in (
        (_EXPIRED, WrongUse, f"the AWS credentials have expired: {LOG_IN}"),
        (_UNKNOWN_KEY, WrongUse, f"AWS does not know these credentials ({code}): {LOG_IN}"),
        (DENIED, WrongUse, f"not allowed to {operation}: {text or code}"),
        (
            MISSING,
            WrongUse,
            f"{operation}: not found{place} ({text or code}): is it deployed there?",
        ),
        (_THROTTLED, WorldFailed, f"AWS is throttling {operation}: try again in a moment"),
    ):
        if code in codes:
            return meaning(sentence)
    return WorldFailed(f"AWS failed at {operation}: {code}: {text}".rstrip(": "))


def _of_time(error: Any, code: str, text: str) -> WrongUse | None:
    """WrongUse where AWS refuses the request for its time, with AWS's words and both clocks."""
    ahead = _clock_ahead(error)
    is_off = ahead is not None and abs(ahead) > _TOLERATED
    is_about_time = code in _TIME or bool(_TIME_SAID.search(text))
    if not is_about_time and not (is_off and code in _UNKNOWN_KEY):
        return None
    words = f"AWS refuses the request for its time ({code}: {text or 'no more is said'})"
    if ahead is not None and is_off:
        side = "ahead of" if ahead > 0 else "behind"
        return WrongUse(
            f"{words}: this machine's clock is {duration(abs(ahead))} {side} AWS's:"
            " set it (`timedatectl set-ntp true`) and repeat the command"
        )
    now = moment(time.time())
    return WrongUse(f"{words}: set this machine's clock (it says {now}); if it is right, {LOG_IN}")


def _clock_ahead(error: Any) -> float | None:
    """Seconds by which this machine's clock is ahead of the answer's `Date`; None without one."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders") or {}
    try:
        return time.time() - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
