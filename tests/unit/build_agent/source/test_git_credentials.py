"""A CodeCommit login, against the AWS CLI's own helper behind git."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from build_agent.source.git_credentials import (
    RoleCredentials,
    askpass_program,
    assumed_login,
    code_commit_login,
)
from slipway.contracts.errors import WorldFailed
from tests.aws.answers import AwsFake

URL = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app"
NOW = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC).timestamp()
HELPER = f"!{sys.executable} -m awscli codecommit credential-helper --ignore-host-check"
GIT = ("git", "-c", "credential.helper=", "-c", f"credential.helper={HELPER}")


def helpers_login(url: str, credentials: RoleCredentials, region: str) -> tuple[str, str]:
    """User and password that git gets for `url` from the AWS CLI's own helper, now."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
        "AWS_DEFAULT_REGION": region,
    }
    filled = subprocess.run(
        [*GIT, "-c", "credential.useHttpPath=true", "credential", "fill"],
        input=f"url={url}\n\n",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    members = dict(line.split("=", 1) for line in filled.stdout.splitlines())
    return members["username"], members["password"]


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (URL, "eu-west-1"),
        (f"{URL}/", "eu-west-1"),
        ("https://git-codecommit-fips.us-east-2.amazonaws.com/v1/repos/a.b-c_d", "us-east-2"),
        ("https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/app", "cn-north-1"),
        ("https://vpce-1.git-codecommit.eu-west-1.vpce.amazonaws.com/v1/repos/app", "eu-west-1"),
        ("https://Git-CodeCommit.eu-west-1.amazonaws.com/v1/repos/App", "eu-west-1"),
        ("http://127.0.0.1:4566/v1/repos/app", "us-east-1"),
    ],
)  # fmt: skip
def test_the_login_is_the_one_of_the_aws_clis_own_helper(url: str, region: str) -> None:
    credentials = RoleCredentials("ASIAXXXXXXXXXXXXXXXX", "sec/ret+", "tok/en+with=signs")
    # GIVEN what git gets from `aws codecommit credential-helper`
    user, password = helpers_login(url, credentials, region)
    # THEN ours of the same second is the same
    then = datetime.strptime(password.partition("Z")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    login = code_commit_login(url, credentials, region=region, now=then.timestamp())
    assert (login.user, login.password) == (user, password)


class Sts(AwsFake, service="sts"):
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def assume_role(self, **members: Any) -> Any:
        self.calls.append(members)
        return {
            "Credentials": {
                "AccessKeyId": "ASIA1",
                "SecretAccessKey": "s3cr3t",
                "SessionToken": "t0ken",
                "Expiration": datetime.fromtimestamp(NOW + 900, UTC),
            }
        }


def test_the_role_is_assumed_afresh_for_each_login() -> None:
    sts = Sts()
    login = assumed_login(sts, session_name="slipway-i-1", region="eu-west-1", now=lambda: NOW)
    for _ in range(2):
        assert login(URL, "arn:aws:iam::1:role/source") is not None
    assert [c["RoleArn"] for c in sts.calls] == ["arn:aws:iam::1:role/source"] * 2


def test_a_remote_on_disk_asks_for_no_login() -> None:
    login = assumed_login(Sts(), session_name="s", region="eu-west-1", now=lambda: NOW)
    assert login("file:///x", "arn") is None


def test_credentials_are_never_shown() -> None:
    credentials = RoleCredentials("ASIAX", "secret", "token")
    login = code_commit_login(URL, credentials, region="eu-west-1", now=NOW)
    said = f"{credentials!r} {login!r}"
    assert "secret" not in said
    assert login.password not in said


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    # GIVEN a folder that nothing can be written to (root may write anywhere but below a file)
    folder = tmp_path / "file"
    folder.touch()

    # THEN the world failed, with no trace for whoever starts the agent
    with pytest.raises(WorldFailed, match=r"cannot write .*askpass"):
        askpass_program(folder)
