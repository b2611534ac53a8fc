"""ECR repositories that the configuration wants made."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from constructs import Construct

from infra.findings import accept_checkov
from infra.kept import KEPT
from slipway.configuration import Configuration, ImageRepository
from slipway.contracts.names import BUILT, CACHE, RUNNING

RUNS, CACHED = f"{RUNNING}*", f"{CACHE}*"
UNTAGGED_DAYS = 1
MOST_RUNNING = 1000
"""Images that run, of one repository: one for each pipeline that shares it, so never reached."""
MOST_CACHED = 20
"""Stages of the build cache in one repository: the latest written stay. Each branch and Dockerfile
has one for each of its stages that the image is made from."""


class ImageRepositories(Construct):
    """Tags never move, but `latest`, those of what runs and those of the build cache; old images
    go, but those that run; the repository stays when the stack goes.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, configuration: Configuration
    ) -> None:
        super().__init__(scope, construct_id)
        wanted = {
            image.repository.name: image.repository
            for pipeline in configuration.pipelines
            for image in pipeline.images
            if image.repository.create
        }
        for name, repository in wanted.items():
            self._repository(name, repository)

    def _repository(self, name: str, wanted: ImageRepository) -> None:
        repository = ecr.Repository(
            self,
            name,
            repository_name=name,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE_WITH_EXCLUSION,
            image_tag_mutability_exclusion_filters=[
                ecr.ImageTagMutabilityExclusionFilter.wildcard(tag)
                for tag in ("latest", RUNS, CACHED)
            ],
            removal_policy=KEPT,
        )
        # ECR: what a rule's tags select no later rule expires.
        repository.add_lifecycle_rule(
            description="What a pipeline runs stays",
            rule_priority=1,
            tag_status=ecr.TagStatus.TAGGED,
            tag_pattern_list=[RUNS],
            max_image_count=MOST_RUNNING,
        )
        repository.add_lifecycle_rule(
            description=f"The build cache: the newest {MOST_CACHED}",
            rule_priority=2,
            tag_status=ecr.TagStatus.TAGGED,
            tag_pattern_list=[CACHED],
            max_image_count=MOST_CACHED,
        )
        repository.add_lifecycle_rule(
            description="What no tag names any more",
            rule_priority=3,
            tag_status=ecr.TagStatus.UNTAGGED,
            max_image_age=cdk.Duration.days(UNTAGGED_DAYS),
        )
        # A later rule counts what an earlier one keeps: so the cache takes no image's place.
        repository.add_lifecycle_rule(
            description=f"All but the newest {wanted.keep}",
            rule_priority=4,
            tag_status=ecr.TagStatus.TAGGED,
            tag_pattern_list=[f"{BUILT}*"],
            max_image_count=wanted.keep,
        )
        repository.add_lifecycle_rule(
            description="What others have pushed goes likewise",
            rule_priority=5,
            tag_status=ecr.TagStatus.ANY,
            max_image_count=wanted.keep + MOST_CACHED,
        )
        accept_checkov(
            repository,
            {
                "CKV_AWS_136": "ECR's own key; images hold no secret.",
                "CKV_AWS_51": "They are, but for three kinds: checkov knows only all or nothing.",
            },
        )
