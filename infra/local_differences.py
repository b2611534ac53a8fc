"""Every way in which the stacks differ when they stand in the emulator on one machine.

No other module asks whether it is the local run. Identity policies are the same in both places:
roles, statements and trust do not pass through here.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct, IConstruct

from infra.findings import accept
from slipway.configuration import Configuration

POWERTOOLS = "/aws/service/powertools/python/arm64/python3.13/{version}"
"""The public parameter in which Powertools names the layer of each of its releases.

In the commercial regions alone: elsewhere `lambdas.powertoolsLayer` has to be configured.
"""

DIFFERENCES: tuple[tuple[str, str, str, str], ...] = (
    (
        "TLS-only statements in queue and topic policies",
        "there",
        "left out",
        "the emulator speaks plain HTTP on 127.0.0.1",
    ),
    (
        "stack synthesizer",
        "CDK's default, its bootstrap roles",
        "the caller's own credentials",
        "the emulator has no bootstrap stack",
    ),
    (
        "Powertools",
        "its public layer",
        "none: installed beside the emulator",
        "the emulator cannot fetch a public layer",
    ),
    (
        "functions' processor",
        "arm64",
        "the machine's",
        "the emulator runs them in its own interpreter",
    ),
    (
        "image URIs and git URLs (`installation.json`)",
        "ECR's and CodeCommit's",
        "the emulator's registry and the local git server",
        "they are the machine's own",
    ),
)
"""What, in AWS, on one machine, why: shown in docs/security.md, held by a test."""


@dataclass(frozen=True)
class Differences:
    """Answers where AWS and one machine part; `local` is whether it is the latter."""

    local: bool

    @classmethod
    def of(cls, configuration: Configuration) -> Differences:
        return cls(local=configuration.local is not None)

    @property
    def tls_only(self) -> bool:
        """Whether queues and topics refuse plain HTTP."""
        return not self.local

    def accept_plain_http(self, construct: IConstruct) -> None:
        """Where TLS is not asked for, tell cdk-nag why."""
        if self.local:
            for rule in ("SQS4", "SNS3"):
                accept(construct, rule, "The emulator speaks plain HTTP on 127.0.0.1.")

    @property
    def architecture(self) -> lambda_.Architecture:
        """The functions' processor."""
        return lambda_.Architecture.X86_64 if self.local else lambda_.Architecture.ARM_64

    def synthesizer(self) -> cdk.IStackSynthesizer:
        """A synthesizer for one stack."""
        return cdk.CliCredentialsStackSynthesizer() if self.local else cdk.DefaultStackSynthesizer()

    def layers(self, scope: Construct, configuration: Configuration) -> list[lambda_.ILayerVersion]:
        """The functions' layers: Powertools, except where it is installed already."""
        if self.local:
            return []
        arn = configuration.lambdas.powertools_layer or _powertools()
        return [lambda_.LayerVersion.from_layer_version_arn(scope, "Powertools", arn)]


def _powertools() -> str:
    """The layer of the very release that is installed here, and so was tested.

    CloudFormation reads its number from the parameter: which one carries which release is said
    nowhere else.
    """
    version = importlib.metadata.version("aws-lambda-powertools")
    return f"{{{{resolve:ssm:{POWERTOOLS.format(version=version)}}}}}"
