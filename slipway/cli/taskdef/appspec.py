"""The AppSpec that `slipway taskdef` writes: its load balancer, its hooks, whose file it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.contracts.errors import WrongUse
from slipway.rollout.codedeploy import HOOKS
from slipway.rollout.service import Service
from slipway.rollout.taskdef import Definition

_MARK = "# Written by slipway taskdef, which leaves this file alone once it is changed: "
_FUNCTION = re.compile(
    r"[A-Za-z0-9_-]{1,64}"
    r"|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]+)?"
)
_UNMARKED = re.compile(
    r"version: 0\.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n"
    r"      Properties:\n        TaskDefinition: <TASK_DEFINITION>\n        LoadBalancerInfo:\n"
    r'          ContainerName: "[^"\n]*"\n          ContainerPort: \d+\n'
    r'(        PlatformVersion: "[^"\n]*"\n)?'
)
"""All that the versions before wrote, without a mark."""


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """The container and port that traffic goes to."""

    container: str
    port: int


def load_balancer_of(
    given: str | None, service: Service | None, request: Definition
) -> LoadBalancer:
    """Where traffic goes: as given, else as the service has it."""
    if given is not None:
        name, _, port = given.rpartition(":")
        names = [container["name"] for container in request["containerDefinitions"]]
        if name not in names or not port.isdigit():
            raise WrongUse(
                f"--load-balancer {given!r}: must be NAME:PORT with one of {', '.join(names)}"
            )
        return LoadBalancer(container=name, port=int(port))
    raw = service.raw if service is not None else {}
    sets = [entry.get("loadBalancers") for entry in raw.get("taskSets") or []]
    for balancers in (raw.get("loadBalancers"), *sets):
        if balancers and balancers[0].get("containerName"):
            first = balancers[0]
            return LoadBalancer(container=first["containerName"], port=first["containerPort"])
    raise WrongUse(
        "no load balancer is known for appspec.yaml: "
        "give --load-balancer NAME:PORT, or --no-appspec"
    )


def hooks_of(given: Iterable[str]) -> dict[str, str]:
    """Lifecycle event to Lambda function, of `EVENT=FUNCTION`; WrongUse for what is none."""
    hooks: dict[str, str] = {}
    for item in given:
        event, _, function = item.partition("=")
        if event not in HOOKS:
            raise WrongUse(f"--hook {item!r}: {event!r} is not one of {', '.join(HOOKS)}")
        if _FUNCTION.fullmatch(function) is None:
            raise WrongUse(f"--hook {item!r}: must be EVENT=FUNCTION, a Lambda's name or ARN")
        if event in hooks:
            raise WrongUse(f"--hook {item!r}: {event} is given twice")
        hooks[event] = function
    return {event: hooks[event] for event in HOOKS if event in hooks}


def appspec_yaml(
    balancer: LoadBalancer,
    platform_version: str | None = None,
    hooks: Mapping[str, str] | None = None,
) -> str:
    """The AppSpec that CodePipeline's blue/green action takes; it fills in `<TASK_DEFINITION>`.

    Source: AWS CodePipeline user guide, 'Amazon ECS and CodeDeploy blue-green action reference'.
    """
    lines = [
        "version: 0.0",
        "Resources:",
        "  - TargetService:",
        "      Type: AWS::ECS::Service",
        "      Properties:",
        "        TaskDefinition: <TASK_DEFINITION>",
        "        LoadBalancerInfo:",
        f"          ContainerName: {json.dumps(balancer.container)}",
        f"          ContainerPort: {balancer.port}",
    ]
    if platform_version:
        lines.append(f"        PlatformVersion: {json.dumps(platform_version)}")
    if hooks:
        lines.append("Hooks:")
        lines += [f"  - {event}: {json.dumps(function)}" for event, function in hooks.items()]
    return _marked("\n".join(lines) + "\n")


def is_ours(text: str) -> bool:
    """Whether `slipway taskdef` wrote this AppSpec, and nobody has changed it since."""
    first, _, rest = text.partition("\n")
    if first.startswith(_MARK):
        return text == _marked(rest)
    return _UNMARKED.fullmatch(text) is not None


def _marked(text: str) -> str:
    return f"{_MARK}{hashlib.sha256(text.encode()).hexdigest()[:16]}\n{text}"
