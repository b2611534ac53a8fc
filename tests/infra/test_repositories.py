"""Repositories of images and of code: what is kept, what moves, what triggers."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from slipway.configuration import read
from slipway.contracts.names import Names
from tests.infra.templates import (
    EXAMPLE,
    Stacks,
    listed,
    resources,
    synthesize,
)


def test_image_tags_never_move_but_latest(full: Stacks) -> None:
    repositories = list(resources(full.prod, "AWS::ECR::Repository").values())
    assert [r["RepositoryName"] for r in repositories] == ["shop/proxy"]
    for repository in repositories:
        assert repository["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
        exclusions = repository["ImageTagMutabilityExclusionFilters"]
        moving = [e["ImageTagMutabilityExclusionFilterValue"] for e in exclusions]
        assert moving == ["latest", "running.*", "cache.*"]


@dataclass(frozen=True)
class Pushed:
    """An image in a repository; `at`: the day of its push."""

    at: float
    tags: tuple[str, ...]


def expired(rules: list[dict[str, Any]], images: list[Pushed], today: float) -> list[Pushed]:
    """What ECR removes (user guide, lifecycle policies): rules in the order of their priorities.

    What a rule's tags select no later rule expires; a later rule counts it all the same.
    """
    gone: list[Pushed] = []
    spoken_for: set[Pushed] = set()
    for rule in sorted(rules, key=lambda r: r["rulePriority"]):
        wanted = rule["selection"]
        chosen = [image for image in images if _selects(wanted, image)]
        chosen.sort(key=lambda image: -image.at)
        if wanted["countType"] == "imageCountMoreThan":
            surplus = chosen[wanted["countNumber"] :]
        else:
            surplus = [image for image in chosen if today - image.at > wanted["countNumber"]]
        gone += [image for image in surplus if image not in spoken_for]
        if wanted["tagStatus"] != "any":
            spoken_for.update(chosen)
    return gone


def _selects(wanted: dict[str, Any], image: Pushed) -> bool:
    patterns = wanted.get("tagPatternList", ["*"])  # several: the image has to have them all
    return {
        "any": True,
        "untagged": not image.tags,
        "tagged": all(any(fnmatch(tag, p) for tag in image.tags) for p in patterns),
    }[wanted["tagStatus"]]


def test_a_repository_that_pipelines_share_never_expires_what_one_of_them_runs(
    full: Stacks,
) -> None:
    # GIVEN a pipeline that pushes daily, and two that have run one image each for long
    (repository,) = resources(full.prod, "AWS::ECR::Repository").values()
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    names = Names("slipway")
    daily = [Pushed(at=day, tags=(f"{day:040x}", f"build-{day}")) for day in range(1, 101)]
    daily[-1] = replace(daily[-1], tags=("latest", "build-x", names.running_tag("daily")))
    rare = [
        Pushed(at=at, tags=("build-1", names.running_tag(pipeline)))
        for at, pipeline in ((0, "rare"), (0.5, "rarer"))
    ]
    left = Pushed(at=99.5, tags=("build-2",))  # built, and never run
    # WHEN ECR tidies up
    gone = expired(rules, [*daily, *rare, left, Pushed(at=90, tags=())], today=101)
    # THEN what runs stays, and of the others the newest of all
    kept = [image for image in (*daily, *rare, left) if image not in gone]
    assert set(rare) <= set(kept)
    assert sorted(image.at for image in kept if image not in rare)[-10:] == [
        *range(92, 100), 99.5, 100,
    ]  # fmt: skip
    assert len(kept) == 12
    assert Pushed(at=90, tags=()) in gone


def test_the_build_cache_is_bounded_and_takes_no_images_place(full: Stacks) -> None:
    # GIVEN more stages than are kept, all newer than the images
    (repository,) = resources(full.prod, "AWS::ECR::Repository").values()
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    images = [Pushed(at=day, tags=(f"build-{day}",)) for day in range(5)]
    cache = [Pushed(at=10 + n, tags=(f"cache.deps.{n}",)) for n in range(25)]
    others = [Pushed(at=-1, tags=("by-hand",))]
    # WHEN ECR tidies up, THEN the images stay, and of the stages the newest
    gone = expired(rules, [*images, *cache, *others], today=11)
    assert not set(images) & set(gone)
    assert others[0] in gone
    assert [stage for stage in cache if stage not in gone] == cache[5:]


def test_a_created_repository_triggers_and_an_imported_one_is_listened_to(full: Stacks) -> None:
    # GIVEN `blog` created, `shop` imported with two pipelines on one branch
    (created,) = resources(full.dev, "AWS::CodeCommit::Repository").values()
    assert created["RepositoryName"] == "blog"
    (trigger,) = created["Triggers"]
    assert trigger["Branches"] == ["main"]
    assert "CustomData" not in trigger
    (rule,) = resources(full.dev, "AWS::Events::Rule").values()
    pattern = rule["EventPattern"]
    assert pattern["resources"] == ["arn:aws:codecommit:eu-central-1:111111111111:shop"]
    assert pattern["detail"]["referenceName"] == ["release/eu"]


def test_the_permission_is_there_before_the_trigger(full: Stacks) -> None:
    (repository,) = [
        r for r in full.dev["Resources"].values() if r["Type"] == "AWS::CodeCommit::Repository"
    ]
    (permission,) = listed(repository["DependsOn"])
    allowed = full.dev["Resources"][permission]["Properties"]
    assert allowed["Principal"] == "codecommit.amazonaws.com"
    assert allowed["SourceArn"] == "arn:aws:codecommit:eu-central-1:111111111111:blog"


def test_two_branches_of_a_repository_go_to_two_services(tmp_path: Path) -> None:
    # GIVEN a pipeline for stage and one for production, of one repository
    data = read(EXAMPLE)
    stage = copy.deepcopy(data["pipelines"][0])
    stage |= {"name": "sample-stage", "branch": "stage"}
    stage["images"][0]["buildArguments"] = {"environment": "stage"}
    data["pipelines"].append(stage)
    # WHEN it is synthesized
    stacks = synthesize(data, tmp_path)
    # THEN one repository tells of both branches, and each has a service
    (repository,) = resources(stacks.dev, "AWS::CodeCommit::Repository").values()
    (trigger,) = repository["Triggers"]
    assert trigger["Branches"] == ["main", "stage"]
    services = resources(stacks.prod, "AWS::ECS::Service").values()
    assert {s["ServiceName"] for s in services} == {"sample", "sample-stage"}
    assert len(resources(stacks.prod, "AWS::ECR::Repository")) == 1
