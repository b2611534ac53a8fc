"""From the configuration to the installation that Lambdas, agent and command line read."""

from __future__ import annotations

from pydantic.alias_generators import to_pascal

from slipway.configuration import Configuration, Image, Pipeline, Rollout, Service, is_uri
from slipway.configuration.companions import ScheduledTask, TaskDefinition
from slipway.contracts.deployed_to import (
    CodeDeploySettings,
    DefinitionSettings,
    ScheduledTaskSettings,
    ServiceSettings,
    SmokeSettings,
)
from slipway.contracts.installation import (
    BuildersSettings,
    ImageSettings,
    Installation,
    Limits,
    PipelineSettings,
    RolloutSettings,
    TestSettings,
)
from slipway.contracts.names import Names

DEFAULT_BAKE = 5
"""Minutes for which alarms are watched where the configuration does not say it."""


def resolve(configuration: Configuration) -> Installation:
    """Every name and ARN written out. Pure: the same configuration gives the same installation."""
    c = configuration
    return Installation(
        name=c.name,
        region=c.prod_region,
        dev_region=c.dev_region,
        dev_account=c.dev.account,
        prod_account=c.prod.account,
        partition=c.partition,
        host_count=c.hosts.count if c.hosts else 0,
        builds=c.hosts.builds if c.hosts else None,
        builders=_builders(c),
        docker_hub_secret=c.docker_hub.secret if c.docker_hub else None,
        pipelines=tuple(_pipeline(c, pipeline) for pipeline in c.pipelines),
        limits=Limits(**c.limits.model_dump()),
        slack=c.notices.slack,
        mode="aws" if c.local is None else "local",
    )


def _builders(c: Configuration) -> BuildersSettings:
    """Minutes become seconds."""
    return BuildersSettings(
        when=c.builders.when,
        overflow_after=float(c.builders.overflow_after),
        limit=c.builders.code_build.limit,
        timeout=60.0 * c.builder_timeout,
    )


def sample_cluster(c: Configuration) -> str:
    """The cluster that sample services share."""
    return f"{c.name}-sample"


def service_of(pipeline: Pipeline) -> str:
    """The name of a pipeline's first service; a sample service is named as its pipeline."""
    return _name(pipeline, pipeline.each_service[0])


def family_of(c: Configuration, pipeline: Pipeline) -> str:
    """The task definition family of a pipeline's first service."""
    return _family(c, pipeline, pipeline.each_service[0])


def services_of(c: Configuration, pipeline: Pipeline) -> tuple[ServiceSettings, ...]:
    """All services of a pipeline, in order."""
    return tuple(_service(c, pipeline, service) for service in pipeline.each_service)


def _service(c: Configuration, pipeline: Pipeline, service: Service) -> ServiceSettings:
    return ServiceSettings(
        cluster=sample_cluster(c) if service.sample else str(service.cluster),
        service=_name(pipeline, service),
        family=_family(c, pipeline, service),
        log_groups=(sample_log_group(c),) if service.sample else tuple(service.log_groups),
        code_deploy=_code_deploy(service),
        task_definition=service.task_definition,
        values=dict(service.values),
        roles=_roles(c, service),
        base=service.base,
        containers=tuple(service.containers),
        smoke=_smoke(service),
    )


def _name(pipeline: Pipeline, service: Service) -> str:
    return pipeline.name if service.sample else str(service.name)


def _family(c: Configuration, pipeline: Pipeline, service: Service) -> str:
    if service.sample:
        return f"{c.name}-sample-{pipeline.name}"
    return service.family or str(service.name)


def sample_log_group(c: Configuration) -> str:
    """Where the sample services' containers write to."""
    return f"/{c.name}/sample"


def sample_role(c: Configuration) -> str:
    """The name of the role that starts the sample services' tasks."""
    return f"{c.name}-sample-execution"


def _roles(c: Configuration, service: Service) -> tuple[str, ...]:
    """The roles that the service's task definition may name, as ARNs."""
    if service.sample:
        return (f"arn:{c.partition}:iam::{c.prod.account}:role/{sample_role(c)}",)
    return tuple(service.roles)


def _pipeline(c: Configuration, pipeline: Pipeline) -> PipelineSettings:
    names, repository = Names(c.name), pipeline.repository.name
    role = f"arn:{c.partition}:iam::{c.dev.account}:role/"
    own = pipeline.notices.own_webhook
    services = services_of(c, pipeline)
    first, several = services[0], len(services) > 1
    return PipelineSettings(
        name=pipeline.name,
        repository=repository,
        branch=pipeline.branch,
        git_url=_git_url(c, repository),
        source_role_arn=role + names.source_role,
        tip_role_arn=role + names.tip_role,
        images=tuple(_image(c, image) for image in pipeline.images),
        cluster=first.cluster,
        service=first.service,
        family=first.family,
        log_groups=first.log_groups,
        submodules=tuple(pipeline.submodules),
        code_deploy=first.code_deploy,
        task_definition=first.task_definition,
        values=first.values,
        roles=first.roles,
        base=first.base,
        smoke=first.smoke,
        services=services if several or first.containers else None,
        together=(pipeline.together or None) if several else None,
        scheduled_tasks=scheduled_tasks_of(pipeline) or None,
        task_definitions=tuple(map(_alone, pipeline.task_definitions)) or None,
        rollout=_rollout(pipeline.rollout),
        build_timeout=pipeline.build_timeout,
        fetch_timeout=pipeline.fetch_timeout,
        commit_url=_commit_url(c, pipeline),
        webhook_parameter=names.webhook_parameter(pipeline.name if own else None),
        mention_on_failure=pipeline.notices.mention_on_failure,
        notify_superseded=pipeline.notices.superseded,
        paths=tuple(pipeline.paths or ()),
        notify_untouched=pipeline.notices.untouched,
    )


