"""What all verbs share: which installation, whose credentials, completion, colour, cost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from slipway.cli.aws.locate import locate
from slipway.cli.aws.session import Session
from slipway.cli.main import main
from slipway.cli.show.output import Output, columns, width
from slipway.contracts.errors import WrongUse
from tests.places import ROOT
from tests.unit.slipway.cli.world import PROD, World, settings

# --- which installation


def local_run(folder: Path, *, up: bool = True) -> None:
    made = replace(settings("local-shop"), mode="local")
    (folder / ".local").mkdir()
    (folder / ".local/installation.json").write_text(made.to_json())
    if up:
        state = {"endpoint_url": "http://127.0.0.1:1", "region": "us-east-1"}
        (folder / ".local/state.json").write_text(json.dumps(state))


def configured(folder: Path) -> None:
    """A smallest cdk.json."""
    context = {
        "region": "eu-central-1",
        "dev": {"account": "111111111111"},
        "prod": {"account": "222222222222"},
        "pipelines": [
            {
                "name": "cdk-shop",
                "repository": {"name": "shop"},
                "branch": "main",
                "images": [{"repository": {"name": "shop"}}],
                "service": {"sample": True},
            }
        ],
        "buildHost": {
            "architecture": "arm64",
            "instanceType": "t4g.medium",
            "ami": "ami-00000000000000000",
        },
    }
    (folder / "cdk.json").write_text(json.dumps({"app": "x", "context": {"slipway": context}}))


def found(folder: Path, **environment: str) -> str:
    return locate(None, folder=folder, environment=environment).installation.pipelines[0].name


def test_a_named_file_comes_first(tmp_path: Path) -> None:
    # GIVEN all there can be
    local_run(tmp_path)
    named, other = tmp_path / "one.json", tmp_path / "two.json"
    named.write_text(settings("named").to_json())
    other.write_text(settings("variable").to_json())
    environment = {"SLIPWAY_INSTALLATION": str(other)}

    # WHEN, THEN the option beats the variable, the variable beats the local run
    option = locate(named, folder=tmp_path, environment=environment)
    assert option.installation.pipelines[0].name == "named"
    assert found(tmp_path, **environment) == "variable"


def test_a_configuration_file_is_settings_too(tmp_path: Path) -> None:
    # GIVEN a second installation's configuration, as `cdk -c configuration=FILE` takes it
    context = json.loads(Path(ROOT, "cdk.json").read_text())["context"]["slipway"]
    stage = tmp_path / "stage.json"
    stage.write_text(json.dumps({**context, "name": "slipway-stage"}))

    # WHEN a command is about it
    located = locate(stage, folder=tmp_path, environment={})

    # THEN its names are that installation's
    assert located.installation.names.table == "slipway-stage-deployments"


def test_a_local_run_that_is_up_is_found_from_below_with_its_address(tmp_path: Path) -> None:
    local_run(tmp_path)
    below = tmp_path / "a/b"
    below.mkdir(parents=True)

    located = locate(None, folder=below, environment={})

    assert located.installation.pipelines[0].name == "local-shop"
    assert located.endpoint_url == "http://127.0.0.1:1"


def test_a_local_run_elsewhere_is_found_by_its_variable(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    local_run(elsewhere)

    assert found(tmp_path, SLIPWAY_LOCAL=str(elsewhere / ".local")) == "local-shop"


def test_a_local_run_that_is_down_gives_way_to_cdk_json(tmp_path: Path) -> None:
    local_run(tmp_path, up=False)
    configured(tmp_path)

    assert found(tmp_path) == "cdk-shop"


def test_without_any_the_sentence_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no installation found: give --installation"):
        locate(None, folder=tmp_path, environment={})


def test_a_cdk_json_of_something_else_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text('{"app": "x", "context": {}}')

    with pytest.raises(WrongUse, match="no installation found"):
        locate(None, folder=tmp_path, environment={})


# --- whose credentials, where


def test_a_local_run_is_asked_as_its_own_account_at_its_own_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a local run, and real-looking keys in the environment
    local_run(tmp_path)
    monkeypatch.chdir(tmp_path)

    # WHEN
    client = Session().client("sqs")

    # THEN no key of the user's goes to the emulator
    assert client._request_signer._credentials.access_key == PROD
    assert client.meta.endpoint_url == "http://127.0.0.1:1"


def test_the_region_is_the_installations_unless_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "installation.json"
    path.write_text(settings("shop").to_json())
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")

    assert Session(installation=path).client("sqs").meta.region_name == "us-east-1"
    moved = Session(installation=path, region="eu-west-1")
    assert moved.client("sqs").meta.region_name == "eu-west-1"
    assert ":eu-west-1:" in moved.installation.request_topic_arn


@pytest.mark.parametrize(
    ("arn", "who"),
    [
        ("arn:aws:sts::222222222222:assumed-role/Admin/ada", None),
        ("arn:aws:iam::222222222222:root", "grace"),
    ],
)
def test_who_asks_is_the_caller_or_for_an_accounts_root_who_is_logged_in(
    world: World, monkeypatch: pytest.MonkeyPatch, arn: str, who: str | None
) -> None:
    world.answers["GetCallerIdentity"] = lambda request: {"Arn": arn, "Account": PROD}
    monkeypatch.setattr("slipway.cli.aws.session.login_name", lambda: "grace")

    assert Session(installation=world.path).caller == (who or arn)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["installation.json", "cdk.json", "configuration.json"])
def test_a_settings_file_may_begin_with_a_byte_order_mark(
    tmp_path: Path, name: str, encoding: str
) -> None:
    # GIVEN settings as an editor of Windows, or its shell, writes them
    text = (ROOT / "cdk.json").read_text()
    example = json.loads(text.replace("1111", "1234").replace("2222", "2345"))
    texts = {
        "installation.json": settings("shop").to_json(),
        "cdk.json": json.dumps(example),
        "configuration.json": json.dumps(example["context"]["slipway"]),
    }
    (tmp_path / name).write_text(texts[name], encoding=encoding)

    # THEN they are read by every verb, and checked
    assert Session(installation=tmp_path / name).installation.pipelines
    if name != "installation.json":
        checked = CliRunner().invoke(main, ["config", "check", str(tmp_path / name)])
        assert checked.exit_code == 0, checked.output


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id that no passwd entry names, as in a container of CI."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("verb", [["pause", "shop"], ["redeploy", "shop", "--no-wait"], ["hold"]])
def test_a_user_without_a_name_is_an_id(world: World, nameless: None, verb: list[str]) -> None:
    # GIVEN an account's root, of whom AWS says nothing more
    root = {"Arn": f"arn:aws:iam::{PROD}:root", "Account": PROD}
    world.answers["GetCallerIdentity"] = lambda request: root
    world.add_host()

    result = world.run(*verb, "--json")

    assert result.exit_code == 0, result.output
    assert "uid-54321" in result.stdout


# --- completion, colour, columns


def completions(world: World, words: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("SLIPWAY_INSTALLATION", str(world.path))
    complete = ShellComplete(main, {}, "slipway", "_SLIPWAY_COMPLETE")
    return [item.value for item in complete.get_completions(words[:-1], words[-1])]


@pytest.mark.parametrize(
    "words",
    [
        ["status", "s"], ["watch", "s"], ["push-to-live", "s"], ["history", "s"], ["report", "s"],
        ["redeploy", "s"], ["rollback", "s"], ["pause", "s"], ["resume", "s"], ["doctor", "s"],
        ["webhook", "set", "--pipeline", "s"], ["logs", "s"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_pipeline_names_are_completed_in_the_shell(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings("shop", "api"), tmp_path / "installation.json")

    assert completions(world, words, monkeypatch) == ["shop"]


def test_completion_is_silent_where_nothing_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings("shop"), tmp_path / "installation.json")
    world.path.write_text("{}")

    assert completions(world, ["status", ""], monkeypatch) == []


def test_colour_is_for_terminals_that_want_it(world: World) -> None:
    world.deployed("shop", 1, "failed")

    assert "\x1b[" not in world.run("history").output


def test_columns_count_what_is_seen() -> None:
    rows = [["日本", "x"], [click.style("ab", fg="red"), "y"], ["é", "z"]]

    lines = [click.unstyle(line) for line in columns(rows)]

    assert [width(line) for line in lines] == [7, 7, 7]


# --- cost


def imported_by(code: str) -> set[str]:
    """Modules that a fresh interpreter holds after `code`."""
    program = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_looking_up_a_verb_imports_no_aws_and_no_drawing() -> None:
    loaded = imported_by(
        "import click\nfrom slipway.cli.main import VERBS, main\n"
        "for v in set(VERBS) - {'deploy', 'taskdef', 'local', 'config'}:\n"
        "    main.get_command(click.Context(main), v)"
    )

    assert not loaded & {"boto3", "botocore", "rich", "matplotlib", "pydantic", "aws_cdk"}


def test_status_and_history_read_as_little_with_many_deployments_as_with_few(world: World) -> None:
    # GIVEN calls counted with 2 recorded deployments, and with 60
    def counted() -> list[str]:
        world.calls.clear()
        assert world.run("status").exit_code == 0
        assert world.run("history").exit_code == 0
        return sorted(world.calls)

    for number in range(2):
        world.runs("shop", world.deployed("shop", number))
    few = counted()
    for number in range(2, 60):
        world.deployed("shop", number)
    many = counted()

    # THEN they are the same, and no scan is among them
    assert few == many
    assert "Scan" not in many
    assert many.count("Query") == 6


# --- tables on narrow terminals

HEADINGS = ("PIPELINE", "RUNS", "TIP")
ROWS = (
    ("shop", "0123abcd A subject of some length", "up to date"),
    ("api", "nothing yet", ""),
)


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: int | None):
    monkeypatch.setattr("slipway.cli.show.output.terminal_width", lambda: room)
    Output(as_json=False).table(HEADINGS, ROWS)
    return click.unstyle(capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("room", [80, None])
def test_a_table_that_fits_or_goes_to_a_program_keeps_its_columns(monkeypatch, capsys, room):
    lines = printed(monkeypatch, capsys, room)

    assert lines[0].split() == list(HEADINGS)
    assert lines[1].startswith("shop ")
    assert len(lines) == 3


@pytest.mark.parametrize("room", range(16, 48))
def test_a_narrower_terminal_gets_rows_on_lines_that_fit(monkeypatch, capsys, room):
    # WHEN
    lines = printed(monkeypatch, capsys, room)

    # THEN every line fits, no word is broken, and a row's name stands first
    assert max(map(width, lines)) <= room
    assert lines[0] == "shop"
    words = {word for line in lines for word in line.split() if not word.endswith("…")}
    known = {word for row in ROWS for cell in row for word in cell.split()}
    assert words <= known | {"runs:", "tip:"}
    assert "api" in lines
