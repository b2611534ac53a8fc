"""IAM is enforced on every call that the pipeline makes: a role that may nothing can do nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.emulator.world import DENIED, DEV, PROD, REGION, Role, World, error_code, trust

PREFIX = f"{REGION}:{PROD}"
QUEUE = "probe"
TABLE = "probe"
KEY = {"pk": {"S": "a"}}
SERVICE_DEPLOYMENT = f"arn:aws:ecs:{PREFIX}:service-deployment/c/s/x"
QUEUE_ARN = f"arn:aws:sqs:{PREFIX}:{QUEUE}"
TOPIC_ARN = f"arn:aws:sns:{PREFIX}:probe"
BATCH = [{"Id": "a", "ReceiptHandle": "x", "VisibilityTimeout": 1}]

# (service, operation, arguments); the queue's URL is put in by the test.
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("sns", "publish", {"TopicArn": TOPIC_ARN, "Message": "x"}),
    ("sns", "list_subscriptions_by_topic", {"TopicArn": TOPIC_ARN}),
    ("sqs", "receive_message", {"QueueUrl": QUEUE}),
    ("sqs", "send_message", {"QueueUrl": QUEUE, "MessageBody": "x"}),
    ("sqs", "delete_message", {"QueueUrl": QUEUE, "ReceiptHandle": "x"}),
    (
        "sqs",
        "delete_message_batch",
        {"QueueUrl": QUEUE, "Entries": [{"Id": "a", "ReceiptHandle": "x"}]},
    ),
    (
        "sqs",
        "change_message_visibility",
        {"QueueUrl": QUEUE, "ReceiptHandle": "x", "VisibilityTimeout": 0},
    ),
    ("sqs", "change_message_visibility_batch", {"QueueUrl": QUEUE, "Entries": BATCH}),
    ("sqs", "get_queue_attributes", {"QueueUrl": QUEUE}),
    ("sqs", "get_queue_url", {"QueueName": QUEUE}),
    ("sqs", "start_message_move_task", {"SourceArn": QUEUE_ARN}),
    ("sqs", "list_message_move_tasks", {"SourceArn": QUEUE_ARN}),
    ("dynamodb", "get_item", {"TableName": TABLE, "Key": KEY}),
    ("dynamodb", "put_item", {"TableName": TABLE, "Item": KEY}),
    ("dynamodb", "update_item", {"TableName": TABLE, "Key": KEY}),
    ("dynamodb", "delete_item", {"TableName": TABLE, "Key": KEY}),
    (
        "dynamodb",
        "query",
        {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": "a"}},
        },
    ),
    ("dynamodb", "scan", {"TableName": TABLE}),
    ("dynamodb", "batch_write_item", {"RequestItems": {TABLE: [{"PutRequest": {"Item": KEY}}]}}),
    ("dynamodb", "batch_get_item", {"RequestItems": {TABLE: {"Keys": [KEY]}}}),
    (
        "dynamodb",
        "transact_write_items",
        {"TransactItems": [{"Put": {"TableName": TABLE, "Item": KEY}}]},
    ),
    ("ec2", "describe_instances", {}),
    ("ec2", "start_instances", {"InstanceIds": ["i-12345678"]}),
    ("ec2", "stop_instances", {"InstanceIds": ["i-12345678"]}),
    ("ecs", "describe_services", {"cluster": "c", "services": ["s"]}),
    ("ecs", "update_service", {"cluster": "c", "service": "s"}),
    (
        "ecs",
        "register_task_definition",
        {"family": "f", "containerDefinitions": [{"name": "a", "image": "b"}]},
    ),
    ("ecs", "describe_task_definition", {"taskDefinition": "f"}),
    ("ecs", "deregister_task_definition", {"taskDefinition": "f:1"}),
    ("ecs", "list_task_definitions", {}),
    ("ecs", "describe_tasks", {"cluster": "c", "tasks": ["x"]}),
    ("ecs", "list_tasks", {"cluster": "c"}),
    ("ecs", "run_task", {"cluster": "c", "taskDefinition": "f"}),
    ("ecs", "stop_task", {"cluster": "c", "task": "x"}),
    ("ecs", "list_service_deployments", {"cluster": "c", "service": "s"}),
    (
        "ecs",
        "describe_service_deployments",
        {"serviceDeploymentArns": [SERVICE_DEPLOYMENT]},
    ),
    (
        "ecs",
        "describe_service_revisions",
        {"serviceRevisionArns": [f"arn:aws:ecs:{PREFIX}:service-revision/c/s/x"]},
    ),
    ("ecs", "stop_service_deployment", {"serviceDeploymentArn": SERVICE_DEPLOYMENT}),
    (
        "ecs",
        "tag_resource",
        {
            "resourceArn": f"arn:aws:ecs:{PREFIX}:service/c/s",
            "tags": [{"key": "a", "value": "b"}],
        },
    ),
    ("ecr", "get_authorization_token", {}),
    ("ecr", "describe_images", {"repositoryName": "probe"}),
    ("ecr", "batch_get_image", {"repositoryName": "probe", "imageIds": [{"imageTag": "x"}]}),
    ("ecr", "put_image", {"repositoryName": "probe", "imageManifest": "{}"}),
    (
        "logs",
        "put_log_events",
        {
            "logGroupName": "g",
            "logStreamName": "s",
            "logEvents": [{"timestamp": 1, "message": "x"}],
        },
    ),
    ("logs", "create_log_stream", {"logGroupName": "g", "logStreamName": "s"}),
    ("logs", "filter_log_events", {"logGroupName": "g"}),
    ("logs", "get_log_events", {"logGroupName": "g", "logStreamName": "s"}),
    ("ssm", "get_parameter", {"Name": "/x"}),
    ("ssm", "put_parameter", {"Name": "/x", "Value": "x", "Type": "SecureString"}),
    (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{PROD}:role/nobody", "RoleSessionName": "xx"},
    ),
    ("lambda", "invoke", {"FunctionName": "f"}),
    (
        "lambda",
        "put_function_concurrency",
        {"FunctionName": "f", "ReservedConcurrentExecutions": 1},
    ),
    (
        "cloudwatch",
        "put_metric_data",
        {"Namespace": "N", "MetricData": [{"MetricName": "m", "Value": 1}]},
    ),
    ("cloudwatch", "describe_alarms", {}),
    ("events", "put_events", {"Entries": [{"Source": "x", "DetailType": "y", "Detail": "{}"}]}),
    ("codebuild", "start_build", {"projectName": "probe"}),
    ("codebuild", "stop_build", {"id": "probe:1"}),
    ("codebuild", "batch_get_builds", {"ids": ["probe:1"]}),
    ("codebuild", "list_builds_for_project", {"projectName": "probe"}),
    ("codecommit", "get_branch", {"repositoryName": "probe", "branchName": "b"}),
    ("kms", "decrypt", {"CiphertextBlob": b"x"}),
    ("kms", "generate_data_key", {"KeyId": "alias/x", "KeySpec": "AES_256"}),
    ("s3", "get_object", {"Bucket": "bucket", "Key": "k"}),
    ("s3", "list_objects_v2", {"Bucket": "bucket"}),
    ("cloudformation", "describe_stacks", {"StackName": "s"}),
]


@pytest.fixture(scope="module")
def nobody(world: World) -> dict[str, Any]:
    """Clients, by service, of a role without any permission, in a world with things to touch."""
    world.root("sqs").create_queue(QueueName=QUEUE)
    world.root("sns").create_topic(Name="probe")
    world.root("s3").create_bucket(Bucket="bucket")
    world.root("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    role = world.role("nobody")
    return {service: role.client(service) for service in {call[0] for call in CALLS}}


@pytest.mark.parametrize(
    ("service", "operation", "arguments"), CALLS, ids=[f"{call[0]}-{call[1]}" for call in CALLS]
)
def test_without_a_permission_the_call_is_refused(world, nobody, service, operation, arguments):
    # GIVEN a role that may nothing
    if "QueueUrl" in arguments:
        arguments = {**arguments, "QueueUrl": f"{world.url}/{PROD}/{QUEUE}"}
    # WHEN it calls / THEN it is refused
    with pytest.raises(ClientError) as refused:
        getattr(nobody[service], operation)(**arguments)
    assert error_code(refused.value) in DENIED


@pytest.fixture
def role(world: World, request: pytest.FixtureRequest) -> Role:
    return world.role(f"role-{abs(hash(request.node.name)) % 10**9}")


def test_a_batch_is_allowed_by_the_single_action(world, nobody, role):
    # GIVEN a role that may delete messages
    role.allow("sqs:DeleteMessage", resource=QUEUE_ARN)
    # WHEN it deletes a batch / THEN it may, as in AWS
    answer = role.client("sqs").delete_message_batch(
        QueueUrl=f"{world.url}/{PROD}/{QUEUE}", Entries=[{"Id": "a", "ReceiptHandle": "x"}]
    )
    assert "ResponseMetadata" in answer


def test_a_topic_of_a_template_lets_nobody_publish_by_itself(world, role):
    # GIVEN a topic that a template made, without a policy
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "made"}}
    world.deploy("topic", {"Topic": topic})
    arn = f"arn:aws:sns:{PREFIX}:made"
    # WHEN a role publishes / THEN it may not, until its own policy says so
    with pytest.raises(ClientError) as refused:
        role.client("sns").publish(TopicArn=arn, Message="x")
    assert error_code(refused.value) in DENIED
    role.allow("sns:Publish", resource=arn)
    role.client("sns").publish(TopicArn=arn, Message="x")


def test_roles_and_tags_of_a_task_definition_need_their_own_permissions(world, role):
    # GIVEN a role that may register definitions, and a role to hand over
    passed = world.role(f"{role.name}-passed").arn
    definition = {
        "family": "f",
        "containerDefinitions": [{"name": "a", "image": "b"}],
        "executionRoleArn": passed,
        "tags": [{"key": "a", "value": "b"}],
    }
    family = f"arn:aws:ecs:{PREFIX}:task-definition/f:*"
    # WHEN it registers one with a role / THEN PassRole is missing
    role.allow("ecs:RegisterTaskDefinition", resource=family)
    with pytest.raises(ClientError, match="iam:PassRole"):
        role.client("ecs").register_task_definition(**definition)
    # WHEN it may pass the role / THEN TagResource is missing
    role.allow("ecs:RegisterTaskDefinition", "iam:PassRole")
    with pytest.raises(ClientError, match="ecs:TagResource"):
        role.client("ecs").register_task_definition(**definition)
    # WHEN it may all / THEN it does
    role.allow("ecs:RegisterTaskDefinition", "iam:PassRole", "ecs:TagResource")
    registered = role.client("ecs").register_task_definition(**definition)
    assert registered["taskDefinition"]["family"] == "f"


def test_a_service_is_named_by_its_own_arn(world, role):
    # GIVEN a role that may read one service
    world.root("ecs").create_cluster(clusterName="named")
    role.allow("ecs:DescribeServices", resource=f"arn:aws:ecs:{PREFIX}:service/named/mine")
    ecs = role.client("ecs")
    # WHEN / THEN it reads that one alone
    assert ecs.describe_services(cluster="named", services=["mine"])["services"] == []
    for services in (["other"], ["mine", "other"]):
        with pytest.raises(ClientError) as refused:
            ecs.describe_services(cluster="named", services=services)
        assert error_code(refused.value) == "AccessDeniedException"


def test_an_image_repository_is_named_by_its_own_arn(world, role):
    # GIVEN two repositories, and a role that may look at one
    for name in ("mine", "theirs"):
        world.root("ecr").create_repository(repositoryName=name)
    role.allow("ecr:DescribeRepositories", resource=f"arn:aws:ecr:{PREFIX}:repository/mine")
    # WHEN it looks at each / THEN it may at its own
    ecr = role.client("ecr")
    assert ecr.describe_repositories(repositoryNames=["mine"])["repositories"]
    with pytest.raises(ClientError) as refused:
        ecr.describe_repositories(repositoryNames=["theirs"])
    assert error_code(refused.value) in DENIED


def test_a_condition_on_the_cluster_holds(world, role):
    # GIVEN a role that may list the tasks of one cluster
    for name in ("seen", "unseen"):
        world.root("ecs").create_cluster(clusterName=name)
    condition = {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:{PREFIX}:cluster/seen"}}
    role.allow("ecs:ListTasks", condition=condition)
    # WHEN / THEN
    assert role.client("ecs").list_tasks(cluster="seen")["taskArns"] == []
    with pytest.raises(ClientError) as refused:
        role.client("ecs").list_tasks(cluster="unseen")
    assert error_code(refused.value) == "AccessDeniedException"


def test_a_condition_on_the_namespace_holds(role):
    # GIVEN a role that may write one namespace's metrics
    condition = {"StringEquals": {"cloudwatch:namespace": "Slipway"}}
    role.allow("cloudwatch:PutMetricData", condition=condition)
    metric = [{"MetricName": "m", "Value": 1.0}]
    # WHEN / THEN
    role.client("cloudwatch").put_metric_data(Namespace="Slipway", MetricData=metric)
    with pytest.raises(ClientError) as refused:
        role.client("cloudwatch").put_metric_data(Namespace="Other", MetricData=metric)
    assert error_code(refused.value) in DENIED


def test_every_instance_of_a_call_is_looked_at(world, role):
    # GIVEN a role that may start one instance
    ec2 = world.root("ec2")
    ids = [
        ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0][
            "InstanceId"
        ]
        for _ in range(2)
    ]
    role.allow("ec2:StartInstances", resource=f"arn:aws:ec2:{PREFIX}:instance/{ids[0]}")
    # WHEN it starts both / THEN it is refused
    role.client("ec2").start_instances(InstanceIds=ids[:1])
    with pytest.raises(ClientError) as refused:
        role.client("ec2").start_instances(InstanceIds=ids)
    assert error_code(refused.value) == "UnauthorizedOperation"


def test_a_trust_policy_may_name_a_role_by_a_condition(world, role):
    # GIVEN a role of the dev account that trusts the prod account for one role of it
    trusted = trust(
        {"AWS": f"arn:aws:iam::{PROD}:root"}, {"ArnEquals": {"aws:PrincipalArn": role.arn}}
    )
    target = f"{role.name}-source"
    world.root("iam", DEV).create_role(
        RoleName=target, AssumeRolePolicyDocument=json.dumps(trusted)
    )
    arn = f"arn:aws:iam::{DEV}:role/{target}"
    other = world.role(f"{role.name}-other")
    for taker in (role, other):
        taker.allow("sts:AssumeRole", resource=arn)
    # WHEN / THEN that role may take it, another of the same account may not
    taken = role.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
    assert taken["AssumedRoleUser"]["Arn"].startswith(f"arn:aws:sts::{DEV}:assumed-role/{target}/")
    with pytest.raises(ClientError) as refused:
        other.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
    assert error_code(refused.value) == "AccessDenied"
