"""Gap closed: nobody checks who clones and pushes.

Two kinds of basic authentication, as in CodeCommit:

* the signature of `aws codecommit credential-helper` and git-remote-codecommit: user name =
  access key id, followed by `%` and the session token if there is one; password = `<time>Z<SigV4
  signature>` over the pseudo request `GIT <path>` with the host, good for 15 minutes;
* git credentials of an IAM user of the dev account, for people: name and password.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import hashlib
import hmac
import time
from dataclasses import dataclass

from ministack.core import iam_evaluator, sigv4
from ministack.core.responses import request_scope

from local.emulator.extension.private import need
from local.emulator.settings import EmulatorSettings

SERVICE = "codecommit"
VALID_SECONDS = 15 * 60
TIME_FORMAT = "%Y%m%dT%H%M%S"
TIME_LENGTH = len("20260101T000000")


@dataclass(frozen=True)
class Caller:
    """Who asks; without an access key it is a user with git credentials."""

    account: str
    arn: str
    access_key: str


def string_to_sign(timestamp: str, region: str, host: str, path: str) -> str:
    """What a CodeCommit git password signs; `timestamp` is UTC, `host` without its port."""
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    scope = f"{timestamp[:8]}/{region}/{SERVICE}/aws4_request"
    return f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"


def git_password(secret: str, timestamp: str, region: str, host: str, path: str) -> str:
    """The password that the credential helper would make."""
    key = sigv4.derive_signing_key(secret, timestamp[:8], region, SERVICE)
    signature = hmac.new(
        key, string_to_sign(timestamp, region, host, path).encode(), hashlib.sha256
    ).hexdigest()
    return f"{timestamp}Z{signature}"


def parse_basic(authorization: str) -> tuple[str, str] | None:
    """User name and password of a basic Authorization header."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


class GitCredentials:
    """Decides who a basic Authorization header is."""

    def __init__(self, settings: EmulatorSettings) -> None:
        self._region = settings.region
        self._dev_account = settings.dev_account
        self._users = dict(settings.git_users)

    def authenticate(self, authorization: str, host: str, path: str, now: float) -> Caller | None:
        """The caller, or None. `host` is the Host header, `path` `/v1/repos/<repository>`."""
        given = parse_basic(authorization)
        if given is None:
            return None
        user, password = given
        known = self._users.get(user)
        if known is not None:
            same = hmac.compare_digest(known.encode(), password.encode())
            arn = f"arn:aws:iam::{self._dev_account}:user/{user}"
            return Caller(self._dev_account, arn, "") if same else None
        return self._by_signature(user, password, host.partition(":")[0], path, now)

    def _by_signature(
        self, user: str, password: str, host: str, path: str, now: float
    ) -> Caller | None:
        access_key, _, token = user.partition("%")
        timestamp = password[:TIME_LENGTH]
        if password[TIME_LENGTH : TIME_LENGTH + 1] != "Z" or not _is_fresh(timestamp, now):
            return None
        account = account_of(access_key, self._dev_account)
        credential = iam_evaluator.resolve_credential(access_key, account, token)
        if isinstance(credential, iam_evaluator.CredentialResolutionError):
            return None
        expected = git_password(credential.secret_access_key, timestamp, self._region, host, path)
        if not hmac.compare_digest(expected.encode(), password.encode()):
            return None
        return Caller(credential.account_id, credential.principal_arn, access_key)


def account_of(access_key: str, default: str) -> str:
    """The account of a session's, a user's or an account's own key."""
    from ministack.core.responses import _account_from_sts_session  # noqa: PLC0415

    if len(access_key) == 12 and access_key.isdigit():
        return access_key
    found = _account_from_sts_session(access_key)
    return found or iam_evaluator.find_iam_access_key_account(access_key) or default


def _is_fresh(timestamp: str, now: float) -> bool:
    try:
        signed_at = calendar.timegm(time.strptime(timestamp, TIME_FORMAT))
    except ValueError:
        return False
    return abs(now - signed_at) <= VALID_SECONDS


def allowed(caller: Caller, action: str, repository_arn: str) -> bool:
    """Whether IAM lets the caller do `codecommit:<action>`; users with git credentials may."""
    _, _, _, region, account, _ = repository_arn.split(":", 5)
    if caller.account != account:
        return False
    if not caller.access_key:
        return True
    with request_scope(caller.account, region):
        denied = iam_evaluator.enforce(
            caller.access_key, f"codecommit:{action}", SERVICE, region, resource_arn=repository_arn
        )
    return denied is None


def install(settings: EmulatorSettings) -> GitCredentials:
    """Check what is needed of ministack and give the authenticator."""
    need(sigv4, "derive_signing_key")
    for name in ("resolve_credential", "find_iam_access_key_account", "enforce"):
        need(iam_evaluator, name)
    return GitCredentials(settings)
