"""What the stacks are made of, whichever is deployed first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aws_lambda_powertools.shared.version
import pytest

from tests.infra.templates import (
    FULL,
    ROOT,
    Stacks,
    Template,
    resources,
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


def test_every_function_keeps_what_it_fails_on(full: Stacks) -> None:
    for template in full.both:
        functions = resources(template, "AWS::Lambda::Function")
        configured = resources(template, "AWS::Lambda::EventInvokeConfig").values()
        assert {c["FunctionName"]["Ref"] for c in configured} == set(functions)
        for configuration in configured:
            assert configuration["MaximumRetryAttempts"] == 2
            assert "Failures" in text(configuration["DestinationConfig"]["OnFailure"])


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
    assert names == {"trigger", "starter", "stopper", "follower", "notifier", "reconciler"}


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
        "SLIPWAY_FOLLOW_QUEUE_URL",
        "SLIPWAY_HOSTS",
    }


def test_no_log_is_kept_for_ever(full: Stacks) -> None:
    groups = [g for t in full.both for g in resources(t, "AWS::Logs::LogGroup").values()]
    assert {g["RetentionInDays"] for g in groups} == {full.configuration.lambdas.log_retention_days}
    # AND every function writes into one of them: six, beside builds and sample
    assert len(groups) == 8


def test_whoever_claims_a_stop_dies_before_the_claim(full: Stacks) -> None:
    claim = full.configuration.limits.stop_claim
    for function in resources(full.prod, "AWS::Lambda::Function").values():
        if function["FunctionName"].endswith(("-stopper", "-reconciler")):
            assert function["Timeout"] < claim


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


def test_everything_that_is_meant_to_be_empty_has_an_alarm(full: Stacks) -> None:
    for template in full.both:
        queues = resources(template, "AWS::SQS::Queue")
        worked = {
            name
            for name, queue in queues.items()
            if queue["QueueName"].removeprefix("slipway-stage-") in ("build", "follow", "notices")
        }
        watched = {
            dimension["Value"]["Fn::GetAtt"][0]
            for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
            if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
            for dimension in alarm["Dimensions"]
        }
        assert watched == set(queues) - worked


def test_an_alarm_says_also_when_it_is_over(full: Stacks) -> None:
    for template in full.both:
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
            assert alarm["AlarmActions"] == alarm["OKActions"]


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
