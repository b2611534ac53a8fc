"""What is counted of a configuration: its hosts, its builders, and what it says of prices."""

from __future__ import annotations

from slipway.configuration import BuildHost, Configuration
from slipway.cost.engines import Builds, engines
from slipway.cost.model import Setup, Way
from slipway.cost.prices import Prices


def setup_of(c: Configuration) -> Setup:
    """Its hosts; where there are none, those that Slipway would make."""
    host = c.build_host or BuildHost()
    return Setup(
        instance=host.instance_type,
        disk_gb=host.volume_size,
        hosts=host.count,
        idle=c.limits.idle_period,
        prices=prices_of(c),
    )


def builds_of(c: Configuration) -> Builds:
    """Its builders; where there are none, those that Slipway would make."""
    return Builds(
        compute=c.builders.code_build.compute, architecture=c.architecture, prices=prices_of(c)
    )


def prices_of(c: Configuration) -> Prices:
    """AWS's, and those that the configuration gives."""
    return Prices(
        instance_hour=c.build_host.price_per_hour if c.build_host else None,
        builder_minute=c.builders.code_build.price_per_minute,
    )


def chosen(c: Configuration, minutes: float) -> Way:
    """The way of `builders.when`. WrongUse where a price is not known."""
    ways = engines(setup_of(c), builds_of(c), minutes)
    return next(way for way in ways if way.name == c.builders.when)
