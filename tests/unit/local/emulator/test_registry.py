"""What the registry asks, of whom, for which image."""

from __future__ import annotations

import base64

import pytest

from local.emulator.extension.registry import (
    Logins,
    is_immutable,
    local_image,
    registry_action,
    repository_name,
)


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/v2/", None),
        ("PUT", "/v2/a/manifests/latest", "ecr:PutImage"),
        ("GET", "/v2/a/manifests/latest", "ecr:BatchGetImage"),
        ("HEAD", "/v2/a/manifests/latest", "ecr:BatchGetImage"),
        ("HEAD", "/v2/a/blobs/sha256:1", "ecr:BatchCheckLayerAvailability"),
        ("GET", "/v2/a/blobs/sha256:1", "ecr:GetDownloadUrlForLayer"),
        ("POST", "/v2/a/blobs/uploads/", "ecr:InitiateLayerUpload"),
        ("PATCH", "/v2/a/blobs/uploads/1", "ecr:UploadLayerPart"),
        ("PUT", "/v2/a/blobs/uploads/1", "ecr:CompleteLayerUpload"),
        ("GET", "/v2/a/tags/list", "ecr:ListImages"),
    ],
)
def test_a_request_needs_the_action_that_ecr_needs(method, path, action):
    assert registry_action(method, path) == action


@pytest.mark.parametrize("rest", ["manifests/latest", "blobs/uploads/", "tags/list"])
def test_a_repository_may_have_slashes(rest):
    assert repository_name(f"/v2/team/sample/{rest}") == "team/sample"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("222222222222.dkr.ecr.us-east-1.amazonaws.com/a/b:1", "127.0.0.1:9/a/b:1"),
        ("222222222222.dkr.ecr.us-east-1.amazonaws.com/a@sha256:1", "127.0.0.1:9/a@sha256:1"),
        ("127.0.0.1:9/a:1", "127.0.0.1:9/a:1"),
        ("public.ecr.aws/x/a:1", "public.ecr.aws/x/a:1"),
        ("busybox", "busybox"),
    ],
)
def test_an_ecr_image_is_here(image, expected):
    assert local_image(image, "127.0.0.1:9") == expected


@pytest.mark.parametrize(
    ("mutability", "tag", "expected"),
    [
        ("MUTABLE", "latest", False),
        ("IMMUTABLE", "latest", True),
        ("IMMUTABLE_WITH_EXCLUSION", "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", "20260301120000", True),
        ("IMMUTABLE_WITH_EXCLUSION", "dev-1", False),
    ],
)
def test_excluded_tags_move(mutability, tag, expected):
    exclusions = [{"filter": "latest"}, {"filter": "dev-*"}]
    repository = {
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": exclusions,
    }
    assert is_immutable(repository, tag) is expected


def test_a_login_ends():
    # GIVEN a token that is good for a minute and one that is over
    logins = Logins()
    good, over = logins.give("1", "AKIA", 60), logins.give("1", "AKIA", -1)

    def header(user, token):
        return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()

    # WHEN / THEN
    assert logins.of(header("AWS", good)).access_key == "AKIA"
    assert logins.of(header("AWS", over)) is None
    assert logins.of(header("alice", good)) is None
    assert logins.of(header("AWS", "made up")) is None
