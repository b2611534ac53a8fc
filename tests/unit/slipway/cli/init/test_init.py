"""`slipway init` against moto: what it asks, what it sees, and what stands in the file then."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from slipway.cli.init.compose import pipeline_name
from slipway.cli.main import main
from slipway.configuration import load, read
from slipway.configuration.placeholders import placeholders
from slipway.configuration.schema import json_schema
from tests.aws.answers import refuse_all, refused, script_clients
from tests.unit.slipway.cli.deploy.real import environment, slipway

PROD, DEV, REGION = "222222222223", "111111111112", "eu-central-1"
OFFLINE = (
    "--offline", "--region", REGION, "--dev-account", DEV, "--prod-account", PROD,
    "--repository", "shop",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", PROD)
    monkeypatch.setenv("AWS_REGION", REGION)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.cli.init.questions.has_terminal", lambda: True)


@pytest.fixture
def account(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with one service of two containers, and its repositories."""
    made = {name: boto3.client(name, REGION) for name in ("ecs", "ecr")}
    made["ecr"].create_repository(repositoryName="shop/web")
    made["ecs"].create_cluster(clusterName="production")
    registered = made["ecs"].register_task_definition(
        family="shop-web",
        taskRoleArn=f"arn:aws:iam::{PROD}:role/shop-task",
        executionRoleArn=f"arn:aws:iam::{PROD}:role/shop-execution",
        runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        containerDefinitions=[
            {"name": "proxy", "image": "nginx:1", "memory": 64},
            {
                "name": "web",
                "image": f"{PROD}.dkr.ecr.{REGION}.amazonaws.com/shop/web:v1",
                "memory": 64,
            },
        ],
    )
    made["ecs"].create_service(
        cluster="production",
        serviceName="shop",
        desiredCount=0,
        taskDefinition=registered["taskDefinition"]["taskDefinitionArn"],
    )
    answers: dict[str, Any] = {
        "ListRepositories": lambda _asked: {
            "repositories": [{"repositoryName": name} for name in ("shop", "blog")]
        },
        "GetRepository": lambda _asked: {"repositoryMetadata": {"defaultBranch": "production"}},
    }
    script_clients(monkeypatch, answers.get)


def init(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *arguments], input=typed)


def checked(file: str = "slipway.json") -> Any:
    """What was written: right for `config check` and for the schema."""
    ended = CliRunner().invoke(main, ["config", "check", file])
    assert ended.exit_code == 0, ended.output
    assert list(Draft202012Validator(json_schema()).iter_errors(read(Path(file)))) == []
    assert placeholders(load(Path(file))) == []
    return read(Path(file))


# --- without a terminal


def test_options_alone_make_a_sample(tmp_path: Path) -> None:
    assert init(*OFFLINE, "--sample").exit_code == 0
    written = checked()
    assert written["pipelines"][0]["service"] == {"sample": True}
    assert written["pipelines"][0]["images"] == [
        {"repository": {"name": "shop", "create": True}, "containers": ["app"]}
    ]


def test_options_alone_name_a_service() -> None:
    role = f"arn:aws:iam::{PROD}:role/shop"
    ended = init(
        "ours.yaml", *OFFLINE, "--cluster", "main", "--service", "Shop_Web", "--role", role,
        "--container", "web", "--branch", "release/eu", "--architecture", "x86_64",
        "--email", "ops@example.com", "--existing-image-repository", "--create-repository",
        "--image-repository", "shop/web", "--name", "stage", "--schema", "./s.json",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    written = checked("ours.yaml")
    assert yaml.safe_load(Path("ours.yaml").read_text()) == written
    (pipeline,) = written["pipelines"]
    assert pipeline["name"] == "shop-web"
    assert pipeline["repository"] == {"name": "shop", "create": True}
    assert pipeline["service"] == {"cluster": "main", "name": "Shop_Web", "roles": [role]}
    assert written["buildHost"] == {"architecture": "x86_64", "instanceType": "t3.medium"}
    assert written["$schema"] == "./s.json"


def test_what_nobody_said_is_told_all_at_once() -> None:
    ended = init("--offline")
    assert ended.exit_code == 2
    assert ended.stderr == (
        "slipway: this is no terminal, so nothing is asked: give --region, --prod-account, "
        "--dev-account, --repository, --cluster and --service (or --sample in place of --service)\n"
    )
    assert not Path("slipway.json").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--region", "eu-centrl-1", "a region that this machine's botocore knows"),
        ("--dev-account", "12", "an account number of 12 digits"),
        ("--branch", "refs/heads/main", 'such as "main"'),
        ("--architecture", "arm", "'arm64' or 'x86_64'"),
        ("--image-repository", f"{PROD}.dkr.ecr.{REGION}.amazonaws.com/web:v1", 'such as "web"'),
        ("--email", "ops", "an e-mail address"),
    ],
)
def test_an_option_that_is_wrong_is_told(option: str, value: str, said: str) -> None:
    ended = init(*OFFLINE, "--sample", option, value)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"slipway: {option} {value!r}: ")
    assert said in ended.stderr
    assert not Path("slipway.json").exists()


