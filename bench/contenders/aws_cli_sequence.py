"""ecs-deploy's documented sequence of AWS CLI calls.

Arguments: AWS CLUSTER SERVICE IMAGE [EVERY], AWS being the path of the `aws` command.

Describe the service, describe its task definition, register it with the new image, update the
service, then look every EVERY seconds (10, as ecs-deploy does) until one deployment is left.
"""

import json
import subprocess
import sys
import time

aws, cluster, service, image, *rest = sys.argv[1:]
every = float(rest[0]) if rest else 10.0
ADDED = (
    "compatibilities registeredAt registeredBy requiresAttributes revision status taskDefinitionArn"
)


def ecs(*arguments: str) -> dict:
    """One call of the AWS CLI's `ecs`, answered as JSON."""
    answer = subprocess.run(
        [aws, "ecs", *arguments, "--output", "json"], check=True, capture_output=True
    )
    return json.loads(answer.stdout)


def live() -> dict:
    """The service as it is now."""
    return ecs("describe-services", "--cluster", cluster, "--services", service)["services"][0]


current = live()["taskDefinition"]
definition = ecs("describe-task-definition", "--task-definition", current)["taskDefinition"]
for name in ADDED.split():
    definition.pop(name, None)
definition["containerDefinitions"][0]["image"] = image
registered = ecs("register-task-definition", "--cli-input-json", json.dumps(definition))
new = registered["taskDefinition"]["taskDefinitionArn"]
ecs("update-service", "--cluster", cluster, "--service", service, "--task-definition", new)
while len(live()["deployments"]) != 1:
    time.sleep(every)
