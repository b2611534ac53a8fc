"""A registry, a cluster and a service of the emulator, with images that really run."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from local import docker as local_docker
from local.docker import Docker as LocalDocker
from local.sample_repository import Release, write_sample
from local.waiting import wait_for, wait_until
from tests.e2e.emulator.world import PROD, Role, World, allow, listener, role_resource

PULL = ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)


SERVE = """\
trap 'exit 0' TERM
/bin/busybox mkdir -p /www
echo "$VERSION $GREETING $1" > /www/index.html
/bin/busybox httpd -f -p 8080 -h /www & wait
"""


DOCKERFILE = """\
FROM scratch
COPY busybox /bin/busybox
COPY serve.sh /serve.sh
ARG version
ENV VERSION=$version
CMD ["/bin/busybox", "sh", "/serve.sh"]
"""


HEALTHY = ["CMD", "/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
HEARD = "heard-of-deployments"
ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


@dataclass(frozen=True)
class Yard:
    """An emulator with Docker, two images there, and a configuration without logins."""

    world: World
    docker: LocalDocker
    directory: Path

    @property
    def registry(self) -> str:
        return self.world.emulator.settings.address

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        config = {"DOCKER_CONFIG": str(self.directory / "docker-config")}
        return subprocess.run(
            [self.docker.client, *arguments],
            env=self.docker.environment(config),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def log_in(self, role: Role) -> None:
        """As the agent does it: the token of the role, at the address that comes with it."""
        answer = role.client("ecr").get_authorization_token()["authorizationData"][0]
        password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")[2]
        address = answer["proxyEndpoint"].removeprefix("http://")
        done = self.run("login", "--username=AWS", "--password-stdin", address, given=password)
        assert done.returncode == 0, done.stderr

    def push(self, image: str, tag: str) -> subprocess.CompletedProcess[str]:
        self.run("tag", image, f"{self.registry}/sample:{tag}")
        return self.run("push", f"{self.registry}/sample:{tag}")


def build_images(yard: Yard) -> None:
    context = yard.directory / "image"
    context.mkdir()
    (context / "busybox").write_bytes(local_docker.provide_busybox().read_bytes())
    (context / "busybox").chmod(0o755)
    (context / "serve.sh").write_text(SERVE)
    (context / "Dockerfile").write_text(DOCKERFILE)
    for version in ("one", "two"):
        tag = f"{yard.registry}/built:{version}"
        done = yard.run("build", f"--build-arg=version={version}", f"--tag={tag}", str(context))
        assert done.returncode == 0, done.stderr


def sample_digest(yard: Yard, release: Release) -> str:
    """The sample application with this release, built and pushed; its digest."""
    name = f"{release.behaviour}-{release.after}"
    context = yard.directory / f"sample-{name}"
    write_sample(context, local_docker.provide_busybox(), release)
    done = yard.run("build", f"--tag={yard.registry}/built:{name}", str(context))
    assert done.returncode == 0, done.stderr
    pushed = yard.push(f"{yard.registry}/built:{name}", name)
    assert pushed.returncode == 0, pushed.stderr
    return pushed.stdout.rpartition("digest: ")[2].split()[0]


def deploy_service(world: World) -> None:
    execution = role_resource("execution", "ecs-tasks.amazonaws.com", allow(*PULL))
    world.deploy(
        "yard",
        {
            "Execution": execution,
            "Images": {
                "Type": "AWS::ECR::Repository",
                "Properties": {
                    "RepositoryName": "sample",
                    "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
                    "ImageTagMutabilityExclusionFilters": [
                        {
                            "ImageTagMutabilityExclusionFilterType": "WILDCARD",
                            "ImageTagMutabilityExclusionFilterValue": "latest",
                        }
                    ],
                },
            },
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "yard"}},
            **listener(HEARD, {"detail-type": ["ECS Deployment State Change"]}),
        },
    )


def register(yard: Yard, image: str, **container: Any) -> str:
    definition = {"name": "app", "image": image, "essential": True, **container}
    registered = yard.world.root("ecs").register_task_definition(
        family="sample",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="128",
        executionRoleArn=f"arn:aws:iam::{PROD}:role/execution",
        containerDefinitions=[{"portMappings": [{"containerPort": 8080}], **definition}],
    )
    return str(registered["taskDefinition"]["taskDefinitionArn"])


def image(yard: Yard, digest: str) -> str:
    return f"{yard.registry}/sample@{digest}"


def tasks(yard: Yard, status: str = "RUNNING") -> list[dict[str, Any]]:
    ecs = yard.world.root("ecs")
    arns = ecs.list_tasks(cluster="yard", serviceName="sample", desiredStatus=status)["taskArns"]
    return list(ecs.describe_tasks(cluster="yard", tasks=arns)["tasks"]) if arns else []


def answers(yard: Yard) -> list[str]:
    """What the running tasks answer over HTTP, at their own addresses."""
    return [answer_of(task) for task in tasks(yard)]


def answer_of(task: dict[str, Any]) -> str:
    """A task's answer; asked again for a while, because one may meet a busy machine."""
    details = [one for attached in task["attachments"] for one in attached["details"]]
    address = [one["value"] for one in details if one["name"] == "privateIPv4Address"]

    def asked() -> str:
        try:
            with urllib.request.urlopen(f"http://{address[0]}:8080/", timeout=2) as answer:
                return answer.read().decode()
        except (OSError, HTTPException, IndexError):
            return ""

    return wait_until(asked, seconds=10)


def roll_out(yard: Yard, definition: str) -> dict[str, Any]:
    """Update the service and follow its deployment, as the rollout does, to its end."""
    ecs = yard.world.root("ecs")
    updated = ecs.update_service(cluster="yard", service="sample", taskDefinition=definition)
    arn = updated["service"]["currentServiceDeployment"]
    return follow(yard, arn)


def follow(yard: Yard, arn: str) -> dict[str, Any]:
    ecs = yard.world.root("ecs")

    def ended() -> dict[str, Any] | None:
        found = ecs.describe_service_deployments(serviceDeploymentArns=[arn])
        deployment = found["serviceDeployments"][0]
        return deployment if deployment["status"] in ENDED else None

    return wait_for("the end of the deployment", ended, seconds=60)


def hear(yard: Yard) -> list[tuple[str, str]]:
    """What EventBridge has told of deployments since the last call: short names and reasons."""
    sqs = yard.world.root("sqs")
    url = sqs.get_queue_url(QueueName=HEARD)["QueueUrl"]
    told: list[tuple[str, str]] = []
    while taken := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in taken:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            detail = json.loads(message["Body"])["detail"]
            told.append((detail["eventName"].removeprefix("SERVICE_DEPLOYMENT_"), detail["reason"]))
    return told


def stopped(yard: Yard, task: str) -> dict[str, Any] | None:
    """The task, once it has stopped."""
    found = yard.world.root("ecs").describe_tasks(cluster="yard", tasks=[task])["tasks"][0]
    return found if found["lastStatus"] == "STOPPED" else None
