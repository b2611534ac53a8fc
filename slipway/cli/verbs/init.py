"""`slipway init`: write a configuration: asked for, and looked up in the account.

Nothing is written before all is known and right, and then the whole file at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.credential_options import with_options
from slipway.cli.show.output import Output
from slipway.cli.user.files import write_whole
from slipway.contracts.errors import WrongUse

_OPTIONS: tuple[Callable[..., Any], ...] = (
    click.option("--name", help="The installation's name. Default: slipway."),
    click.option("--region", help="The region of both stacks. Default: as for the AWS CLI."),
    click.option("--dev-account", metavar="NUMBER", help="The account that is pushed to."),
    click.option("--prod-account", metavar="NUMBER", help="The account that builds and runs."),
    click.option("--repository", metavar="NAME", help="The CodeCommit repository."),
    click.option(
        "--create-repository/--existing-repository",
        default=None,
        help="Whether the dev stack makes it. Default: if it is not there.",
    ),
    click.option("--branch", help="The branch whose pushes are deployed. Default: the main one."),
    click.option("--pipeline", metavar="NAME", help="Default: after the service."),
    click.option("--sample/--no-sample", default=None, help="Deploy to a small sample service."),
    click.option("--cluster", help="The existing service's cluster."),
    click.option("--service", help="The existing service."),
    click.option(
        "--role", metavar="ARN", multiple=True, help="A role that its task definition names."
    ),
    click.option("--image-repository", metavar="NAME", help="The ECR repository of the image."),
    click.option(
        "--create-image-repository/--existing-image-repository",
        default=None,
        help="Whether the prod stack makes it. Default: if it is not there.",
    ),
    click.option(
        "--container", metavar="NAME", multiple=True, help="A container that runs the image."
    ),
    click.option("--architecture", help="arm64 or x86_64. Default: the service's, else arm64."),
    click.option("--email", metavar="ADDRESS", multiple=True, help="Who gets notices as e-mail."),
    click.option("--schema", metavar="PLACE", help="Where an editor finds the JSON Schema."),
    click.option("--profile", help="AWS profile of the prod account, to look there."),
    click.option("--dev-profile", help="AWS profile of the dev account. Default: the other one."),
    click.option("--offline", is_flag=True, help="Do not look anything up in AWS."),
    click.option("--force", is_flag=True, help="Write over a file that is there."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="slipway.json")
@with_options(_OPTIONS)
def command(file: Path, **given: Any) -> None:
    """Write a configuration to FILE (default: slipway.json), which `slipway config check` takes.

    What no option says is asked for on a terminal. Where there are AWS credentials, the account is
    looked at: its services, their roles and images, its repositories, the hosts' image. FILE is
    YAML where its name ends so. A file that is there stays as it is, without --force.

    \b
    Examples:
      slipway init
      slipway init ../ours/stage.yaml --profile prod-admin --dev-profile dev-admin
      slipway init --offline --region eu-central-1 --dev-account 123456789012 \\
        --prod-account 210987654321 --repository shop --sample
    """
    from slipway.cli.init.compose import compose, text_of
    from slipway.cli.init.questions import Questions, has_terminal
    from slipway.cli.init.wanted import find_out
    from slipway.configuration import parse
    from slipway.configuration.files import is_yaml, need_yaml
    from slipway.configuration.placeholders import placeholders
    from slipway.contracts.errors import InvalidConfiguration

    _refuse_present(file, force=given["force"])
    if is_yaml(file):
        need_yaml(file)
    questions = Questions(given, terminal=has_terminal())
    wanted = find_out(questions, given)
    questions.check_complete()
    data = compose(wanted)
    faults = placeholders(parse(data))
    if faults:
        raise InvalidConfiguration(faults)
    _refuse_present(file, force=given["force"])
    write_whole(file, text_of(data, as_yaml=is_yaml(file)), option="FILE")
    out = Output(as_json=given["as_json"])
    out.data({"file": str(file), "configuration": data})
    out.say(f"wrote {file}, which is valid; more pipelines are added in it by hand")
    if wanted.service is not None and not wanted.service.roles:
        out.say("no roles are in it: a task definition that names roles needs them (`roles`)")
    out.say(
        f"next, in Slipway's repository: `make deploy CONFIGURATION={file.resolve()}"
        " DEV_PROFILE=… PROD_PROFILE=…` (docs/operating.md)"
    )


def _refuse_present(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise WrongUse(f"{file} is there already: give another name, or --force to write over it")
