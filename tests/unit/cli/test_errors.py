"""Every verb, when AWS, the credentials or the caller are wrong: one sentence, the right code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from cli.aws_errors import translate
from cli.main import VERBS, main
from tests.unit.cli.test_push_to_live import clone as clone  # noqa: PLC0414 - a fixture
from tests.unit.cli.world import World, settings

ADDRESS = "https://hooks.slack" + ".com/services/T0000/B0000/abcdefGHIJ"
DEPLOYMENT = "shop-20261118000000-ffffff"

INVOCATIONS: dict[str, list[str]] = {
    "status": ["status"],
    "watch": ["watch", "shop"],
    "push-to-live": ["push-to-live", "shop"],
    "history": ["history"],
    "report": ["report"],
    "logs": ["logs", DEPLOYMENT],
    "redeploy": ["redeploy", "shop"],
    "rollback": ["rollback", "shop"],
    "pause": ["pause", "shop"],
    "resume": ["resume", "shop"],
    "hold": ["hold"],
    "release": ["release"],
    "redrive": ["redrive"],
    "webhook": ["webhook", "set"],
    "doctor": ["doctor"],
}
OTHERS = {"deploy", "taskdef", "local", "config"}
"""Verbs whose own tests say this."""

every_verb = pytest.mark.parametrize("verb", INVOCATIONS)


def test_every_verb_is_among_them() -> None:
    assert set(VERBS) - OTHERS == set(INVOCATIONS)


@pytest.fixture
def world_without_aws(tmp_path: Path) -> World:
    """Settings, and no AWS to answer."""
    world = World(settings("shop", "api"), tmp_path / "installation.json")
    (tmp_path / "nowhere").mkdir(exist_ok=True)
    return world


def one_sentence(world: World, verb: str, *more: str, code: int) -> str:
    result = world.run(*INVOCATIONS[verb], *more, stdin=ADDRESS)
    lines = [line for line in result.stderr.splitlines() if line]
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    # a remark may come before it (`push-to-live` asks whether the commit is pushed)
    assert lines[-1].startswith("slipway: ")
    return lines[-1]


@every_verb
def test_an_endpoint_that_is_down_is_the_worlds_failure(
    world_without_aws: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an address at which nobody listens
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("cli.session.ATTEMPTS", 1)

    # WHEN, THEN
    assert "AWS does not answer" in one_sentence(world_without_aws, verb, code=3)


@every_verb
def test_missing_credentials_are_wrong_use(
    world_without_aws: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert "no AWS credentials" in one_sentence(world_without_aws, verb, code=2)


@every_verb
def test_expired_credentials_are_wrong_use(
    world: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an AWS that says so to whatever is asked
    def expired(self: object, operation: str, request: object) -> object:
        error = {"Code": "ExpiredTokenException", "Message": "The security token is expired"}
        raise ClientError({"Error": error}, operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", expired)

    # WHEN, THEN
    assert "credentials have expired" in one_sentence(world, verb, code=2)


@every_verb
def test_an_unknown_profile_is_wrong_use(world_without_aws: World, clone: Path, verb: str) -> None:
    said = one_sentence(world_without_aws, verb, "--profile", "nobody", code=2)

    assert "The config profile (nobody) could not be found" in said


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            [verb, "shpo"]
            for verb, invocation in INVOCATIONS.items()
            if len(invocation) == 1 and verb in ("status", "history", "report", "doctor")
        ),
        *([verb, "shpo"] for verb, i in INVOCATIONS.items() if i[1:] == ["shop"]),
        ["webhook", "set", "--pipeline", "shpo"],
        ["logs", "shpo-20261118000000-ffffff"],
    ],
    ids=" ".join,
)
def test_an_unknown_pipeline_is_wrong_use(world: World, clone: Path, arguments: list[str]) -> None:
    result = world.run(*arguments, stdin=ADDRESS)

    assert result.exit_code == 2
    assert "pipeline 'shpo' is not configured; configured: shop, api" in result.stderr


@every_verb
def test_an_installation_that_is_not_deployed_is_wrong_use(
    aws: None, tmp_path: Path, clone: Path, verb: str
) -> None:
    # GIVEN an account without any of it (`redrive` finds no queue, so nothing to do; `doctor`
    # is there to find this; `webhook set` makes its parameter)
    world = World(settings("shop"), tmp_path / "installation.json")
    code = {"redrive": 0, "doctor": 1, "webhook": 0}.get(verb, 2)

    # WHEN, THEN
    result = world.run(*INVOCATIONS[verb], stdin=ADDRESS)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output


@every_verb
def test_help_has_an_example_and_the_shared_options(verb: str) -> None:
    asked = INVOCATIONS[verb][:2] if verb == "webhook" else [verb]
    text = CliRunner().invoke(main, [*asked, "--help"]).output

    assert "Example" in text
    assert f"slipway {verb}" in text
    for option in ("--json", "--profile", "--region", "--installation"):
        assert option in text


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        ("ThrottlingException", "throttling", 3),
        ("InternalFailure", "failed at", 3),
        ("AccessDeniedException", "not allowed", 2),
        ("UnrecognizedClientException", "does not know these credentials", 2),
        ("ResourceNotFoundException", "not found in there", 2),
    ],
)
def test_aws_answers_become_a_sentence(code: str, kind: str, exit_code: int) -> None:
    answer = {"Error": {"Code": code, "Message": "several\nlines"}}
    error = translate(ClientError(answer, "GetItem"), "there")  # type: ignore[arg-type]

    assert error is not None
    assert error.exit_code == exit_code
    assert kind in str(error)
    assert "\n" not in str(error)


def test_a_fault_of_our_own_is_not_hidden() -> None:
    assert translate(KeyError("bug")) is None
