"""Seconds and resources of a synth with 1, 10 and 100 pipelines: `python -m bench.synthesis`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.infra.templates import synthesize
from tests.infra.test_scale import many

COUNTS = (1, 1, 10, 100)
"""The first is the warm-up: it pays for loading the CDK."""


def main() -> None:
    """Synthesize templates of growing configurations and print how long it takes."""
    print("pipelines  seconds  resources dev  resources prod  prod template, kB")
    for turn, count in enumerate(COUNTS):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            stacks = synthesize(many(count), Path(folder))
            seconds = time.perf_counter() - started
            size = sum(f.stat().st_size for f in Path(folder).glob("cdk.out/*-prod.template.json"))
        dev, prod = (len(template["Resources"]) for template in stacks.both)
        if turn:
            print(f"{count:9} {seconds:8.1f} {dev:14} {prod:15} {size / 1000:18.0f}")


if __name__ == "__main__":
    main()
