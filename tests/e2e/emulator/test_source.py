"""CodeCommit: a push by a person, a fetch by a role, and what a push sets in motion."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.emulator.extension.git_credentials import git_password
from local.waiting import wait_for
from tests.e2e.emulator.world import (
    DEV,
    PROD,
    REGION,
    Role,
    World,
    allow,
    error_code,
    function_resource,
    role_resource,
)

ARN = f"arn:aws:codecommit:{REGION}:{DEV}:sample"
TOPIC = f"arn:aws:sns:{REGION}:{PROD}:pushes"
PUBLISH = """
import json
import boto3

def handler(event, context):
    boto3.client("sns").publish(TopicArn="%s", Message=json.dumps(event))
"""
AUTHOR = {
    "GIT_AUTHOR_NAME": "Alice",
    "GIT_AUTHOR_EMAIL": "alice@example.com",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.com",
}


def publisher_only(logical_role_arn: str) -> dict[str, Any]:
    """The policy that names an account, and its role by a condition."""
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {
            "Topics": [{"Ref": "Pushes"}],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{DEV}:root"},
                        "Action": "sns:Publish",
                        "Resource": {"Ref": "Pushes"},
                        "Condition": {"ArnEquals": {"aws:PrincipalArn": logical_role_arn}},
                    }
                ],
            },
        },
    }


@pytest.fixture(scope="module")
def heard(world: World) -> str:
    """A queue in prod that gets what the repository's trigger publishes across the accounts."""
    prod = world.deploy(
        "pushes",
        {
            "Pushes": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "pushes"}},
            "Policy": publisher_only(f"arn:aws:iam::{DEV}:role/trigger"),
            "Heard": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "pushes"}},
            "Allowed": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Heard"}],
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": "*",
                                "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "Pushes"}}},
                            }
                        ],
                    },
                },
            },
            "Subscription": {
                "Type": "AWS::SNS::Subscription",
                "Properties": {
                    "TopicArn": {"Ref": "Pushes"},
                    "Protocol": "sqs",
                    "Endpoint": {"Fn::GetAtt": ["Heard", "Arn"]},
                    "RawMessageDelivery": True,
                },
            },
        },
    )
    world.deploy(
        "source",
        {
            "Role": role_resource(
                "trigger", "lambda.amazonaws.com", allow("sns:Publish", resource=TOPIC)
            ),
            "Trigger": function_resource("trigger", "Role", PUBLISH % TOPIC),
            "Allowed": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": {"Ref": "Trigger"},
                    "Principal": "codecommit.amazonaws.com",
                    "SourceArn": ARN,
                    "SourceAccount": DEV,
                },
            },
            "Repository": {
                "Type": "AWS::CodeCommit::Repository",
                "DependsOn": "Allowed",
                "Properties": {
                    "RepositoryName": "sample",
                    "Triggers": [
                        {
                            "Name": "pushed",
                            "DestinationArn": {"Fn::GetAtt": ["Trigger", "Arn"]},
                            "Branches": ["main", "prod"],
                            "CustomData": "for slipway",
                            "Events": ["all"],
                        }
                    ],
                },
            },
        },
        DEV,
    )
    return prod["Heard"]


def git(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **AUTHOR,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    return subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def url_for(world: World, user: str, password: str) -> str:
    quoted = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password, safe='')}"
    return f"http://{quoted}@{world.url.removeprefix('http://')}/v1/repos/sample"


