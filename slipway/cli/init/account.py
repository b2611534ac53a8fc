"""What `slipway init` sees of an account: it reads, changes nothing, and does without an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import click

from slipway.cli.aws.credentials import Clients, Credentials, region_of
from slipway.cli.aws.errors import translate
from slipway.cli.aws.sign_in import set_up_plainly
from slipway.configuration.placeholders import IMAGES
from slipway.contracts.errors import SlipwayError, WrongUse
from slipway.contracts.image_reference import ImageReference, ecr_image

T = TypeVar("T")

PROCESSORS = {"ARM64": "arm64", "X86_64": "x86_64"}
"""ECS's names of processors to EC2's."""
AT_A_TIME = 10
"""Services that DescribeServices takes."""


@dataclass(frozen=True)
class ServiceSeen:
    """What of a service's task definition a configuration repeats."""

    family: str
    roles: tuple[str, ...]
    containers: dict[str, str | None]
    """Container to the repository of this account's ECR that its image is of, or None."""
    processor: str | None
    code_deploy: tuple[str, str] | None
    """Application and group."""


class Account:
    """One account in one region, as its credentials may see it."""

    def __init__(self, clients: Clients, region: str) -> None:
        self._clients = clients
        self.region = region

    @classmethod
    def signed_in(cls, profile: str | None, region: str) -> Account | None:
        """The account of a profile, or of the credentials that there are; None without any.

        WrongUse where a profile was named and is no good.
        """
        account = cls(Clients(Credentials(profile=profile, region=region)), region)
        try:
            account._clients.client("sts")
        except WrongUse as error:
            if profile is not None:
                raise
            click.echo(f"  nothing is looked up in AWS: {error}", err=True)
            return None
        return account

    @cached_property
    def number(self) -> str | None:
        """The account's number."""
        return self._look(
            lambda: str(self._clients.client("sts").get_caller_identity()["Account"]), None
        )

    @cached_property
    def code_repositories(self) -> Sequence[str] | None:
        """The names of its CodeCommit repositories; None where they are not told."""
        return self._look(
            lambda: self._all("codecommit", "list_repositories", "repositories", "repositoryName"),
            None,
        )

    def default_branch(self, repository: str) -> str | None:
        """The branch that a clone of the repository checks out."""

        def ask() -> str | None:
            client = self._clients.client("codecommit")
            answer = client.get_repository(repositoryName=repository)
            branch = answer["repositoryMetadata"].get("defaultBranch")
            return str(branch) if branch else None

        return self._look(ask, None)

    @cached_property
    def image_repositories(self) -> Sequence[str] | None:
        """The names of its ECR repositories; None where they are not told."""
        return self._look(
            lambda: self._all("ecr", "describe_repositories", "repositories", "repositoryName"),
            None,
        )

    @cached_property
    def clusters(self) -> Sequence[str]:
        """The names of its ECS clusters."""
        return self._look(lambda: self._names("list_clusters", "clusterArns"), [])

    def services(self, cluster: str) -> Sequence[str]:
        """The names of a cluster's services."""
        return self._look(lambda: self._names("list_services", "serviceArns", cluster=cluster), [])

    def service(self, cluster: str, name: str) -> ServiceSeen | None:
        """What of the service a configuration repeats; None where it is not told."""
        return self._look(lambda: self._service(cluster, name), None)

    def newest_image(self, architecture: str) -> str | None:
        """The newest Amazon Linux 2023 for a processor, from AWS's public parameter."""
        name = IMAGES.format(architecture=architecture)

        def ask() -> str:
            return str(self._clients.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])

        return self._look(ask, None)

    def _service(self, cluster: str, name: str) -> ServiceSeen | None:
        ecs = self._clients.client("ecs")
        found = ecs.describe_services(cluster=cluster, services=[name])["services"]
        if not found:
            return None
        (service,) = found
        controller = service.get("deploymentController", {}).get("type", "ECS")
        if controller == "EXTERNAL":
            raise WrongUse(f"{cluster}/{name} is deployed by an EXTERNAL controller, not by ECS")
        named = service.get("taskDefinition") or service["taskSets"][0]["taskDefinition"]
        definition = ecs.describe_task_definition(taskDefinition=named)["taskDefinition"]
        roles = (definition.get(key) for key in ("taskRoleArn", "executionRoleArn"))
        cpu = definition.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
        return ServiceSeen(
            family=str(definition["family"]),
            roles=tuple(dict.fromkeys(role for role in roles if role)),
            containers={
                container["name"]: self._our_repository(container["image"])
                for container in definition["containerDefinitions"]
            },
            processor=PROCESSORS.get(cpu),
            code_deploy=self._code_deploy(cluster, name) if controller == "CODE_DEPLOY" else None,
        )

    def _our_repository(self, image: str) -> str | None:
        """The repository of this account's registry that an image is of."""
        place = ecr_image(ImageReference.parse(image))
        if place is None or (place.account, place.region) != (self.number, self.region):
            return None
        return place.repository

    def _code_deploy(self, cluster: str, name: str) -> tuple[str, str] | None:
        """The application and group that deploy a service; None where they are not told."""
        client = self._clients.client("codedeploy")
        for application in self._all("codedeploy", "list_applications", "applications"):
            groups = self._all(
                "codedeploy", "list_deployment_groups", "deploymentGroups",
                applicationName=application,
            )  # fmt: skip
            for group in groups:
                answer = client.get_deployment_group(
                    applicationName=application, deploymentGroupName=group
                )
                pairs = answer["deploymentGroupInfo"].get("ecsServices", [])
                if any((p["clusterName"], p["serviceName"]) == (cluster, name) for p in pairs):
                    return application, group
        return None

    def _names(self, operation: str, key: str, **parameters: Any) -> list[str]:
        """The last parts of ARNs."""
        return sorted(
            arn.rpartition("/")[2] for arn in self._all("ecs", operation, key, **parameters)
        )

    def _all(
        self, service: str, operation: str, key: str, member: str | None = None, **parameters: Any
    ) -> list[str]:
        """Every item of a paginated answer, or that member of it."""
        pages: Iterator[Any] = (
            self._clients.client(service).get_paginator(operation).paginate(**parameters)
        )
        items = [item for page in pages for item in page[key]]
        return [str(item[member] if member else item) for item in items]

    def _look(self, ask: Callable[[], T], unknown: T) -> T:
        """What AWS answers; what it denies or does not answer is asked of the person."""
        try:
            return ask()
        except SlipwayError:
            raise
        except Exception as error:
            plain = translate(error)
            if plain is None:
                raise
            click.echo(f"  not looked up: {plain}", err=True)
            return unknown


def default_region(profile: str | None) -> str | None:
    """The region of the environment or the profile."""
    from botocore.session import Session

    with set_up_plainly():
        return region_of(Session(profile=profile))  # type: ignore[no-untyped-call]
