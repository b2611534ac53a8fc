"""`slipway doctor`: a whole installation is found whole, and each fault is found and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.cli.doctor.installation_checks import lets
from slipway.contracts.deployed_to import ServiceSettings
from slipway.contracts.messages import BuildRequest
from tests.unit.slipway.cli.doctor.installation import (
    EXECUTION,
    ROLE,
    TASK,
    error,
    examined,
    publish_policy,
    simulated,
    takes_requests,
    wrong,
)
from tests.unit.slipway.cli.world import DEV, NOW, PROD, REGION, World


def test_a_whole_installation_has_nothing_wrong(whole: World) -> None:
    code, findings = examined(whole)

    assert [f for f in findings if f["verdict"] == "wrong"] == []
    assert code == 0
    skipped = {f["check"] for f in findings if f["verdict"] == "skipped"}
    # `api` was never deployed, and the dev account was not opened
    assert skipped == {"trigger", "git access", "runs what was deployed"}
    passed = {f["detail"] for f in findings if f["check"] == "PassRole"}
    assert passed == {f"the host may pass {role}" for role in (TASK, EXECUTION)}


def test_a_role_about_which_iam_says_nothing_is_skipped(whole: World) -> None:
    whole.answers["SimulatePrincipalPolicy"] = simulated(names=False)

    _, findings = examined(whole, "shop")
    told = [(f["verdict"], f["detail"]) for f in findings if f["check"] == "PassRole"]
    assert told == [("skipped", f"AWS says nothing about {role}") for role in (TASK, EXECUTION)]


def test_the_tree_names_parts_and_how_to_mend(whole: World) -> None:
    whole.client("ssm").delete_parameter(Name="/slipway/slack-webhook")

    result = whole.run("doctor")

    assert result.exit_code == 1
    assert "pipeline shop" in result.output
    assert "to mend: `slipway webhook set` stores it" in result.output
    assert "1 wrong" in result.output


def _no_policy(world: World) -> None:
    world.client("sns").set_topic_attributes(
        TopicArn=world.installation.request_topic_arn,
        AttributeName="Policy",
        AttributeValue=json.dumps(publish_policy(principal={"AWS": f"arn:aws:iam::{PROD}:root"})),
    )


def _no_starter(world: World) -> None:
    sns = world.client("sns")
    found = sns.list_subscriptions_by_topic(TopicArn=world.installation.request_topic_arn)
    for subscription in found["Subscriptions"]:
        if subscription["Protocol"] == "lambda":
            sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def _subscription(world: World, queue: str) -> str:
    sns = world.client("sns")
    found = sns.list_subscriptions_by_topic(TopicArn=world.installation.request_topic_arn)
    (arn,) = [
        s["SubscriptionArn"] for s in found["Subscriptions"] if s["Endpoint"].endswith(f":{queue}")
    ]
    return str(arn)


def _no_follow_queue(world: World) -> None:
    world.client("sns").unsubscribe(SubscriptionArn=_subscription(world, "slipway-follow"))


def _no_filter(world: World) -> None:
    """As an older version of the stack left it: the build queue takes what needs no builder."""
    world.client("sns").set_subscription_attributes(
        SubscriptionArn=_subscription(world, "slipway-build"),
        AttributeName="FilterPolicy",
        AttributeValue="{}",
    )


def _follow_queue_gives_up_elsewhere(world: World) -> None:
    takes_requests(world, "slipway-follow", dead_letters="slipway-notices")


def _dead_letter(world: World) -> None:
    world.client("sqs").send_message(
        QueueUrl=world.queues["slipway-build-dead-letters"], MessageBody="{}"
    )


def _plain_webhook(world: World) -> None:
    world.client("ssm").delete_parameter(Name="/slipway/slack-webhook")
    world.client("ssm").put_parameter(Name="/slipway/slack-webhook", Value="x", Type="String")


def _no_host(world: World) -> None:
    answer = world.client("ec2").describe_instances()
    ids = [i["InstanceId"] for r in answer["Reservations"] for i in r["Instances"]]
    world.client("ec2").terminate_instances(InstanceIds=ids)


def _another_stack(world: World) -> None:
    world.table.pipelines.change("shop", running_task_definition="shop:8")


def _no_pass_role(world: World) -> None:
    world.answers["SimulatePrincipalPolicy"] = simulated(EXECUTION)


def _boundary(world: World) -> None:
    """PowerUserAccess, AWS's own: everything but IAM."""
    within = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": True}}
    taken = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}

    def answer(request: dict[str, Any]) -> Any:
        of_host = request["PolicySourceArn"].endswith("/slipway-host")
        asked = request["ActionNames"] == ["iam:PassRole"] and "ContextEntries" not in request
        of_iam = of_host and asked
        return simulated(**(taken if of_iam else within))(request)

    world.answers["SimulatePrincipalPolicy"] = answer


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (_no_policy, "policy: arn:aws:iam::111111111111:role/slipway-trigger may not publish"),
        (_no_starter, "subscriptions: slipway-starter does not hear it"),
        (_no_follow_queue, "subscriptions: slipway-follow does not hear it"),
        (_no_filter, 'subscriptions: slipway-build hears what has {}, not {"builder": [{"exists":'),
        (_follow_queue_gives_up_elsewhere, "slipway-follow: has no dead-letter queue"),
        (_dead_letter, "dead letters: slipway-build-dead-letters holds 1 message"),
        (_plain_webhook, "webhook: /slipway/slack-webhook is not encrypted"),
        (_no_host, "slipway-host-1: does not exist"),
        (_another_stack, "runs what was deployed: it runs shop:7, Slipway deployed shop:8 last"),
        (_boundary, "slipway-host: its permissions boundary takes from it: iam:PassRole"),
        (_no_pass_role, "PassRole: the host may not pass arn:aws:iam::222222222222:role/execution"),
    ],
)
def test_each_fault_is_found_alone(whole: World, fault: Callable[[World], None], told: str) -> None:
    # GIVEN one fault
    fault(whole)

    # WHEN, THEN it is what is found
    (found, *others) = wrong(whole, "shop")
    assert found.startswith(told)
    assert others == []


