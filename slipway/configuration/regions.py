"""AWS's regions and their partitions, as botocore has them from AWS."""

from __future__ import annotations

from functools import cache

from botocore.loaders import create_loader


@cache
def regions() -> dict[str, str]:
    """Every region that this botocore knows, and its partition: `aws`, `aws-us-gov`, `aws-cn` …"""
    data = create_loader().load_data("partitions")  # type: ignore[no-untyped-call]
    return {
        region: str(partition["id"])
        for partition in data["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    }
