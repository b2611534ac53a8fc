"""Who may clone and push: the signature that CodeCommit's helpers make, and passwords of people."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials
from ministack.services import sts

from local.emulator.extension import git_credentials
from local.emulator.extension.git_credentials import GitCredentials, git_password, parse_basic
from local.emulator.settings import EmulatorSettings

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
PATH = "/v1/repos/sample"
SETTINGS_USERS = (("alice", "with:colon"),)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def credential_helper_password(secret: str, moment: str, host: str, path: str) -> str:
    """As `aws codecommit credential-helper` makes it, with botocore's signer."""
    signer = SigV4Auth(Credentials("AKIAEXAMPLE", secret), "codecommit", "us-east-1")
    request = SimpleNamespace(context={"timestamp": moment})
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    to_sign = signer.string_to_sign(request, canonical)
    return f"{moment}Z{signer.signature(to_sign, request)}"


@pytest.fixture
def credentials(tmp_path) -> GitCredentials:
    return git_credentials.install(
        EmulatorSettings(
            port=1, data_dir=tmp_path, docker_host="unix:///none", git_users=SETTINGS_USERS
        )
    )


@pytest.fixture
def session():
    """A session of the dev account's source role."""
    key = "ASIA" + "A" * 16
    sts._sessions[key] = {
        "Arn": "arn:aws:sts::111111111111:assumed-role/source/build",
        "UserId": "AROA:build",
        "SecretAccessKey": "secret",
        "SessionToken": "token/with+signs=",
        "Expiration": NOW + 10**9,
        "AccountId": "111111111111",
        "PrincipalType": "AssumedRole",
    }
    yield key
    del sts._sessions[key]


def test_the_password_is_the_one_that_the_aws_cli_makes():
    # GIVEN a secret, a time, a host and a path
    arguments = ("secret", "20260301T120000")
    # WHEN both make the password
    ours = git_password(*arguments, "us-east-1", "127.0.0.1", PATH)
    theirs = credential_helper_password(*arguments, "127.0.0.1", PATH)
    # THEN it is the same
    assert ours == theirs


def test_a_session_signs_in(credentials, session):
    # GIVEN a fresh signature of a session, its token after a percent sign
    password = credential_helper_password("secret", "20260301T120000", "127.0.0.1", PATH)
    header = basic(f"{session}%token/with+signs=", password)
    # WHEN it comes with a Host header that has a port
    caller = credentials.authenticate(header, "127.0.0.1:4566", PATH, NOW)
    # THEN it is the session
    assert caller is not None
    assert caller.arn == "arn:aws:sts::111111111111:assumed-role/source/build"
    assert caller.account == "111111111111"


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "wrong"},
        {"token": "another"},
        {"token": ""},
        {"moment": "20260301T114459"},
        {"moment": "20260301T121501"},
        {"path": "/v1/repos/other"},
        {"moment": "20269901T120000"},
    ],
    ids=["secret", "token", "no token", "old", "of the future", "other repository", "no date"],
)
def test_a_wrong_signature_is_nobody(credentials, session, wrong):
    # GIVEN a signature that is wrong in one thing
    right = {
        "secret": "secret",
        "token": "token/with+signs=",
        "moment": "20260301T120000",
        "path": PATH,
    }
    given = {**right, **wrong}
    password = credential_helper_password(
        given["secret"], given["moment"], "127.0.0.1", given["path"]
    )
    header = basic(f"{session}%{given['token']}", password)
    # WHEN / THEN
    assert credentials.authenticate(header, "127.0.0.1", PATH, NOW) is None


def test_a_person_signs_in_with_a_password(credentials):
    # GIVEN a user with git credentials / WHEN
    caller = credentials.authenticate(basic("alice", "with:colon"), "h", PATH, NOW)
    # THEN
    assert caller is not None
    assert caller.arn == "arn:aws:iam::111111111111:user/alice"
    assert credentials.authenticate(basic("alice", "wrong"), "h", PATH, NOW) is None


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic !!", "Basic " + "YQ==", "Basic"])
def test_what_is_not_basic_authentication_is_nobody(header):
    assert parse_basic(header) is None
