"""From the options of `slipway deploy` to a rollout plan: pure, so that tests can table it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.cli.deploy.shorthand import parse_structure
from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.contracts.public_urls import parsed_url
from slipway.rollout import OneOffTask, RolloutPlan, Timeouts
from slipway.rollout.plan import Smoke

DEFAULT_TIMEOUT = 90.0
LEAST_ROLLBACK_TIMEOUT = 300.0
DEFAULT_BAKE = 5.0
"""Minutes for which alarms are watched."""


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """What was asked for on the command line; the names are the long options'."""

    cluster: str | None = None
    service_name: str | None = None
    task_definition: str | None = None
    image: str | None = None
    container: tuple[str, ...] = ()
    tag_env_var: str | None = None
    tag_only: str | None = None
    tag_only_container_names: str | None = None
    desired_count: int | None = None
    min: int | None = None
    max: int | None = None
    timeout: float = DEFAULT_TIMEOUT
    drain_timeout: float = 900.0
    rollback_timeout: float | None = None
    max_definitions: int = 0
    task_definition_file: Path | None = None
    rollback: bool = True
    use_latest_task_def: bool = False
    force_new_deployment: bool = False
    skip_deployments_check: bool = False
    run_task: bool = False
    wait_for_success: bool = False
    launch_type: str | None = None
    platform_version: str | None = None
    network_configuration: str | None = None
    copy_task_definition_tags: bool = True
    pre_deploy_command: str | None = None
    pre_deploy_container: str | None = None
    smoke_url: str | None = None
    smoke_status: tuple[int, ...] = ()
    smoke_contains: str | None = None
    smoke_within: float = 60.0
    post_deploy_command: str | None = None
    post_deploy_container: str | None = None
    alarm: tuple[str, ...] = ()
    bake: float | None = None
    dry_run: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> DeployOptions:
        """As they were given; an empty text is nothing given, as with ecs-deploy.

        Not so for `--tag-env-var`: to do without the tag that was meant would deploy another image.
        """
        kept = ("tag_env_var",)
        members: dict[str, Any] = {
            name: None if value == "" and name not in kept else value
            for name, value in given.items()
        }
        return cls(**members)


def check(options: DeployOptions) -> None:
    """WrongUse for options that are missing or contradict each other, the first of them."""
    o = options
    if (o.service_name is None) == (o.task_definition is None):
        raise WrongUse("give exactly one of -n/--service-name and -d/--task-definition")
    if o.service_name is not None and o.cluster is None:
        raise WrongUse("-n/--service-name needs -c/--cluster")
    enough = (o.image, o.tag_only, o.container, o.force_new_deployment)
    if not any(enough):
        raise WrongUse(
            "-i/--image is missing (it is needed unless --tag-only, --container or "
            "--force-new-deployment is given)"
        )
    if o.force_new_deployment and o.service_name is None:
        raise WrongUse("--force-new-deployment needs -n/--service-name")
    if o.tag_only_container_names is not None and o.tag_only is None:
        raise WrongUse("--tag-only-container-names needs -to/--tag-only")
    _check_task(o)
    _check_proof(o)
    _check_numbers(o)


def plan_of(options: DeployOptions, environment: Mapping[str, str]) -> RolloutPlan:
    """The plan that `options` ask for; WrongUse where they cannot be right."""
    check(options)
    tag = _tag_of_variable(options.tag_env_var, environment)
    by_tag = options.tag_only is not None and not options.force_new_deployment
    by_image = options.tag_only is None and not options.force_new_deployment
    return RolloutPlan(
        cluster=options.cluster,
        service=options.service_name,
        image=_retagged(options.image, tag) if by_image and options.image else None,
        images=_containers(options.container, tag) if by_image else {},
        tag=options.tag_only if by_tag else None,
        tag_containers=_names(options.tag_only_container_names) if by_tag else (),
        force=options.force_new_deployment,
        base=_base(options),
        desired_count=options.desired_count,
        min_percent=options.min,
        max_percent=options.max,
        copy_tags=options.copy_task_definition_tags,
        rollback=options.rollback,
        wait_drain=not options.skip_deployments_check,
        max_definitions=options.max_definitions or None,
        task=_task(options),
        dry_run=options.dry_run,
        timeouts=_timeouts(options),
        smoke=_smoke(options),
        post_task=_post_task(options),
        alarms=options.alarm or None,
        bake=60 * (DEFAULT_BAKE if options.bake is None else options.bake)
        if options.alarm
        else None,
    )


def remarks(options: DeployOptions) -> list[str]:
    """What was given and has no effect: said, because a script may count on it."""
    o = options
    said = []
    if o.force_new_deployment and (o.image or o.container or o.tag_only):
        said.append("--force-new-deployment starts what runs again: the image is not changed")
    elif o.tag_only and (o.image or o.container):
        said.append("--tag-only changes the tag of the images that are there: -i is ignored")
    if o.task_definition is not None:
        given = {
            "--desired-count": o.desired_count,
            "--min": o.min,
            "--max": o.max,
            "--max-definitions": o.max_definitions or None,
        }
        idle = [name for name, value in given.items() if value is not None]
        if idle:
            said.append(f"{', '.join(idle)}: nothing to apply it to without a service")
    return said


