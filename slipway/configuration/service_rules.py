"""What must hold of the services that pipelines deploy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from slipway.configuration.parts import Configuration
from slipway.configuration.paths import Fault
from slipway.configuration.services import Service
from slipway.contracts.public_urls import address_in, is_public, names_this_machine


def _services(c: Configuration) -> Iterator[tuple[int, str, Service]]:
    """Each service, with the number of its pipeline and the path at which it is configured."""
    for index, pipeline in enumerate(c.pipelines):
        if pipeline.service is not None:
            yield index, f"pipelines[{index}].service", pipeline.service
        for number, service in enumerate(pipeline.services):
            yield index, f"pipelines[{index}].services[{number}]", service


def _service_or_services(c: Configuration) -> list[Fault]:
    faults: list[Fault] = []
    for index, pipeline in enumerate(c.pipelines):
        path = f"pipelines[{index}]"
        if pipeline.service is not None and pipeline.services:
            faults.append((f"{path}.services", "is not allowed beside service: give one of them"))
        if pipeline.service is None and not pipeline.services:
            faults.append((f"{path}.service", "is missing (or give services)"))
        if pipeline.together and len(pipeline.services) < 2:
            problem = "true: is of two services or more; name them under services"
            faults.append((f"{path}.together", problem))
    return faults


def _one_pipeline_per_service(c: Configuration) -> list[Fault]:
    owners: dict[tuple[str | None, str | None], tuple[int, str]] = {}
    faults = []
    for index, path, service in _services(c):
        if service.sample:
            continue
        key = (service.cluster, service.name)
        owner, first = owners.setdefault(key, (index, path))
        if owner != index:
            name = c.pipelines[owner].name
            problem = f"{key[0]}/{key[1]} is deployed by pipeline {name!r}: one pipeline a service"
            faults.append((path, problem))
        elif first != path:
            faults.append((path, f"{key[0]}/{key[1]} is named above already"))
    return faults


def _whole_service(c: Configuration) -> list[Fault]:
    faults = []
    for index, path, service in _services(c):
        for key in ("cluster", "name"):
            given = getattr(service, key) is not None
            if service.sample and given:
                faults.append((f"{path}.{key}", "is not allowed where sample is true"))
            if not service.sample and not given:
                faults.append((f"{path}.{key}", "is missing (or set sample to true)"))
        if service.sample and len(c.pipelines[index].images) > 1:
            faults.append((f"pipelines[{index}].images", "a sample service has one image"))
        if service.sample and c.pipelines[index].services:
            problem = "true: a sample is a pipeline's only service; give it as service"
            faults.append((f"{path}.sample", problem))
    return faults


def _roles_are_of_prod(c: Configuration) -> list[Fault]:
    """A service's tasks run in the prod account, so their roles are there."""
    return [
        (
            f"{path}.roles[{j}]",
            f'"{arn}": must be a role of the prod account, {c.prod.account}',
        )
        for _, path, service in _services(c)
        for j, arn in enumerate(service.roles)
        if arn.split(":")[4] != c.prod.account
    ]


def _hooks_are_of_prod(c: Configuration) -> list[Fault]:
    """CodeDeploy calls functions of its own account and region."""
    faults = []
    for _, path, service in _services(c):
        used = service.code_deploy
        given = (
            used.hooks.model_dump(exclude_none=True, by_alias=True) if used and used.hooks else {}
        )
        for event, function in given.items():
            place = function.split(":")[3:5]
            if place not in ([], [c.prod_region, c.prod.account]):
                problem = f"must be a function of {c.prod.account} in {c.prod_region}"
                faults.append((f"{path}.codeDeploy.hooks.{event}", f'"{function}": {problem}'))
    return faults


def _one_origin_of_a_definition(c: Configuration) -> list[Fault]:
    faults = []
    for _, path, service in _services(c):
        if service.task_definition is None and service.values:
            faults.append((f"{path}.values", "needs taskDefinition: the file that they are set in"))
        if service.task_definition is not None and service.base != "service":
            problem = f'"{service.base}": is not allowed beside taskDefinition, which is the base'
            faults.append((f"{path}.base", problem))
    return faults


def _public_smoke(c: Configuration) -> list[Fault]:
    """An address that stands in the URL is public; names are looked up when they are asked."""
    faults = []
    for _, path, service in _services(c):
        smoke = service.smoke
        if smoke is None:
            continue
        address, problem = address_in(smoke.url), None
        if address is not None and not is_public(address):
            problem = f"{address} is no public address"
        elif names_this_machine(smoke.url):
            problem = "localhost is no public host"
        if problem is not None and c.local is None:
            faults.append((f"{path}.smoke.url", f'"{smoke.url}": {problem}'))
        if smoke.status == []:
            faults.append((f"{path}.smoke.status", "[]: name at least one status"))
    return faults


def _whole_bake(c: Configuration) -> list[Fault]:
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        path, rollout = f"pipelines[{index}].rollout", pipeline.rollout
        if rollout.bake is not None and not rollout.alarms:
            faults.append((f"{path}.bake", f"{rollout.bake}: needs alarms to watch"))
        twice = sorted({name for name in rollout.alarms if rollout.alarms.count(name) > 1})
        if twice:
            faults.append((f"{path}.alarms", f'"{twice[0]}" is named twice'))
    return faults


SERVICE_RULES: tuple[Callable[[Configuration], list[Fault]], ...] = (
    _service_or_services,
    _one_pipeline_per_service,
    _whole_service,
    _roles_are_of_prod,
    _hooks_are_of_prod,
    _one_origin_of_a_definition,
    _public_smoke,
    _whole_bake,
)
