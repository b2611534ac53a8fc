"""`slipway webhook set`: the secret gets where it belongs, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.slipway.cli.world import World

# put together, so that no scanner takes it for a real one
ADDRESS = "https://hooks.slack" + ".com/services/T0000/B0000/abcdefGHIJ"


def test_the_address_is_stored_as_a_secure_string_and_never_shown(world: World) -> None:
    # WHEN it comes by standard input, with the line's end that editors add
    result = world.run("webhook", "set", stdin=f"{ADDRESS}\n")

    # THEN it is stored, encrypted, and not in the output
    parameter = world.client("ssm").get_parameter(
        Name="/slipway/slack-webhook", WithDecryption=True
    )["Parameter"]
    assert result.exit_code == 0, result.output
    assert (parameter["Type"], parameter["Value"]) == ("SecureString", ADDRESS)
    assert "B0000" not in result.output


def test_a_byte_order_mark_before_it_is_no_part_of_it(world: World) -> None:
    assert world.run("webhook", "set", stdin=f"\ufeff{ADDRESS}\n").exit_code == 0

    value = world.client("ssm").get_parameter(Name="/slipway/slack-webhook", WithDecryption=True)
    assert value["Parameter"]["Value"] == ADDRESS


def test_setting_it_again_replaces_it(world: World) -> None:
    world.run("webhook", "set", stdin=ADDRESS)
    assert world.run("webhook", "set", stdin=f"{ADDRESS}2").exit_code == 0

    value = world.client("ssm").get_parameter(Name="/slipway/slack-webhook", WithDecryption=True)
    assert value["Parameter"]["Value"] == f"{ADDRESS}2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.com/services/T/B/x",
        "http://hooks.slack" + ".com/services/T/B/x",
        "https://hooks.slack" + ".com.example.com/services/T/B/x",
        f"{ADDRESS} {ADDRESS}",
        "http://127.0.0.1:8080/hook",
    ],
)
def test_what_is_no_slack_webhook_is_refused_without_being_shown(world: World, text: str) -> None:
    result = world.run("webhook", "set", stdin=text)

    assert result.exit_code == 2
    assert "no Slack webhook" in result.output
    assert not text or text not in result.output


def test_a_local_run_takes_an_address_of_this_machine(world: World) -> None:
    local = replace(world.installation, mode="local")
    world.path.write_text(local.to_json(), encoding="utf-8")

    assert world.run("webhook", "set", stdin="http://127.0.0.1:8080/hook").exit_code == 0


def test_one_pipelines_webhook_has_its_own_parameter_if_it_is_configured(world: World) -> None:
    # GIVEN `shop` with a webhook of its own, `api` without
    shop, api = world.installation.pipelines
    own = replace(shop, webhook_parameter="/slipway/slack-webhook/shop")
    changed = replace(world.installation, pipelines=(own, api))
    world.path.write_text(changed.to_json(), encoding="utf-8")

    # WHEN, THEN the one is stored, the other would never be read
    assert world.run("webhook", "set", "--pipeline", "shop", stdin=ADDRESS).exit_code == 0
    assert world.client("ssm").get_parameter(Name="/slipway/slack-webhook/shop")
    refused = world.run("webhook", "set", "--pipeline", "api", stdin=ADDRESS)
    assert refused.exit_code == 2
    assert "no webhook of its own" in refused.output