@pytest.fixture(scope="module")
def clone(world: World, heard: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Alice's clone."""
    work = tmp_path_factory.mktemp("work") / "sample"
    done = git("clone", url_for(world, "alice", "a:password"), str(work))
    assert done.returncode == 0, done.stderr
    git("checkout", "-b", "main", cwd=work)
    return work


def commit(clone: Path, subject: str) -> str:
    git("commit", "--allow-empty", "-m", subject, cwd=clone)
    return git("rev-parse", "HEAD", cwd=clone).stdout.strip()


def signed(world: World, role: Role) -> str:
    """The remote's address with a role's signature, as CodeCommit's helpers make it."""
    key = role.credentials()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    path = "/v1/repos/sample"
    password = git_password(key["SecretAccessKey"], stamp, REGION, "127.0.0.1", path)
    return url_for(world, f"{key['AccessKeyId']}%{key['SessionToken']}", password)


def test_a_push_reaches_the_other_account_as_one_event_with_every_reference(world, heard, clone):
    # GIVEN a commit on two branches that the trigger asks for, and on one that it does not
    pushed = commit(clone, "first")
    # WHEN all are pushed at once
    done = git("push", "origin", "HEAD:main", "HEAD:prod", "HEAD:other", cwd=clone)
    assert done.returncode == 0, done.stderr
    # THEN one event comes with the two
    record = json.loads(world.receive(heard))["Records"][0]
    assert record["codecommit"]["references"] == [
        {"commit": pushed, "ref": "refs/heads/main", "created": True},
        {"commit": pushed, "ref": "refs/heads/prod", "created": True},
    ]
    assert record["eventSourceARN"] == ARN
    assert record["customData"] == "for slipway"
    assert record["userIdentityARN"] == f"arn:aws:iam::{DEV}:user/alice"
    # AND the API knows the tip
    codecommit = world.root("codecommit", DEV)
    branch = codecommit.get_branch(repositoryName="sample", branchName="main")["branch"]
    assert branch == {"branchName": "main", "commitId": pushed}
    shown = codecommit.get_commit(repositoryName="sample", commitId=pushed)["commit"]
    assert shown["message"].strip() == "first"
    # AND a deleted branch is told as deleted
    git("push", "origin", ":prod", cwd=clone)
    gone = json.loads(world.receive(heard))["Records"][0]["codecommit"]["references"]
    assert gone == [{"commit": pushed, "ref": "refs/heads/prod", "deleted": True}]


def test_a_role_fetches_with_a_signature_and_pushes_only_if_it_may(world, clone, tmp_path):
    # GIVEN a repository with a commit, and a role that may nothing
    commit(clone, "to be fetched")
    git("push", "origin", "HEAD:fetched", cwd=clone)
    role = world.role("source", DEV)
    # WHEN it clones / THEN it is refused
    refused = git("clone", signed(world, role), str(tmp_path / "refused"))
    assert "codecommit:GitPull" in refused.stderr
    # WHEN it may pull / THEN it clones, but cannot push
    role.allow("codecommit:GitPull", resource=ARN)
    work = tmp_path / "work"
    cloned = git("clone", "--branch", "fetched", signed(world, role), str(work))
    assert cloned.returncode == 0, cloned.stderr
    pushed = git("push", "origin", "HEAD:by-role", cwd=work)
    assert "codecommit:GitPush" in pushed.stderr
    # WHEN it may push / THEN it does
    role.allow("codecommit:GitPull", "codecommit:GitPush", resource=ARN)
    assert git("push", signed(world, role), "HEAD:by-role", cwd=work).returncode == 0


def test_a_wrong_password_is_refused(world, heard, tmp_path):
    done = git("clone", url_for(world, "alice", "wrong"), str(tmp_path / "w"))
    assert "Authentication failed" in done.stderr


def test_a_repository_that_is_not_there_is_not_found(world, heard, tmp_path):
    url = url_for(world, "alice", "a:password").replace("/sample", "/other")
    assert "repository other does not exist" in git("clone", url, str(tmp_path / "w")).stderr


def test_the_api_is_under_iam_and_names_what_is_missing(world, heard, clone):
    # GIVEN a role that may read one repository's branches
    role = world.role("tip", DEV)
    role.allow("codecommit:GetBranch", resource=ARN)
    # WHEN / THEN it may, also to learn that a branch is not there
    with pytest.raises(ClientError) as missing:
        role.client("codecommit").get_branch(repositoryName="sample", branchName="none")
    assert error_code(missing.value) == "BranchDoesNotExistException"
    with pytest.raises(ClientError) as refused:
        role.client("codecommit").get_branch(repositoryName="other", branchName="main")
    assert error_code(refused.value) == "AccessDeniedException"


def test_a_trigger_can_be_tested(world, heard, clone):
    # GIVEN the repository's own triggers / WHEN they are tested
    codecommit = world.root("codecommit", DEV)
    triggers = codecommit.get_repository_triggers(repositoryName="sample")["triggers"]
    tested = codecommit.test_repository_triggers(repositoryName="sample", triggers=triggers)
    # THEN the Lambda runs
    assert tested["successfulExecutions"] == ["pushed"]
    record = json.loads(world.receive(heard))["Records"][0]
    assert record["eventTriggerName"] == "pushed"


def test_a_push_is_told_to_eventbridge(world, heard, clone):
    # GIVEN a rule of the dev account with a queue as its target
    sqs, events = world.root("sqs", DEV), world.root("events", DEV)
    queue_url = sqs.create_queue(QueueName="repository-states")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{REGION}:{DEV}:repository-states"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    allowed = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": allowed})
    pattern = {"source": ["aws.codecommit"], "detail": {"referenceName": ["told"]}}
    events.put_rule(Name="told", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="told", Targets=[{"Id": "q", "Arn": queue_arn}])
    # WHEN that branch is pushed
    pushed = commit(clone, "told")
    git("push", "origin", "HEAD:told", cwd=clone)

    # THEN the event is there
    def message() -> dict | None:
        received = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1)
        messages = received.get("Messages") or []
        return json.loads(messages[0]["Body"]) if messages else None

    event = wait_for("the event", message, seconds=10)
    assert event["detail-type"] == "CodeCommit Repository State Change"
    assert event["detail"]["event"] == "referenceCreated"
    assert event["detail"]["commitId"] == pushed


def test_basic_authentication_is_what_git_is_asked_for(world, heard):
    # GIVEN a caller without a name / WHEN it asks / THEN it is told how to sign in
    done = subprocess.run(
        ["git", "ls-remote", f"{world.url}/v1/repos/sample"],
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "could not read Username" in done.stderr
