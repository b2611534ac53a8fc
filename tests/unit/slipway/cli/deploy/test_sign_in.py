"""Credentials that cannot be had: 2, one sentence, the command that helps; for every provider."""

from __future__ import annotations

import inspect
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.credentials import CredentialProvider, Credentials, RefreshableCredentials
from botocore.session import Session as Botocore

from slipway.cli.aws import sign_in
from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse
from tests.unit.slipway.cli.deploy.real import environment, slipway
from tests.unit.slipway.cli.world import settings

PROFILE = "[profile x]\nregion = us-east-1\n"
ROLE = "role_arn = arn:aws:iam::111111111111:role/r\n"
SOURCE = "[profile s]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n"
SSO = "sso_account_id = 111111111111\nsso_role_name = r\n"
START = "sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\n"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x"}
WEB = "AWS_WEB_IDENTITY_TOKEN_FILE"
CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


@dataclass(frozen=True)
class Case:
    """`config` is the profile x of the AWS configuration, `says` what the sentence holds."""

    name: str
    says: str
    config: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    code: int = 2


def process(name: str, command: str, says: str) -> Case:
    helps = "`aws configure get credential_process --profile x`"
    return Case(
        f"process {name}", f"({says}): run what {helps}", f"credential_process = {command}\n"
    )


