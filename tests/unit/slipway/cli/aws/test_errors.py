"""Every verb, when AWS, the credentials or the caller are wrong: one sentence, the right code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import TypeGuard

import click
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from slipway.cli.aws.errors import log_in_hint, translate
from slipway.cli.main import VERBS, main
from tests.aws.answers import refuse_all
from tests.infra.templates import UNPREPARED
from tests.unit.slipway.cli.verbs.test_push_to_live import clone as clone  # noqa: PLC0414 - a fixture
from tests.unit.slipway.cli.world import REGION, World, settings

ADDRESS = "https://hooks.slack" + ".com/services/T0000/B0000/abcdefGHIJ"
DEPLOYMENT = "shop-20261118000000-ffffff"

SERVICE = ["-c", "main", "-n", "shop", "-r", REGION]
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
    "cancel": ["cancel", "shop"],
    "hold": ["hold"],
    "release": ["release"],
    "redrive": ["redrive"],
    "webhook set": ["webhook", "set"],
    "doctor": ["doctor"],
    "prepare": ["prepare", "--installation", str(UNPREPARED)],
    "deploy": ["deploy", *SERVICE, "-i", "shop:v8", "--dry-run"],
    "taskdef": ["taskdef", *SERVICE],
}
"""What each verb is called with, for those that ask AWS."""
WITHOUT_AWS = {"cost", "init", "config check", "config schema"} | {
    f"local {name}" for name in ("up", "down", "push", "status")
}
PRINTS_NO_ANSWER = {"local up", "local down", "config schema"}
"""state.json is what the first two leave for programs; the third prints JSON, and only that."""
OF_A_SERVICE = {"deploy", "taskdef"}
"""They are told a service, and need no installation."""

every_verb = pytest.mark.parametrize("verb", INVOCATIONS)
every_installation_verb = pytest.mark.parametrize("verb", sorted(set(INVOCATIONS) - OF_A_SERVICE))


def verbs() -> set[str]:
    """Every command there is, as it is typed: `status`, `webhook set`, …"""
    found = set()
    for name in VERBS:
        command = main.get_command(click.Context(main), name)
        names = [f"{name} {sub}" for sub in command.commands] if is_group(command) else [name]
        found.update(names)
    return found


def is_group(command: click.Command | None) -> TypeGuard[click.Group]:
    return isinstance(command, click.Group)


def test_every_verb_is_among_them() -> None:
    assert verbs() == WITHOUT_AWS | set(INVOCATIONS)


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


@pytest.fixture
def hasty_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout waits out a network that is down, to its limit: here waiting takes no time."""
    waited = [0.0]
    monkeypatch.setattr("slipway.rollout.clock.SystemClock.now", lambda self: sum(waited))
    monkeypatch.setattr("slipway.rollout.clock.SystemClock.sleep", lambda self, s: waited.append(s))


