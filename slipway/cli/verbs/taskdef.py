"""`slipway taskdef`: taskdef.json and appspec.yaml for CodePipeline's blue/green action."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.credential_options import credential_options, with_options
from slipway.cli.aws.errors import credentials_plainly
from slipway.cli.aws.who_calls import who_calls
from slipway.cli.deploy.world import World
from slipway.cli.taskdef.appspec import appspec_yaml, hooks_of, is_ours, load_balancer_of
from slipway.cli.taskdef.values import Changes, apply_changes
from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.rollout.api import Api
from slipway.rollout.service import Service, read_service
from slipway.rollout.taskdef import Described, describe, request_of

TASKDEF, APPSPEC = "taskdef.json", "appspec.yaml"

_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option("-c", "--cluster", help="ECS cluster: name or ARN."),
    click.option("-n", "--service-name", help="Write what this service runs now."),
    click.option("-d", "--task-definition", metavar="NAME", help="Or this family (or revision)."),
    click.option("-i", "--image", help="Image of the containers that have its repository."),
    click.option(
        "--container",
        multiple=True,
        metavar="NAME=IMAGE",
        help="Image of one container; a placeholder such as <IMAGE1_NAME> is allowed.",
    ),
    click.option("--all-containers", metavar="IMAGE", help="Image of every container."),
    click.option(
        "--set",
        "values",
        multiple=True,
        metavar="PATH=VALUE",
        help="A value of this environment: cpu=512, web.memory=256, web.environment.LEVEL=debug.",
    ),
    click.option("--unset", multiple=True, metavar="PATH", help="Leave a value out."),
    click.option("--no-tags", is_flag=True, help="Leave the tags out."),
    click.option(
        "--load-balancer",
        metavar="NAME:PORT",
        help="Container and port behind the load balancer. Default: the service's.",
    ),
    click.option(
        "--hook",
        "hooks",
        multiple=True,
        metavar="EVENT=FUNCTION",
        help="A hook of the AppSpec: a Lambda function that CodeDeploy calls at this event.",
    ),
    click.option("--no-appspec", is_flag=True, help=f"Do not write {APPSPEC}."),
    click.option(
        "-o",
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(),
        help="Folder to write to. Default: this one.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Name the files as JSON."),
)


@click.command("taskdef", no_args_is_help=True)
@credential_options
@with_options(_OPTIONS)
@click.pass_context
def command(context: click.Context, /, **given: Any) -> None:
    """Write taskdef.json and appspec.yaml, ready as artifacts for CodePipeline.

    What ECS adds to a task definition when it describes it is left out; everything that registering
    accepts is kept. An appspec.yaml that this command did not write is never overwritten.

    \b
    Examples:
      slipway taskdef -c main -n shop --container 'web=<IMAGE1_NAME>'
      slipway taskdef -c main -n shop --set web.environment.LEVEL=debug -o stage
    """
    credentials = who_calls(given)
    cluster, name = given["cluster"], given["service_name"]
    if (name is None) == (given["task_definition"] is None):
        raise WrongUse("give exactly one of -n/--service-name and -d/--task-definition")
    if name is not None and cluster is None:
        raise WrongUse("-n/--service-name needs -c/--cluster")
    world = context.find_object(World) or World()
    api = Api(world.clients(credentials, None).client("ecs"), world.clock)
    with credentials_plainly():
        service = read_service(api, cluster, name) if name is not None else None
        described = describe(api, service.task_definition if service else given["task_definition"])
    written = _write(given, api, described, service)
    names = [str(file) for file in written]
    click.echo(json.dumps({"files": names}) if given["as_json"] else f"wrote {', '.join(names)}")


def _write(
    given: dict[str, Any], api: Api, described: Described, service: Service | None
) -> list[Path]:
    """Write the files; nothing is written where a value is wrong."""
    model = api.client.meta.service_model
    request = apply_changes(
        request_of(described, model, tags=not given["no_tags"]),
        Changes(
            image=given["image"],
            containers=given["container"],
            all_containers=given["all_containers"],
            values=given["values"],
            unset=given["unset"],
        ),
        model.operation_model("RegisterTaskDefinition").input_shape,
    )
    texts = {TASKDEF: json.dumps(request, indent=2, ensure_ascii=False) + "\n"}
    if not given["no_appspec"]:
        balancer = load_balancer_of(given["load_balancer"], service, request)
        version = service.raw.get("platformVersion") if service else None
        texts[APPSPEC] = appspec_yaml(balancer, version, hooks_of(given["hooks"]))
    elif given["hooks"]:
        raise WrongUse("--hook is for the AppSpec: not with --no-appspec")
    folder: Path = given["output"]
    if APPSPEC in texts:
        _check_not_somebodys(folder / APPSPEC)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldFailed(f"cannot write to {folder}: {error.strerror}") from None
    return [folder / name for name in texts]


def _check_not_somebodys(file: Path) -> None:
    """WrongUse for a file that `slipway taskdef` did not write, or that was changed since."""
    try:
        there = file.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise WorldFailed(f"cannot read {file}: {error.strerror}") from None
    if not is_ours(there):
        raise WrongUse(
            f"{file} was not written by slipway taskdef, or was changed since: it is left as it "
            "is, and nothing was written. Give --no-appspec for taskdef.json alone, or another "
            "folder with --output"
        )
