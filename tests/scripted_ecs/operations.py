"""The operations of a scripted ECS, and the clients that reach it."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from typing import Any

from tests.aws.wire import Fault, Json, client_of, served
from tests.scripted_ecs.behaviours import becomes_healthy, rolls_back
from tests.scripted_ecs.state import CLUSTER, PREFIX, EcsState


class ScriptedEcs(EcsState):
    """Answers calls from its state; what it holds and takes is said at `EcsState`."""

    def handle(self, operation: str, parameters: Json) -> Json:
        """Answer one call; raises Fault."""
        with self._lock:
            self.advance()
            self.attempts += 1
            if self.throttled(self.attempts):
                raise Fault("ThrottlingException", "Rate exceeded")
            self.calls.append((operation, parameters))
            if operation in self.faults:
                raise self.faults[operation]
            return getattr(self, f"_on_{operation}")(parameters)

    def _on_DescribeServices(self, parameters: Json) -> Json:
        if parameters.get("cluster", "default").rpartition("/")[2] != CLUSTER:
            raise Fault("ClusterNotFoundException", "Cluster not found.")
        known = {s["serviceName"]: s for s in (self._seen_service(), *self.others)}
        found, failures = [], []
        for wanted in parameters["services"]:
            name = wanted.rpartition("/")[2]
            if name in known:
                found.append(known[name])
            else:
                failures.append({"arn": f"{PREFIX}:service/{CLUSTER}/{name}", "reason": "MISSING"})
        return {"services": copy.deepcopy(found), "failures": failures}

    def _seen_service(self) -> Json:
        if self._before is not None and self.clock.now() - self._before[0] < self.stale:
            return self._before[1]
        return self.service

    def _on_ListServices(self, _parameters: Json) -> Json:
        return {"serviceArns": [s["serviceArn"] for s in (self.service, *self.others)]}

    def _on_DescribeTaskDefinition(self, parameters: Json) -> Json:
        arn = self._resolve(parameters["taskDefinition"])
        answer = {"taskDefinition": copy.deepcopy(self.definitions[arn])}
        if "TAGS" in parameters.get("include", []):
            answer["tags"] = copy.deepcopy(self.definition_tags.get(arn, []))
        return answer

    def _resolve(self, name: str) -> str:
        short = name.rpartition("task-definition/")[2]
        family, _, number = short.partition(":")
        arns = [a for a in self.definitions if a.rpartition("/")[2].partition(":")[0] == family]
        for arn in arns:
            if number and arn.endswith(f"/{family}:{number}"):
                return arn
        if number or not arns:
            raise Fault("ClientException", "Unable to describe task definition.")
        return max(arns, key=lambda a: int(a.rpartition(":")[2]))

    def _on_RegisterTaskDefinition(self, parameters: Json) -> Json:
        arn = self.add_definition(parameters)
        return {"taskDefinition": copy.deepcopy(self.definitions[arn])}

    def _on_DeregisterTaskDefinition(self, parameters: Json) -> Json:
        arn = self._resolve(parameters["taskDefinition"])
        self.definitions[arn]["status"] = "INACTIVE"
        return {"taskDefinition": copy.deepcopy(self.definitions[arn])}

    def _on_ListTaskDefinitions(self, parameters: Json) -> Json:
        prefix = parameters.get("familyPrefix", "")
        arns = [
            a
            for a, d in self.definitions.items()
            if d["status"] == "ACTIVE" and d["family"].startswith(prefix)
        ]
        return {"taskDefinitionArns": arns}

    def _on_UpdateService(self, parameters: Json) -> Json:
        arn = self._resolve(parameters.get("taskDefinition", self.service["taskDefinition"]))
        self._before = (self.clock.now(), copy.deepcopy(self.service))
        if "desiredCount" in parameters:
            self.service["desiredCount"] = parameters["desiredCount"]
        self.service["deploymentConfiguration"] |= parameters.get("deploymentConfiguration", {})
        if arn != self.service["taskDefinition"] or parameters.get("forceNewDeployment"):
            self.start_deployment(arn)
        self.advance()
        return {"service": copy.deepcopy(self.service)}

    def start_deployment(self, arn: str) -> Json:
        """What UpdateService starts; also for somebody else's deployment."""
        is_first = len(self.made("UpdateService")) == 1 or arn not in self._older()
        for old in self.service["deployments"]:
            old["status"] = "ACTIVE"
        new = self.make_deployment(arn)
        self.service["deployments"].insert(0, new)
        self.service["taskDefinition"] = arn
        if self.history:
            self.make_service_deployment(new)
        older = self.older_behaviour or becomes_healthy(2.0)
        behaviour = self.behaviour if is_first and self.behaviour else older
        self.behaviour = None if is_first else self.behaviour
        behaviour(self, new)
        return new

    def _older(self) -> list[str]:
        return list(self.definitions)[:3]

    def _on_ListServiceDeployments(self, _parameters: Json) -> Json:
        shown = self.service_deployments.values() if self.history else ()
        briefs = [
            {
                "serviceDeploymentArn": d["serviceDeploymentArn"],
                "status": d["status"],
                "createdAt": d["createdAt"],
                "targetServiceRevisionArn": d["targetServiceRevision"]["arn"],
            }
            for d in shown
        ]
        return {"serviceDeployments": list(reversed(briefs))}

    def _on_DescribeServiceDeployments(self, parameters: Json) -> Json:
        arns = parameters["serviceDeploymentArns"]
        known = self.service_deployments if self.history else {}
        return {"serviceDeployments": copy.deepcopy([known[a] for a in arns if a in known])}

    def _on_DescribeServiceRevisions(self, parameters: Json) -> Json:
        arns = parameters["serviceRevisionArns"]
        known = self.revisions if self.history else {}
        return {"serviceRevisions": copy.deepcopy([known[a] for a in arns if a in known])}

    def _on_StopServiceDeployment(self, parameters: Json) -> Json:
        mine = self.service_deployments[parameters["serviceDeploymentArn"]]
        if mine["status"] not in ("PENDING", "IN_PROGRESS"):
            raise Fault("ConflictException", "The deployment cannot be stopped.")
        mine["status"] = "ROLLBACK_REQUESTED"
        number = mine["serviceDeploymentArn"].rpartition("-")[2]
        deployment = self.deployment(f"ecs-svc/{number}")
        assert deployment is not None
        self.forget_events()
        rolls_back(self, deployment, begins=0.5, ends=4.0, reason="Stopped by the user.")
        return {"serviceDeploymentArn": mine["serviceDeploymentArn"]}

    def _on_ListTasks(self, parameters: Json) -> Json:
        """A hundred at once, as ECS does."""
        wanted = parameters.get("desiredStatus", "RUNNING")
        arns = [
            t["taskArn"]
            for t in self.tasks
            if t["desiredStatus"] == wanted
            and not t.get("silent")
            and parameters.get("startedBy") in (None, t.get("startedBy"))
        ]
        start = int(parameters.get("nextToken", "0"))
        more = {"nextToken": str(start + 100)} if len(arns) > start + 100 else {}
        return {"taskArns": arns[start : start + 100], **more}

    def _on_DescribeTasks(self, parameters: Json) -> Json:
        assert len(parameters["tasks"]) <= 100, "DescribeTasks takes 100 tasks"
        known = {t["taskArn"]: t for t in self.tasks}
        found = [copy.deepcopy(known[a]) for a in parameters["tasks"] if a in known]
        for task in found:
            if task.get("startedBy", "").startswith("ecs-svc/"):
                task["healthStatus"] = self.health(task)
                for container in task["containers"]:
                    container["healthStatus"] = task["healthStatus"]
        return {"tasks": found}

    def _on_DescribeTargetHealth(self, parameters: Json) -> Json:
        """Of Elastic Load Balancing: the targets of the service's running tasks."""
        found = []
        for task in self.tasks:
            if not task.get("attachments") or task["lastStatus"] != "RUNNING":
                continue
            state = self.targets(task) if self.targets else None
            if state is not None:
                address = task["attachments"][0]["details"][0]["value"]
                target = {"Id": address, "Port": 8080}
                found.append({"Target": target, "TargetHealth": {"State": state}})
        return {"TargetHealthDescriptions": found}

    def _on_RunTask(self, parameters: Json) -> Json:
        """A client token starts one task only (ECS API reference, 'Ensuring idempotency')."""
        task = self._tokens.get(parameters["clientToken"])
        if task is None:
            definition = self._resolve(parameters["taskDefinition"])
            task = self.add_task(definition, "RUNNING", startedBy=parameters.get("startedBy", ""))
            self._tokens[parameters["clientToken"]] = task
            assert self.one_off is not None
            self.one_off(self, task)
        return {"tasks": [copy.deepcopy(task)], "failures": []}

    def _on_StopTask(self, parameters: Json) -> Json:
        task = next(t for t in self.tasks if t["taskArn"] == parameters["task"])
        task |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
        return {"task": copy.deepcopy(task)}

    def _on_BatchGetImage(self, parameters: Json) -> Json:
        identifier = parameters["imageIds"][0]
        version = identifier.get("imageTag") or identifier.get("imageDigest")
        name = f"{parameters['repositoryName']}:{version}"
        if self.images is None or name in self.images:
            return {"images": [{"imageId": identifier, "imageManifest": "{}"}], "failures": []}
        return {"images": [], "failures": [{"imageId": identifier, "failureCode": "ImageNotFound"}]}

    def _on_DescribePullThroughCacheRules(self, parameters: Json) -> Json:
        known = [{"ecrRepositoryPrefix": prefix} for prefix in self.caches]
        at = int(parameters.get("nextToken", 0))  # a page holds one
        page: Json = {"pullThroughCacheRules": known[at : at + 1]}
        return page if at + 1 >= len(known) else {**page, "nextToken": str(at + 1)}

    # --- clients ----------------------------------------------------------------------------

    def client(self, name: str = "ecs") -> Any:
        """A real botocore client whose requests end here."""
        return client_of(name, self.handle)


def serve(scripted: ScriptedEcs) -> AbstractContextManager[str]:
    """`scripted` behind a port of 127.0.0.1; its endpoint URL."""
    return served(scripted.handle)
