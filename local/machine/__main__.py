"""Keeps one machine: `local.machine.keeper`, or `local.machine.qemu` for an image with a kernel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.machine import kernel
from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.machine.keeper import Keeper, Machine
from local.machine.qemu import Qemu
from slipway.contracts.errors import SlipwayError


def main() -> int:
    """The machine's exit code; 3 where it could not be started."""
    parser = argparse.ArgumentParser(prog="python -m local.machine", description=__doc__)
    for name in ("instance-id", "image", "disk", "logs", "cgroup", "endpoint-url"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    machine = Machine(
        instance_id=given.instance_id,
        image=Path(given.image),
        disk=Disk(Path(given.disk), Path(given.logs)),
        cgroup=Cgroup(given.cgroup),
        endpoint_url=given.endpoint_url,
    )
    try:
        keeper = Qemu if kernel.is_made_by_this(machine.image) else Keeper
        return keeper(machine).run()
    except SlipwayError as error:
        print(f"machine {machine.instance_id}: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
