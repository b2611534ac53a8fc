"""What must hold between the parts of a configuration."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from slipway.configuration.builder_rules import BUILDER_RULES
from slipway.configuration.companion_rules import COMPANION_RULES
from slipway.configuration.meant import nearest
from slipway.configuration.parts import Configuration
from slipway.configuration.paths import Fault
from slipway.configuration.pipeline import CodeRepository, ImageRepository
from slipway.configuration.processors import processor_of
from slipway.configuration.regions import regions
from slipway.configuration.service_rules import SERVICE_RULES
from slipway.configuration.values import is_uri
from slipway.contracts.installation import LEAST_LOCK

SUPPORTED_PARTITIONS = ("aws", "aws-us-gov")
MOST_SAMPLES = 50
MOST_CREATED_IMAGES = 150
"""CloudFormation allows 500 resources in a stack: with these, prod stays below it."""


def broken_rules(configuration: Configuration) -> list[Fault]:
    """All that does not fit together; empty if everything does."""
    return [fault for rule in _RULES for fault in rule(configuration)]


def _unique_names(c: Configuration) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        if pipeline.name in seen:
            faults.append((f"pipelines[{index}].name", f'"{pipeline.name}": is taken already'))
        seen.add(pipeline.name)
    return faults


def _same_everywhere(c: Configuration) -> list[Fault]:
    """A repository named twice is meant once: `create` and `keep` may not contradict."""
    faults: list[Fault] = []
    code: dict[str, CodeRepository] = {}
    images: dict[str, ImageRepository] = {}
    for i, pipeline in enumerate(c.pipelines):
        wanted = pipeline.repository
        if code.setdefault(wanted.name, wanted) != wanted:
            faults.append(
                (f"pipelines[{i}].repository", f'"{wanted.name}": is said differently above')
            )
        for j, image in enumerate(pipeline.images):
            place = image.repository
            if images.setdefault(place.name, place) != place:
                path = f"pipelines[{i}].images[{j}].repository"
                faults.append((path, f'"{place.name}": is said differently above'))
    return faults


def _few_samples(c: Configuration) -> list[Fault]:
    """A sample is four resources; CloudFormation allows 500 in a stack."""
    samples = sum(p.sample is not None for p in c.pipelines)
    if samples <= MOST_SAMPLES:
        return []
    return [("pipelines", f"{samples} sample services: at most {MOST_SAMPLES} are made")]


def _few_created_images(c: Configuration) -> list[Fault]:
    created = {i.repository.name for p in c.pipelines for i in p.images if i.repository.create}
    if len(created) <= MOST_CREATED_IMAGES:
        return []
    problem = f"{len(created)} image repositories to be created: at most {MOST_CREATED_IMAGES} are"
    return [("pipelines", f"{problem}; make the others yourself, with create false")]


def _host_builds_it(c: Configuration) -> list[Fault]:
    who = "the build host builds" if c.hosts else "builds of CodeBuild are"
    return [
        (
            f"pipelines[{i}].images[{j}].platform",
            f'"{image.platform}": {who} for {c.platform} only',
        )
        for i, pipeline in enumerate(c.pipelines)
        for j, image in enumerate(pipeline.images)
        if image.platform not in (None, c.platform)
    ]


def _dockerfile_in_the_repository(c: Configuration) -> list[Fault]:
    """From the context on, `..` may lead up to the repository's root and not beyond."""
    return [
        (
            f"pipelines[{i}].images[{j}].dockerfile",
            f'"{image.dockerfile}": leads out of the repository, from the context '
            f'"{image.context}"',
        )
        for i, pipeline in enumerate(c.pipelines)
        for j, image in enumerate(pipeline.images)
        if posixpath.normpath(f"{image.context}/{image.dockerfile}").startswith("../")
    ]


def _image_repositories_apart(c: Configuration) -> list[Fault]:
    faults = []
    for i, pipeline in enumerate(c.pipelines):
        names = [image.repository.name for image in pipeline.images]
        faults += [
            (f"pipelines[{i}].images[{j}].repository.name", f'"{name}": each image needs its own')
            for j, name in enumerate(names)
            if name in names[:j]
        ]
    return faults


