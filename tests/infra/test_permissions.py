"""Least privilege: who may do what, who is trusted, who is let in."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from infra.permissions.statements import PULL
from slipway.cli.aws.dead_letters import ways_back
from slipway.cli.doctor.boundary_checks import needs_of
from slipway.configuration.resolve import resolve
from slipway.contracts.names import Names
from slipway.contracts.table.hosts import PARTITION as HOST
from tests.infra.cancel_writes import written_by_cancel
from tests.infra.iam_table import SNAPSHOT, table_of
from tests.infra.templates import (
    Stacks,
    Statement,
    identity_statements,
    resource_statements,
    resources,
    trust_statements,
)


def of_role(stacks: Stacks, role: str) -> list[Statement]:
    """Its own statements, and those that it shares with the others who roll out."""
    name = stacks.configuration.name
    shares = role in (f"{name}-host", f"{name}-builder", f"{name}-follower")
    owners = {role, f"{name}-rollouts"} if shares else {role}
    found = [s for t in stacks.both for s in identity_statements(t) if s.owner in owners]
    assert found, f"no role {role}"
    return found


def actions_of(stacks: Stacks, role: str) -> set[str]:
    return {action for s in of_role(stacks, role) for action in s.actions}


def test_every_statement_is_as_reviewed(
    example: Stacks, full: Stacks, overflow: Stacks, code_build: Stacks
) -> None:
    """A change of any statement changes `iam.md`: `python -m tests.infra.iam_table` writes it."""
    table = table_of(example, full, overflow, code_build)
    assert table == SNAPSHOT.read_text(encoding="utf-8")


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


def test_roles_are_passed_only_to_who_needs_them_and_only_those_configured(full: Stacks) -> None:
    passing = [s for t in full.both for s in identity_statements(t) if "iam:PassRole" in s.actions]
    assert {s.owner for s in passing} == {"slipway-stage-rollouts"}
    place, to = "arn:aws:iam::222222222222:role/", "StringEquals iam:PassedToService = "
    tasks = ("shop-execution", "shop-mails-task", "shop-task", "shop-worker")
    assert {s.conditions: s.resources for s in passing} == {
        f"{to}ecs-tasks.amazonaws.com": [
            f"{place}{name}" for name in (*tasks, "slipway-stage-sample-execution")
        ],
        f"{to}events.amazonaws.com": [f"{place}shop-events"],
        f"{to}scheduler.amazonaws.com": [f"{place}shop-scheduler"],
    }


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
        "arn:aws:iam::222222222222:role/slipway-stage-follower, "
        "arn:aws:iam::222222222222:role/platform-engineer",
    }


@pytest.mark.parametrize(("role", "action"), [("source", "GitPull"), ("tip", "GetBranch")])
def test_the_dev_roles_do_one_thing_on_the_configured_repositories(
    full: Stacks, example: Stacks, role: str, action: str
) -> None:
    """And where pipelines have `paths` they compare commits, of those repositories alone."""
    statement, compare = of_role(full, f"slipway-stage-{role}")
    assert statement.actions == [f"codecommit:{action}"]
    # AND submodules are fetched and never asked for their tips
    submodules = {"shop-theme"} if role == "source" else set()
    assert {r.rpartition(":")[2] for r in statement.resources} == {"shop", "blog"} | submodules
    assert compare.actions == ["codecommit:GetDifferences"]
    assert {r.rpartition(":")[2] for r in compare.resources} == {"shop"}
    # BUT without `paths` nothing is compared
    (alone,) = of_role(example, f"{example.configuration.name}-{role}")
    assert alone.actions == [f"codecommit:{action}"]


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
        "ecs:ListTaskDefinitions",
        "ecs:RunTask",
        "ecs:StopTask",
        "secretsmanager:GetSecretValue",
    }
    assert not optional & actions_of(example, "slipway-host")
    assert optional <= actions_of(full, "slipway-stage-host")


@pytest.mark.parametrize("named", ["example", "full"])
def test_the_follower_rolls_out_as_the_host_does_and_can_build_nothing(
    named: str, request: pytest.FixtureRequest
) -> None:
    stacks: Stacks = request.getfixturevalue(named)
    name = stacks.configuration.name
    host, follower = (of_role(stacks, f"{name}-{role}") for role in ("host", "follower"))

    def of_rollouts(statements: list[Statement]) -> list[dict[str, object]]:
        services = ("codedeploy:", "ecs:", "elasticloadbalancing:", "iam:")
        of = [s.raw for s in statements if s.actions[0].startswith((*services, "logs:Get"))]
        return sorted(of, key=lambda raw: str(raw["Sid"]))

    # THEN of ECS, CodeDeploy and balancers each may exactly what the other may, on the same things
    assert of_rollouts(follower) == of_rollouts(host) != []
    # AND the follower fetches nothing, pushes no layer, reads no secret, and touches no host
    may = {action for s in follower for action in s.actions}
    assert {a for a in may if a.startswith("ecr:")} == {"ecr:BatchGetImage", "ecr:PutImage"}
    assert not {a for a in may if a.partition(":")[0] in ("ec2", "s3", "secretsmanager", "ssm")}
    assumed = [r for s in follower if "sts:AssumeRole" in s.actions for r in s.resources]
    assert assumed == [f"arn:aws:iam::111111111111:role/{name}-tip"]


def test_the_follow_queue_is_written_by_whom_it_concerns(full: Stacks) -> None:
    writers = {
        s.owner
        for s in identity_statements(full.prod)
        if "sqs:SendMessage" in s.actions
        and any(r.endswith(":slipway-stage-follow") for r in s.resources)
    }
    assert writers == {
        "slipway-stage-follower",
        "slipway-stage-host",
        "slipway-stage-operate",
        "slipway-stage-reconciler",
    }


def test_who_cancels_writes_the_rows_that_this_takes_and_no_others(full: Stacks) -> None:
    rows: dict[str, list[str]] = {}
    for statement in of_role(full, "slipway-stage-operate"):
        for condition in statement.raw.get("Condition", {}).values():
            for action in statement.actions:
                rows.setdefault(action, []).extend(condition.get("dynamodb:LeadingKeys", []))
    # GIVEN the keys of what `slipway cancel` writes
    written = written_by_cancel()
    # THEN each is allowed
    for action, key in written:
        assert any(fnmatchcase(key, leading) for leading in rows[action]), (action, key)
    # AND what is allowed besides is a host's row: to hold it
    unused = {
        (action, leading)
        for action, keys in rows.items()
        for leading in keys
        if not any(a == action and fnmatchcase(k, leading) for a, k in written)
    }
    assert unused == {("dynamodb:UpdateItem", HOST)}


def test_topics_and_queues_refuse_plain_http(full: Stacks) -> None:
    refusing = {
        (of, s.owner)
        for of, t in enumerate(full.both)
        for s in resource_statements(t)
        if s.raw["Effect"] == "Deny" and s.conditions == "Bool aws:SecureTransport = false"
    }
    every = sum(
        len(resources(t, kind))
        for t in full.both
        for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic")
    )
    assert len(refusing) == every


def test_the_permissions_boundary_is_on_every_role_and_of_its_own_account(full: Stacks) -> None:
    for template, account in ((full.dev, "111111111111"), (full.prod, "222222222222")):
        for role in resources(template, "AWS::IAM::Role").values():
            assert role["PermissionsBoundary"] == (
                f"arn:aws:iam::{account}:policy/platform/slipway-boundary"
            )


OF_THE_SERVICE = ("ec2:CreateN", "ec2:DeleteN", "ec2:DescribeD", "ec2:DescribeN", "ec2:DescribeS",
                  "ec2:DescribeV")  # fmt: skip
"""What CodeBuild does with a builder's role to put it into a VPC: nothing that the agent does."""


