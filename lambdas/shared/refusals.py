"""What AWS's errors say: which one it is, and whether the call surely did nothing."""

from __future__ import annotations

from botocore.exceptions import ClientError

THROTTLED = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})


def code_of(error: ClientError) -> str:
    """The error's code; empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_refused(error: ClientError) -> bool:
    """Whether AWS says that the call was not carried out. After a fault of AWS's nobody knows."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return 400 <= status < 500 or code_of(error) in THROTTLED
