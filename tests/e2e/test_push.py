"""A push becomes a running service; a broken one leaves the version before running."""

from __future__ import annotations

import pytest

from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.chain import Chain


def test_a_push_is_served_and_told(chain: Chain) -> None:
    # GIVEN a host that sleeps
    chain.until_asleep()

    # WHEN somebody pushes
    pushed = chain.push("hello from a test")

    # THEN the service answers with the commit, Slack says so, and the host sleeps again
    chain.until("the answer with the commit", lambda: chain.serves() == pushed.commit_id)
    assert chain.version()["message"] == "hello from a test"
    assert chain.version()["environment"] == "local"
    row = chain.until_ended(pushed)
    assert row.result is not None
    assert row.result.status == "succeeded"
    assert row.result.pushed_by
    notice = chain.until(
        "the notice", lambda: chain.notices(pushed.commit_id[:7], since=pushed.began_at)
    )
    assert len(notice) == 1
    assert "hello from a test" in notice[0].text
    chain.until_asleep()
    assert chain.depth(chain.names.build_queue) == 0
    assert chain.table.wants.all() == []


def test_the_service_runs_the_digest_that_ecr_holds(chain: Chain) -> None:
    # GIVEN what runs
    pipeline = chain.pipeline("sample")
    ecs, ecr = chain.prod("ecs"), chain.prod("ecr")
    (service,) = ecs.describe_services(cluster=pipeline.cluster, services=[pipeline.service])[
        "services"
    ]
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
    image = definition["taskDefinition"]["containerDefinitions"][0]["image"]

    # THEN it is a digest, and that image bears the commit, a time and `latest`
    _, _, digest = image.partition("@")
    assert digest.startswith("sha256:")
    (found,) = ecr.describe_images(
        repositoryName=pipeline.ecr_repository, imageIds=[{"imageDigest": digest}]
    )["imageDetails"]
    tags = set(found["imageTags"])
    assert chain.serves() in tags
    assert "latest" in tags
    assert any(tag.isdigit() and len(tag) == 14 for tag in tags)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("build", "behaviour=build"),
        ("crash", "behaviour=crash: leaving with exit code 3"),
        ("health", "behaviour=health: /health will not be found"),
    ],
)
def test_a_broken_release_leaves_the_version_before(
    chain: Chain, behaviour: str, words: str
) -> None:
    # GIVEN a version that runs
    before = chain.serves()
    assert before

    # WHEN a release is pushed that does not build, crashes, or never gets healthy
    pushed = chain.push(f"broken: {behaviour}", behaviour)
    row = chain.until_ended(pushed)

    # THEN the version before answers, and the notice says why in the application's own words
    assert row.status in ({"failed"} if behaviour == "build" else {"failed", "rolled_back"})
    assert chain.until("the old version", lambda: chain.serves() == before)
    notice = chain.until(
        "the notice", lambda: chain.notices(pushed.commit_id[:7], since=pushed.began_at)
    )
    assert words in notice[0].text
    assert "The push refers to" not in notice[0].text
    # AND a revision that failed is not left for whoever starts the newest of its family
    if behaviour != "build":
        assert row.task_definition_after is not None
        described = chain.prod("ecs").describe_task_definition(
            taskDefinition=row.task_definition_after
        )
        assert described["taskDefinition"]["status"] == "INACTIVE"


def test_a_repository_without_a_dockerfile(chain: Chain) -> None:
    # GIVEN a pipeline whose Dockerfile is gone
    repository, branch = chain.repository("sample-2"), chain.pipeline("sample-2").branch
    repository.pull(branch)
    repository.git("rm", "--quiet", "Dockerfile")
    commit_id = repository.commit("no Dockerfile")
    repository.push(branch)

    # THEN it fails, says so, and the version before runs
    notice = chain.until("the notice", lambda: chain.notices(commit_id[:7]))
    assert "Dockerfile" in notice[0].text
    assert chain.serves("sample-2") not in (None, commit_id)
    repository.git("revert", "--no-edit", "HEAD")
    repository.push(branch)
    tip = repository.git("rev-parse", "HEAD")
    chain.until("the repair", lambda: chain.serves("sample-2") == tip)


def test_a_branch_that_does_not_exist(chain: Chain) -> None:
    # GIVEN a pipeline whose branch was deleted: that alone deploys nothing
    repository, branch = chain.repository("sample-2"), chain.pipeline("sample-2").branch
    chain.until("the end of what was before", lambda: not chain.table.locks.get("sample-2").holder)
    before = chain.serves("sample-2")
    repository.git("push", "--quiet", "origin", f":refs/heads/{branch}")

    # WHEN its tip is asked for
    request = chain.request("sample-2")

    # THEN the request fails, says why, and nothing changes
    def failed() -> DeploymentRow | None:
        for row in chain.deployments("sample-2"):
            if row.request_id == request.request_id and row.announced_at is not None:
                return row
        return None

    row = chain.until("the failure", failed)
    assert row.result is not None
    assert "branch production does not exist" in (row.result.cause or "")
    chain.until("the notice", lambda: chain.notices("does not exist"))
    assert chain.serves("sample-2") == before
    repository.push(branch)