def test_the_example_s_account_is_nobody_s() -> None:
    ended = init(*OFFLINE, "--sample", "--prod-account", "222222222222")
    assert ended.exit_code == 2
    assert "not the example's" in ended.stderr


def test_a_wrong_answer_is_asked_for_again_and_none_is_lost(terminal: None) -> None:
    # GIVEN somebody who gives the example's account first, and a role of the dev account
    of_dev, of_prod = (f"arn:aws:iam::{number}:role/web" for number in (DEV, PROD))
    answers = [
        "222222222222", PROD, DEV, "shop", "", "", "n", "prod", "web", of_dev, of_prod,
        *[""] * 9,
    ]  # fmt: skip
    ended = init("--offline", "--region", REGION, typed="\n".join(answers))
    # THEN each is asked for again at once, and the file is written
    assert ended.exit_code == 0, ended.output
    (pipeline,) = json.loads(Path("slipway.json").read_text())["pipelines"]
    assert pipeline["service"] == {"cluster": "prod", "name": "web", "roles": [of_prod]}
    # AND an existing service's image repository is there already
    assert "create" not in pipeline["images"][0]["repository"]


def test_a_sample_is_no_existing_service() -> None:
    ended = init(*OFFLINE, "--sample", "--cluster", "prod", "--service", "web")
    assert ended.exit_code == 2
    assert "--sample" in ended.stderr
    assert not Path("slipway.json").exists()


def test_what_is_next_can_be_run_from_another_folder() -> None:
    ended = init("ours.json", *OFFLINE, "--sample")
    assert f"CONFIGURATION={Path('ours.json').resolve()} " in ended.stdout


def test_a_file_that_is_there_stays_as_it_is() -> None:
    Path("slipway.json").write_text("mine")
    ended = init(*OFFLINE, "--sample")
    assert ended.exit_code == 2
    assert "is there already" in ended.stderr
    assert Path("slipway.json").read_text() == "mine"
    assert init(*OFFLINE, "--sample", "--force").exit_code == 0
    checked()


def test_a_place_where_nothing_can_be_written_is_one_sentence() -> None:
    ended = init("nowhere/slipway.json", *OFFLINE, "--sample")
    assert ended.exit_code == 2
    assert "cannot be written: No such file or directory" in ended.stderr


# --- with an account


def test_what_the_account_tells_need_not_be_said(account: None) -> None:
    ended = init("--dev-account", DEV, "--repository", "shop")
    assert ended.exit_code == 0, ended.output
    written = checked()
    assert written["prod"] == {"account": PROD}
    (pipeline,) = written["pipelines"]
    assert pipeline["service"] == {
        "cluster": "production",
        "name": "shop",
        "family": "shop-web",
        "roles": [f"arn:aws:iam::{PROD}:role/shop-{kind}" for kind in ("task", "execution")],
    }
    assert pipeline["images"] == [{"repository": {"name": "shop/web"}, "containers": ["web"]}]
    # AND the hosts are of the service's processor, and of AWS's newest image for it
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    image = boto3.client("ssm", REGION).get_parameter(Name=name)["Parameter"]["Value"]
    assert written["buildHost"] == {
        "architecture": "x86_64", "instanceType": "t3.medium", "ami": image,
    }  # fmt: skip


