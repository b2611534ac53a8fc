"""Whether a balancer finds a service's tasks healthy: the targets that the tasks are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from slipway.rollout.api import Api
from slipway.rollout.tasks import PER_CALL

Target = tuple[str, int]
"""What a target group knows a task's port by: its address or its instance's id, and the port."""


class NotAsked(Exception):
    """The balancer is of a kind whose targets are not asked for; the text says which."""


class Targets:
    """The targets of one service's tasks. `raw`: the service as DescribeServices has it."""

    def __init__(self, ecs: Api, balancing: Api, raw: Mapping[str, Any]) -> None:
        self._ecs = ecs
        self._balancing = balancing
        self._raw = raw

    def missing(self, tasks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Task ARN to what its target is not healthy for; a task whose targets all are is absent.

        Raises NotAsked, and what `Api.look` raises.
        """
        tasks = list(tasks)
        instances = self._instances(tasks)
        found: dict[str, str] = {}
        for balancer in self._raw.get("loadBalancers") or []:
            group = balancer.get("targetGroupArn")
            if not group:
                raise NotAsked("a Classic load balancer does not tell which tasks are in service")
            health = self._health(group)
            for task in tasks:
                why = _why_not(target_of(task, balancer, instances), health, group)
                if why is not None:
                    found.setdefault(str(task["taskArn"]), why)
        if not self._raw.get("loadBalancers"):
            raise NotAsked("VPC Lattice is not asked which tasks are healthy")
        return found

    def _health(self, group: str) -> dict[Target, Mapping[str, Any]]:
        answer = self._balancing.look("describe_target_health", TargetGroupArn=group)
        return {
            (t["Target"]["Id"], int(t["Target"].get("Port") or 0)): t.get("TargetHealth") or {}
            for t in answer.get("TargetHealthDescriptions") or []
        }

    def _instances(self, tasks: list[Mapping[str, Any]]) -> dict[str, str]:
        """Container instance's ARN to EC2's id, for tasks that have no address of their own."""
        without = (t.get("containerInstanceArn") for t in tasks if _address(t) is None)
        arns = sorted({str(arn) for arn in without if arn})
        ids: dict[str, str] = {}
        for start in range(0, len(arns), PER_CALL):
            answer = self._ecs.look(
                "describe_container_instances",
                cluster=self._raw["clusterArn"],
                containerInstances=arns[start : start + PER_CALL],
            )
            for instance in answer.get("containerInstances") or []:
                ids[instance["containerInstanceArn"]] = instance.get("ec2InstanceId") or ""
        return ids


def target_of(
    task: Mapping[str, Any], balancer: Mapping[str, Any], instances: Mapping[str, str]
) -> Target | None:
    """The target that `balancer` (an entry of `loadBalancers`) has for a task; None: not known."""
    port = int(balancer.get("containerPort") or 0)
    address = _address(task)
    if address is not None:
        return (address, port)
    instance = instances.get(task.get("containerInstanceArn") or "")
    for container in task.get("containers") or []:
        if container.get("name") == balancer.get("containerName"):
            for binding in container.get("networkBindings") or []:
                if binding.get("containerPort") == port and binding.get("hostPort") and instance:
                    return (instance, int(binding["hostPort"]))
    return None


def _address(task: Mapping[str, Any]) -> str | None:
    """The private address of a task that has a network interface of its own (awsvpc)."""
    for attachment in task.get("attachments") or []:
        if attachment.get("type") == "ElasticNetworkInterface":
            for detail in attachment.get("details") or []:
                if detail.get("name") == "privateIPv4Address":
                    return str(detail["value"])
    for container in task.get("containers") or []:
        for interface in container.get("networkInterfaces") or []:
            if interface.get("privateIpv4Address"):
                return str(interface["privateIpv4Address"])
    return None


def _why_not(
    target: Target | None, health: Mapping[Target, Mapping[str, Any]], group: str
) -> str | None:
    name = group.rpartition(":targetgroup/")[2].partition("/")[0] or group
    if target is None:
        return f"its target in {name} is not known"
    found = health.get(target)
    said = f"target {target[0]}:{target[1]} of {name}"
    if found is None:
        return f"{said} is not registered"
    if found.get("State") == "healthy":
        return None
    why = found.get("Description") or found.get("Reason") or ""
    return f"{said} is {found.get('State') or 'in no known state'}" + (f" ({why})" if why else "")