CASES = [
    Case("MFA", "`eval \"$(aws configure export-credentials --profile x --format env)\"`",
         f"{ROLE}source_profile = s\nmfa_serial = arn:aws:iam::111111111111:mfa/me\n{SOURCE}"),
    Case("SSO", "`aws sso login --profile x`", SSO + START),
    Case("SSO session", "`aws sso login --profile x`",
         f"{SSO}sso_session = y\n[sso-session y]\n{START}"
         "sso_registration_scopes = sso:account:access\n"),
    Case("SSO of the source", "`aws sso login --profile y`",
         f"{ROLE}source_profile = y\n[profile y]\n{SSO}{START}"),
    Case("SSO session missing", "does not exist", f"{SSO}sso_session = y\n"),
    Case("login", "`aws login --profile x`", "login_session = arn:aws:iam::111111111111:user/me\n"),
    process("missing", "/no/such/helper", "No such file or directory: /no/such/helper"),
    process("not JSON", "echo hello", "it is not JSON"),
    process("unclosed quote", "helper \"unclosed", "No closing quotation"),
    process("fails", "sh -c 'echo log in first >&2; exit 3'",
            "Error when retrieving credentials from custom-process: log in first"),
    process("empty", "", "it is not what AWS asks for"),
    process("a list", "echo '[]'", "it is not what AWS asks for"),
    process("not text", "printf '\\377\\376'", "it is not JSON"),
    process("a folder", "/tmp", "Permission denied: /tmp"),
    Case("process lacks keys", "Missing required key",
         "credential_process = echo '{\"Version\":1}'\n"),
    Case("web identity", "No such file or directory: /no/such",
         f"{ROLE}web_identity_token_file = /no/such\n"),
    Case("web identity of the environment", "`ls -l /no/such`",
         variables={WEB: "/no/such", "AWS_ROLE_ARN": "arn:aws:iam::111111111111:role/r"}),
    Case("web identity without a role", "AWS_ROLE_ARN", variables={WEB: "/etc/hostname"}),
    Case("role without a source", "missing: source_profile", ROLE),
    Case("source missing", '"gone"', f"{ROLE}source_profile = gone\n"),
    Case("a circle", "Infinite loop",
         f"{ROLE}source_profile = y\n[profile y]\n{ROLE}source_profile = x\n"),
    Case("an empty source", "No credentials found", f"{ROLE}credential_source = Environment\n"),
    Case("half of the keys", "missing: aws_secret_access_key", "aws_access_key_id = AKIA\n"),
    Case("half of the variables", "missing: AWS_SECRET_ACCESS_KEY",
         variables={"AWS_ACCESS_KEY_ID": "AKIA"}),
    Case("a profile that is not there", "`aws configure list-profiles`",
         variables={"AWS_PROFILE": "gone"}),
    Case("a configuration that cannot be read", "Unable to parse config file", "[broken"),
    Case("container's host", "`env | grep AWS_CONTAINER_`",
         variables={CONTAINER: "http://example.com/x"}),
    Case("container's token", "No such file or directory: /no/such",
         variables={CONTAINER: "http://127.0.0.1:9/x",
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/such"}),
    Case("container that does not answer", "Could not connect", code=3,
         variables={CONTAINER: "http://127.0.0.1:9/x"}),
    Case("a key with a line break", "copy it again",
         variables={**KEYS, "AWS_ACCESS_KEY_ID": "AKIA\n"}),
    Case("a token with a line break", "copy it again",
         variables={**KEYS, "AWS_SESSION_TOKEN": "a-token\nof-two-lines"}),
    Case("over since long", "log in again",
         variables={**KEYS, "AWS_SESSION_TOKEN": "t",
                    "AWS_CREDENTIAL_EXPIRATION": "2001-01-01T00:00:00Z"}),
    Case("an expiry that is none", "Unknown string format",
         variables={**KEYS, "AWS_SESSION_TOKEN": "t", "AWS_CREDENTIAL_EXPIRATION": "soon"}),
    Case("an address that is none", "Invalid endpoint: foo",
         variables={**KEYS, "AWS_ENDPOINT_URL": "foo"}),
    Case("a mode that is none", "Valid defaults modes",
         variables={**KEYS, "AWS_DEFAULTS_MODE": "hard"}),
    Case("a number that is none", "invalid literal",
         variables={"AWS_METADATA_SERVICE_TIMEOUT": "x"}),
]  # fmt: skip


def ran(case: Case, verb: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The real command, without a terminal."""
    folder.mkdir(parents=True)
    installation = folder / "installation.json"
    installation.write_text(settings("shop").to_json())
    given = environment() | {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "HOME": str(folder),
    }
    del given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]
    if case.config is not None:
        body = case.config if case.config.startswith("[broken") else PROFILE + case.config
        (folder / "config").write_text(body)
        given["AWS_PROFILE"] = "x"
    if verb == "pause":
        given["SLIPWAY_INSTALLATION"] = str(installation)
    line = ["pause", "shop"] if verb == "pause" else ["deploy", "-c", "c", "-n", "n", "-i", "a"]
    return subprocess.run(
        slipway(*line), env=given | case.variables, cwd=folder, capture_output=True, text=True,
        check=False, start_new_session=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Any]]:
    """Every case of both kinds of verbs, two at a time."""
    folder = tmp_path_factory.mktemp("cases")
    asked = [(case, verb) for case in CASES for verb in ("deploy", "pause")]
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda a: ran(a[0], a[1], folder / a[1] / a[0].name), asked)
        yield {(c.name, v): run for (c, v), run in zip(asked, runs, strict=True)}


@pytest.mark.parametrize("verb", ["deploy", "pause"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_credentials_that_cannot_be_had_are_one_sentence(
    ended: dict[tuple[str, str], Any], case: Case, verb: str
) -> None:
    run = ended[case.name, verb]

    assert run.returncode == case.code, run.stderr
    (line,) = run.stderr.splitlines()
    assert line.startswith("slipway: ")
    assert case.says in line
    assert "a-token" not in line
    assert run.stdout == ""


def test_the_cases_hold_every_provider_that_botocore_has() -> None:
    """A provider that is new with a botocore is looked at before it is taken."""
    known = {
        "custom-process", "iam-role", "env", "ec2-credentials-file", "shared-credentials-file",
        "config-file", "boto-config", "assume-role", "assume-role-with-web-identity",
        "container-role", "sso", "login",
    }  # fmt: skip
    providers = Botocore().get_component("credential_provider").providers
    assert {provider.METHOD for provider in providers} <= known


def refused_with(error: Exception) -> SlipwayError:
    """What is said of an error that a provider raises."""

    class Provider(CredentialProvider):
        METHOD = CANONICAL_NAME = "failing"

        def load(self) -> Any:
            raise error

    session = Botocore()
    session.get_component("credential_provider").providers[:] = [Provider()]
    with pytest.raises(SlipwayError) as said:
        sign_in.sign_in(session)
    return said.value


def of_botocore() -> list[Exception]:
    """One of each error that botocore has, as well as it can be made."""
    made = []
    for kind in vars(botocore.exceptions).values():
        if inspect.isclass(kind) and issubclass(kind, botocore.exceptions.BotoCoreError):
            names = [part.partition("}")[0] for part in kind.fmt.split("{")[1:]]
            more = {"last_response": {}} if kind.__name__ == "WaiterError" else {}
            made.append(kind(**dict.fromkeys(names, "x"), **more))
    return made


@pytest.mark.parametrize("error", of_botocore(), ids=lambda error: type(error).__name__)
def test_every_error_of_botocore_s_is_one_sentence_of_ours(error: Exception) -> None:
    said = refused_with(error)

    aws = botocore.exceptions
    silent = (aws.ConnectionError, aws.HTTPClientError, aws.MetadataRetrievalError)
    assert isinstance(said, WorldFailed if isinstance(error, silent) else WrongUse)
    assert "\n" not in str(said)


def test_credentials_that_end_later_are_said_as_plainly() -> None:
    # GIVEN credentials whose program is gone when they are to be renewed
    def gone() -> dict[str, str]:
        raise FileNotFoundError(2, "No such file or directory", "/no/such/helper")

    session = Botocore()
    held = sign_in._Plain(
        RefreshableCredentials.create_from_metadata(
            {"access_key": "a", "secret_key": "b", "token": "c",
             "expiry_time": "2001-01-01T00:00:00Z"}, gone, "x"),
        session,
    )  # fmt: skip

    with pytest.raises(WrongUse, match="No such file or directory: /no/such/helper"):
        held.get_frozen_credentials()


def test_a_clients_call_signs_with_what_was_given() -> None:
    session = Botocore()

    class Provider(CredentialProvider):
        METHOD = CANONICAL_NAME = "mine"

        def load(self) -> Any:
            return Credentials("AKIAMINE", "s", "t")

    session.get_component("credential_provider").providers[:] = [Provider()]
    assert sign_in.sign_in(session)

    client = session.create_client("ecs", region_name="us-east-1")
    assert client._request_signer._credentials.get_frozen_credentials().access_key == "AKIAMINE"
    assert os.environ.get("AWS_ACCESS_KEY_ID") != "AKIAMINE"
