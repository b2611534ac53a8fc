"""What a month costs with each engine: hosts, CodeBuild alone, or hosts and what goes beyond them.

A builder of CodeBuild is paid by the started minute, from its start to the hand-over: the rollout
is followed without it, and nothing of it stands but queues, and the layers that it starts with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from slipway.cost.following import LOOK_SECONDS, followed
from slipway.cost.model import ROLLOUT_MINUTES, Setup, Way, codepipeline_v2
from slipway.cost.prices import OF_AWS, Prices

START_SECONDS = 40.0
"""Of a builder before its first step: CodeBuild's provisioning with a docker daemon, the agent's
archive, its own start. Taken, not measured; AWS bills it."""
LOG_MB = 0.2
"""Of one build: what it prints is in the log group as its deployment's, and as CodeBuild's."""
FREE_MINUTES = 100
"""Of CodeBuild's small compute in a month, x86_64 or arm64, that AWS does not charge."""
INVOCATIONS = 3
"""Of functions for one build: the starter, and the reconciler at its end; one more for a build
that is started late."""
QUEUE_CALLS = 4
"""Of SQS: the request sent, received and deleted, and an empty answer. Nothing polls the queue."""
WRITES = 12
"""KB written to rows for one build: the request's row and the builder's, most in transactions."""
SHARE = 0.1
"""Of the deployments with `overflow`: those that go to CodeBuild, unless one is given."""
LONGEST = 60
"""Minutes of builds up to which a bound is looked for, second by second: beyond, CodePipeline's
minutes grow and a start does not."""


@dataclass(frozen=True)
class Builds:
    """Builds of CodeBuild: which, at which prices, and whether AWS's free minutes are there."""

    compute: str = "small"
    architecture: str = "x86_64"
    prices: Prices = OF_AWS
    free: bool = True

    @property
    def minute(self) -> float:
        """$ of a started minute. WrongUse where no price is known."""
        return self.prices.builder(self.architecture, self.compute)

    def build(self, minutes: float) -> float:
        """$ that CodeBuild asks for a build of so many minutes, its start counted."""
        return math.ceil(minutes + START_SECONDS / 60) * self.minute

    def deployment(self, minutes: float) -> float:
        """$ of one deployment: CodeBuild, what starts it, its log, and its rollout followed."""
        logs = LOG_MB / 1024 * self.prices.logs_gb
        return self.build(minutes) + logs + started(self.prices) + followed(
            ROLLOUT_MINUTES, self.prices
        )  # fmt: skip

    @property
    def spared(self) -> float:
        """$ a month that the free minutes are worth."""
        return FREE_MINUTES * self.minute if self.free and self.compute == "small" else 0.0


def started(prices: Prices) -> float:
    """$ of what it takes to start one build and to see its end. StartBuild itself is free."""
    memory_gb = 0.5
    seconds = INVOCATIONS * LOOK_SECONDS * memory_gb * prices.lambda_gb_second
    drained = QUEUE_CALLS * prices.sqs_request
    return INVOCATIONS * prices.lambda_request + seconds + drained + WRITES * prices.write_unit


def hosts_only(setup: Setup, minutes: float) -> Way:
    """`hosts`: as ever."""
    return Way("hosts", setup.standing, setup.deployment(minutes))


def code_build_only(setup: Setup, builds: Builds, minutes: float) -> Way:
    """`codeBuild`: no disk, no alarm of a host."""
    bare = replace(setup, hosts=0)
    return Way(
        "codeBuild",
        bare.standing,
        builds.deployment(minutes),
        free_of=builds.build(minutes),
        spared=builds.spared,
    )


def hosts_first(setup: Setup, builds: Builds, minutes: float, share: float = SHARE) -> Way:
    """`overflow`: what stands is the hosts', and a `share` of the deployments is CodeBuild's."""
    return Way(
        "overflow",
        setup.standing,
        (1 - share) * setup.deployment(minutes) + share * builds.deployment(minutes),
        free_of=share * builds.build(minutes),
        spared=builds.spared,
    )


def engines(setup: Setup, builds: Builds, minutes: float, share: float = SHARE) -> list[Way]:
    """The three choices of `builders.when`, each named as there."""
    return [
        hosts_only(setup, minutes),
        hosts_first(setup, builds, minutes, share),
        code_build_only(setup, builds, minutes),
    ]


def dearer_than_pipeline(builds: Builds) -> tuple[float, float, float] | None:
    """From and to how many build minutes a deployment is dearer than with CodePipeline V2 and
    CodeBuild small, and by how many dollars at most; None: nowhere up to LONGEST.

    CodePipeline's build is taken to need no start, as in the table of all ways.
    """
    found = [
        (minutes, more)
        for minutes in (seconds / 60 for seconds in range(1, 60 * LONGEST + 1))
        if (more := _more_than_pipeline(builds, minutes)) > 0
    ]
    if not found:
        return None
    return found[0][0], found[-1][0], max(more for _minutes, more in found)


def _more_than_pipeline(builds: Builds, minutes: float) -> float:
    return builds.deployment(minutes) - codepipeline_v2(minutes, builds.prices).deployment
