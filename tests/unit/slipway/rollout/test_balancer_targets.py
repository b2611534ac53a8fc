"""Which target of a balancer a task is, and what is said of one that is not healthy."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rollout.targets import NotAsked, Targets
from tests.scripted_ecs import CLUSTER, PREFIX, Json, ScriptedEcs

GROUP = "arn:aws:elasticloadbalancing:us-east-1:222222222222:targetgroup/web-tg/0123456789abcdef"
INSTANCE = f"{PREFIX}:container-instance/{CLUSTER}/0123456789abcdef0123456789abcdef"
RAW: Json = {
    "clusterArn": f"{PREFIX}:cluster/{CLUSTER}",
    "loadBalancers": [
        {"targetGroupArn": GROUP, "containerName": "web", "containerPort": 8080},
    ],
}


class Asked:
    """What is looked at, by operation; and what was asked for."""

    def __init__(self, **answers: Json) -> None:
        self._answers = answers
        self.asked: list[tuple[str, Json]] = []

    def look(self, operation: str, **parameters: Any) -> Json:
        self.asked.append((operation, parameters))
        return self._answers[operation]


def target(identifier: str, port: int, state: str, **more: str) -> Json:
    return {"Target": {"Id": identifier, "Port": port}, "TargetHealth": {"State": state, **more}}


def on_instance(port: int) -> Json:
    binding = {"containerPort": 8080, "hostPort": port}
    proxy = {"name": "proxy", "networkBindings": [{"containerPort": 8080, "hostPort": 1}]}
    return {
        "taskArn": f"task/{port}",
        "containerInstanceArn": INSTANCE,
        "containers": [proxy, {"name": "web", "networkBindings": [binding]}],
    }


def with_address(address: str) -> Json:
    """As ECS shows a task of awsvpc whose attachments are not there (yet)."""
    return {
        "taskArn": f"task/{address}",
        "containers": [{"name": "web", "networkInterfaces": [{"privateIpv4Address": address}]}],
    }


def missing(tasks: list[Json], *targets: Json, raw: Json = RAW) -> dict[str, str]:
    instances = {"containerInstances": [
        {"containerInstanceArn": INSTANCE, "ec2InstanceId": "i-1"}
    ]}  # fmt: skip
    ecs = Asked(describe_container_instances=instances)
    balancing = Asked(describe_target_health={"TargetHealthDescriptions": list(targets)})
    return Targets(ecs, balancing, raw).missing(tasks)  # type: ignore[arg-type]


def test_a_task_without_an_address_is_known_by_its_instance_and_host_port() -> None:
    tasks = [on_instance(32768), on_instance(32769)]

    # the same port of another instance is another task's
    seen = [target("i-1", 32768, "healthy"), target("i-2", 32769, "healthy")]
    assert missing(tasks, *seen) == {"task/32769": "target i-1:32769 of web-tg is not registered"}
    assert missing(tasks, *seen, target("i-1", 32769, "healthy")) == {}


def test_what_a_balancer_says_of_a_target_is_passed_on() -> None:
    why = "Health checks failed with these codes: [502]"
    seen = target("10.0.0.1", 8080, "unhealthy", Description=why)
    assert missing([with_address("10.0.0.1")], seen) == {
        "task/10.0.0.1": f"target 10.0.0.1:8080 of web-tg is unhealthy ({why})"
    }


def test_every_target_group_of_a_service_must_find_a_task_healthy() -> None:
    second = RAW["loadBalancers"][0] | {"containerPort": 9090}
    raw = RAW | {"loadBalancers": [*RAW["loadBalancers"], second]}
    healthy = target("10.0.0.1", 8080, "healthy")

    assert "10.0.0.1:9090 of web-tg is not registered" in str(
        missing([with_address("10.0.0.1")], healthy, raw=raw)
    )
    both = (healthy, target("10.0.0.1", 9090, "healthy"))
    assert missing([with_address("10.0.0.1")], *both, raw=raw) == {}


@pytest.mark.parametrize(
    ("balancers", "says"),
    [
        ([{"loadBalancerName": "old", "containerName": "web", "containerPort": 80}], "Classic"),
        ([], "VPC Lattice"),
    ],
)
def test_balancers_of_other_kinds_are_not_guessed_about(balancers: list[Json], says: str) -> None:
    with pytest.raises(NotAsked, match=says):
        missing([with_address("10.0.0.1")], raw=RAW | {"loadBalancers": balancers})


def test_the_clients_are_real_ones() -> None:
    # GIVEN a service's task behind the scripted balancer, asked by botocore's own client
    scripted = ScriptedEcs(targets=lambda _task: "draining")
    (task,) = [t for t in _running(scripted) if t["taskDefinitionArn"].endswith("web:7")]
    answer = scripted.client("elbv2").describe_target_health(TargetGroupArn=GROUP)

    # THEN its form is what is read
    (described,) = answer["TargetHealthDescriptions"]
    assert described["Target"]["Id"] == task["attachments"][0]["details"][0]["value"]
    assert described["TargetHealth"]["State"] == "draining"


def _running(scripted: ScriptedEcs) -> list[Json]:
    scripted.advance()
    return [t for t in scripted.tasks if t["lastStatus"] == "RUNNING"]
