"""What can be known to be wrong before anything is changed, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference, ecr_image
from slipway.rollout.api import NO_ANSWER, Api, Denied, Refused, Unanswered, WrongForAws
from slipway.rollout.plan import Factory, RolloutPlan
from slipway.rollout.service import CODE_DEPLOY, ECS, EXTERNAL, Service

_MEDIA_TYPES = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
_WHOLE_REGISTRY = "ROOT"
"""A pull-through cache rule's prefix for all repositories (ECR, CreatePullThroughCacheRule)."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What the checks found: `problems` stop the rollout, `skipped` could not be looked at."""

    problems: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def service_problems(plan: RolloutPlan, service: Service) -> list[str]:
    """What in `plan` cannot be done with this service."""
    problems = []
    if service.controller == EXTERNAL:
        problems.append(
            f"service {service.name!r} has the deployment controller EXTERNAL: Slipway does not "
            "know who moves its traffic; deploy it with the tool that made its task sets, or make "
            "it a service with the controller ECS or CODE_DEPLOY"
        )
    elif service.controller not in (ECS, CODE_DEPLOY):
        problems.append(
            f"service {service.name!r} has an unknown deployment controller {service.controller!r}"
        )
    if service.is_daemon and plan.desired_count is not None:
        problems.append(
            f"service {service.name!r} is a DAEMON: it takes no desired count "
            f"(asked for: {plan.desired_count})"
        )
    if service.controller == CODE_DEPLOY:
        given = {
            "desired count": plan.desired_count,
            "minimum percent": plan.min_percent,
            "maximum percent": plan.max_percent,
        }
        for name, value in given.items():
            if value is not None:
                problems.append(f"a CODE_DEPLOY service takes no {name} with its deployment")
    return problems


def any_in_ecr(images: Iterable[str]) -> bool:
    """Whether there is an image that `verify_images` can ask about."""
    return any(ecr_image(ImageReference.parse(image)) for image in images)


def verify_images(
    images: Iterable[str], ecr: Factory | None, api_of: Callable[[Any], Api]
) -> Verified:
    """Whether those of `images` that are in ECR are there; each is asked for once."""
    problems: list[str] = []
    skipped: list[str] = []
    for text in sorted(set(images)):
        image = ImageReference.parse(text)
        place = ecr_image(image)
        if place is None or ecr is None:
            continue
        client = ecr()
        if client is None:
            continue
        if client.meta.region_name != place.region:
            skipped.append(f"image {text}: it is in region {place.region}, not asked")
            continue
        problem, why_skipped = _look_for(api_of(client), image, place.account, place.repository)
        problems.extend(filter(None, [problem]))
        skipped.extend(filter(None, [why_skipped]))
    return Verified(problems=tuple(problems), skipped=tuple(skipped))


def raise_if_wrong(problems: Iterable[str]) -> None:
    """WrongUse that says all of `problems`, if there are any."""
    found = list(problems)
    if found:
        raise WrongUse("; ".join(found))


def _look_for(
    api: Api, image: ImageReference, account: str, repository: str
) -> tuple[str | None, str | None]:
    """(what is wrong, why it was not looked at). DescribeImages would not tell a missing tag."""
    identifier = {"imageDigest": image.digest} if image.digest else {"imageTag": image.version}
    try:
        answer = api.look(
            "batch_get_image",
            registryId=account,
            repositoryName=repository,
            imageIds=[identifier],
            acceptedMediaTypes=_MEDIA_TYPES,
        )
    except (Denied, Unanswered) as error:
        return None, f"image {image}: {error}"
    except (Refused, WrongForAws) as error:
        if error.code != "RepositoryNotFoundException":
            return None, f"image {image}: {error}"
        wrong = f"image {image}: there is no ECR repository {repository!r} in {account}"
        return _unless_cached(api, account, repository, wrong)
    if answer.get("images"):
        return None, None
    return _unless_cached(api, account, repository, f"image {image} is not in ECR")


def _unless_cached(
    api: Api, account: str, repository: str, wrong: str
) -> tuple[str | None, str | None]:
    """(`wrong`, None), or (None, why not) where a pull-through cache brings the image when used.

    Where AWS does not tell, only a repository without a folder is surely none of a cache.
    """
    try:
        rules = api.pages(
            "describe_pull_through_cache_rules",
            "pullThroughCacheRules",
            optional=True,
            registryId=account,
        )
    except NO_ANSWER as error:
        if "/" not in repository:
            return wrong, None
        return None, f"{wrong}, unless a pull-through cache brings it: {error}"
    for prefix in (str(rule.get("ecrRepositoryPrefix") or "") for rule in rules):
        if prefix == _WHOLE_REGISTRY or repository.startswith(f"{prefix.rstrip('/')}/"):
            return None, f"{wrong} yet: the pull-through cache {prefix!r} brings it at first use"
    return wrong, None
