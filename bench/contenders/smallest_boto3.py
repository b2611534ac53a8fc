"""The smallest boto3 script that deploys an image. Arguments: CLUSTER SERVICE IMAGE."""

import sys

import boto3

cluster, service, image = sys.argv[1:]
ecs = boto3.client("ecs")
live = ecs.describe_services(cluster=cluster, services=[service])["services"][0]
described = ecs.describe_task_definition(taskDefinition=live["taskDefinition"], include=["TAGS"])
accepted = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
definition = {k: v for k, v in described["taskDefinition"].items() if k in accepted}
definition["containerDefinitions"][0]["image"] = image
new = ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
ecs.update_service(cluster=cluster, service=service, taskDefinition=new)
ecs.describe_services(cluster=cluster, services=[service])
