"""`slipway cost`: dollars by AWS's price pages, and a plain word for what has no price."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.cost.model import MOST
from tests.places import CONFIGURATIONS

FULL = CONFIGURATIONS / "full.json"
FORTY = ("--deployments", "40", "--build-minutes", "4")


def cost(*words: str) -> Result:
    return CliRunner().invoke(main, ["cost", *words])


def months(*words: str) -> dict[str, Any]:
    answer = cost(*words, "--json")
    assert answer.exit_code == 0, answer.output
    return {way["way"]: way for way in json.loads(answer.stdout)["ways"]}


def test_forty_deployments_a_month_cost_what_the_price_pages_say() -> None:
    ways = months(*FORTY)
    # 20 GB of gp3, half a GB in ECR; ten metrics and nine alarms are free; of the polls of two
    # queues a million is
    stored, polls = 20 * 0.08 + 0.5 * 0.10, 1_314_000 * 0.4e-6 - 0.4
    assert ways["Slipway, 1 host"]["standing"] == pytest.approx(stored + polls, abs=1e-4)
    # a started minute of general1.small is half a cent: 4 of build, 1.5 of the rollout
    assert ways["CodeBuild alone"]["month"] == pytest.approx(40 * 6 * 0.005)
    assert ways["CodePipeline V1 + CodeBuild"]["month"] == pytest.approx(1 + 40 * 4 * 0.005)
    v2 = 40 * (4 * 0.005 + 6 * 0.002)
    assert ways["CodePipeline V2 + CodeBuild"]["month"] == pytest.approx(v2)


def test_it_says_from_how_many_deployments_on_slipway_is_the_cheapest() -> None:
    text = cost(*FORTY).stdout
    assert "40 deployments a month, 4 min of build each" in text
    least = int(text.split("the cheapest from ")[1].split()[0])
    at, before = ([w["month"] for w in months("--deployments", str(count), *FORTY[2:]).values()]
                  for count in (least, least - 1))  # fmt: skip
    assert (at[0] <= min(at[1:]), before[0] <= min(before[1:])) == (True, False)


def test_where_it_never_is_the_cheapest_it_says_so() -> None:
    text = cost(*FORTY, "--price", "instance_hour=9").stdout
    assert f"not the cheapest up to {MOST} deployments a month" in text


def test_without_the_free_tiers_all_that_stands_is_paid() -> None:
    usual, all_paid = months(*FORTY), months(*FORTY, "--no-free-tiers")
    more = (way["Slipway, 1 host"]["standing"] for way in (all_paid, usual))
    # ten metrics, nine alarms, a million calls of SQS
    assert next(more) - next(more) == pytest.approx(10 * 0.3 + 9 * 0.1 + 0.4, abs=1e-3)


def test_a_configuration_s_hosts_are_counted() -> None:
    ways = months(str(FULL), *FORTY)
    # 3 hosts of 100 GB, and an alarm of each: eleven; the build cache of each image
    images = [i for p in json.loads(FULL.read_text())["pipelines"] for i in p["images"]]
    stored = 300 * 0.08 + len(images) * 0.5 * 0.10
    assert ways["Slipway, 3 hosts"]["standing"] == pytest.approx(stored + 0.1 + 0.1256, abs=1e-4)


def test_another_price_takes_the_place_of_aws_s() -> None:
    dearer = months(*FORTY, "--price", "gp3_gb_month=0.1", "--price", "codebuild_minute=0.01")
    assert dearer["Slipway, 1 host"]["standing"] == pytest.approx(2.1756, abs=1e-4)
    assert dearer["CodeBuild alone"]["month"] == pytest.approx(2.4)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("gp3", "no such price; there are instance_hour, "),
        ("gp3_gb_month", "give dollars"),
        ("gp3_gb_month=cheap", "give dollars"),
        ("gp3_gb_month=-1", "give dollars"),
        ("gp3_gb_month=nan", "give dollars"),
        ("gp3_gb_month=inf", "give dollars"),
    ],
)
def test_a_wrong_price_is_named(given: str, says: str) -> None:
    answer = cost(*FORTY, "--price", given)
    assert (answer.exit_code, says in answer.stderr, given in answer.stderr) == (2, True, True)


def test_an_instance_type_without_a_price_is_named(tmp_path: Path) -> None:
    configuration = json.loads(FULL.read_text())
    del configuration["buildHost"]["pricePerHour"]
    configuration["buildHost"]["instanceType"] = "m7g.large"
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(configuration))
    answer = cost(str(file), *FORTY)
    assert answer.exit_code == 2
    assert "'m7g.large'" in answer.stderr
    assert "buildHost.pricePerHour" in answer.stderr


def test_a_configuration_that_is_wrong_is_told(tmp_path: Path) -> None:
    file = tmp_path / "wrong.json"
    file.write_text("{}")
    answer = cost(str(file), *FORTY)
    assert answer.exit_code == 2
    assert "Traceback" not in answer.output


@pytest.mark.parametrize("words", [(), FORTY[:2], ("--deployments", "-1", *FORTY[2:])])
def test_what_is_to_be_counted_must_be_said(words: tuple[str, ...]) -> None:
    assert cost(*words).exit_code == 2


def engines(*words: str) -> dict[str, Any]:
    answer = cost(*words, "--json")
    assert answer.exit_code == 0, answer.output
    return {way["way"]: way for way in json.loads(answer.stdout)["engines"]}


def test_each_choice_of_builders_is_told() -> None:
    text = cost(*FORTY).stdout
    for name in ("Slipway, 1 host", "Slipway, 1 host, then CodeBuild", "Slipway, CodeBuild"):
        assert f"{name}  " in text
    told = engines(*FORTY)
    assert list(told) == ["hosts", "overflow", "codeBuild"]
    assert told["hosts"]["month"] == months(*FORTY)["Slipway, 1 host"]["month"]
    # 40 builds of 5 started minutes, of which 100 are free
    assert told["codeBuild"]["month"] - told["codeBuild"]["standing"] == pytest.approx(
        (200 - 100) * 0.005 + 40 * 0.0004, abs=2e-3
    )


def test_without_the_free_tiers_no_minute_is_free() -> None:
    usual, paid = (engines(*FORTY, *more)["codeBuild"] for more in ((), ("--no-free-tiers",)))
    more = (paid["month"] - paid["standing"]) - (usual["month"] - usual["standing"])
    assert more == pytest.approx(100 * 0.005)


def test_how_many_overflow_can_be_said() -> None:
    none, every = (engines(*FORTY, "--overflow-percent", n)["overflow"] for n in ("0", "100"))
    alone = engines(*FORTY)["codeBuild"]
    assert none["deployment"] == engines(*FORTY)["hosts"]["deployment"]
    assert every["deployment"] == alone["deployment"]


def test_the_configured_choice_is_named() -> None:
    file = str(CONFIGURATIONS / "code-build.json")
    assert 'builders.when is "codeBuild": $2.29 a month.' in cost(file, *FORTY).stdout
    assert json.loads(cost(file, *FORTY, "--json").stdout)["configured"] == "codeBuild"
    assert "builders.when" not in cost(*FORTY).stdout
