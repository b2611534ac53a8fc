"""The build contexts of a commit, as docker takes them: a folder, without what is ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from build_agent.image.build_files import locate
from build_agent.image.ignore import ignoring
from build_agent.source.left_out import Context
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings


def contexts_of(tree: Path, images: Iterable[ImageSettings]) -> Iterator[Context]:
    """Those of `images` in `tree`; of one that cannot be built at all its build says so."""
    for image in images:
        try:
            files = locate(tree, image)
        except DeploymentFailed:
            continue
        yield Context(files.context, ignoring(files.ignore_text))