@pytest.mark.usefixtures("terminal")
def test_a_person_is_asked_with_what_there_is(account: None) -> None:
    # GIVEN somebody who takes every default, and mistypes one answer
    typed = "\n" * 3 + "sho p\nshop\n" + "\n" * 15
    ended = init(typed=typed)
    # THEN the mistake is told and asked again, and names that there are stood above the question
    assert ended.exit_code == 0, ended.output
    assert "there are: shop, blog" in ended.stderr
    assert "must be 1 to 100 letters" in ended.stderr
    (pipeline,) = checked()["pipelines"]
    assert (pipeline["repository"], pipeline["branch"]) == ({"name": "shop"}, "production")
    assert pipeline["service"]["name"] == "shop"


def test_a_repository_that_is_not_there_is_to_be_made(account: None) -> None:
    assert init("--repository", "new", "--image-repository", "new").exit_code == 0
    (pipeline,) = checked()["pipelines"]
    assert pipeline["repository"] == {"name": "new", "create": True}
    assert pipeline["images"][0]["repository"] == {"name": "new", "create": True}


def test_what_is_denied_is_asked_for(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_all(monkeypatch, "AccessDeniedException", "not you")
    ended = init("--dev-account", DEV, "--prod-account", PROD, "--repository", "shop", "--sample")
    assert ended.exit_code == 0, ended.output
    assert "not looked up: not allowed" in ended.stderr
    checked()


def test_a_service_that_others_deploy_is_refused(
    account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    external = {
        "DescribeServices": lambda _asked: {
            "services": [{"serviceName": "shop", "deploymentController": {"type": "EXTERNAL"}}]
        },
        "ListRepositories": lambda _asked: {"repositories": []},
    }
    script_clients(monkeypatch, external.get)
    ended = init("--dev-account", DEV, "--repository", "shop")
    assert ended.exit_code == 2
    assert "EXTERNAL controller" in ended.stderr


def test_codedeploy_s_group_is_found(account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ecs = boto3.client("ecs", REGION)
    service = ecs.describe_services(cluster="production", services=["shop"])["services"][0]
    named = {"taskDefinition": service["taskDefinition"], "serviceName": "shop"}
    pairs = {"other": ("production", "other"), "web": ("production", "shop")}

    def group(asked: dict[str, Any]) -> Any:
        cluster, name = pairs[asked["deploymentGroupName"]]
        of = [{"clusterName": cluster, "serviceName": name}]
        return {"deploymentGroupInfo": {"ecsServices": of}}

    answers: dict[str, Any] = {
        "DescribeServices": lambda _asked: {
            "services": [{**named, "deploymentController": {"type": "CODE_DEPLOY"}}]
        },
        "ListApplications": lambda _asked: {"applications": ["shop"]},
        "ListDeploymentGroups": lambda _asked: {"deploymentGroups": list(pairs)},
        "GetDeploymentGroup": group,
        "ListRepositories": lambda _asked: refused("codecommit", "ListRepositories", "Throttling"),
    }
    script_clients(monkeypatch, answers.get)
    assert init("--dev-account", DEV, "--repository", "shop").exit_code == 0
    (pipeline,) = checked()["pipelines"]
    assert pipeline["service"]["codeDeploy"] == {"application": "shop", "group": "web"}


# --- a real terminal


@pytest.mark.usefixtures("heard_signals")
def test_control_c_at_a_question_leaves_no_file(tmp_path: Path) -> None:
    # GIVEN the command at a terminal, with some answers
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        slipway("init", "--offline", "--region", REGION),
        cwd=tmp_path, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    _await(ours, b"Account that runs it")
    os.write(ours, f"{PROD}\n".encode())
    _await(ours, b"Account that is pushed to: ")

    # WHEN Control-C is pressed (again where readline, not yet listening, has missed the first)
    process.send_signal(signal.SIGINT)
    while not select.select([ours], [], [], 10)[0]:
        process.send_signal(signal.SIGINT)
    # THEN it says so and ends, and nothing was written
    _await(ours, b"slipway: interrupted")
    assert process.wait(timeout=60) == 130
    os.close(ours)
    assert list(tmp_path.iterdir()) == []


def _await(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Web_Shop", "web-shop"), ("1-shop", "shop"), ("éé", "main"), ("a" * 50, "a" * 40)],
)
def test_a_pipeline_is_named_after_its_service(text: str, name: str) -> None:
    assert pipeline_name(text) == name


def test_the_answer_for_programs_holds_what_was_written() -> None:
    told = json.loads(init(*OFFLINE, "--sample", "--json").stdout)
    assert told == {"file": "slipway.json", "configuration": read(Path("slipway.json"))}
