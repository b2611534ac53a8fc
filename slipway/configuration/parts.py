"""The whole of a configuration: both sides, pipelines, hosts and what they share.

Keys, defaults and what each is for; docs are made of it.
"""

from __future__ import annotations

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.hosts import BuildHost, Network
from slipway.configuration.pipeline import Pipeline
from slipway.configuration.protocol import Alarms, LimitSettings
from slipway.configuration.values import (
    Account,
    Boundary,
    Email,
    InstallationName,
    LayerArn,
    Platform,
    PrincipalArn,
    Region,
    Registry,
    RetentionDays,
    Url,
)


class Side(Part):
    """One of the two accounts."""

    account: Account = Field(description="The account's number. Both sides may name the same one.")
    region: Region | None = Field(
        default=None, description="The region, where it differs from the installation's."
    )
    operators: list[PrincipalArn] = Field(
        default=[],
        description="Dev side only: roles or users of the prod account, beside the reconciler, "
        "that may assume the `tip` role and so ask for the tip of the configured branches.",
    )


class Notices(Part):
    """Who is told."""

    slack: bool = Field(default=True, description="Notices go to a Slack channel.")
    emails: list[Email] = Field(
        default=[], max_length=20, description="Addresses that get the same as plain text."
    )


class Lambdas(Part):
    """Settings that the functions share."""

    powertools_layer: LayerArn | None = Field(
        default=None,
        description="Powertools' layer for python3.13 on arm64; default: the public one of the "
        "release in `requirements.txt`. Needed in GovCloud, where AWS does not say "
        "which layer that is.",
    )
    log_retention_days: RetentionDays = Field(
        default=90, description="How long logs of functions and builds are kept."
    )
    reconcile_every_minutes: int = Field(
        default=5, ge=1, le=60, description="How often the reconciler looks."
    )


class Local(Part):
    """One machine in place of two accounts: set by the local run, never in AWS.

    What differs in the stacks then is in `infra/local_differences.py`, each difference listed.
    """

    registry: Registry = Field(
        description="The registry that images are pushed to, in place of ECR's."
    )
    git_base_url: Url = Field(description="Git remotes are `<this>/<repository>`.")


class Configuration(Part):
    """Everything that one installation of Slipway is told."""

    name: InstallationName = Field(
        default="slipway",
        description="Names of all resources start with it. Another name is another "
        "installation, e.g. `slipway-stage` beside `slipway`.",
    )
    region: Region = Field(description="The region of both stacks.")
    dev: Side = Field(description="The account that is pushed to.")
    prod: Side = Field(description="The account that builds and runs.")
    pipelines: list[Pipeline] = Field(min_length=1, max_length=100)
    build_host: BuildHost
    network: Network = Network()
    notices: Notices = Notices()
    lambdas: Lambdas = Lambdas()
    alarms: Alarms = Alarms()
    limits: LimitSettings = LimitSettings()
    operator_policies: bool = Field(
        default=True,
        description="true: the prod stack makes the policies `<name>-read`, `<name>-operate` and "
        "`<name>-webhook`, to be attached to the roles of who runs `slipway`.",
    )
    customer_key: bool = Field(
        default=False,
        description="true: topics and queues of the prod stack are encrypted under one KMS key "
        "made for them ($1 a month), `alias/<name>`. false: topics without a key, queues under "
        "SQS's own.",
    )
    permissions_boundary: Boundary | None = Field(
        default=None,
        description="A policy set as the boundary of every role, on both sides: AWS's own by its "
        "ARN; one of yours by its name (with its path), for it has to be in either account. "
        "What it takes away is gone: `slipway doctor` says which of a role's actions.",
    )
    tags: dict[str, str] = Field(default={}, max_length=40, description="Tags of every resource.")
    local: Local | None = Field(default=None, description="Only for the run on one machine.")

    @property
    def dev_region(self) -> str:
        return self.dev.region or self.region

    @property
    def prod_region(self) -> str:
        return self.prod.region or self.region

    @property
    def platform(self) -> Platform:
        """What the build host builds for."""
        return "linux/arm64" if self.build_host.architecture == "arm64" else "linux/amd64"

    @property
    def partition(self) -> str:
        """Of all regions of the installation; a rule sees to that."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"
