"""What the stacks are made of, whichever is deployed first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aws_lambda_powertools.shared.version
import pytest

from lambdas.notifier.delivery import Verdict
from lambdas.notifier.handler import pause_of
from slipway.configuration import read
from tests.infra.templates import (
    EXAMPLE,
    FULL,
    ROOT,
    Stacks,
    Template,
    resources,
    synthesize,
    synthesize_file,
    text,
)


def test_either_stack_can_be_deployed_first(full: Stacks) -> None:
    # THEN neither template takes a value from the other, nor exports one
    for template in full.both:
        written = json.dumps(template)
        assert "Fn::ImportValue" not in written
        assert not [o for o in template["Outputs"].values() if "Export" in o]


def test_a_synth_looks_nothing_up(full: Stacks) -> None:
    # THEN no parameter but CDK's own bootstrap version is left to the deployment
    for template in full.both:
        assert set(template.get("Parameters", {})) == {"BootstrapVersion"}


def test_a_second_synth_gives_the_same_templates(
    full: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # WHEN it is synthesized from another folder, its assets copied anew
    monkeypatch.chdir(tmp_path)
    again = synthesize_file(FULL, tmp_path)
    # THEN `cdk diff` would have nothing to say
    assert again.both == full.both


def test_every_subscription_has_a_dead_letter_queue_of_its_own(full: Stacks) -> None:
    # GIVEN all subscriptions: to the build and notices queues, to two functions, to one address
    subscriptions = resources(full.prod, "AWS::SNS::Subscription").values()
    assert len(subscriptions) == 7
    # THEN no two share a dead-letter queue, and none is without
    queues = [text(s["RedrivePolicy"]["deadLetterTargetArn"]) for s in subscriptions]
    assert len(set(queues)) == len(queues)


def test_subscriptions_hear_what_is_for_them(full: Stacks) -> None:
    heard = {
        (s["Protocol"], text(s["TopicArn"]), text(s["Endpoint"])): (
            (s.get("FilterPolicy") or {}).get("kind"),
            s.get("RawMessageDelivery", False),
        )
        for s in resources(full.prod, "AWS::SNS::Subscription").values()
    }
    people = ["deployment", "alert"]
    assert heard == {
        ("sqs", "${RequestTopic}", "${Build.Arn}"): (None, True),
        ("lambda", "${RequestTopic}", "${StarterFunction.Arn}"): (None, False),
        ("lambda", "${CloseTopic}", "${StopperFunction.Arn}"): (["idle"], False),
        ("sqs", "${CloseTopic}", "${Notices.Arn}"): (people, True),
        ("email", "${CloseTopic}", "ops@example.com"): (people, False),
        ("sqs", "${AlarmTopic}", "${Notices.Arn}"): (None, True),
        ("email", "${AlarmTopic}", "ops@example.com"): (None, False),
    }


def test_every_function_keeps_what_it_fails_on(full: Stacks) -> None:
    for template in full.both:
        functions = resources(template, "AWS::Lambda::Function")
        configured = resources(template, "AWS::Lambda::EventInvokeConfig").values()
        assert {c["FunctionName"]["Ref"] for c in configured} == set(functions)
        for configuration in configured:
            assert configuration["MaximumRetryAttempts"] == 2
            assert "Failures" in text(configuration["DestinationConfig"]["OnFailure"])


def test_every_rule_keeps_what_it_cannot_deliver(full: Stacks) -> None:
    for template in full.both:
        for rule in resources(template, "AWS::Events::Rule").values():
            assert all("DeadLetterConfig" in target for target in rule["Targets"])


def powertools_release() -> str:
    """The release that the tests of the functions run with, and that requirements.txt pins."""
    (pinned,) = re.findall(
        r"^aws-lambda-powertools==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    assert pinned == aws_lambda_powertools.shared.version.VERSION
    return str(pinned)


def test_functions_are_python_on_arm_with_powertools_beside_them(full: Stacks) -> None:
    names = set()
    for template in full.both:
        for function in resources(template, "AWS::Lambda::Function").values():
            name = function["FunctionName"].removeprefix("slipway-stage-")
            names.add(name)
            assert function["Handler"] == f"lambdas.{name}.handler.handler"
            assert function["Runtime"] == "python3.13"
            assert function["Architectures"] == ["arm64"]
            assert function["Layers"] == [
                "{{resolve:ssm:/aws/service/powertools/python/arm64/python3.13/"
                f"{powertools_release()}}}}}"
            ]
            assert "LogGroup" in function["LoggingConfig"]
    assert names == {"trigger", "starter", "stopper", "notifier", "reconciler"}


def test_environments_are_few_and_hold_no_secret(full: Stacks) -> None:
    every = {
        name
        for template in full.both
        for function in resources(template, "AWS::Lambda::Function").values()
        for name in function["Environment"]["Variables"]
    }
    assert every == {
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
        "SLIPWAY_BUILD_QUEUE_URL",
        "SLIPWAY_HOSTS",
    }


def test_no_log_is_kept_for_ever(full: Stacks) -> None:
    groups = [g for t in full.both for g in resources(t, "AWS::Logs::LogGroup").values()]
    assert {g["RetentionInDays"] for g in groups} == {full.configuration.lambdas.log_retention_days}
    # AND every function writes into one of them: five, beside builds and sample
    assert len(groups) == 7


def test_whoever_claims_a_stop_dies_before_the_claim(full: Stacks) -> None:
    claim = full.configuration.limits.stop_claim
    for function in resources(full.prod, "AWS::Lambda::Function").values():
        if function["FunctionName"].endswith(("-stopper", "-reconciler")):
            assert function["Timeout"] < claim


def test_a_day_without_slack_loses_no_notice(full: Stacks) -> None:
    # GIVEN the notifier's pauses: from 10 s, doubled, up to 15 minutes
    queue = _queue(full.prod, "slipway-stage-notices")
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    outage = sum(pause_of(Verdict(done=False, why=""), n) for n in range(1, receives))
    # THEN all receives together outlast a day, and the queue keeps messages longer than that
    assert outage > 86400
    assert queue["MessageRetentionPeriod"] > outage


def test_the_build_queue_outlasts_a_long_night(full: Stacks) -> None:
    queue = _queue(full.prod, "slipway-stage-build")
    assert queue["VisibilityTimeout"] == full.configuration.limits.visibility
    assert queue["MessageRetentionPeriod"] == 14 * 86400
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 100


def test_hosts_are_closed_and_their_disks_encrypted(full: Stacks) -> None:
    hosts = list(resources(full.prod, "AWS::EC2::Instance").values())
    assert len(hosts) == 3
    for host in hosts:
        assert host["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        }
        assert host["InstanceInitiatedShutdownBehavior"] == "stop"
        (disk,) = host["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"]["VolumeType"] == "gp3"
        assert "KeyName" not in host
    names = {t["Value"] for h in hosts for t in h["Tags"] if t["Key"] == "Name"}
    assert names == {"slipway-stage-host-1", "slipway-stage-host-2", "slipway-stage-host-3"}


def test_a_disk_never_takes_the_key_that_the_account_has_by_default(
    example: Stacks, full: Stacks
) -> None:
    def keys(stacks: Stacks) -> set[str]:
        hosts = resources(stacks.prod, "AWS::EC2::Instance").values()
        return {disk["Ebs"]["KmsKeyId"] for h in hosts for disk in h["BlockDeviceMappings"]}

    # GIVEN that whoever starts a host must be let use a key of a customer's
    assert keys(example) == {"alias/aws/ebs"}
    assert keys(full) == {full.configuration.build_host.volume_key}


def test_no_host_can_be_connected_to(example: Stacks, full: Stacks) -> None:
    for stacks in (example, full):
        groups = resources(stacks.prod, "AWS::EC2::SecurityGroup").values()
        open_groups = [g for g in groups if g.get("SecurityGroupIngress")]
        assert all("sample" in g["GroupDescription"] for g in open_groups)


def test_the_default_network_costs_no_nat_gateway(example: Stacks, full: Stacks) -> None:
    assert len(resources(example.prod, "AWS::EC2::VPC")) == 1
    assert not resources(example.prod, "AWS::EC2::NatGateway")
    # AND an existing network is used as it is
    assert not resources(full.prod, "AWS::EC2::VPC")


def test_what_holds_data_stays_when_the_stack_goes(full: Stacks) -> None:
    kept = {
        "AWS::DynamoDB::Table",
        "AWS::ECR::Repository",
        "AWS::CodeCommit::Repository",
    }
    found = set()
    for template in full.both:
        for resource in template["Resources"].values():
            if resource["Type"] in kept:
                found.add(resource["Type"])
                assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
                assert resource["UpdateReplacePolicy"] == "Retain"
    assert found == kept


def test_the_table_expires_rows_and_can_be_restored(full: Stacks) -> None:
    (table,) = resources(full.prod, "AWS::DynamoDB::Table").values()
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    keys = {k["AttributeName"]: k["KeyType"] for k in table["KeySchema"]}
    assert keys == {"pk": "HASH", "sk": "RANGE"}


def test_a_later_update_leaves_a_sample_service_what_it_runs(full: Stacks) -> None:
    # THEN the template names the family, whose newest revision is the agent's, not a revision
    (service,) = resources(full.prod, "AWS::ECS::Service").values()
    (definition,) = resources(full.prod, "AWS::ECS::TaskDefinition").values()
    assert service["TaskDefinition"] == definition["Family"] == "slipway-stage-sample-blog"
    breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
    assert breaker == {"Enable": True, "Rollback": True}


def test_the_reconciler_hears_of_our_hosts_alone(full: Stacks) -> None:
    rules = resources(full.prod, "AWS::Events::Rule").values()
    (schedule,) = [r["ScheduleExpression"] for r in rules if "ScheduleExpression" in r]
    assert schedule == "rate(5 minutes)"
    (pattern,) = [r["EventPattern"] for r in rules if "EventPattern" in r]
    assert pattern["detail"]["state"] == ["stopped"]
    assert len(pattern["detail"]["instance-id"]) == 3


def test_everything_that_is_meant_to_be_empty_has_an_alarm(full: Stacks) -> None:
    for template in full.both:
        queues = resources(template, "AWS::SQS::Queue")
        worked = {
            name
            for name, queue in queues.items()
            if queue["QueueName"] in ("slipway-stage-build", "slipway-stage-notices")
        }
        watched = {
            dimension["Value"]["Fn::GetAtt"][0]
            for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
            for dimension in alarm["Dimensions"]
        }
        assert watched == set(queues) - worked


def test_an_alarm_says_also_when_it_is_over(full: Stacks) -> None:
    composed = {"slipway-stage-oldest-request", "slipway-stage-tip-ahead"}
    for template in full.both:
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
            if alarm["AlarmName"] not in composed:
                assert alarm["AlarmActions"] == alarm["OKActions"]
    (composite,) = resources(full.prod, "AWS::CloudWatch::CompositeAlarm").values()
    assert composite["AlarmActions"] == composite["OKActions"]


@pytest.mark.parametrize("which", ["dev", "prod"])
def test_outputs_tell_what_to_do_next(full: Stacks, which: str) -> None:
    template: Template = getattr(full, which)
    outputs: dict[str, Any] = template["Outputs"]
    assert "slipway doctor" in outputs["NextStep"]["Value"]


def test_everything_is_tagged(full: Stacks) -> None:
    for role in resources(full.prod, "AWS::IAM::Role").values():
        tags = {tag["Key"]: tag["Value"] for tag in role["Tags"]}
        assert tags["slipway-installation"] == "slipway-stage"
        assert tags["team"] == "platform"


def _queue(template: Template, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        q for q in resources(template, "AWS::SQS::Queue").values() if q["QueueName"] == name
    ]
    (queue,) = found
    return queue


NAMED = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::SSM::Parameter": "Name",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Logs::LogGroup": "LogGroupName",
}


def _names(stacks: Stacks) -> list[tuple[str, str]]:
    """What may be there once in an account and region: kind and name."""
    return [
        (kind, text(properties[key]))
        for kind, key in NAMED.items()
        for template in stacks.both
        for properties in resources(template, kind).values()
    ]


def test_stage_stands_beside_production_in_the_same_accounts(
    example: Stacks, tmp_path: Path
) -> None:
    # GIVEN the same configuration under another name, for its own repositories
    data = read(EXAMPLE)
    data["name"] = "slipway-stage"
    # WHEN it is synthesized with all that the other one has
    data["customerKey"] = True
    names = _names(synthesize(data, tmp_path))
    # THEN no name is taken already
    assert len(names) > 40
    assert not set(names) & set(_names(example))


def test_one_account_for_both_sides_and_another_region_for_dev(tmp_path: Path) -> None:
    # GIVEN one account, and repositories in another region
    data = read(EXAMPLE)
    data["dev"] = {"account": data["prod"]["account"], "region": "eu-west-1"}
    # WHEN it is synthesized
    stacks = synthesize(data, tmp_path)
    # THEN no name is taken twice, and each role is trusted as before
    names = _names(stacks)
    assert len(set(names)) == len(names)
    # AND nothing of dev names a topic of its own region
    assert "arn:aws:sns:eu-west-1" not in json.dumps(stacks.dev)
    assert not resources(stacks.dev, "AWS::CloudWatch::Alarm")
