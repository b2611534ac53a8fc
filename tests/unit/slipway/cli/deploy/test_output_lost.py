"""Losing the output never ends what was begun; a character that cannot be shown never does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from slipway.cli.user.streams import lasting_streams
from tests.scripted_ecs import IMAGE, ScriptedEcs, crashes, serve
from tests.unit.slipway.cli.deploy.real import ROOT, RealClock, environment, slipway

DEPLOY = ("deploy", "-c", "prod", "-n", "web", "-i", f"{IMAGE}:v8", "-t", "3")
LOSSES = {
    "a reader that leaves": "2>&1 | head -n 1",
    "a reader that never read": "2>&1 | true",
    "no standard error": "2>&-",
    "no standard output": ">&-",
    "no output at all": ">&- 2>&-",
    "nothing is open": "<&- >&- 2>&-",
    "a full disk": ">/dev/full 2>&1",
    "a full disk for the answer": ">/dev/full",
}


def in_shell(line: str, url: str, **variables: str) -> subprocess.Popen[str]:
    """The line in bash; its exit code is that of the pipeline's first command."""
    return subprocess.Popen(
        ["bash", "-c", f"{line}\nexit ${{PIPESTATUS[0]}}"],
        env=environment(url) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_crashing_release_is_put_right_whatever_becomes_of_the_output() -> None:
    # GIVEN for each way to lose the output a service whose new tasks crash
    with ExitStack() as stack:
        services = {loss: ScriptedEcs(clock=RealClock(), behaviour=crashes) for loss in LOSSES}
        running = {
            loss: in_shell(
                f"{shlex.join(slipway(*DEPLOY))} {LOSSES[loss]}", stack.enter_context(serve(ecs))
            )
            for loss, ecs in services.items()
        }
        # WHEN a release is deployed
        ended = {loss: (process.communicate(), process) for loss, process in running.items()}

    # THEN it is followed, put right, and the exit code says how it ended
    for loss, ((out, err), process) in ended.items():
        assert process.returncode == 1, (loss, out, err)
        assert services[loss].live == "web:7", loss
        assert len(services[loss].made("UpdateService")) == 1, loss
        assert "Traceback" not in out + err, loss
    assert (
        "output is not whole: No space left on device" in ended["a full disk for the answer"][0][1]
    )


@pytest.mark.parametrize("verb", ["--help", "--version", "deploy --help", "config check none.json"])
def test_what_only_prints_does_not_break_either(verb: str) -> None:
    for loss, redirection in LOSSES.items():
        process = in_shell(
            f"{shlex.join(slipway(*verb.split()))} {redirection}", "http://127.0.0.1:9"
        )
        out, err = process.communicate()
        assert process.returncode in (0, 2), (loss, out, err)
        assert "Traceback" not in out + err, loss


@pytest.mark.parametrize(
    ("redirection", "exit_code", "says"),
    [(">/dev/full", 3, "No space left on device"), ("| true", 0, ""), (">&-", 0, "")],
)
def test_an_answer_that_could_not_be_written_is_no_success(
    tmp_path: Path, redirection: str, exit_code: int, says: str
) -> None:
    # WHEN the answer is all that was wanted
    text = (ROOT / "cdk.json").read_text().replace("1111", "1234").replace("2222", "2345")
    (tmp_path / "cdk.json").write_text(text)
    line = shlex.join(slipway("config", "check", str(tmp_path / "cdk.json"), "--json"))
    process = in_shell(f"{line} {redirection}", "http://127.0.0.1:9")
    _out, err = process.communicate()

    # THEN a full disk is a failure; a reader that has seen enough is none
    assert process.returncode == exit_code
    assert says in err


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_an_encoding_lacks_is_replaced(encoding: str, more: tuple[str, ...]) -> None:
    scripted = ScriptedEcs(clock=RealClock())
    with serve(scripted) as url:
        ended = subprocess.run(
            slipway(*DEPLOY, "--dry-run", *more),
            env=environment(url) | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False,
        )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    if more:
        changed = f"containerDefinitions[web].image: {IMAGE}:v7 → {IMAGE}:v8"
        assert json.loads(ended.stdout)["changes"] == [changed]
    else:
        assert f"{IMAGE}:v7 -> {IMAGE}:v8".encode() in ended.stdout


def test_a_name_that_no_encoding_can_hold_is_shown_all_the_same() -> None:
    ended = subprocess.run(
        [*slipway("config", "check"), b"none-\xff.json"],
        env=environment(), capture_output=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert b"none-?.json" in ended.stderr


def test_output_to_a_pipe_that_does_not_block_is_waited_for() -> None:
    # GIVEN standard output that somebody else made non-blocking (node does), and a slow reader
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen(slipway("deploy", "--help"), env=environment() | {"COLUMNS": "80"},
                               stdout=writing, stderr=subprocess.PIPE)  # fmt: skip
    filled = subprocess.run(  # GIVEN it is full already
        ["python3", "-c", "import os\ntry:\n while True: os.write(1, b'.' * 65536)\n"
         "except BlockingIOError: pass"], stdout=writing, check=True)  # fmt: skip
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        shown = pipe.read().replace(b".", b"")

    assert filled.returncode == 0
    assert (process.wait(), process.communicate()[1]) == (0, b"")
    assert b"--task-definition-file" in shown


def test_the_streams_are_as_they_were_afterwards() -> None:
    before = sys.stdin, sys.stdout, sys.stderr
    with lasting_streams():
        pass
    assert (sys.stdin, sys.stdout, sys.stderr) == before
