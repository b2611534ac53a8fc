"""Least privilege: who may do what, who is trusted, who is let in."""

from __future__ import annotations

import pytest

from cli.redrive import ways_back
from contracts.names import Names
from tests.infra.iam_table import SNAPSHOT, table_of
from tests.infra.templates import (
    Stacks,
    Statement,
    identity_statements,
    resource_statements,
    resources,
    trust_statements,
)

UNNAMEABLE = {
    "codedeploy:GetDeploymentTarget",
    "codedeploy:ListApplications",
    "codedeploy:StopDeployment",
    # AWS, service authorization reference: no resource type, or one that cannot be known before.
    "ec2:DescribeInstances",
    "ecr:GetAuthorizationToken",
    "ecs:DeregisterTaskDefinition",
    "ecs:DescribeTaskDefinition",
    "ecs:ListServices",
    "ecs:ListTaskDefinitions",
    "ecs:ListTasks",
    "ecs:RegisterTaskDefinition",
    "ssm:DescribeParameters",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


def of_role(stacks: Stacks, role: str) -> list[Statement]:
    found = [s for t in stacks.both for s in identity_statements(t) if s.owner == role]
    assert found, f"no role {role}"
    return found


def actions_of(stacks: Stacks, role: str) -> set[str]:
    return {action for s in of_role(stacks, role) for action in s.actions}


def test_every_statement_is_as_reviewed(example: Stacks, full: Stacks) -> None:
    """A change of any statement changes `iam.md`: `python -m tests.infra.iam_table` writes it."""
    assert table_of(example, full) == SNAPSHOT.read_text(encoding="utf-8")


def test_who_starts_hosts_lets_ec2_use_their_disks_key(example: Stacks, full: Stacks) -> None:
    """EBS: who calls StartInstances needs kms:CreateGrant where the key is a customer's."""
    key = full.configuration.build_host.volume_key
    for stacks, wanted in ((example, []), (full, [key])):
        for role in ("starter", "reconciler"):
            statements = of_role(stacks, f"{stacks.configuration.name}-{role}")
            assert any("ec2:StartInstances" in s.actions for s in statements)
            grants = [s for s in statements if "kms:CreateGrant" in s.actions]
            assert [r for s in grants for r in s.resources] == wanted
            for statement in grants:
                assert statement.actions == ["kms:CreateGrant"]
                assert statement.raw["Condition"] == {
                    "Bool": {"kms:GrantIsForAWSResource": "true"},
                    "StringEquals": {"kms:ViaService": "ec2.eu-central-1.amazonaws.com"},
                }
    # AND nobody else starts a host
    every = [s for t in full.both for s in identity_statements(t)]
    starters = {s.owner for s in every if "ec2:StartInstances" in s.actions}
    assert starters == {"slipway-stage-starter", "slipway-stage-reconciler"}


def test_no_action_has_a_wildcard(full: Stacks) -> None:
    kinds = (identity_statements, trust_statements, resource_statements)
    allowed = [
        (s.owner, action)
        for template in full.both
        for statements in kinds
        for s in statements(template)
        if s.raw["Effect"] == "Allow"
        for action in s.actions
    ]
    assert not [pair for pair in allowed if "*" in pair[1]]


def test_a_resource_is_a_wildcard_only_where_aws_allows_no_name(full: Stacks) -> None:
    for template in full.both:
        for statement in identity_statements(template):
            if "*" in statement.resources:
                assert set(statement.actions) <= UNNAMEABLE, statement


def test_roles_are_passed_only_to_ecs_tasks_and_only_those_configured(full: Stacks) -> None:
    passing = [s for t in full.both for s in identity_statements(t) if "iam:PassRole" in s.actions]
    (statement,) = passing
    assert statement.owner == "slipway-stage-host"
    assert statement.resources == [
        "arn:aws:iam::222222222222:role/shop-execution",
        "arn:aws:iam::222222222222:role/shop-task",
        "arn:aws:iam::222222222222:role/shop-worker",
        "arn:aws:iam::222222222222:role/slipway-stage-sample-execution",
    ]
    assert statement.conditions == ("StringEquals iam:PassedToService = ecs-tasks.amazonaws.com")


def test_only_the_trigger_role_of_dev_publishes_across_accounts(example: Stacks) -> None:
    # GIVEN the request topic's policy
    foreign = [
        s
        for s in resource_statements(example.prod)
        if "111111111111" in s.principal and s.raw["Effect"] == "Allow"
    ]
    # THEN the dev account is let in for Publish alone, and by its trigger's role alone
    (statement,) = foreign
    assert statement.owner == "${RequestTopic}"
    assert statement.actions == ["sns:Publish"]
    assert statement.principal == "arn:aws:iam::111111111111:root"
    assert statement.conditions == (
        "StringEquals aws:PrincipalArn = arn:aws:iam::111111111111:role/slipway-trigger"
    )


def test_the_dev_roles_trust_one_role_each_and_configured_operators(full: Stacks) -> None:
    trusted = {
        s.owner: s.conditions
        for s in trust_statements(full.dev)
        if s.principal == "arn:aws:iam::222222222222:root"
    }
    prod = "StringEquals aws:PrincipalArn = arn:aws:iam::222222222222:role/"
    assert trusted == {
        "slipway-stage-source": prod + "slipway-stage-host",
        "slipway-stage-tip": prod + "slipway-stage-reconciler, "
        "arn:aws:iam::222222222222:role/platform-engineer",
    }


@pytest.mark.parametrize(("role", "action"), [("source", "GitPull"), ("tip", "GetBranch")])
def test_the_dev_roles_do_one_thing_on_the_configured_repositories(
    full: Stacks, role: str, action: str
) -> None:
    (statement,) = of_role(full, f"slipway-stage-{role}")
    assert statement.actions == [f"codecommit:{action}"]
    assert {r.rpartition(":")[2] for r in statement.resources} == {"shop", "blog"}


def test_nobody_but_the_notifier_reads_the_webhook(full: Stacks) -> None:
    readers = {
        s.owner
        for t in full.both
        for s in identity_statements(t)
        if any(a.startswith("ssm:Get") for a in s.actions)
        and any("webhook" in r for r in s.resources)
    }
    assert readers == {"slipway-stage-notifier"}


def test_the_host_reads_its_agent_and_the_build_secrets_and_no_other_parameter(
    full: Stacks,
) -> None:
    parameters = {
        r
        for s in of_role(full, "slipway-stage-host")
        if "ssm:GetParameter" in s.actions
        for r in s.resources
    }
    prefix = "arn:aws:ssm:eu-central-1:222222222222:parameter"
    assert parameters == {f"{prefix}/slipway-stage/agent", f"{prefix}/build/npm-token"}
    assert "managed-policy" not in str(full.prod).lower()


def test_hosts_are_started_and_stopped_by_whom_it_concerns(full: Stacks) -> None:
    def holders(action: str) -> set[str]:
        return {s.owner for s in identity_statements(full.prod) if action in s.actions}

    assert holders("ec2:StartInstances") == {"slipway-stage-starter", "slipway-stage-reconciler"}
    assert holders("ec2:StopInstances") == {"slipway-stage-stopper", "slipway-stage-reconciler"}


def test_operators_may_empty_the_queues_that_redrive_knows(full: Stacks) -> None:
    (taking,) = [
        s for s in of_role(full, "slipway-stage-operate") if "sqs:DeleteMessage" in s.actions
    ]
    names = {r.rpartition(":")[2] for r in taking.resources}
    assert names == set(ways_back(Names("slipway-stage")))


def test_who_only_looks_changes_nothing(full: Stacks) -> None:
    looking = ("Batch", "Describe", "Get", "List", "Query", "Simulate")
    actions = actions_of(full, "slipway-stage-read") - {"sts:AssumeRole"}
    assert all(action.partition(":")[2].startswith(looking) for action in actions)
    # AND who acts neither touches a host or a service past Slipway, nor reads a secret
    acting = actions_of(full, "slipway-stage-operate")
    assert not {a for a in acting if a.partition(":")[0] in ("ec2", "ecs", "iam", "ssm", "sts")}


def test_what_a_pipeline_does_not_use_the_host_may_not(example: Stacks, full: Stacks) -> None:
    optional = {
        "codedeploy:CreateDeployment",
        "ecs:DeregisterTaskDefinition",
        "ecs:RunTask",
        "ecs:StopTask",
        "kms:Decrypt",
        "secretsmanager:GetSecretValue",
    }
    assert not optional & actions_of(example, "slipway-host")
    assert optional <= actions_of(full, "slipway-stage-host")


def test_topics_and_queues_refuse_plain_http(full: Stacks) -> None:
    refusing = {
        s.owner
        for t in full.both
        for s in resource_statements(t)
        if s.raw["Effect"] == "Deny" and s.conditions == "Bool aws:SecureTransport = false"
    }
    every = sum(
        len(resources(t, kind))
        for t in full.both
        for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic")
    )
    assert len(refusing) == every


def test_the_permissions_boundary_is_on_every_role(full: Stacks) -> None:
    for template in full.both:
        for role in resources(template, "AWS::IAM::Role").values():
            assert role["PermissionsBoundary"] == "arn:aws:iam::aws:policy/PowerUserAccess"
