"""The settings of one installation as Lambdas, the agent and the command line read them.

Made by the CDK app from the configuration in cdk.json, resolved to names and ARNs, and shipped as
`installation.json` beside the code (an asset: Lambda environment variables hold 4 KB in all).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from slipway.contracts.codec import decode, encode, matching
from slipway.contracts.deployed_to import (
    CodeDeploySettings,
    DefinitionSettings,
    ScheduledTaskSettings,
    ServiceSettings,
    SmokeSettings,
)
from slipway.contracts.errors import InvalidConfiguration, InvalidMessage, WrongUse
from slipway.contracts.messages import PIPELINE_NAME
from slipway.contracts.names import Names

SCHEMA = 1
FILE_NAME = "installation.json"
PATH_VARIABLE = "SLIPWAY_INSTALLATION"
YAML_ENDINGS = (".yaml", ".yml")
"""Of a configuration's file that is YAML; any other is JSON."""


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """What is run before an image is pushed: the stage `target` of its Dockerfile, as a container.

    An empty `command`: the stage's own. `reports`: patterns of paths in the container, relative
    ones from its WORKDIR. `timeout` in seconds, `memory` in MiB; `cpus` None: all of the machine's.
    """

    __test__ = False  # no class of tests

    target: str
    command: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    timeout: int = 1200
    memory: int = 2048
    cpus: float | None = None
    network: bool = False


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """One image that a pipeline builds, and the containers that run it.

    `repository_uri` is what docker pushes to and what the task definition names, without a tag.
    `{commit}` in a build argument's value stands for the commit's id.
    `build_secrets` maps a BuildKit secret id to an SSM parameter name or Secrets Manager ARN.
    `base_repositories`: private ones that the Dockerfile builds on, URIs without a tag.
    An empty `containers` means: those whose image has this repository.
    `build_cache`: whether what its stages made is kept in the repository, too.
    """

    repository: str
    repository_uri: str
    dockerfile: str = "Dockerfile"
    context: str = "."
    target: str | None = None
    build_arguments: dict[str, str] = field(default_factory=dict)
    build_secrets: dict[str, str] = field(default_factory=dict)
    base_repositories: tuple[str, ...] = ()
    platform: str = "linux/amd64"
    containers: tuple[str, ...] = ()
    build_cache: bool = True
    test: TestSettings | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    """How a rollout waits and cleans up; times in seconds."""

    healthy_timeout: int = 1800
    drain_timeout: int = 900
    max_definitions: int | None = None
    pre_deploy_command: tuple[str, ...] = ()
    pre_deploy_container: str | None = None
    new_push: Literal["wait", "takeOver"] = "wait"
    """What a push does that comes while a rollout is under way."""
    cancel_stale_build: bool = False
    """Whether a build ends that a newer push has made stale."""
    post_deploy_command: tuple[str, ...] | None = None
    post_deploy_container: str | None = None
    alarms: tuple[str, ...] | None = None
    bake: int | None = None
    """Seconds for which none of the `alarms` may go off after a deployment."""