@pytest.mark.parametrize(
    ("state", "slots", "says"),
    [
        ("running", 2, ["slipway-host-1: i-… running: idle for 10 s; is stopped when idle for"
                        " 2 min (2 build slots, m1.small), but buildHost.builds is 4"]),
        ("running", 4, []),
        # it takes them when it is started again
        ("stopped", 2, []),
    ],
)  # fmt: skip
def test_a_host_with_fewer_slots_than_are_configured_is_wrong(
    whole: World, state: str, slots: int, says: list[str]
) -> None:
    # GIVEN a host that told of its slots half a minute after its launch
    ec2 = whole.client("ec2")
    (instance,) = ec2.describe_instances()["Reservations"][0]["Instances"]
    host, launched_at = instance["InstanceId"], instance["LaunchTime"].timestamp()
    if state == "running":
        ec2.start_instances(InstanceIds=[host])
    whole.clock.at = launched_at + 40
    whole.table.hosts.arrive(host, "boot", launched_at + 30, slots=slots)
    # WHEN more are configured
    settings = replace(whole.installation, builds=4)
    whole.path.write_text(settings.to_json(), encoding="utf-8")
    # THEN
    assert [found.replace(host, "i-…") for found in wrong(whole)] == says


def test_a_disk_that_was_too_small_is_told_for_a_week(whole: World) -> None:
    # GIVEN a host whose disk was pruned to the bottom an hour ago
    (instance,) = whole.client("ec2").describe_instances()["Reservations"][0]["Instances"]
    host, now = instance["InstanceId"], whole.clock.now()
    assert whole.table.hosts.arrive(host, "boot", now - 7200)
    assert whole.table.hosts.note_short_disk(host, now - 3600, gb=19.9, free_gb=1.25)
    (told,) = wrong(whole)
    assert "Its disk of 19.9 GiB is too small: 1 h ago" in told
    assert "1.2 GiB were free" in told
    assert whole.table.hosts.note_short_disk(host, now - 8 * 86400, gb=19.9, free_gb=1.25)
    assert wrong(whole) == []
    assert not whole.table.hosts.note_short_disk("i-unknown", now, gb=1, free_gb=1)


def test_work_that_waits_while_every_host_is_held_is_wrong(whole: World) -> None:
    # GIVEN the only host is held
    assert whole.run("hold").exit_code == 0
    assert wrong(whole) == []  # with no work that is what somebody wanted

    # WHEN a push comes, THEN it waits for ever, and that is said with the way out
    request = BuildRequest(
        request_id="a" * 32, pipeline="shop", pushed_by="ada", pushed_at=NOW, reason="push"
    )
    assert whole.table.wants.note(request, NOW)
    (found,) = wrong(whole)
    assert found == "hosts: work waits for shop, and every host is held"


@pytest.mark.parametrize(
    ("operation", "check", "missing"),
    [
        ("GetFunctionConfiguration", "starter", "ResourceNotFoundException"),
        ("GetFunctionConfiguration", "follower", "ResourceNotFoundException"),
        ("GetQueueAttributes", "slipway-follow", "QueueDoesNotExist"),
        ("DescribeRepositories", "ECR", "RepositoryNotFoundException"),
        ("GetTopicAttributes", "policy", "NotFound"),
    ],
)
def test_what_does_not_exist_is_wrong_and_what_may_not_be_seen_is_skipped(
    whole: World, operation: str, check: str, missing: str
) -> None:
    for code, verdict in ((missing, "wrong"), ("AccessDenied", "skipped")):
        whole.answers[operation] = error(code)
        _, findings = examined(whole, "shop")
        (found,) = [f for f in findings if f["check"] == check]
        assert found["verdict"] == verdict


