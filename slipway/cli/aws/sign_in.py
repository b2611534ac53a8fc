"""Signing in: a session's credentials, ready to sign with, or one sentence with what helps.

Where credentials come from (a profile's role, SSO, a program, a token's file, a container) is
botocore's to know. What goes wrong there is whatever that file, program or server makes of itself:
an error of botocore's, of the operating system, of a JSON parser. Here all of it becomes WrongUse
(exit code 2: somebody must set or do something first), and WorldFailed where whoever gives the
credentials does not answer.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slipway.cli.aws.errors import LOG_IN, said, translate
from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse

_UNSENDABLE = re.compile(r"[^\x21-\x7e]")
"""What no HTTP header can hold: AWS's keys and tokens have none of it."""


@contextmanager
def set_up_plainly() -> Iterator[None]:
    """Whatever is raised while sessions and clients are made: a setting that cannot be used."""
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:
        raise _of_settings(error) from error


def sign_in(session: Any) -> bool:
    """Get the session's credentials, and have what they raise later said as plainly as now.

    False where there are none. A role is assumed, a program run, a code asked for here, before
    anything else: nothing is begun with credentials that cannot be had.
    """
    from botocore.credentials import CredentialResolver

    _ask_on_a_terminal_only(session)
    with _told(session):
        found = session.get_component("credential_provider").load_credentials()
    if found is None:
        return False
    held = _Plain(found, session)
    check_sendable(held.get_frozen_credentials())
    session.register_component("credential_provider", CredentialResolver([Given(held)]))
    return True


def check_sendable(keys: Any) -> None:
    """WrongUse for keys that no request could carry; they are not shown."""
    for name, value in (
        ("access key id", keys.access_key),
        ("secret access key", keys.secret_key),
        ("session token", keys.token),
    ):
        if value and _UNSENDABLE.search(value):
            raise WrongUse(
                f"the AWS {name} holds a blank, a line break or a letter that no key has:"
                " copy it again (`aws configure list` shows where it is from)"
            )


class Given:
    """A credential provider, as botocore's resolver takes them, of credentials that are there."""

    METHOD = CANONICAL_NAME = "slipway-given"

    def __init__(self, held: Any) -> None:
        self._held = held

    def load(self) -> Any:
        return self._held


class _Plain:
    """Credentials that say plainly why they cannot be renewed, whenever that is."""

    def __init__(self, held: Any, session: Any) -> None:
        self._held, self._session = held, session

    def get_frozen_credentials(self) -> Any:
        with _told(self._session):
            return self._held.get_frozen_credentials()

    def __getattr__(self, name: str) -> Any:
        with _told(self._session):
            return getattr(self._held, name)


@contextmanager
def _told(session: Any) -> Iterator[None]:
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:
        raise _of_credentials(error, session) from error


def _ask_on_a_terminal_only(session: Any) -> None:
    """A role's MFA code is typed by somebody; without a terminal standard input is not read."""
    if _has_terminal():
        return

    def refuse(_prompt: str) -> str:
        raise WrongUse(
            f"profile {_profile(session)!r} asks for an MFA code, and there is no terminal to type"
            f" it on: {_as_variables(session)} first"
        )

    for provider in session.get_component("credential_provider").providers:
        if provider.METHOD == "assume-role":
            provider._prompter = refuse


def _has_terminal() -> bool:
    """Where `getpass` would ask: the terminal of the process, else standard input."""
    if os.name == "nt":
        return bool(sys.stdin and sys.stdin.isatty())
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _of_settings(error: Exception) -> SlipwayError:
    """What was raised before there were credentials to speak of."""
    meant = translate(error)
    if meant is not None and (isinstance(meant, WrongUse) or _is_unanswered(error)):
        return meant
    return WrongUse(f"AWS cannot be asked: {_why(error)}: `aws configure list` shows the settings")


def _of_credentials(error: Exception, session: Any) -> SlipwayError:
    from botocore.exceptions import ClientError, ProfileNotFound

    if _is_unanswered(error):
        return translate(error) or WorldFailed(f"AWS does not answer: {_why(error)}")
    if isinstance(error, ClientError):
        meant = translate(error)
        is_refused = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400) < 500
        is_throttled = meant is not None and "throttling" in str(meant)
        if isinstance(meant, WorldFailed) and is_refused and not is_throttled:
            return WrongUse(str(meant))
        return meant or WorldFailed(str(error))
    if isinstance(error, ProfileNotFound):
        return translate(error) or WrongUse(str(error))
    where, helps = _source(error, session)
    return WrongUse(f"{where} cannot be used ({_why(error)}): {helps}")


