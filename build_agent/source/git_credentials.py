"""A git user name and password for CodeCommit, made from a role's temporary credentials.

The signature is the one of `aws codecommit credential-helper` (awscli,
customizations/codecommit.py): SigV4 over the pseudo request `GIT <path>` with the host alone. It
is good for 15 minutes. The pair reaches git through GIT_ASKPASS: it is on no disk and in no
process list, and no shell ever evaluates it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.contracts.errors import WorldFailed

USER_VARIABLE = "SLIPWAY_GIT_USER"
PASSWORD_VARIABLE = "SLIPWAY_GIT_PASSWORD"  # noqa: S105 - a variable's name
_ASKPASS = f"""#!/bin/sh
case "$1" in
Username*) printf '%s\\n' "${USER_VARIABLE}" ;;
*) printf '%s\\n' "${PASSWORD_VARIABLE}" ;;
esac
"""
_SERVICE = "codecommit"


@dataclass(frozen=True)
class GitLogin:
    """A user name and password for one fetch; the password is never shown."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class RoleCredentials:
    """Temporary credentials of an assumed role; never shown."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(repr=False)


LoginFor = Callable[[str, str], GitLogin | None]
"""From a git URL and a role's ARN to a login; None: the remote asks for none."""


def code_commit_login(
    url: str, credentials: RoleCredentials, *, region: str, now: float
) -> GitLogin:
    """The login for `url`, signed at `now` (seconds since the epoch).

    Host and path are signed as git hands them to a helper: the host as it is written, without
    user and port, the path without slashes at its end.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%S")
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    canonical = f"GIT\n{parts.path.rstrip('/')}\n\nhost:{host}\n\nhost\n"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (stamp[:8], region, _SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    user = f"{credentials.access_key}%{credentials.token}"
    return GitLogin(user, f"{stamp}Z{signature}")


def assumed_login(
    sts: Any, *, session_name: str, region: str, now: Callable[[], float]
) -> LoginFor:
    """Logins by assuming the pipeline's role afresh each time: a chained session lasts an hour."""

    def login(url: str, role_arn: str) -> GitLogin | None:
        if urlsplit(url).scheme not in ("http", "https"):
            return None
        answer = sts.assume_role(
            RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=900
        )["Credentials"]
        credentials = RoleCredentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
        )
        return code_commit_login(url, credentials, region=region, now=now())

    return login


def askpass_program(folder: Path) -> Path:
    """What git asks for user name and password: it holds neither, it prints two variables.

    WorldFailed where it cannot be written: the disk is full.
    """
    program = folder / "askpass"
    try:
        if not program.exists() or program.read_text() != _ASKPASS:
            program.write_text(_ASKPASS)
        program.chmod(0o700)
    except OSError as error:
        raise WorldFailed(f"cannot write {str(program)!r}: {error.strerror}") from None
    return program
