"""`slipway deploy`: the rollout alone, with every option of ecs-deploy under its own name."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.credential_options import credential_options, with_options
from slipway.cli.aws.errors import credentials_plainly, log_in_hint
from slipway.cli.aws.who_calls import who_calls
from slipway.cli.deploy.lock import Held, Unlocked, held, lock_place
from slipway.cli.deploy.plan import DEFAULT_TIMEOUT, DeployOptions, plan_of, remarks
from slipway.cli.deploy.report import (
    Progresses,
    call_line,
    ecs_deploy_lines,
    json_of,
    left_by,
    lines_of,
    unwatched,
)
from slipway.cli.deploy.world import World
from slipway.cli.user.ending import check_ended, goes_on, going_on, interrupted
from slipway.contracts.errors import WorldFailed
from slipway.rollout import Progress, RolloutPlan, RolloutResult, Unfinished, roll_out

_WHAT = (
    click.option("-c", "--cluster", help="ECS cluster: name or ARN."),
    click.option("-n", "--service-name", help="Service to deploy: name or ARN."),
    click.option("-d", "--task-definition", metavar="NAME", help="Only register this family."),
    click.option("-i", "--image", help="Image: [domain[:port]/][path/]name[:tag][@digest]."),
    click.option(
        "--container", multiple=True, metavar="NAME=IMAGE", help="Image of one container."
    ),
    click.option("-e", "--tag-env-var", metavar="VAR", help="Take the image's tag from $VAR."),
    click.option("-to", "--tag-only", metavar="TAG", help="Only change the tag of all images."),
    click.option(
        "-toc",
        "--tag-only-container-names",
        "--tag_only_container_names",
        metavar="A,B",
        help="Containers that --tag-only changes. Default: all.",
    ),
    click.option(
        "--task-definition-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Base the new revision on this JSON.",
    ),
    click.option("--use-latest-task-def", is_flag=True, help="Base it on the family's newest."),
    click.option(
        "--copy-task-definition-tags/--no-copy-task-definition-tags",
        default=True,
        help="Tags go to the new revision (default).",
    ),
    click.option("--force-new-deployment", is_flag=True, help="Start what runs once more."),
)
_HOW = (
    click.option("-D", "--desired-count", type=int, help="Tasks that the service keeps running."),
    click.option("-m", "--min", type=int, help="minimumHealthyPercent."),
    click.option("-M", "--max", type=int, help="maximumPercent."),
    click.option(
        "-t",
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        show_default=True,
        help="Seconds for the new tasks to become healthy.",
    ),
    click.option(
        "--drain-timeout",
        type=float,
        default=900.0,
        show_default=True,
        help="Seconds for the old tasks to go after that; never rolls back.",
    ),
    click.option(
        "--rollback-timeout", type=float, help="Seconds for a rollback. Default: -t, at least 300."
    ),
    click.option("--max-definitions", type=int, default=0, metavar="N", help="Revisions to keep."),
    click.option(
        "--enable-rollback/--no-rollback",
        "rollback",
        default=True,
        help="On failure run the previous revision again (default).",
    ),
    click.option("--skip-deployments-check", is_flag=True, help="Do not wait for draining."),
)
_TASK = (
    click.option("--run-task", is_flag=True, help="Run the new revision once as a task."),
    click.option("--wait-for-success", is_flag=True, help="Wait for the task to exit with 0."),
    click.option("--launch-type", help="The task's launch type."),
    click.option("--platform-version", help="The task's Fargate platform version."),
    click.option("--network-configuration", help="The task's network: JSON or shorthand."),
    click.option("--pre-deploy-command", metavar="COMMAND", help="Run it before the update."),
    click.option("--pre-deploy-container", metavar="NAME", help="Where to run it."),
)
_PROOF = (
    click.option("--smoke-url", metavar="URL", help="Must answer well afterwards; else go back."),
    click.option(
        "--smoke-status", type=int, multiple=True, metavar="N", help="A good status. Default: 200."
    ),
    click.option("--smoke-contains", metavar="TEXT", help="What a good answer contains."),
    click.option(
        "--smoke-within",
        type=float,
        default=60.0,
        show_default=True,
        help="Seconds for a good answer.",
    ),
    click.option("--post-deploy-command", metavar="COMMAND", help="Run it afterwards, as a task."),
    click.option("--post-deploy-container", metavar="NAME", help="Where to run it."),
    click.option("--alarm", multiple=True, metavar="NAME", help="Must stay quiet for --bake."),
    click.option("--bake", type=float, metavar="MINUTES", help="With --alarm. Default: 5."),
)
_ELSE = (
    click.option("--dry-run", is_flag=True, help="Print what would change; change nothing."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option("--pipeline", help="Pipeline whose lock to hold."),
    click.option("--table", help="Slipway's table (or $SLIPWAY_TABLE)."),
    click.option("-v", "--verbose", is_flag=True, help="Print each call to AWS."),
    click.version_option(None, "--version", package_name="slipway", prog_name="slipway"),
)


@click.command("deploy", no_args_is_help=True, context_settings={"allow_extra_args": True})
@credential_options
@with_options((*_WHAT, *_HOW, *_TASK, *_PROOF, *_ELSE))
@click.pass_context
def command(context: click.Context, /, **given: Any) -> None:
    """Deploy an image to an ECS service, and say how it really ended.

    Exit codes: 0 the new revision is the one that runs; 1 it is not (rolled_back, failed,
    crash_loop, superseded, timed_out); 2 wrong use, nothing was changed; 3 AWS or the network
    failed: what was begun and goes on, unwatched, is said.

    \b
    Examples:
      slipway deploy -c main -n shop -i registry.example/shop:v8
      slipway deploy -c main -n shop --tag-only v8 --dry-run
    """
    _refuse_surplus(context.args)
    credentials = who_calls(given)
    as_json, verbose = given.pop("as_json"), given.pop("verbose")
    place = {"pipeline": given.pop("pipeline"), "table": given.pop("table")}
    options = DeployOptions.of(given)
    plan = plan_of(options, os.environ)
    for remark in remarks(options):
        click.echo(f"note: {remark}", err=True)
    world = context.find_object(World) or World()
    begun = world.clock.now()
    clients = world.clients(credentials, _print_call if verbose else None)
    watch = Watch(Progresses(sys.stderr))

    def tell(result: RolloutResult) -> None:
        seconds = world.clock.now() - begun
        lines = [*ecs_deploy_lines(plan, result), *lines_of(result, seconds=seconds)]
        click.echo(json_of(result, seconds=seconds) if as_json else "\n".join(lines))

    try:
        with credentials_plainly():
            result = _deploy(plan, clients, world, _lock(plan, place, clients), watch)
    except Unfinished as error:
        tell(error.result)
        raise WorldFailed(f"{error}{log_in_hint(error)}") from error
    except KeyboardInterrupt as ended:
        if goes_on(ended):
            tell(unwatched(watch.last, interrupted(ended)))
        raise
    tell(result)
    context.exit(0 if result.done else 1)


def _refuse_surplus(arguments: list[str]) -> None:
    """Empty arguments count for nothing, as with ecs-deploy (whose GitHub Action passes them)."""
    surplus = [argument for argument in arguments if argument]
    if surplus:
        raise click.UsageError(f"Got unexpected extra argument ({' '.join(surplus)})")


class Watch:
    """Tells how far the rollout is, and remembers it."""

    def __init__(self, tell: Progresses) -> None:
        self.tell = tell
        self.last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self.last = progress
        self.tell(progress)
        check_ended()


def _deploy(
    plan: RolloutPlan,
    clients: Any,
    world: World,
    lock: AbstractContextManager[Held | Unlocked],
    watch: Watch,
) -> RolloutResult:
    with going_on(lambda: left_by(watch.last)), lock as holding:

        def on_progress(progress: Progress) -> None:
            watch(progress)
            holding.keep()

        try:
            return roll_out(
                plan,
                ecs=holding.around(clients.client("ecs")),
                ecr=partial(clients.client, "ecr"),
                codedeploy_client=lambda: holding.around(clients.client("codedeploy")),
                balancing=partial(clients.client, "elbv2"),
                cloudwatch_client=partial(clients.client, "cloudwatch"),
                clock=world.clock,
                on_progress=on_progress,
                guard=holding.look,
            )
        finally:
            watch.tell.close()


def _lock(
    plan: RolloutPlan, place: dict[str, Any], clients: Any
) -> AbstractContextManager[Held | Unlocked]:
    """The pipeline lock where one is configured; nothing to hold where none is, or in a dry run."""
    found = lock_place(
        **place,
        cluster=plan.cluster,
        service=plan.service,
        environment=os.environ,
        folder=Path.cwd(),
    )
    if found is None or plan.dry_run:
        return nullcontext(Unlocked())
    return held(found, clients.client)


def _print_call(params: dict[str, Any], model: Any, **_ignored: Any) -> None:
    """`-v`: each call's name, and what of its parameters cannot be a secret."""
    import json

    body = params.get("body") or b"{}"
    try:
        members = json.loads(body)
    except ValueError:
        members = {}
    name = f"{model.service_model.service_name}:{model.name}"
    click.echo(call_line(name, members if isinstance(members, dict) else {}), err=True)