@dataclass(frozen=True, kw_only=True)
class PipelineSettings:
    """One repository + branch deployed to one ECS service, or to several.

    `services`: all of several, in order; `cluster` to `base` are then the first one's.
    """

    name: str = matching(PIPELINE_NAME)
    repository: str
    branch: str
    git_url: str
    source_role_arn: str
    tip_role_arn: str
    images: tuple[ImageSettings, ...]
    cluster: str
    service: str
    family: str | None = None
    """The task definition family that the build host may register; None: not told."""
    log_groups: tuple[str, ...] = ()
    """CloudWatch log groups of its containers that the build host may read from."""
    submodules: tuple[str, ...] = ()
    """CodeCommit repositories, beside its own, that its submodules may come from."""
    code_deploy: CodeDeploySettings | None = None
    """Where the service's controller is CODE_DEPLOY."""
    task_definition: str | None = None
    """The file in the repository that is the task definition; None: only its images are changed."""
    values: dict[str, str] = field(default_factory=dict)
    """Values of this installation in that file, by their paths (`web.environment.LEVEL`)."""
    roles: tuple[str, ...] = ()
    """The roles that a definition of the repository may name (ARNs)."""
    base: Literal["service", "family"] = "service"
    """What a new revision is made from: what the service runs, or its family's newest."""
    rollout: RolloutSettings = RolloutSettings()
    build_timeout: int = 3600
    fetch_timeout: int = 600
    commit_url: str | None = None
    """Template with `{commit}`: where a person reads a commit; None: nowhere."""
    webhook_parameter: str | None = None
    mention_on_failure: str | None = None
    notify_superseded: bool = False
    paths: tuple[str, ...] = ()
    """Patterns of the paths that concern it (`slipway/following/pathspecs.py`); none: all do."""
    notify_untouched: bool = False
    smoke: SmokeSettings | None = None
    """The request that proves the service after a deployment."""
    services: tuple[ServiceSettings, ...] | None = None
    together: bool | None = None
    """Whether several services are rolled out side by side; None: one after the other."""
    scheduled_tasks: tuple[ScheduledTaskSettings, ...] | None = None
    task_definitions: tuple[DefinitionSettings, ...] | None = None
    """Definitions alone. Both are companions of the services, and come after them."""

    @property
    def per_service(self) -> tuple[PipelineSettings, ...]:
        """The pipeline as it is for each of its services, in order: as if that were the only one.

        Of each the one member of `services` is its own; None where the pipeline has one service.
        """
        return (self,) if self.services is None else tuple(map(self._of, self.services))

    @property
    def has_companions(self) -> bool:
        return bool(self.scheduled_tasks or self.task_definitions)

    @property
    def families(self) -> tuple[PipelineSettings, ...]:
        """The pipeline as it is for each family that a companion has for itself, in order: as
        `per_service`, with no service.
        """
        of_services = {one.family or one.service for one in self.per_service}
        companions: list[ScheduledTaskSettings | DefinitionSettings] = [
            *(self.scheduled_tasks or ()),
            *(self.task_definitions or ()),
        ]
        own = {one.family: one for one in reversed(companions) if one.family not in of_services}
        return tuple(self._of_family(one) for one in reversed(own.values()))

    @property
    def reads_definition(self) -> bool:
        """Whether a file of the repository is the task definition of a service of its."""
        return any(one.task_definition is not None for one in self.per_service)

    @property
    def changes_definition(self) -> bool:
        """Whether a deployment may change more than images in a service's task definition."""
        return self.reads_definition or any(one.base == "family" for one in self.per_service)

    def _of_family(self, one: ScheduledTaskSettings | DefinitionSettings) -> PipelineSettings:
        return self._of(
            ServiceSettings(
                cluster="", service="", family=one.family, roles=one.roles,
                containers=one.containers,
            )
        )  # fmt: skip

    def _of(self, one: ServiceSettings) -> PipelineSettings:
        return replace(
            self, cluster=one.cluster, service=one.service, family=one.family,
            log_groups=one.log_groups, code_deploy=one.code_deploy,
            task_definition=one.task_definition, values=one.values, roles=one.roles,
            base=one.base, smoke=one.smoke, services=(one,), together=None,
        )  # fmt: skip