def test_commits_that_fail_are_told_and_are_no_fault_of_the_installation(whole: World) -> None:
    whole.table.pipelines.change("shop", failures=3)

    assert wrong(whole, "shop") == []
    assert "3 deployments failed in a row" in whole.run("doctor", "shop").output


def test_a_running_deployment_is_not_mistaken_for_another_stacks_work(whole: World) -> None:
    _another_stack(whole)
    whole.table.locks.take("shop", "i-1/boot", NOW, ttl=600)

    assert wrong(whole, "shop") == []


def test_a_fetch_that_failed_is_wrong_git_access(whole: World) -> None:
    row = whole.begin("shop", 90)
    whole.table.deployments.enter_stage(row.deployment_id, "fetch", NOW)
    whole.end(row, "failed", at=NOW + 1, cause="not allowed to pull", stage="fetch")

    (found,) = wrong(whole, "shop")
    assert found.startswith("git access: the fetch failed in shop-")
    assert found.endswith("not allowed to pull")


@pytest.fixture
def dev_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A profile of the dev account."""
    config = tmp_path / "config"
    config.write_text("[profile dev]\naws_access_key_id = x\naws_secret_access_key = y\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return "dev"


@pytest.mark.parametrize(
    ("triggers", "rules", "verdict"),
    [
        (["production"], [], "ok"),
        (["other"], [], "wrong"),
        ([], [], "ok"),  # no branches: all of them
        (["other"], ["slipway-push-shop"], "ok"),
    ],
)
def test_the_trigger_is_looked_at_with_the_dev_profile(
    whole: World, dev_profile: str, triggers: list[str], rules: list[str], verdict: str
) -> None:
    # GIVEN what the dev account has
    function = f"arn:aws:lambda:{REGION}:{DEV}:function:slipway-trigger"
    whole.answers["GetRepositoryTriggers"] = lambda request: {
        "triggers": [
            {
                "name": "slipway",
                "destinationArn": function,
                "branches": triggers,
                "events": ["updateReference"],
            }
        ]
    }
    whole.answers["ListRuleNamesByTarget"] = lambda request: {"RuleNames": rules}

    # WHEN, THEN
    _, findings = examined(whole, "shop", "--dev-profile", dev_profile)
    assert [f["verdict"] for f in findings if f["check"] == "trigger"] == [verdict]


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (publish_policy(principal={"AWS": ROLE}), True),
        (publish_policy(principal={"AWS": DEV}), True),
        (
            publish_policy(
                principal={"AWS": f"arn:aws:iam::{DEV}:root"},
                condition={"ArnEquals": {"aws:PrincipalArn": ROLE}},
            ),
            True,
        ),
        (
            publish_policy(
                principal={"AWS": f"arn:aws:iam::{DEV}:root"},
                condition={"ArnEquals": {"aws:PrincipalArn": f"{ROLE}-other"}},
            ),
            False,
        ),
        (publish_policy(principal={"AWS": PROD}), False),
        (publish_policy(principal={"Service": "events.amazonaws.com"}), False),
        ({"Statement": {"Effect": "Deny", "Action": "sns:*", "Principal": {"AWS": ROLE}}}, False),
        ({}, False),
    ],
)
def test_who_a_topic_policy_lets_publish(policy: dict[str, Any], allowed: bool) -> None:
    assert lets(policy, "sns:Publish", ROLE) is allowed


def test_each_service_of_a_pipeline_is_looked_at(whole: World) -> None:
    # GIVEN a pipeline of two services, which run what was deployed
    services = tuple(ServiceSettings(cluster="prod", service=name) for name in ("shop", "worker"))
    pipelines = whole.installation.pipelines
    (shop,) = (p for p in pipelines if p.name == "shop")
    several = replace(shop, services=services)
    whole.installation = replace(
        whole.installation, pipelines=tuple(several if p is shop else p for p in pipelines)
    )
    whole.path.write_text(whole.installation.to_json(), encoding="utf-8")
    whole.table.pipelines.change("shop", running_task_definition="shop:7, worker:7")
    _, findings = examined(whole, "shop")
    told = [f["detail"] for f in findings if f["check"] in ("service", "runs what was deployed")]
    assert told == ["prod/shop is active", "prod/worker is active", "shop:7, worker:7"]
    # WHEN somebody else has given the second one another revision, and they were left apart
    whole.table.pipelines.change(
        "shop", running_task_definition="shop:7, worker:8", mixed="shop shop:7, worker worker:8"
    )
    # THEN
    bad = " ".join(wrong(whole, "shop"))
    assert "it runs shop:7, worker:7, Slipway deployed shop:7, worker:8 last" in bad
    assert "versions of different deployments: shop shop:7, worker worker:8" in bad
