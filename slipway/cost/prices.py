"""What AWS asks for, all in one place: US dollars in us-east-1, on demand, from its price pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

from slipway.contracts.errors import WrongUse

READ: Final = "us-east-1, on demand, read between September and November 2026"
MILLION: Final = 1_000_000

INSTANCE_HOUR: Final[Mapping[str, float]] = {
    "t4g.medium": 0.0336,
    "t4g.large": 0.0672,
    "c7g.large": 0.0725,
    "c7g.xlarge": 0.1450,
}
BUILDER_MINUTE: Final[Mapping[tuple[str, str], float]] = {
    ("arm64", "small"): 0.0034,
    ("arm64", "large"): 0.015,
    ("x86_64", "medium"): 0.01,
    ("x86_64", "large"): 0.02,
}
"""CodeBuild's on-demand compute by processor. `x86_64` small is `codebuild_minute`. What is not
here has no price that was found twice alike: it has to be given."""
BASELINE: Final[Mapping[str, float]] = {"t4g.medium": 0.2, "t4g.large": 0.3}
"""Share of its two processors that an instance of this family may use on and on."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Dollars for one of each. `instance_hour`: of a build host; None: as `INSTANCE_HOUR` says.

    `credit_hour`: a processor for an hour above the baseline (T4g's unlimited mode, the default).
    `codebuild_minute`: general1.small with its two processors, billed by the started minute.
    `builder_minute`: of Slipway's own builds of CodeBuild; None: as their compute costs.
    `write_unit`: 1 KB written to a table on demand, twice that in a transaction; `read_unit`: 4 KB
    read consistently.
    """

    instance_hour: float | None = None
    credit_hour: float = 0.04
    gp3_gb_month: float = 0.08
    public_ipv4_hour: float = 0.005
    metric_month: float = 0.30
    alarm_month: float = 0.10
    codebuild_minute: float = 0.005
    builder_minute: float | None = None
    codepipeline_v1_month: float = 1.0
    codepipeline_v2_action_minute: float = 0.002
    lambda_request: float = 0.20 / MILLION
    lambda_gb_second: float = 0.0000133334
    sqs_request: float = 0.40 / MILLION
    sns_publish: float = 0.50 / MILLION
    write_unit: float = 0.625 / MILLION
    read_unit: float = 0.125 / MILLION
    logs_gb: float = 0.50
    ecr_gb_month: float = 0.10

    def host_hour(self, instance: str) -> float:
        """Of a host of that type, its address not counted. WrongUse where no price is known."""
        if self.instance_hour is not None:
            return self.instance_hour
        if instance not in INSTANCE_HOUR:
            known = ", ".join(INSTANCE_HOUR)
            raise WrongUse(
                f"no price is known for instance type {instance!r} (known: {known}); give it with"
                " buildHost.pricePerHour, or with --price instance_hour=DOLLARS"
            )
        return INSTANCE_HOUR[instance]

    def builder(self, architecture: str, compute: str) -> float:
        """Of a minute of such a build of CodeBuild. WrongUse where no price is known."""
        if self.builder_minute is not None:
            return self.builder_minute
        if (architecture, compute) == ("x86_64", "small"):
            return self.codebuild_minute
        if (architecture, compute) not in BUILDER_MINUTE:
            known = ", ".join(sorted({"x86_64 small", *map(" ".join, BUILDER_MINUTE)}))
            raise WrongUse(
                f"no price is known for CodeBuild's {architecture} {compute!r} (known: {known}); "
                "give it with builders.codeBuild.pricePerMinute, or with --price "
                "builder_minute=DOLLARS"
            )
        return BUILDER_MINUTE[architecture, compute]


OF_AWS: Final = Prices()
NAMES: Final = tuple(field.name for field in fields(Prices))


def with_others(prices: Prices, given: Iterable[str]) -> Prices:
    """`prices` with others in place: texts like `gp3_gb_month=0.09`. WrongUse names a wrong one."""
    return replace(prices, **dict(map(_read, given)))


def _read(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in NAMES:
        raise WrongUse(f"--price {text!r}: no such price; there are {', '.join(NAMES)}")
    try:
        dollars = float(value)
    except ValueError:
        dollars = math.nan
    if not 0 <= dollars < math.inf:
        raise WrongUse(f"--price {text!r}: give dollars, a number of at least 0")
    return name, dollars
