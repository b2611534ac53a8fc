"""The arguments of `docker build`: of an image, and of a stage that is kept in the build cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit

LABELS = tuple(f"org.opencontainers.image.{name}" for name in ("revision", "source", "created"))
"""Slipway's own labels, which name the commit and the moment."""
COMMIT_PLACEHOLDER = "{commit}"
"""Stands for the commit's id in the value of a build argument."""


def build_command(
    pipeline: PipelineSettings,
    image: ImageSettings,
    commit: Commit,
    *,
    tag: str,
    dockerfile: Path,
    context: Path,
    id_file: Path,
    secrets: Sequence[str],
    created: str,
    fresh: bool,
) -> list[str]:
    """The arguments of `docker build`; a secret is named, its value is in the environment."""
    command = ["build", "--progress", "plain", "--platform", image.platform]
    command += ["--file", str(dockerfile), "--iidfile", str(id_file)]
    command += ["--tag", f"{image.repository_uri}:{tag}"]
    for label, value in zip(LABELS, (commit.id, pipeline.git_url, created), strict=True):
        command += ["--label", f"{label}={value}"]
    for name, value in arguments_of(image, commit).items():
        command += ["--build-arg", f"{name}={value}"]
    for number, name in enumerate(secrets):
        command += ["--secret", f"id={name},env={secret_variable(number)}"]
    if fresh:
        command += ["--no-cache", "--pull"]
    if image.target:
        command += ["--target", image.target]
    return [*command, "--", str(context)]


def arguments_of(image: ImageSettings, commit: Commit) -> dict[str, str]:
    """The build arguments with their values."""
    filled = image.build_arguments.items()
    return {name: value.replace(COMMIT_PLACEHOLDER, commit.id) for name, value in filled}


def secret_variable(number: int) -> str:
    """The variable that hands a build secret to docker."""
    return f"SLIPWAY_BUILD_SECRET_{number}"


def stage_command(
    image: ImageSettings,
    *,
    name: str,
    source: str,
    dockerfile: Path,
    context: Path,
    arguments: Mapping[str, str],
    id_file: Path,
) -> list[str]:
    """The arguments of the `docker build` that makes a stage an image with BuildKit's inline cache.

    Its steps are in docker's cache, so no secret is handed to it; the label lets a prune find it.
    """
    command = ["build", "--progress", "plain", "--platform", image.platform]
    command += ["--file", str(dockerfile), "--iidfile", str(id_file), "--tag", name]
    command += ["--label", f"org.opencontainers.image.source={source}"]
    command += ["--build-arg", "BUILDKIT_INLINE_CACHE=1"]
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    return [*command, "--", str(context)]
