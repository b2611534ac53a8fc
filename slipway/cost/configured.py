"""What is counted of a configuration: its hosts, its builders, and what it says of prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.configuration import BuildHost, Configuration
from slipway.configuration.hosts import DISK_GB
from slipway.configuration.place import disk_of
from slipway.cost.engines import Builds, engines
from slipway.cost.model import Setup, Way
from slipway.cost.prices import Prices


def no_disk_kept(_key: str) -> None:
    """Nothing is known of the disks of hosts that are there."""


def setup_of(c: Configuration, kept: Callable[[str], Any] = no_disk_kept) -> Setup:
    """Its hosts; where there are none, those that Slipway would make. `kept`: see `place.py`."""
    host = c.build_host or BuildHost()
    return Setup(
        instance=host.instance_type,
        disk_gb=disk_of(c, kept, otherwise=DISK_GB),
        cached_images=sum(i.build_cache for p in c.pipelines for i in p.images),
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


def chosen(c: Configuration, minutes: float, kept: Callable[[str], Any] = no_disk_kept) -> Way:
    """The way of `builders.when`. WrongUse where a price is not known."""
    ways = engines(setup_of(c, kept), builds_of(c), minutes)
    return next(way for way in ways if way.name == c.builders.when)
