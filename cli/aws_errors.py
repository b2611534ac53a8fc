"""What botocore raises, as one clear sentence and the right kind of error.

Wrong use (exit code 2): trying again cannot help until the caller changes something: credentials,
profile, permissions, a name that does not exist. The world failed (3): it may work later.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from contracts.errors import SlipwayError, WorldFailed, WrongUse

_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
}
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
_LOG_IN = "log in again (`aws sso login`, or new keys) and repeat the command"


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
        answer = getattr(error.__cause__, "response", {}).get("Error", {})
        if answer.get("Code") in _EXPIRED | _UNKNOWN_KEY:
            raise _of_answer(error.__cause__, "") from error
        raise


def translate(error: Exception, where: str = "") -> SlipwayError | None:
    """The error that `error` of botocore stands for; None if it is none of botocore's."""
    from botocore import exceptions as aws

    if isinstance(error, aws.ClientError):
        return _of_answer(error, where)
    if not isinstance(error, aws.BotoCoreError):
        return None
    said = " ".join(str(error).split()).rstrip(".")
    for kinds, meaning, text in _untold(aws):
        if isinstance(error, kinds):
            return meaning(text.format(said))
    return WorldFailed(f"AWS cannot be asked: {said}")


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
        (log_in, WrongUse, f"the AWS credentials cannot be used ({{}}): {_LOG_IN}"),
        ((aws.HTTPClientError, aws.ConnectionError), WorldFailed, "AWS does not answer: {}"),
        (settings, WrongUse, "AWS cannot be asked: {}"),
    ]


def _of_answer(error: Any, where: str) -> SlipwayError:
    answer = error.response.get("Error", {})
    code, text = str(answer.get("Code", "")), " ".join(str(answer.get("Message", "")).split())
    operation = error.operation_name
    place = f" in {where}" if where else ""
    for codes, meaning, sentence in (
        (_EXPIRED, WrongUse, f"the AWS credentials have expired: {_LOG_IN}"),
        (_UNKNOWN_KEY, WrongUse, f"AWS does not know these credentials ({code}): {_LOG_IN}"),
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
