"""IAM against AWS's own reference: every statement of ours passes, and broken ones are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.infra.reference.arns import fits
from tests.infra.reference.exceptions import EXCEPTIONS, Known, unexcused
from tests.infra.reference.judge import Finding, judge
from tests.infra.reference.pages import pages, printed_statements, unknown_names
from tests.infra.reference.policies import of_page, of_stacks, of_template
from tests.infra.templates import Stacks

PLACE = "eu-central-1:222222222222"
SERVICE = f"arn:aws:ecs:{PLACE}:service/prod/web"
FAMILY = f"arn:aws:ecs:{PLACE}:task-definition/web:*"
GROUP = f"arn:aws:codedeploy:{PLACE}:deploymentgroup:web/web"
KEY = f"arn:aws:kms:{PLACE}:key/*"
QUEUE = f"arn:aws:sqs:{PLACE}:build"
ROLE = "arn:aws:iam::222222222222:role/web-task"


def _found(**of: Stacks) -> Iterator[Finding]:
    for name, stacks in of.items():
        for statement in of_stacks(name, stacks):
            yield from judge(statement)
    for statement in printed_statements():
        yield from judge(statement)


def test_aws_takes_every_statement(
    example: Stacks, full: Stacks, local: Stacks, overflow: Stacks, code_build: Stacks
) -> None:
    found = _found(
        example=example, full=full, local=local, overflow=overflow, code_build=code_build
    )
    findings, needless = unexcused(found)
    assert [str(finding) for finding in findings] == []
    # AND no exception is there for nothing
    assert needless == []


def test_an_exception_that_nothing_needs_is_found() -> None:
    _kept, needless = unexcused([], [*EXCEPTIONS, Known("s3:GetObject", "", "nobody")])
    assert needless == [*EXCEPTIONS, Known("s3:GetObject", "", "nobody")]


def test_every_kind_of_policy_is_read(full: Stacks) -> None:
    # GIVEN templates with policies of roles, keys, queues and topics, and Lambda permissions
    types = {full.prod["Resources"][s.owner]["Type"] for s in of_template("full", full.prod)}
    types |= {full.dev["Resources"][s.owner]["Type"] for s in of_template("full", full.dev)}
    assert types >= {
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::Permission",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }
    # AND the pages print policies too
    assert {s.where for s in printed_statements()} >= {"docs/ecs-deploy.md"}


def test_the_pages_name_no_action_that_aws_does_not_have() -> None:
    assert {name: found for name, page in pages() if (found := unknown_names(page))} == {}
    assert unknown_names("`ecs:DescribeServices`, `ecs:DescribeEverything`, `aws:SourceArn`") == [
        "ecs:DescribeEverything"
    ]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A statement that AWS refuses or never allows anything by, and what has to be said of it."""

    says: str
    action: str | list[str]
    resource: str | list[str] = "*"
    condition: dict[str, Any] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def statement(self) -> dict[str, Any]:
        raw = {"Sid": "Broken", "Effect": "Allow", "Action": self.action, "Resource": self.resource}
        return raw | ({"Condition": self.condition} if self.condition else {}) | self.others