@every_verb
def test_an_endpoint_that_is_down_is_the_worlds_failure(
    world_without_aws: World,
    clone: Path,
    verb: str,
    hasty_rollout: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN an address at which nobody listens
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("slipway.cli.aws.session.ATTEMPTS", 1)

    # WHEN, THEN
    said = one_sentence(world_without_aws, verb, code=3)
    assert "AWS does not answer" in said or "was not answered" in said


@every_verb
def test_missing_credentials_are_wrong_use(
    world_without_aws: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    said = one_sentence(world_without_aws, verb, code=2)
    assert said.startswith(("slipway: no AWS credentials", "slipway: no credentials"))


@every_verb
def test_expired_credentials_are_wrong_use(
    world: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an AWS that says so to whatever is asked
    refuse_all(monkeypatch, "ExpiredTokenException", "The security token is expired")

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


@every_installation_verb
def test_an_installation_that_is_not_deployed_is_wrong_use(
    aws: None, tmp_path: Path, clone: Path, verb: str
) -> None:
    # GIVEN an account without any of it (`redrive` finds no queue, so nothing to do; `doctor`
    # is there to find this; `webhook set` makes its parameter)
    world = World(settings("shop"), tmp_path / "installation.json")
    code = {"redrive": 0, "doctor": 1, "webhook set": 0}.get(verb, 2)

    # WHEN, THEN
    result = world.run(*INVOCATIONS[verb], stdin=ADDRESS)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_help_has_an_example_and_the_shared_options(verb: str) -> None:
    text = CliRunner().invoke(main, [*verb.split(), "--help"]).output

    example = text[text.index("Example") :]
    assert f"slipway {verb}" in example
    if verb not in PRINTS_NO_ANSWER:
        assert "--json" in text
    if verb not in WITHOUT_AWS:
        assert "--profile" in text
        assert "--region" in text
    if verb in set(INVOCATIONS) - OF_A_SERVICE:
        assert "--installation" in text


@pytest.mark.parametrize("verb", ["status", "history", "deploy", "local status"])
def test_a_process_of_its_own_says_one_sentence_and_ends_with_the_code(
    tmp_path: Path, verb: str
) -> None:
    # GIVEN no credentials anywhere, and no local run
    world = World(settings("shop"), tmp_path / "installation.json")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SLIPWAY_INSTALLATION": str(world.path),
        "SLIPWAY_LOCAL": str(tmp_path / "none"),
    }
    program = Path(sys.executable).parent / "slipway"

    # WHEN
    done = subprocess.run(
        [str(program), *INVOCATIONS.get(verb, verb.split())],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    # THEN
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("slipway: ")


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


EXPIRED = "Signature expired: 20261126T000000Z is now earlier than 20261126T070000Z"


@pytest.mark.parametrize(
    ("code", "message", "ahead", "says"),
    [
        ("InvalidSignatureException", EXPIRED, None, EXPIRED),
        ("SignatureDoesNotMatch", EXPIRED, None, "set this machine's clock (it says 20"),
        ("InvalidSignatureException", "Signature not yet current: 1", None, "this machine's clock"),
        ("RequestExpired", "Request has expired.", None, "Request has expired."),
        ("RequestTimeTooSkewed", "The difference is too large.", None, "The difference is too"),
        ("RequestInTheFuture", "", None, "this machine's clock"),
        # with the time of AWS's answer it is known which it is
        ("RequestExpired", "Request has expired.", -25230, "7 h behind AWS's: set it"),
        ("InvalidSignatureException", EXPIRED, 25230, "7 h ahead of AWS's: set it"),
        ("AuthFailure", "AWS was not able to validate them", 25230, "7 h ahead of AWS's"),
        ("RequestExpired", "Request has expired.", 0, "if it is right, log in again"),
    ],
)
def test_a_wrong_clock_is_told_in_aws_s_words(
    code: str, message: str, ahead: float | None, says: str
) -> None:
    dated = {} if ahead is None else {"date": formatdate(time.time() - ahead, usegmt=True)}
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPHeaders": dated},
    }

    error = translate(ClientError(answer, "UpdateService"))  # type: ignore[arg-type]

    assert error is not None
    assert error.exit_code == 2
    assert code in str(error)
    assert says in str(error)
    assert "does not know these credentials" not in str(error)


def test_keys_that_aws_does_not_know_are_no_matter_of_the_clock() -> None:
    dated = {"date": formatdate(usegmt=True)}
    for headers in ({}, dated, {"date": "no date"}):
        answer = {
            "Error": {"Code": "SignatureDoesNotMatch", "Message": "The signature differs."},
            "ResponseMetadata": {"HTTPHeaders": headers},
        }
        error = translate(ClientError(answer, "UpdateService"))  # type: ignore[arg-type]
        assert "AWS does not know these credentials" in str(error)


@every_verb
def test_a_wrong_clock_is_told_by_every_verb(
    world: World, clone: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_all(monkeypatch, "InvalidSignatureException", EXPIRED)

    said = one_sentence(world, verb, code=2)
    assert EXPIRED in said
    assert "this machine's clock" in said


def test_a_fault_of_our_own_is_not_hidden() -> None:
    assert translate(KeyError("bug")) is None


def test_a_mistyped_verb_is_answered_with_what_was_meant() -> None:
    result = CliRunner().invoke(main, ["statsu"])

    assert result.exit_code == 2
    assert "Did you mean 'status'?" in result.output


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("no/such/folder/file", 2, "cannot be written: No such file or directory"),
        ("/dev/full", 3, "not written: No space left on device"),
    ],
)
@pytest.mark.parametrize("verb", [["history", "--plot", "--output"], ["report", "--html"]])
def test_a_file_that_cannot_be_written_is_one_sentence(
    world: World, verb: list[str], name: str, code: int, told: str
) -> None:
    world.deployed("shop", 1)

    result = world.run(*verb, name)

    assert result.exit_code == code
    assert f"{verb[-1]} {name!r}" in result.output
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_ring_of_causes_ends() -> None:
    # GIVEN what `raise error from error` makes
    error = RuntimeError("it")
    error.__cause__ = RuntimeError("its cause")
    error.__cause__.__cause__ = error

    # WHEN, THEN the look at what caused it comes to an end
    assert log_in_hint(error) == ""