def _check_task(o: DeployOptions) -> None:
    needing = {
        "--wait-for-success": o.wait_for_success,
        "--launch-type": o.launch_type,
        "--platform-version": o.platform_version,
        "--network-configuration": o.network_configuration,
    }
    for name, value in needing.items():
        if value and not o.run_task and not o.pre_deploy_command:
            raise WrongUse(f"{name} needs --run-task")
    if o.pre_deploy_container and not o.pre_deploy_command:
        raise WrongUse("--pre-deploy-container needs --pre-deploy-command")
    if o.run_task and o.pre_deploy_command:
        raise WrongUse("give one of --run-task and --pre-deploy-command")
    if o.force_new_deployment and (o.run_task or o.pre_deploy_command):
        raise WrongUse("--force-new-deployment makes no new revision to run a task of")


def _check_proof(o: DeployOptions) -> None:
    given = {
        "--smoke-url": o.smoke_url,
        "--post-deploy-command": o.post_deploy_command,
        "--alarm": o.alarm,
    }
    for name, value in given.items():
        if value and o.service_name is None:
            raise WrongUse(f"{name} needs -n/--service-name: only a service can be proved")
    if (o.smoke_status or o.smoke_contains) and not o.smoke_url:
        raise WrongUse("--smoke-status and --smoke-contains need --smoke-url")
    if o.smoke_url:
        try:
            parsed_url(o.smoke_url)
        except ValueError as error:
            raise WrongUse(f"--smoke-url {o.smoke_url!r}: {error}") from None
    if o.post_deploy_container and not o.post_deploy_command:
        raise WrongUse("--post-deploy-container needs --post-deploy-command")
    if o.bake is not None and not o.alarm:
        raise WrongUse("--bake needs --alarm")


def _check_numbers(o: DeployOptions) -> None:
    least = {
        "--desired-count": (o.desired_count, 0),
        "--min": (o.min, 0),
        "--max": (o.max, 0),
        "--timeout": (o.timeout, 0),
        "--drain-timeout": (o.drain_timeout, 0),
        "--rollback-timeout": (o.rollback_timeout, 0),
        "--smoke-within": (o.smoke_within, 1),
        "--bake": (o.bake, 0),
        "--max-definitions": (o.max_definitions, 0),
    }
    for name, (value, minimum) in least.items():
        if value is not None and not value >= minimum:  # "nan" is no number of seconds either
            raise WrongUse(f"{name} {value}: must be {minimum} or more")


def _tag_of_variable(variable: str | None, environment: Mapping[str, str]) -> str | None:
    if variable is None:
        return None
    value = environment.get(variable)
    if not value:
        raise WrongUse(f"-e/--tag-env-var {variable}: the environment variable is not set")
    return value


def _retagged(image: str, tag: str | None) -> str:
    parsed = ImageReference.parse(image)
    return str(parsed.with_tag(tag) if tag is not None else parsed.with_default_tag())


def _containers(given: tuple[str, ...], tag: str | None) -> dict[str, str]:
    images: dict[str, str] = {}
    for item in given:
        name, equals, image = item.partition("=")
        if not equals or not name:
            raise WrongUse(f"--container {item!r}: must be NAME=IMAGE")
        if name in images:
            raise WrongUse(f"--container {name!r} is given twice")
        images[name] = _retagged(image, tag)
    return images


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (given or "").split(","))))


def _base(options: DeployOptions) -> str | Mapping[str, Any]:
    if options.task_definition_file is not None:
        return read_json_object(options.task_definition_file, "--task-definition-file")
    if options.task_definition is not None:
        return f"definition:{options.task_definition}"
    return "family" if options.use_latest_task_def else "service"


def _task(options: DeployOptions) -> OneOffTask | None:
    if not options.run_task and not options.pre_deploy_command:
        return None
    network = options.network_configuration
    return OneOffTask(
        command=_words(options.pre_deploy_command),
        container=options.pre_deploy_container,
        wait=options.wait_for_success or bool(options.pre_deploy_command),
        launch_type=options.launch_type,
        platform_version=options.platform_version,
        network_configuration=(
            parse_structure(network, "--network-configuration") if network else None
        ),
    )


def _smoke(options: DeployOptions) -> Smoke | None:
    if not options.smoke_url:
        return None
    return Smoke(
        url=options.smoke_url,
        status=options.smoke_status or (200,),
        contains=options.smoke_contains,
        within=options.smoke_within,
    )


def _post_task(options: DeployOptions) -> OneOffTask | None:
    if not options.post_deploy_command:
        return None
    command = _words(options.post_deploy_command, "--post-deploy-command")
    return OneOffTask(command=command, container=options.post_deploy_container)


def _words(command: str | None, option: str = "--pre-deploy-command") -> tuple[str, ...]:
    """A command as words; split as a shell would, run by none."""
    try:
        return tuple(shlex.split(command or ""))
    except ValueError as error:
        raise WrongUse(f"{option} {command!r}: {error}") from None


def _timeouts(options: DeployOptions) -> Timeouts:
    rollback = options.rollback_timeout
    return Timeouts(
        healthy=options.timeout,
        drain=options.drain_timeout,
        rollback=max(options.timeout, LEAST_ROLLBACK_TIMEOUT) if rollback is None else rollback,
        task=options.timeout,
    )


def read_json_object(path: Path, option: str) -> Mapping[str, Any]:
    """The JSON object in a file (of UTF-8 or UTF-16, with or without a byte order mark).

    WrongUse where there is none.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise WrongUse(f"{option} {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise WrongUse(f"{option} {str(path)!r}: is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WrongUse(f"{option} {str(path)!r}: must hold a JSON object")
    return value