def _paths_want_something(c: Configuration) -> list[Fault]:
    """git takes exclusions alone for 'all but these'. Written out, nobody has to know that."""
    return [
        (
            f"pipelines[{i}].paths",
            f'"{pipeline.paths[0]}": excludes only; begin with what concerns the pipeline, "**" '
            "for all",
        )
        for i, pipeline in enumerate(c.pipelines)
        if pipeline.paths and all(path.startswith("!") for path in pipeline.paths)
    ]


def _whole_network(c: Configuration) -> list[Fault]:
    n = c.network
    if (n.vpc_id is None) == (n.subnet_id is None):
        zone = n.availability_zone
        if zone is not None and not zone.startswith(c.prod_region):
            return [("network.availabilityZone", f'"{zone}": is not in {c.prod_region}')]
        return []
    missing = "subnetId" if n.subnet_id is None else "vpcId"
    return [(f"network.{missing}", "is missing: vpcId and subnetId go together")]


def _of_a_made_network(c: Configuration) -> list[Fault]:
    """What says how a network is made says nothing of one that exists."""
    if c.network.vpc_id is None:
        return []
    made = {"availability_zone": "availabilityZone", "cidr": "cidr"}
    return [
        (f"network.{key}", "is of a network that is made: leave it, or vpcId and subnetId")
        for name, key in made.items()
        if name in c.network.model_fields_set
    ]


def _tags_of_our_own(c: Configuration) -> list[Fault]:
    """AWS, tag naming limits: the prefix `aws:`, in any case, is AWS's own."""
    return [
        (f"tags.{key}", "must not begin with 'aws:', which is reserved for AWS")
        for key in c.tags
        if key.lower().startswith("aws:")
    ]


def _key_where_the_hosts_are(c: Configuration) -> list[Fault]:
    key = c.hosts.volume_key if c.hosts else None
    if key is None or key.split(":")[3] == c.prod_region:
        return []
    return [("buildHost.volumeKey", f'"{key}": is not in {c.prod_region}, where the hosts are')]


def _layer_where_none_is_told(c: Configuration) -> list[Fault]:
    if c.partition == "aws" or c.local is not None or c.lambdas.powertools_layer is not None:
        return []
    problem = (
        f"is missing: in {c.region} AWS does not tell which layer carries a release of Powertools; "
        "name one for python3.13 on arm64 (docs.aws.amazon.com/powertools)"
    )
    return [("lambdas.powertoolsLayer", problem)]


def _code_repository_limits(c: Configuration) -> list[Fault]:
    """CodeCommit: 10 triggers a repository, 10 branches a trigger."""
    branches: dict[str, set[str]] = {}
    for pipeline in c.pipelines:
        if pipeline.repository.create:
            branches.setdefault(pipeline.repository.name, set()).add(pipeline.branch)
    return [
        ("pipelines", f"repository {name!r} has {len(of)} branches: a trigger serves 100 at most")
        for name, of in branches.items()
        if len(of) > 100
    ]


def _limits_fit(c: Configuration) -> list[Fault]:
    limits = c.limits
    lock = max(
        (2 * limits.heartbeat, "twice heartbeat"),
        (0 if c.local else LEAST_LOCK, "AWS takes calls of who has lost it until then"),
    )
    rules: tuple[tuple[str, int, int, str], ...] = (
        ("visibility", limits.visibility, limits.lock_ttl + 1, "longer than lockTtl"),
        ("lockTtl", limits.lock_ttl, *lock),
        ("followLongest", limits.follow_longest, limits.follow_first, "followFirst"),
        ("noHeartbeat", limits.no_heartbeat, 3 * limits.heartbeat, "three times heartbeat"),
    )
    return [
        (f"limits.{name}", f"{value}: must be at least {least} ({why})")
        for name, value, least, why in rules
        if value < least
    ]


def _operators_are_of_prod(c: Configuration) -> list[Fault]:
    faults = [
        (f"dev.operators[{i}]", f'"{arn}": must be a role or user of the prod account')
        for i, arn in enumerate(c.dev.operators)
        if f"::{c.prod.account}:" not in arn
    ]
    if c.prod.operators:
        faults.append(("prod.operators", "is not allowed: operators belong under dev"))
    return faults


