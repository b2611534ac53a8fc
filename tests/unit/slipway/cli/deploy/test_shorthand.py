"""`--network-configuration` takes what the AWS CLI takes: its own parser is the yardstick."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from awscli.argprocess import ParamShorthandParser
from awscli.shorthand import ShorthandParser
from botocore.validate import ParamValidator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.cli.deploy.plan import DeployOptions, plan_of
from slipway.cli.deploy.shorthand import read_shorthand
from slipway.contracts.errors import WrongUse

VPC = {"awsvpcConfiguration": {"subnets": ["a", "b"], "securityGroups": ["c"]}}
OPTION = "--network-configuration"
WRITTEN = [
    "awsvpcConfiguration={subnets=[a,b],securityGroups=[c]}",
    "awsvpcConfiguration={subnets=[a, b], securityGroups=[c]}",
    "awsvpcConfiguration={\n  subnets=[\n    a,\n    b,\n  ],\n  securityGroups=[c],\n}\n",
    "awsvpcConfiguration = { subnets = [ a , b ] , securityGroups = c }",
    "awsvpcConfiguration={subnets=['a',\"b\"],securityGroups='c'}",
    "  awsvpcConfiguration={subnets=[a,b],securityGroups=[c]}  ",
    ' {"awsvpcConfiguration": {"subnets": ["a", "b"], "securityGroups": ["c"]}}',
]


@pytest.fixture(scope="module")
def shape() -> Any:
    model = botocore.session.Session().get_service_model("ecs")
    return model.operation_model("RunTask").input_shape.members["networkConfiguration"]


def by_the_aws_cli(text: str, shape: Any) -> Any:
    """What `aws ecs run-task` makes of it; raises where it refuses."""
    argument = SimpleNamespace(argument_model=shape, cli_name=OPTION, name="network-configuration")
    parsed = ParamShorthandParser()(argument, text, "process-cli-arg.ecs.run-task")
    report = ParamValidator().validate(parsed, shape)
    if report.has_errors():
        raise ValueError(report.generate_report())
    return parsed


def deploying(text: str) -> Any:
    """What RunTask is asked with."""
    options = {"run_task": True, "network_configuration": text, "image": "app:v1"}
    task = plan_of(DeployOptions(cluster="c", service_name="n", **options), {}).task  # type: ignore[arg-type]
    assert task is not None
    return task.network_configuration


@pytest.mark.parametrize("text", WRITTEN)
def test_every_way_to_write_a_network(text: str) -> None:
    assert deploying(text) == VPC


@pytest.mark.parametrize(
    "text",
    [
        *WRITTEN[:5],
        "awsvpcConfiguration={subnets=a}",
        "awsvpcConfiguration={subnets=[a],assignPublicIp=ENABLED}",
        "awsvpcConfiguration={subnets=[]}",
        "awsvpcConfiguration={subnets=[subnet-0a1b],securityGroups=[]}",
        "awsvpcConfiguration={subnets=a,securityGroups=b}",
        "awsvpcConfiguration={subnets=['a]b','c,d']}",
        "awsvpcConfiguration={subnets=[a\\,b]}",
        # refused by both
        "awsvpcConfiguration={subnets=[a]},",
        "awsvpcConfiguration={subnet=[a]}",
        "awsvpcConfiguration={assignPublicIp=ENABLED}",
        "awsvpcConfiguration=a",
        "awsvpcConfiguration={subnets=[a]} awsvpcConfiguration={subnets=[a]}",
        "awsvpcConfiguration={subnets=[a]},awsvpcConfiguration={subnets=[b]}",
        "subnets=[a]",
        "awsvpcConfiguration={subnets=[[a]]}",
        "awsvpcConfiguration={subnets=['a]}",
        "a",
        "=",
    ],
)
def test_a_network_is_taken_as_the_aws_cli_takes_it(text: str, shape: Any) -> None:
    try:
        expected = by_the_aws_cli(text.strip(), shape)
    except Exception:  # noqa: BLE001 - whatever it refuses with
        with pytest.raises(WrongUse, match=OPTION):
            deploying(text)
    else:
        assert deploying(text) == expected


KEYS = st.sampled_from(["a", "bc", "d-1", "e.f", "#", ""])
BLANK = st.sampled_from(["", "", "", " ", "\n", "\t "])
WORDS = st.sampled_from(
    ["x", "y z", "'q'", '"q,r"', "\\,", "a=b", "", "]", "}", "[", "{", "'it\\'s'", "\\\\", "é", "@"]
)


def listed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    items = st.lists(st.tuples(BLANK, inner, BLANK).map("".join), max_size=3).map(",".join)
    return st.tuples(items, st.sampled_from(["", "", ","])).map(lambda t: f"[{t[0]}{t[1]}]")


def structured(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(BLANK, KEYS, BLANK, st.just("="), BLANK, inner, BLANK).map("".join)
    items = st.lists(member, max_size=3).map(",".join)
    return st.tuples(items, st.sampled_from(["", "", ","])).map(lambda t: f"{{{t[0]}{t[1]}}}")


VALUES = st.recursive(
    WORDS, lambda inner: st.one_of(listed(inner), structured(inner)), max_leaves=6
)
LISTS = st.lists(st.tuples(BLANK, WORDS, BLANK).map("".join), min_size=1, max_size=3).map(",".join)
MEMBERS = st.tuples(KEYS, BLANK, st.just("="), BLANK, st.one_of(VALUES, LISTS), BLANK).map("".join)
SHORTHAND = st.lists(MEMBERS, min_size=1, max_size=3).map(",".join)
NOISE = st.text(alphabet="ab=,[]{}'\"\\ @\n-", max_size=12)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(text=st.one_of(SHORTHAND, NOISE, st.tuples(SHORTHAND, NOISE).map("".join)))
@example("a=b,c=d")
@example("a=b,c,d=e,f")
@example("a=b, c , d = e ")
@example("a={b=[c,],}")
@example("a=x,,b=y")
def test_shorthand_is_read_as_the_aws_cli_reads_it(text: str) -> None:
    # GIVEN no more than blanks around it, which we leave out, and no JSON
    text = text.strip()
    if text.startswith(("{", "[")):
        return
    try:
        expected = ShorthandParser().parse(text)
    except Exception:  # noqa: BLE001 - whatever it refuses with
        return  # what it refuses may be taken here
    else:
        assert read_shorthand(text, OPTION) == expected


def test_a_value_and_the_whole_may_be_in_a_file(tmp_path: Path, shape: Any) -> None:
    (tmp_path / "subnet").write_text("subnet-1")
    (tmp_path / "network").write_text("\ufeffawsvpcConfiguration={subnets=a,securityGroups=c}")

    inner = f"awsvpcConfiguration={{subnets@=file://{tmp_path}/subnet}}"
    assert deploying(inner) == by_the_aws_cli(inner, shape)
    assert deploying(f"file://{tmp_path}/network")["awsvpcConfiguration"]["subnets"] == ["a"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("awsvpcConfiguration={subnet=[a]}", 'Unknown parameter in awsvpcConfiguration: "subnet"'),
        ("awsvpcConfiguration={}", 'Missing required parameter in awsvpcConfiguration: "subnets"'),
        ("[]", "must be a JSON object"),
        ("file:///no/such", "No such file"),
        ("a={", "stopped at 'the end'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_registered(text: str, says: str) -> None:
    with pytest.raises(WrongUse, match=says):
        deploying(text)
