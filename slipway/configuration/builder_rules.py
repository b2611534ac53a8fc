"""What must hold of who builds: hosts, CodeBuild, or both."""

from __future__ import annotations

from slipway.configuration.builders import CURATED, MOST_TIMEOUT, TIMEOUT_MARGIN
from slipway.configuration.parts import Configuration, builder_minutes
from slipway.configuration.paths import Fault
from slipway.configuration.pipeline import Pipeline
from slipway.configuration.values import is_uri

_NO_DOCKER = ("lambda", "macos", "windows")
"""In the names of CodeBuild's images that cannot run a docker daemon for Linux."""


def hosts_where_they_build(c: Configuration) -> list[Fault]:
    """`buildHost` may be left out where CodeBuild alone builds."""
    if not c.builders.uses_hosts or c.build_host is not None:
        return []
    when = f'builders.when is "{c.builders.when}"'
    return [("buildHost", f'is missing: {when}; only with "codeBuild" it may be left out')]


def given_where_used(c: Configuration) -> list[Fault]:
    """A key that would say nothing is a mistake: whoever wrote it meant something by it."""
    when, given = c.builders.when, c.builders.model_fields_set
    faults = []
    if "overflow_after" in given and when != "overflow":
        problem = f'is allowed only where builders.when is "overflow"; it is "{when}"'
        faults.append(("builders.overflowAfter", problem))
    if "code_build" in given and when == "hosts":
        problem = 'is allowed only where builders.when is "overflow" or "codeBuild"; it is "hosts"'
        faults.append(("builders.codeBuild", problem))
    if "network" in c.model_fields_set and not c.needs_network:
        problem = (
            "is of hosts and sample services, and there are none: leave it out; the builders' own "
            "is builders.codeBuild.network"
        )
        faults.append(("network", problem))
    return faults


def same_processor(c: Configuration) -> list[Fault]:
    """What a host builds and what a builder builds is the same image."""
    wanted = c.builders.code_build.architecture
    if c.builders.when != "overflow" or wanted in (None, c.architecture):
        return []
    problem = f'must be "{c.architecture}", as buildHost.architecture: both build the same images'
    return [("builders.codeBuild.architecture", f'"{wanted}": {problem}')]


def image_fits(c: Configuration) -> list[Fault]:
    """The names of CodeBuild's own images tell their processor; an image in ECR has a region."""
    image, path = c.builders.code_build.image, "builders.codeBuild.image"
    if image is None:
        return []
    if is_uri(image):
        if image.split(".")[3] == c.prod_region:
            return []
        problem = f"must be in {c.prod_region}, where builds run; ECR can replicate it there"
        return [(path, f'"{image}": {problem}')]
    name = image.removeprefix(CURATED)
    if any(word in name for word in _NO_DOCKER):
        return [(path, f'"{image}": has no docker daemon for Linux; take a "-standard" one')]
    has = "arm64" if "aarch64" in name else "x86_64"
    if has == c.architecture:
        return []
    return [(path, f'"{image}": is for {has}, and builds run on {c.architecture}')]


def time_for_a_build(c: Configuration) -> list[Fault]:
    """A builder that CodeBuild ends cannot say why a build failed: the pipeline's time is less."""
    given = c.builders.code_build.timeout
    slowest = max(c.pipelines, key=builder_minutes)
    least = builder_minutes(slowest)
    if given is None or given >= least:
        return []
    problem = (
        f"must be at least {least}: pipeline {slowest.name!r} may fetch for "
        f"{slowest.fetch_timeout} s and build for {slowest.build_timeout} s"
        f"{_and_test(slowest)}"
    )
    return [("builders.codeBuild.timeout", f"{given}: {problem}")]


def _and_test(pipeline: Pipeline) -> str:
    seconds = sum(image.test.timeout for image in pipeline.images if image.test)
    return f", and its tests may run for {seconds} s" if seconds else ""


def most_time_of_all(c: Configuration) -> list[Fault]:
    """CodeBuild ends each build after 36 hours."""
    if not c.builders.uses_code_build:
        return []
    return [
        (
            f"pipelines[{i}].buildTimeout",
            f"{p.build_timeout}: with fetchTimeout and the time of its tests it must end "
            f"{TIMEOUT_MARGIN} minutes before the {MOST_TIMEOUT} minutes that CodeBuild lets a "
            "build have",
        )
        for i, p in enumerate(c.pipelines)
        if builder_minutes(p) > MOST_TIMEOUT
    ]


def whole_builder_network(c: Configuration) -> list[Fault]:
    """CodeBuild takes a VPC with its subnets and security groups, or nothing."""
    network = c.builders.code_build.network
    if network is None or network.vpc or c.network.vpc_id:
        return []
    return [("builders.codeBuild.network.vpc", "is missing: give it, or network.vpcId")]


def secret_is_near(c: Configuration) -> list[Fault]:
    """Whoever builds asks Secrets Manager of its own region."""
    secret = c.docker_hub.secret if c.docker_hub else None
    if secret is None or secret.split(":")[3] == c.prod_region:
        return []
    return [("dockerHub.secret", f'"{secret}": secrets are asked for in {c.prod_region}')]


BUILDER_RULES = (
    hosts_where_they_build,
    given_where_used,
    same_processor,
    image_fits,
    time_for_a_build,
    most_time_of_all,
    whole_builder_network,
    secret_is_near,
)
