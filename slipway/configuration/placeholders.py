"""What of the example cannot be deployed: `slipway config check` tells, a synth does not."""

from __future__ import annotations

from slipway.configuration.parts import Configuration
from slipway.configuration.paths import Fault

EXAMPLE_ACCOUNTS = frozenset({"111111111111", "222222222222"})
EXAMPLE_AMI = "ami-00000000000000000"
IMAGES = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
"""AWS's public parameter that names the newest Amazon Linux 2023."""


def image_parameter(configuration: Configuration) -> str:
    """The public parameter for the hosts' processor."""
    return IMAGES.format(architecture=configuration.architecture)


def placeholders(configuration: Configuration) -> list[Fault]:
    """The example's values that are still there; none in the local run, which is made of them."""
    if configuration.local is not None:
        return []
    return [*_accounts(configuration), *_image(configuration)]


def _accounts(c: Configuration) -> list[Fault]:
    command = "aws sts get-caller-identity --query Account --output text --profile PROFILE"
    return [
        (f"{side}.account", f'"{number}": is the example\'s number; yours is told by `{command}`')
        for side, number in (("dev", c.dev.account), ("prod", c.prod.account))
        if number in EXAMPLE_ACCOUNTS
    ]


def _image(c: Configuration) -> list[Fault]:
    ami = c.hosts.ami if c.hosts else None
    if ami is None or ami.removeprefix("ami-").strip("0"):
        return []
    command = (
        f"aws ssm get-parameter --region {c.prod_region} --query Parameter.Value --output text "
        f"--name {image_parameter(c)}"
    )
    problem = (
        f'"{ami}": is no image; leave it out, and `slipway prepare` finds one and keeps it, '
        f"or name what `{command}` tells"
    )
    return [("buildHost.ami", problem)]