@pytest.mark.parametrize("named", ["example", "full", "overflow", "code_build"])
def test_doctor_asks_whether_a_boundary_takes_any_action_that_a_role_has(
    named: str, request: pytest.FixtureRequest
) -> None:
    # GIVEN all that the roles of prod may, but for keys
    stacks: Stacks = request.getfixturevalue(named)
    installation = resolve(stacks.configuration)
    for role, needs in needs_of(installation).items():
        statements = of_role(stacks, role)
        passed_over = ("kms:", *(OF_THE_SERVICE if role.endswith("-builder") else ()))
        may = {a for s in statements for a in s.actions if not a.startswith(passed_over)}
        # THEN that is what doctor has simulated
        assert {action for need in needs for action in need.actions} == may, role
        # AND on resources that those statements are about, where they can be known
        for need in needs:
            if need.on.endswith(("role/x", "i-0123456789abcdef0", "agent.tar", "secret:x-AbCdEf")):
                continue
            for action in need.actions:
                named_ones = [r for s in statements if action in s.actions for r in s.resources]
                assert any(fnmatchcase(need.on, r) for r in named_ones), (action, need.on)


def statement_of(stacks: Stacks, role: str, sid: str) -> Statement:
    (found,) = [s for s in of_role(stacks, role) if s.raw["Sid"] == sid]
    return found


def test_base_images_may_be_pulled_and_not_pushed(full: Stacks) -> None:
    bases = [
        "arn:aws:ecr:eu-central-1:222222222222:repository/base/python",
        "arn:aws:ecr:eu-central-1:333333333333:repository/shared/node",
    ]
    pulling = statement_of(full, "slipway-stage-host", "PullBaseImages")
    assert pulling.resources == bases
    assert set(pulling.actions) == set(PULL)
    for statement in of_role(full, "slipway-stage-host"):
        if "ecr:PutImage" in statement.actions:
            assert not set(bases) & set(statement.resources)


def test_definitions_are_registered_in_the_configured_families_alone(full: Stacks) -> None:
    (statement,) = [
        s for s in of_role(full, "slipway-stage-host") if "ecs:RegisterTaskDefinition" in s.actions
    ]
    families = {r.partition("task-definition/")[2] for r in statement.resources}
    assert families == {
        "shop-mails:*",
        "shop-shell:*",
        "shop-web:*",
        "shop-worker:*",
        "slipway-stage-sample-blog:*",
    }


def test_the_host_uses_the_configured_codedeploy_group_and_looks_for_none(full: Stacks) -> None:
    actions = {a for a in actions_of(full, "slipway-stage-host") if a.startswith("codedeploy:")}
    assert not {a for a in actions if a.startswith("codedeploy:List")}
    (deploying,) = [
        s for s in of_role(full, "slipway-stage-host") if "codedeploy:CreateDeployment" in s.actions
    ]
    assert deploying.resources == [
        "arn:aws:codedeploy:eu-central-1:222222222222:deploymentgroup:shop/worker"
    ]