BROKEN = {
    "an action that there is not": Broken(
        action="ecs:DescribeServiceDeployment",
        resource=SERVICE,
        says="ecs:DescribeServiceDeployment: AWS knows no such action",
    ),
    "a service that there is not": Broken(
        action="codepush:GitPull", resource=QUEUE, says="AWS knows no such action"
    ),
    "an ARN of another service": Broken(
        action="sqs:SendMessage",
        resource=f"arn:aws:sns:{PLACE}:close",
        says="none of its actions takes arn:aws:sns",
    ),
    "an ARN of a form that was": Broken(
        action="ecs:UpdateService",
        resource=f"arn:aws:ecs:{PLACE}:service/web",
        says="ecs:UpdateService: takes arn:${Partition}:ecs:${Region}:${Account}:service/",
    ),
    "a role with a region": Broken(
        action="iam:PassRole",
        resource=f"arn:aws:iam:{PLACE}:role/web-task",
        says="iam:PassRole: takes arn:${Partition}:iam::",
    ),
    "a queue without its account": Broken(
        action="sqs:SendMessage", resource="arn:aws:sqs:eu-central-1:build", says="none of its"
    ),
    "a name where there is only '*'": Broken(
        action=["codedeploy:StopDeployment", "codedeploy:GetDeployment"],
        resource=GROUP,
        says="codedeploy:StopDeployment: takes only '*', not arn:aws:codedeploy",
    ),
    "'*' where a name is taken": Broken(
        action="ecs:RegisterTaskDefinition",
        says="has '*' where AWS takes a name: task-definition",
    ),
    "one of two resources that an action needs": Broken(
        action="ecs:DescribeServiceDeployments",
        resource=SERVICE,
        says="needs arn:${Partition}:ecs:${Region}:${Account}:service-deployment/",
    ),
    "an ARN that only another action would take": Broken(
        action="ecs:UpdateService",
        resource=[SERVICE, FAMILY],
        says="none of its actions takes arn:aws:ecs:eu-central-1:222222222222:task-definition",
    ),
    "a condition key that there is not": Broken(
        action="kms:Decrypt",
        resource=KEY,
        condition={"StringEquals": {"kms:ViaServices": "s3.eu-central-1.amazonaws.com"}},
        says="kms:Decrypt: knows no condition key kms:ViaServices",
    ),
    "a condition key of other actions": Broken(
        action="ecs:RegisterTaskDefinition",
        resource=FAMILY,
        condition={"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:{PLACE}:cluster/prod"}},
        says="knows no condition key ecs:cluster",
    ),
    "a global condition key that there is not": Broken(
        action="sqs:SendMessage",
        resource=QUEUE,
        condition={"ArnEquals": {"aws:SourceARNs": QUEUE}},
        says="knows no condition key aws:SourceARNs",
    ),
    "several values compared as one": Broken(
        action="kms:Decrypt",
        resource=KEY,
        condition={"StringEquals": {"kms:ResourceAliases": "alias/slipway"}},
        says="kms:ResourceAliases has several values: StringEquals needs ForAnyValue",
    ),
    "one value compared as several": Broken(
        action="iam:PassRole",
        resource=ROLE,
        condition={"ForAnyValue:StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        says="iam:PassedToService has one value",
    ),
    "an operator that there is not": Broken(
        action="sqs:SendMessage",
        resource=QUEUE,
        condition={"StringsEqual": {"aws:SourceAccount": "222222222222"}},
        says="IAM knows no condition operator StringsEqual",
    ),
    "an operator of another type": Broken(
        action="kms:CreateGrant",
        resource=KEY,
        condition={"ArnEquals": {"kms:GrantIsForAWSResource": "true"}},
        says="does not compare kms:GrantIsForAWSResource, which is of type Bool",
    ),
    "a wildcard compared literally": Broken(
        action="sqs:SendMessage",
        resource=QUEUE,
        condition={"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/x-*"}},
        says="takes the wildcard of arn:aws:iam::222222222222:role/x-* literally",
    ),
    "a condition on no ARN": Broken(
        action="ecs:ListServices",
        condition={"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:{PLACE}:clusters/prod"}},
        says="ecs:cluster: AWS has no ARN of the form",
    ),
    "a member that is not understood": Broken(
        action="sqs:SendMessage",
        resource=QUEUE,
        others={"NotResource": QUEUE},
        says="NotResource is not understood here",
    ),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_statement_of_a_role_is_found(broken: Broken) -> None:
    # GIVEN a template with one role, whose one statement is broken
    policy = {"PolicyDocument": {"Statement": [broken.statement()]}}
    role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}
    template = {"Resources": {"HostRole": role}}

    # WHEN it is held against the reference
    found, _needless = unexcused(f for s in of_template("t", template) for f in judge(s))

    # THEN it is found, with its place and what is wrong with it
    said = [str(finding) for finding in found]
    assert any(broken.says in text for text in said), said
    assert all(text.startswith("t: HostRole, statement Broken") for text in said)


