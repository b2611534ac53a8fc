"""A CodeCommit login, against botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from build_agent.git_credentials import (
    RoleCredentials,
    askpass_program,
    assumed_login,
    code_commit_login,
)
from contracts.errors import WorldFailed
from tests.aws.answers import AwsFake

URL = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app"
NOW = datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:4566/v1/repos/app"])
def test_the_signature_is_the_one_of_the_credential_helper(url: str) -> None:
    # GIVEN what `aws codecommit credential-helper` does: botocore's signer over `GIT <path>`
    signer = SigV4Auth(Credentials("ASIAX", "secret", "token"), "codecommit", "eu-west-1")
    request = AWSRequest(method="GIT", url=url)
    request.context["timestamp"] = "20270115T080000"
    host = url.split("/")[2].partition(":")[0]
    canonical = f"GIT\n/v1/repos/app\n\nhost:{host}\n\nhost\n"
    text = signer.string_to_sign(request, canonical)
    # THEN ours is the same
    login = code_commit_login(
        url, RoleCredentials("ASIAX", "secret", "token"), region="eu-west-1", now=NOW
    )
    assert login.user == "ASIAX%token"
    assert login.password == f"20270115T080000Z{signer.signature(text, request)}"


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