LEAST_LOCK = 325
"""Seconds that a pipeline lock must last in AWS, so that no change comes after it.

A signature's life (five minutes), what may pass before it, and what clocks may differ: see
`slipway/rollout/fence.py`.
"""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The protocol's times, in seconds; defaults are production's, the local run shortens some."""

    idle_period: int = 120
    heartbeat: int = 30
    visibility: int = 360
    lock_ttl: int = 330
    stop_claim: int = 120
    no_heartbeat: int = 600
    no_progress: int = 3900
    awake_long: int = 14400
    republish_after: int = 900
    follow_first: int = 5
    follow_longest: int = 60
    drift_every: int = 900
    drift_age: int = 300
    give_up_after: int = 21600
    max_attempts: int = 8
    settled_kept: int = 40 * 86400
    deployments_kept: int = 400 * 86400


@dataclass(frozen=True, kw_only=True)
class BuildersSettings:
    """What builds: hosts, builds of CodeBuild, or both; times in seconds.

    `when`: with `overflow` what has waited on hosts for longer than `overflow_after` goes to
    CodeBuild. `limit`: builds of CodeBuild at the same time. `timeout`: after which CodeBuild ends
    one.
    """

    when: Literal["hosts", "overflow", "codeBuild"] = "hosts"
    overflow_after: float = 300.0
    limit: int = 20
    timeout: float = 3600.0

    @property
    def uses_hosts(self) -> bool:
        return self.when != "codeBuild"

    @property
    def uses_code_build(self) -> bool:
        return self.when != "hosts"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Everything that is known at synth."""

    name: str
    region: str
    dev_region: str
    dev_account: str
    prod_account: str
    partition: str = "aws"
    host_count: int = 1
    builds: int | None = None
    """Builds that a host runs at once; None: as its processors, memory and disk allow."""
    builders: BuildersSettings = BuildersSettings()
    docker_hub_secret: str | None = None
    """ARN of a Secrets Manager secret: JSON with `username` and `password`; None: no name."""
    pipelines: tuple[PipelineSettings, ...]
    limits: Limits = Limits()
    slack: bool = True
    mode: Literal["aws", "local"] = "aws"
    schema: int = SCHEMA

    @property
    def names(self) -> Names:
        return Names(self.name)

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions of the prod account: without hosts none stops any."""
        kept = ("starter", "stopper", "follower", "notifier", "reconciler")
        if self.builders.uses_hosts:
            return kept
        return tuple(name for name in kept if name != "stopper")

    @property
    def request_topic_arn(self) -> str:
        return self._arn("sns", self.names.request_topic)

    @property
    def close_topic_arn(self) -> str:
        return self._arn("sns", self.names.close_topic)

    def _arn(self, service: str, name: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.prod_account}:{name}"

    def pipeline(self, name: str) -> PipelineSettings:
        """The pipeline's settings; WrongUse (with those there are) for an unknown one."""
        found = self.find(name)
        if found is not None:
            return found
        known = ", ".join(p.name for p in self.pipelines) or "none"
        raise WrongUse(f"pipeline {name!r} is not configured; configured: {known}")

    def find(self, name: str) -> PipelineSettings | None:
        """The pipeline's settings; None where it is not configured, or not any more."""
        return next((p for p in self.pipelines if p.name == name), None)

    def pipelines_of(self, repository: str, branch: str) -> tuple[PipelineSettings, ...]:
        """The pipelines that a push to `branch` of `repository` concerns."""
        return tuple(p for p in self.pipelines if (p.repository, p.branch) == (repository, branch))

    def to_json(self) -> str:
        return json.dumps(encode(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Installation:
        """Of a text, or of a file's bytes, with or without a byte order mark."""
        try:
            return decode(cls, json.loads(text))
        except InvalidMessage as error:
            raise InvalidConfiguration([(error.field, error.problem)]) from None
        except ValueError as error:
            raise InvalidConfiguration([("$", f"is not JSON: {error}")]) from None


def load_installation(path: Path | None = None) -> Installation:
    """The installation shipped beside this code, or named by SLIPWAY_INSTALLATION.

    WrongUse where there is none, InvalidConfiguration where it is not one.
    """
    named = os.environ.get(PATH_VARIABLE)
    path = path or (Path(named) if named else Path(__file__).resolve().parents[2] / FILE_NAME)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"cannot read the installation's settings: {error}") from None
    return Installation.from_json(content)