def scheduled_tasks_of(pipeline: Pipeline) -> tuple[ScheduledTaskSettings, ...]:
    """All scheduled tasks of a pipeline, in order."""
    return tuple(map(_scheduled, pipeline.scheduled_tasks))


def _scheduled(task: ScheduledTask) -> ScheduledTaskSettings:
    return ScheduledTaskSettings(
        kind="rule" if task.rule is not None else "schedule",
        name=str(task.rule or task.schedule),
        family=task.family,
        place=task.bus if task.rule is not None else task.group,
        target=task.target,
        containers=tuple(task.containers),
        roles=tuple(task.roles),
        target_role=task.target_role,
    )


def _alone(definition: TaskDefinition) -> DefinitionSettings:
    return DefinitionSettings(
        family=definition.family,
        containers=tuple(definition.containers),
        roles=tuple(definition.roles),
    )


def _git_url(c: Configuration, repository: str) -> str:
    if c.local is not None:
        return f"{c.local.git_base_url.rstrip('/')}/{repository}"
    return f"https://git-codecommit.{c.dev_region}.amazonaws.com/v1/repos/{repository}"


def _commit_url(c: Configuration, pipeline: Pipeline) -> str | None:
    if pipeline.notices.commit_url is not None or c.local is not None:
        return pipeline.notices.commit_url
    region = c.dev_region
    console = f"{region}.console.aws.amazon.com"
    if c.partition == "aws-us-gov":
        console = "console.amazonaws-us-gov.com"
    return (
        f"https://{console}/codesuite/codecommit/repositories/"
        f"{pipeline.repository.name}/commit/{{commit}}?region={region}"
    )


def registry_of(c: Configuration) -> str:
    """The host of the registry that images are pushed to."""
    if c.local is not None:
        return c.local.registry
    return f"{c.prod.account}.dkr.ecr.{c.prod_region}.amazonaws.com"


def base_uris(c: Configuration, image: Image) -> list[str]:
    """The private repositories that the image's Dockerfile builds on, as URIs without a tag."""
    named = image.base_repositories
    return [uri if is_uri(uri) else f"{registry_of(c)}/{uri}" for uri in named]


def _image(c: Configuration, image: Image) -> ImageSettings:
    return ImageSettings(
        repository=image.repository.name,
        repository_uri=f"{registry_of(c)}/{image.repository.name}",
        base_repositories=tuple(base_uris(c, image)),
        dockerfile=image.dockerfile,
        context=image.context,
        target=image.target,
        build_arguments=dict(image.build_arguments),
        build_secrets=dict(image.build_secrets),
        platform=image.platform or c.platform,
        containers=tuple(image.containers),
        build_cache=image.build_cache,
        test=_test(image),
    )


def _test(image: Image) -> TestSettings | None:
    test = image.test
    if test is None:
        return None
    return TestSettings(
        target=test.target,
        command=tuple(test.command),
        reports=tuple(test.reports),
        timeout=test.timeout,
        memory=test.memory,
        cpus=test.cpus,
        network=test.network,
    )


def _code_deploy(service: Service) -> CodeDeploySettings | None:
    wanted = service.code_deploy
    if wanted is None:
        return None
    hooks = wanted.hooks.model_dump(exclude_none=True) if wanted.hooks else {}
    return CodeDeploySettings(
        application=wanted.application,
        group=wanted.group,
        hooks={to_pascal(event): function for event, function in hooks.items()},
    )


def _smoke(service: Service) -> SmokeSettings | None:
    smoke = service.smoke
    if smoke is None:
        return None
    return SmokeSettings(
        url=smoke.url,
        status=(smoke.status,) if isinstance(smoke.status, int) else tuple(smoke.status),
        contains=smoke.contains,
        pattern=smoke.pattern,
        within=smoke.within,
    )


def _rollout(rollout: Rollout) -> RolloutSettings:
    task, after = rollout.pre_deploy, rollout.post_deploy
    return RolloutSettings(
        healthy_timeout=rollout.healthy_timeout,
        drain_timeout=rollout.drain_timeout,
        max_definitions=rollout.max_definitions,
        new_push=rollout.new_push,
        cancel_stale_build=rollout.cancel_stale_build,
        pre_deploy_command=tuple(task.command) if task else (),
        pre_deploy_container=task.container if task else None,
        post_deploy_command=tuple(after.command) if after else None,
        post_deploy_container=after.container if after else None,
        alarms=tuple(rollout.alarms) or None,
        bake=60 * (rollout.bake or DEFAULT_BAKE) if rollout.alarms else None,
    )
