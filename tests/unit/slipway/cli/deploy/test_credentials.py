"""Who calls: keys, profile, region, the instance's role, an assumed role."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from slipway.cli.aws.credentials import Clients, Credentials
from slipway.contracts.errors import WrongUse
from tests.aws.answers import AwsFake
from tests.aws.wire import answer_from

KEYS = {"access_key": "AKIAGIVEN", "secret_key": "given"}


def keys_of(credentials: Credentials) -> tuple[str, str, str | None]:
    """What a client of `credentials` signs with."""
    client = Clients(credentials).client("ecs")
    signs = client._request_signer._credentials.get_frozen_credentials()
    return signs.access_key, signs.secret_key, signs.token


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "credentials"
    file.write_text(
        "[ci]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = p\nregion = eu-north-1\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    return "ci"


def test_keys_from_the_options_come_before_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN temporary credentials of somebody else in the environment
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other-token")

    # THEN their token does not go with the keys that were given
    assert keys_of(Credentials(**KEYS, region="us-east-1")) == ("AKIAGIVEN", "given", None)
    assert keys_of(Credentials(region="us-east-1")) == ("ASIAOTHER", "other", "other-token")
    # AND it does go with keys that are the environment's own
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAGIVEN")
    assert keys_of(Credentials(**KEYS, region="us-east-1"))[2] == "other-token"


def test_a_profile_comes_before_the_environment(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")

    credentials = Credentials(profile=profile)

    assert keys_of(credentials) == ("AKIAPROFILE", "p", None)
    assert Clients(credentials).client("ecs").meta.region_name == "eu-north-1"


@pytest.mark.parametrize("name", ["AWS_DEFAULT_REGION", "AWS_REGION"])
def test_the_region_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "eu-west-3")

    assert Clients(Credentials(**KEYS)).client("ecs").meta.region_name == "eu-west-3"
    given = Credentials(**KEYS, region="us-west-2")
    assert Clients(given).client("ecs").meta.region_name == "us-west-2"


@pytest.mark.parametrize(
    ("variables", "options", "region"),
    [
        # in the order of the AWS CLI's version 2: AWS SDKs and Tools Reference Guide, 'AWS Region'
        ({"AWS_REGION": "a-one-1", "AWS_DEFAULT_REGION": "b-two-2"}, {}, "a-one-1"),
        ({"AWS_REGION": "a-one-1"}, {"profile": "ci"}, "a-one-1"),
        ({"AWS_DEFAULT_REGION": "b-two-2"}, {"profile": "ci"}, "b-two-2"),
        ({}, {"profile": "ci"}, "eu-north-1"),
        ({"AWS_REGION": ""}, {"profile": "ci"}, "eu-north-1"),
        ({"AWS_REGION": "a-one-1"}, {"profile": "ci", "region": "c-three-3"}, "c-three-3"),
    ],
)
def test_regions_have_their_order(
    profile: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    options: dict[str, str],
    region: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    keys = {} if "profile" in options else KEYS

    clients = Clients(Credentials(**keys, **options))

    assert clients.client("ecs").meta.region_name == region
    # AND botocore's own calls (for a role, for SSO) go there too
    assert clients._session.get_config_variable("region") == region


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"access_key": "AKIA"}, "are given together"),
        ({"secret_key": "s"}, "are given together"),
        ({"instance_profile": True, "profile": "ci"}, "takes neither keys nor a profile"),
        ({"region": "us-east-1"}, "no credentials"),
        (KEYS, "no region"),
        ({"profile": "missing", "region": "us-east-1"}, "missing"),
        ({"role": "arn:aws:iam::1:role/x", "region": "us-east-1"}, "no credentials to assume"),
        ({"instance_profile": True, "region": "us-east-1"}, "no credentials"),
    ],
)
def test_what_is_missing_is_wrong_use_in_one_sentence(given: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongUse, match=says):
        Clients(Credentials(**given)).client("ecs")


def test_a_role_is_assumed_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN an STS that gives temporary credentials for the role
    asked: list[Any] = []
    create = botocore.session.Session.create_client

    def create_client(session: Any, service: str, **options: Any) -> Any:
        if service != "sts":
            return create(session, service, **options)
        asked.append(session.get_credentials().access_key)
        return Sts(asked)

    monkeypatch.setattr(botocore.session.Session, "create_client", create_client)

    # WHEN a client is made
    credentials = Credentials(**KEYS, region="us-east-1", role="arn:aws:iam::1:role/deployer")

    # THEN it signs with the role's, which were asked for with the caller's
    assert keys_of(credentials) == ("ASIAROLE", "role", "token")
    assert asked == ["AKIAGIVEN", ("arn:aws:iam::1:role/deployer", "slipway-deploy")]


class Sts(AwsFake, service="sts"):
    def __init__(self, asked: list[Any]) -> None:
        self._asked = asked

    def assume_role(self, **given: Any) -> dict[str, Any]:
        self._asked.append((given["RoleArn"], given["RoleSessionName"]))
        return {
            "Credentials": {
                "AccessKeyId": "ASIAROLE",
                "SecretAccessKey": "role",
                "SessionToken": "token",
                "Expiration": datetime(2099, 1, 1, tzinfo=UTC),
            }
        }

    def __enter__(self) -> Sts:
        return self

    def __exit__(self, *_ignored: object) -> None:
        pass


def test_a_call_is_told_to_whoever_wants_to_print_it() -> None:
    told: list[str] = []
    clients = Clients(
        Credentials(**KEYS, region="us-east-1"),
        on_call=lambda params, model, **_ignored: told.append(model.name),
    )
    client = clients.client("ecs")
    answer_from(client, lambda operation, parameters: {"clusterArns": []})

    client.list_clusters()

    assert told == ["ListClusters"]
    assert clients.client("ecs") is client
