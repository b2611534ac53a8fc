"""What stands between the configuration and `cdk deploy`: profiles, the image, the zone."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml

from infra.slipway_app import add_stacks
from slipway.configuration import load, parse, read
from slipway.configuration.place import image_key, place_of, zone_key
from slipway.contracts.errors import InvalidConfiguration
from tests.infra.templates import FULL, UNPREPARED, resources
from tests.places import ROOT

PROFILES = {"DEV_PROFILE": "dev-admin", "PROD_PROFILE": "prod-admin"}
IMAGE = "ami-0123456789abcdef0"


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make deploy` with the environment as it is; `-o setup`: nothing is installed."""
    given = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(
        ["make", "--no-print-directory", "-o", "setup", *arguments, "deploy", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def commands(**variables: str) -> list[list[str]]:
    """What `make deploy` would run, the check of the profiles aside."""
    lines = make("-n", **variables).stdout.splitlines()
    return [shlex.split(line) for line in lines if line.startswith(".venv/")]


@pytest.mark.parametrize(
    "given", [{}, {"DEV_PROFILE": "dev-admin"}, {"PROD_PROFILE": "prod-admin"}]
)
def test_without_both_accounts_profiles_nothing_is_deployed(given: dict[str, str]) -> None:
    ended = make(**given)
    assert ended.returncode == 2
    assert "make deploy DEV_PROFILE=dev-admin PROD_PROFILE=prod-admin" in ended.stderr
    assert ended.stdout == ""


def test_each_stack_is_deployed_with_its_own_accounts_profile() -> None:
    check, prepare, *deploys = commands(**PROFILES)
    assert check[1:] == ["config", "check", "cdk.json"]
    assert prepare[1:] == ["prepare", "--installation", "cdk.json", "--profile", "prod-admin"]
    chosen = [(d[d.index("deploy") + 1], d[d.index("--profile") + 1]) for d in deploys]
    assert chosen == [("*-prod", "prod-admin"), ("*-dev", "dev-admin")]


def test_another_installation_is_deployed_from_its_own_file() -> None:
    ran = commands(**PROFILES, CONFIGURATION="stage.json")
    assert [c[3] for c in ran[:2]] == ["stage.json", "stage.json"]
    for deploy in ran[2:]:
        assert deploy[deploy.index("--context") + 1] == "configuration=stage.json"


def test_a_configuration_may_stand_outside_the_tree(tmp_path: Path) -> None:
    # GIVEN a configuration in YAML, and beside it what `slipway prepare` has found for it
    file = tmp_path / "ours" / "stage.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(real(name="ours")))
    configuration = load(file)
    found = {image_key(configuration): IMAGE, zone_key(configuration): "eu-central-1c"}
    file.with_name("cdk.context.json").write_text(json.dumps(found))
    # WHEN the app is synthesized with it as `make deploy CONFIGURATION=FILE` does
    check, _prepare, *deploys = commands(**PROFILES, CONFIGURATION=str(file))
    assert check[-1] == str(file)
    (context,) = {d[d.index("--context") + 1] for d in deploys}
    ended = synth("--context", context, "--output", str(tmp_path / "out"))
    # THEN the hosts are of that image, in that zone
    assert ended.returncode == 0, ended.stderr
    template = json.loads((tmp_path / "out" / "ours-prod.template.json").read_text())
    assert {h["ImageId"] for h in resources(template, "AWS::EC2::Instance").values()} == {IMAGE}
    # AND what is wrong with it is told by file and line
    file.write_text(file.read_text().replace("architecture:", "processor:"))
    ended = synth("--context", context)
    assert ended.returncode != 0
    line = 1 + file.read_text().splitlines().index("  processor: arm64")
    told = f"configuration: {file}:{line}: buildHost.processor: is not a known key here"
    assert told in ended.stderr


def synth(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.node", "cdk", "synth", "--quiet", "--no-notices", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


# --- what was found once


def real(**more: Any) -> dict[str, Any]:
    return {**read(UNPREPARED), **more}


def test_what_was_found_is_in_the_template_as_it_is(tmp_path: Path) -> None:
    # GIVEN what `slipway prepare` has kept
    configuration = parse(real())
    kept = {image_key(configuration): IMAGE, zone_key(configuration): "eu-central-1c"}
    app = cdk.App(outdir=str(tmp_path / "out"), context=kept, analytics_reporting=False)
    _, prod = add_stacks(app, configuration, assets=tmp_path / "assets")
    assembly = app.synth()
    template = assembly.get_stack_by_name(prod.stack_name).template
    # THEN nothing is left to look up: not at a synth, and not at a deployment
    assert {h["ImageId"] for h in resources(template, "AWS::EC2::Instance").values()} == {IMAGE}
    subnets = resources(template, "AWS::EC2::Subnet").values()
    assert {s["AvailabilityZone"] for s in subnets} == {"eu-central-1c"}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert not manifest.get("missing")


def test_what_was_not_found_yet_is_said_with_the_command_that_does() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        place_of(parse(real()), {}.get)
    assert [path for path, _ in caught.value.problems] == [
        "buildHost.ami",
        "network.availabilityZone",
    ]
    assert all("`slipway prepare`" in problem for _, problem in caught.value.problems)


def test_what_is_configured_needs_nothing_to_be_found() -> None:
    data = real(network={"availabilityZone": "eu-central-1b"})
    data["buildHost"] = {**data["buildHost"], "ami": IMAGE}
    place = place_of(parse(data), {}.get)
    assert (place.ami, place.zone) == (IMAGE, "eu-central-1b")
    # AND a network that exists has its zone already
    assert place_of(parse(read(FULL)), {}.get).zone is None


def test_another_processor_has_another_image_and_the_network_stays() -> None:
    arm, x86 = (
        parse(real(buildHost={"architecture": processor, "instanceType": kind}))
        for processor, kind in (("arm64", "t4g.medium"), ("x86_64", "t3.medium"))
    )
    assert image_key(arm) != image_key(x86)
    assert zone_key(arm) == zone_key(x86)


def test_the_page_names_what_its_commands_need() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    before, _, _ = page.partition("\n## ")
    assert "aws ssm start-session" in page
    for needed in ("AWS CLI", "Session Manager plug-in"):
        assert needed in before, needed