def _is_unanswered(error: Exception) -> bool:
    """Whoever was asked did not answer; not: what it gave is wrong."""
    from botocore import exceptions as aws

    silent = (aws.ConnectionError, aws.HTTPClientError, aws.MetadataRetrievalError)
    causes = (error, error.__cause__, error.__context__)
    if isinstance(error, aws.CredentialRetrievalError):
        return any(isinstance(cause, silent) for cause in causes)
    return isinstance(error, silent)


def _source(error: Exception, session: Any) -> tuple[str, str]:
    """Where the credentials were to come from, and the command that helps."""
    from botocore import exceptions as aws

    by_error = {
        "sso": (aws.SSOError, aws.TokenRetrievalError),
        "login": (aws.LoginError, aws.MissingDependencyException),
    }
    named = next((k for k, kinds in by_error.items() if isinstance(error, kinds)), None)
    profile, settings, kind = _settings_of(session, named)
    of_profile = f"of profile {profile!r}"
    file = settings.get("web_identity_token_file") or os.environ.get(_WEB_FILE, "")
    told = {
        "process": (
            f"`credential_process` {of_profile}",
            f"run what `aws configure get credential_process --profile {profile}` shows by hand",
        ),
        "web": (
            f"the web identity token in {file!r}",
            f"let its issuer write it, or set {_WEB_FILE}; `ls -l {file}` shows what is there",
        ),
        "sso": (f"the SSO login {of_profile}", f"`aws sso login --profile {profile}`"),
        "login": (
            f"the login {of_profile}",
            f"`aws login --profile {profile}`, then {_as_variables(session)}",
        ),
        "container": (
            "what the container gives for credentials",
            "`env | grep AWS_CONTAINER_` shows where they are asked for",
        ),
    }
    if kind is not None:
        return told[kind]
    listing = f"{_listing(session)} shows where they are from"
    return "the AWS credentials", LOG_IN if "expired" in str(error) else listing


_WEB_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"
_KINDS = {
    "process": ("credential_process",),
    "web": ("web_identity_token_file",),
    "sso": ("sso_session", "sso_start_url"),
    "login": ("login_session",),
}
"""Settings of a profile that say where its credentials come from."""


def _settings_of(session: Any, kind: str | None) -> tuple[str, dict[str, Any], str | None]:
    """The profile (or the one that it takes its credentials from) of `kind`, or of any."""
    profile = _profile(session)
    profiles = _profiles(session)
    name, seen = profile, set()
    while name in profiles and name not in seen:
        seen.add(name)
        settings = profiles[name]
        for candidate, keys in _KINDS.items():
            if kind in (None, candidate) and any(key in settings for key in keys):
                return name, settings, candidate
        name = settings.get("source_profile", "")
    if kind is None and _WEB_FILE in os.environ:
        kind = "web"
    elif kind is None and any(name.startswith("AWS_CONTAINER_") for name in os.environ):
        kind = "container"
    return profile, {}, kind


def _listing(session: Any) -> str:
    named = f" --profile {session.profile}" if session.profile else ""
    return f"`aws configure list{named}`"


def _profile(session: Any) -> str:
    return str(session.profile or "default")


def _profiles(session: Any) -> dict[str, dict[str, Any]]:
    try:
        return dict(session.full_config.get("profiles", {}))
    except Exception:  # noqa: BLE001 - that it cannot be read has been raised already
        return {}


def _as_variables(session: Any) -> str:
    """How whoever has a terminal gets the same credentials into a shell's environment."""
    return (
        f'`eval "$(aws configure export-credentials --profile {_profile(session)} --format env)"`'
    )


def _why(error: Exception) -> str:
    """The error in a few words; what only a program's author understands is left out."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, EOFError):
        return "no code was typed"
    if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)):
        return "it is not JSON"
    if isinstance(error, (AttributeError, IndexError, KeyError, TypeError)):
        return "it is not what AWS asks for"
    return said(error)
