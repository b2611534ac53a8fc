"""Loads the whole extension and gives the application to serve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.core import container_reaper

from local.emulator.extension import (
    asked,
    cloudformation_types,
    codebuild,
    codebuild_iam,
    codecommit_api,
    ec2_states,
    ecs_containers,
    ecs_deployments,
    ecs_events,
    ecs_health,
    ecs_news,
    faults,
    git_credentials,
    iam_rules,
    imds,
    lambda_delivery,
    lambda_mappings,
    lambda_roles,
    mailbox,
    metrics,
    private,
    registry,
    sqs_delays,
    sqs_redrive,
    sqs_speed,
    topic_policies,
    user_data,
)
from local.emulator.extension.gateway import Gateway
from local.emulator.extension.git_http import GitServer
from local.emulator.extension.internal import InternalEndpoints
from local.emulator.extension.repositories import Repositories
from local.emulator.settings import EmulatorSettings
from local.emulator.sweep import RUN_LABEL


def load(settings: EmulatorSettings) -> Gateway:
    """Patch ministack and give the application. Raises `WorldFailed` if it is not the pinned one.

    `settings.environment()` must be in the environment before this module is imported.
    """
    private.check_version()
    _own_containers_only(settings)
    repositories = Repositories(settings.git_dir)
    states = ec2_states.install(settings)
    iam_rules.install()
    lambda_delivery.install()
    lambda_mappings.install()
    lambda_roles.install()
    letters = mailbox.install()
    codecommit_api.install(settings, repositories)
    cloudformation_types.install(settings, states, repositories)
    credentials = git_credentials.install(settings)
    registry.install(settings)
    ecs_containers.install()
    news = ecs_news.of_docker()
    ecs_health.install(settings, news.say)
    ecs_news.install(news)
    ecs_deployments.install(ecs_events.install())
    sqs_delays.install()
    sqs_redrive.install()
    sqs_speed.install()
    topic_policies.install()
    metrics.install()
    user_data.install()
    codebuild_iam.install()
    builds = codebuild.install(settings)
    injected = faults.install()
    questions = asked.install()
    return Gateway(
        ministack=app.app,
        git=GitServer(settings, repositories, credentials),
        metadata=imds.install(),
        builds=builds,
        internal=InternalEndpoints(
            settings,
            states=states,
            builds=builds,
            mailbox=letters,
            faults=injected,
            asked=questions,
        ),
    )


def _own_containers_only(settings: EmulatorSettings) -> None:
    """Label containers with this run, and never touch a container that is not labelled so."""

    def labelling(own_labels: Callable[..., dict[str, str]]) -> Callable[..., dict[str, str]]:
        def labels(service: str, **extra: Any) -> dict[str, str]:
            return own_labels(service, **{RUN_LABEL: settings.run_id, **extra})

        return labels

    def sweeping(stop: Callable[..., None]) -> Callable[..., None]:
        def stop_own(_include_unlabelled: bool = False) -> None:
            stop(False)

        return stop_own

    private.wrap(container_reaper, "own_labels", labelling)
    private.replace(container_reaper, "instance_id", lambda: settings.run_id)
    private.wrap(app, "_stop_docker_containers", sweeping)
