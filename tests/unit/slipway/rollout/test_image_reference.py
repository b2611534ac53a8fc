"""Image names: the distribution grammar, refused with the part that is wrong."""

from __future__ import annotations

import pytest

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import EcrImage, ImageReference, ecr_image

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        ("mariadb", "mariadb", None, None),
        ("mariadb:latest", "mariadb", "latest", None),
        ("silintl/mariadb", "silintl/mariadb", None, None),
        ("silintl/mariadb:10.6", "silintl/mariadb", "10.6", None),
        ("host:5000/app", "host:5000/app", None, None),
        ("host:5000/app:v1", "host:5000/app", "v1", None),
        ("localhost/app", "localhost/app", None, None),
        ("[::1]:5000/app:v1", "[::1]:5000/app", "v1", None),
        (f"app@{DIGEST}", "app", None, DIGEST),
        (f"registry.example.com/a/b/c:v1@{DIGEST}", "registry.example.com/a/b/c", "v1", DIGEST),
        ("a__b/c-d.e_f", "a__b/c-d.e_f", None, None),
        ("app:V1.0_x-y", "app", "V1.0_x-y", None),
    ],
)
def test_parses(text: str, repository: str, tag: str | None, digest: str | None) -> None:
    parsed = ImageReference.parse(text)

    assert (parsed.repository, parsed.tag, parsed.digest) == (repository, tag, digest)
    assert str(parsed) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "name"),
        ("App", "repository name"),
        ("app:", "tag"),
        ("app:-v1", "tag"),
        ("app:" + "x" * 129, "tag"),
        ("app@sha256:abc", "digest"),
        ("app@", "digest"),
        ("host:port/app", "registry"),
        ("host_x.y/app", "registry"),
        ("a//b", "repository name"),
        ("a/b/", "repository name"),
        ("a..b", "repository name"),
        ("$(whoami)", "repository name"),
        ("app:`git describe`", "tag"),
        ("app\n", "repository name"),
        ("http://host/app", "registry"),
        ("a/" + "b" * 254, "repository name"),
    ],
)
def test_refuses_with_the_part_that_is_wrong(text: str, part: str) -> None:
    with pytest.raises(WrongUse, match=f"the {part} "):
        ImageReference.parse(text)


def test_a_tag_or_digest_replaces_both() -> None:
    parsed = ImageReference.parse(f"host:5000/app:v1@{DIGEST}")

    assert str(parsed.with_tag("v2")) == "host:5000/app:v2"
    assert str(parsed.with_digest(DIGEST)) == f"host:5000/app@{DIGEST}"


def test_an_untagged_name_means_latest() -> None:
    assert str(ImageReference.parse("app").with_default_tag()) == "app:latest"
    assert str(ImageReference.parse(f"app@{DIGEST}").with_default_tag()) == f"app@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1",
            EcrImage("111122223333", "eu-west-1", "team/app"),
        ),
        (
            "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/app",
            EcrImage("111122223333", "cn-north-1", "app"),
        ),
        ("public.ecr.aws/docker/library/app", None),
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example/app", None),
        ("app", None),
    ],
)
def test_knows_what_is_in_ecr(text: str, place: EcrImage | None) -> None:
    assert ecr_image(ImageReference.parse(text)) == place