ELSEWHERE = {
    "trust": (
        "AWS::IAM::Role",
        {"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sts:Assume"}]}},
        "sts:Assume: AWS knows no such action",
    ),
    "key": (
        "AWS::KMS::Key",
        {"KeyPolicy": {"Statement": [{"Effect": "Allow", "Action": "kms:Use", "Resource": "*"}]}},
        "kms:Use: AWS knows no such action",
    ),
    "queue": (
        "AWS::SQS::QueuePolicy",
        {
            "PolicyDocument": {
                "Statement": {"Effect": "Allow", "Action": "sns:Publish", "Resource": QUEUE}
            }
        },
        "none of its actions takes arn:aws:sqs",
    ),
    "repository": (
        "AWS::ECR::Repository",
        {
            "RepositoryPolicyText": {
                "Statement": {"Effect": "Deny", "Action": "ecr:Pull", "Resource": "*"}
            }
        },
        "ecr:Pull: AWS knows no such action",
    ),
    "permission": (
        "AWS::Lambda::Permission",
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": f"arn:aws:lambda:{PLACE}:function:trigger",
            "Principal": "codecommit.amazonaws.com",
            "SourceArn": f"arn:aws:codecommit:{PLACE}:repository/sample",
        },
        "aws:SourceArn: AWS has no ARN of the form",
    ),
}


@pytest.mark.parametrize(("kind", "properties", "says"), ELSEWHERE.values(), ids=list(ELSEWHERE))
def test_a_broken_statement_is_found_wherever_it_stands(
    kind: str, properties: dict[str, Any], says: str
) -> None:
    template = {"Resources": {"It": {"Type": kind, "Properties": properties}}}
    said = [str(finding) for s in of_template("t", template) for finding in judge(s)]
    assert any(says in text for text in said), said


def test_a_broken_policy_of_a_page_is_found() -> None:
    page = """Before.

```json
{"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "ecs:Roll", "Resource": "*"}]}
```
"""
    (finding,) = [f for s in of_page("docs/x.md", page) for f in judge(s)]
    assert str(finding) == (
        "docs/x.md: JSON block 1, statement A, ecs:Roll: AWS knows no such action"
    )


@pytest.mark.parametrize(
    ("pattern", "form", "meets"),
    [
        ("arn:aws:sqs:r:1:q", "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}", True),
        ("arn:aws:s3:::b/a/c", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", True),
        ("arn:aws:s3:::b", "arn:${Partition}:s3:::${BucketName}/${ObjectName}", False),
        (
            "arn:aws:ecs:r:1:service-*/c/s/*",
            "arn:${P}:ecs:${R}:${A}:service-x/${C}/${S}/${I}",
            True,
        ),
        ("arn:aws:ecs:r:1:task/c", "arn:${P}:ecs:${R}:${A}:task/${C}/${I}", False),
        ("arn:aws:ecs:r:1:task/c/", "arn:${P}:ecs:${R}:${A}:task/${C}/${I}", False),
        ("arn:aws:ecs:r:1:task/c/i/x", "arn:${P}:ecs:${R}:${A}:task/${C}/${I}", False),
        ("arn:*:secret:n-??????", "arn:${P}:secretsmanager:${R}:${A}:secret:${SecretId}", True),
        ("arn:aws:sqs:r:1:", "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}", False),
        ("*", "arn:${Partition}:sqs:${Region}:${Account}:${QueueName}", True),
    ],
)
def test_a_pattern_is_held_against_a_form(pattern: str, form: str, meets: bool) -> None:
    assert fits(pattern, form) is meets
