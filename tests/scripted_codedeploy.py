"""A CodeDeploy whose deployments go through their lifecycle by script, beside `scripted_ecs`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.aws.wire import Fault, Json, client_of
from tests.scripted_ecs import CLUSTER, SERVICE, ScriptedEcs

OVER = ("Succeeded", "Failed", "Stopped")
EVENTS = ("BeforeInstall", "Install", "AfterInstall", "AllowTraffic", "AfterAllowTraffic")


def by_codedeploy(ecs: ScriptedEcs) -> ScriptedEcs:
    """Make the service of `ecs` one that CodeDeploy deploys: task sets, no deployments."""
    live = ecs.service["taskDefinition"]
    ecs.service |= {
        "deploymentController": {"type": "CODE_DEPLOY"},
        "loadBalancers": [{"containerName": "web", "containerPort": 8080, "targetGroupArn": "tg"}],
        "platformVersion": "1.4.0",
        "deployments": [],
        "taskSets": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": live}],
    }
    return ecs


@dataclass
class ScriptedCodeDeploy:
    """One application and group that deploy the service of `ecs`.

    `plays`: what happens to the n-th deployment: (seconds, status, lifecycle events that are done,
    whether traffic is at the new task set), in the order of time. `ready_minutes`: how long the
    group waits for a person's word before traffic moves. `services`: those that the group deploys.
    `rollback`: the group's own automatic rollback. `denied`: operations, or names of groups, that
    the caller may not.
    """

    ecs: ScriptedEcs
    plays: list[list[tuple[float, str, int, bool]]] = field(default_factory=list)
    application: str = f"AppECS-{CLUSTER}-{SERVICE}"
    group: str = f"DgpECS-{CLUSTER}-{SERVICE}"
    error: str = ""
    rolls_back: bool = True
    ready_minutes: int | None = None
    services: list[tuple[str, str]] = field(default_factory=lambda: [(CLUSTER, SERVICE)])
    faults: dict[str, Fault] = field(default_factory=dict)
    rollback: Json | None = None
    denied: tuple[str, ...] = ()
    calls: list[tuple[str, Json]] = field(default_factory=list)
    deployments: dict[str, Json] = field(default_factory=dict)

    def client(self) -> Any:
        return client_of("codedeploy", self.handle)

    def made(self, operation: str) -> list[Json]:
        return [parameters for name, parameters in self.calls if name == operation]

    def handle(self, operation: str, parameters: Json) -> Json:
        """Answer one call; raises Fault."""
        self.ecs.advance()
        self.calls.append((operation, parameters))
        self._refuse(operation, parameters)
        if operation in self.faults:
            raise self.faults[operation]
        answer: Json = getattr(self, f"_on_{operation}")(parameters)
        return answer

    def _on_GetDeploymentGroup(self, parameters: Json) -> Json:
        wanted = (parameters["applicationName"], parameters["deploymentGroupName"])
        if wanted != (self.application, self.group):
            raise Fault("DeploymentGroupDoesNotExistException", "No such group")
        pairs = [{"clusterName": c, "serviceName": s} for c, s in self.services]
        own = {"autoRollbackConfiguration": self.rollback} if self.rollback is not None else {}
        last = {"deploymentId": list(self.deployments)[-1]} if self.deployments else None
        own |= {"lastAttemptedDeployment": last} if last is not None else {}
        return {"deploymentGroupInfo": {"ecsServices": pairs, **own}}

    def _refuse(self, operation: str, parameters: Json) -> None:
        about = (operation, parameters.get("deploymentGroupName"))
        if set(about) & set(self.denied):
            text = f"User: x is not authorized to perform: codedeploy:{operation}"
            raise Fault("AccessDeniedException", text)

    def _on_ListApplications(self, _parameters: Json) -> Json:
        return {"applications": [self.application]}

    def _on_ListDeploymentGroups(self, _parameters: Json) -> Json:
        return {"deploymentGroups": [self.group]}

    def _on_CreateDeployment(self, parameters: Json) -> Json:
        """A group has one deployment at a time (API reference, CreateDeployment, errors)."""
        active = [d["id"] for d in self.deployments.values() if d["status"] not in OVER]
        if active:
            text = f"The Deployment Group '{self.group}' already has an active Deployment"
            raise Fault("DeploymentLimitExceededException", f"{text} '{active[0]}'")
        spec = json.loads(parameters["revision"]["appSpecContent"]["content"])
        target = spec["Resources"][0]["TargetService"]["Properties"]["TaskDefinition"]
        started = self._start(target)
        self.deployments[started]["description"] = parameters.get("description", "")
        return {"deploymentId": started}

    def _start(self, target: str) -> str:
        identifier = f"d-{len(self.deployments) + 1:09d}"
        made = {"id": identifier, "status": "Created", "done": 0, "target": target}
        made["before"] = self.ecs.service["taskSets"][0]["taskDefinition"]
        self.deployments[identifier] = made
        for seconds, status, done, shifted in self.plays.pop(0):
            self.ecs.at(seconds, lambda s=status, d=done, t=shifted: self._play(made, s, d, t))
        return identifier

    def _play(self, made: Json, status: str, done: int, shifted: bool) -> None:
        made |= {"status": status, "done": done}
        live = made["target"] if shifted else made["before"]
        self.ecs.service["taskSets"][0]["taskDefinition"] = live
        if status == "Failed" and self.rolls_back:
            made["rollback"] = self._start(made["before"])
            self.deployments[made["rollback"]]["takes_back"] = made["id"]

    def _on_StopDeployment(self, parameters: Json) -> Json:
        made = self.deployments[parameters["deploymentId"]]
        self.ecs.forget_events()
        self._play(made, "Stopped", made["done"], shifted=False)
        return {"status": "Pending"}

    def _on_GetDeployment(self, parameters: Json) -> Json:
        made = self.deployments[parameters["deploymentId"]]
        info: Json = {"deploymentId": made["id"], "status": made["status"]}
        info |= {"description": made["description"]} if made.get("description") else {}
        if self.ready_minutes is not None:
            option = {
                "actionOnTimeout": "STOP_DEPLOYMENT",
                "waitTimeInMinutes": self.ready_minutes,
            }
            info["blueGreenDeploymentConfiguration"] = {"deploymentReadyOption": option}
        if made["status"] == "Failed":
            info["errorInformation"] = {"code": "HEALTH_CONSTRAINTS", "message": self.error}
        if "rollback" in made:
            info["rollbackInfo"] = {"rollbackDeploymentId": made["rollback"]}
        if "takes_back" in made:
            info["rollbackInfo"] = {"rollbackTriggeringDeploymentId": made["takes_back"]}
        return {"deploymentInfo": info}

    def _on_GetDeploymentTarget(self, parameters: Json) -> Json:
        assert parameters["targetId"] == f"{CLUSTER}:{SERVICE}"
        made = self.deployments[parameters["deploymentId"]]
        done = made["done"]
        events = [
            {
                "lifecycleEventName": name,
                "status": "Succeeded" if i < done else "InProgress" if i == done else "Pending",
            }
            for i, name in enumerate(EVENTS)
        ]
        return {"deploymentTarget": {"ecsTarget": {"lifecycleEvents": events}}}