def _regions_there_are(c: Configuration) -> list[Fault]:
    """Names, endpoints and principals are made for AWS's own partition and for GovCloud."""
    sides = (("region", c.region), ("dev.region", c.dev.region), ("prod.region", c.prod.region))
    home = regions().get(c.region)
    faults = []
    for path, region in sides:
        problem = None if region is None else _wrong_with_region(region, home, c.region)
        if problem is not None:
            faults.append((path, f'"{region}": {problem}'))
    return faults


def _wrong_with_region(region: str, home: str | None, of: str) -> str | None:
    """What is wrong with a region of an installation whose own is `of`, in the partition `home`."""
    partition = regions().get(region)
    if partition is None:
        near = nearest(region, regions())
        hint = f'; did you mean "{near}"?' if near else ""
        return f"is no region that this machine's botocore knows{hint}"
    if partition == "aws-cn":
        return "AWS in China is not supported: its endpoints and service principals differ"
    if partition not in SUPPORTED_PARTITIONS:
        return f"the partition {partition} is not supported"
    if home in SUPPORTED_PARTITIONS and partition != home:
        return f"is in another partition than {of}"
    return None


def _type_has_the_processor(c: Configuration) -> list[Fault]:
    host = c.hosts
    processor = processor_of(host.instance_type) if host else None
    if host is None or processor in (None, host.architecture):
        return []
    like = "t4g.medium" if host.architecture == "arm64" else "t3.medium"
    problem = f'is {processor}, and buildHost.architecture is "{host.architecture}": such as {like}'
    return [("buildHost.instanceType", f'"{host.instance_type}": {problem}')]


def _boundary_is_in_each_account(c: Configuration) -> list[Fault]:
    """IAM: a role's boundary is a policy of its own account, or AWS's."""
    boundary = c.permissions_boundary or ""
    owner = boundary.split(":")[4] if boundary.startswith("arn:") else "aws"
    accounts = sorted({c.dev.account, c.prod.account})
    if owner == "aws" or accounts == [owner]:
        return []
    name = boundary.partition(":policy/")[2]
    problem = (
        f"is of account {owner}, and roles are made in {' and '.join(accounts)}: give its name, "
        f'"{name}", and make one in each'
    )
    return [("permissionsBoundary", f'"{boundary}": {problem}')]


def _near_the_host(c: Configuration) -> list[Fault]:
    """Build secrets and base images are asked for in the host's own region."""
    faults = []
    for i, pipeline in enumerate(c.pipelines):
        for j, image in enumerate(pipeline.images):
            path = f"pipelines[{i}].images[{j}]"
            for name, source in image.build_secrets.items():
                region = source.split(":")[3] if source.startswith("arn:") else c.prod_region
                if region != c.prod_region:
                    problem = f'"{source}": the build host asks for secrets of {c.prod_region}'
                    faults.append((f"{path}.buildSecrets.{name}", problem))
            for k, base in enumerate(image.base_repositories):
                if is_uri(base) and base.split(".")[3] != c.prod_region:
                    problem = f'"{base}": must be in {c.prod_region}; ECR can replicate it there'
                    faults.append((f"{path}.baseRepositories[{k}]", problem))
    return faults


_RULES: tuple[Callable[[Configuration], list[Fault]], ...] = (
    _unique_names,
    *SERVICE_RULES,
    *COMPANION_RULES,
    _few_samples,
    _few_created_images,
    _same_everywhere,
    _host_builds_it,
    _dockerfile_in_the_repository,
    _image_repositories_apart,
    _paths_want_something,
    _whole_network,
    _of_a_made_network,
    _tags_of_our_own,
    _key_where_the_hosts_are,
    _layer_where_none_is_told,
    _code_repository_limits,
    _limits_fit,
    _operators_are_of_prod,
    _regions_there_are,
    _type_has_the_processor,
    _boundary_is_in_each_account,
    _near_the_host,
    *BUILDER_RULES,
)
