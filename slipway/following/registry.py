"""What ECR knows of a pipeline's images: found by tag or digest, and tagged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.contracts.installation import ImageSettings
from slipway.contracts.names import Names

_MANIFESTS = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]

Sink = Callable[[str], object]


class Registry:
    """The repositories of an installation's images.

    `ecr` makes a client of botocore's or boto3's when it is needed: most steps of a rollout ask ECR
    nothing.
    """

    def __init__(self, ecr: Callable[[], Any], names: Names) -> None:
        self._make = ecr
        self._names = names

    @property
    def _ecr(self) -> Any:
        return self._make()

    def digest(self, image: ImageSettings, tag: str) -> str | None:
        """The digest of what `tag` names, or None."""
        found = self.read(image, imageTag=tag)
        return str(found["imageId"]["imageDigest"]) if found else None

    def read(self, image: ImageSettings, **image_id: str) -> Mapping[str, Any] | None:
        """The image with its manifest, by `imageTag` or `imageDigest`, or None."""
        answer = self._ecr.batch_get_image(
            repositoryName=image.repository,
            imageIds=[image_id],
            acceptedMediaTypes=_MANIFESTS,
        )
        found = answer.get("images") or []
        return found[0] if found and found[0].get("imageId", {}).get("imageDigest") else None

    def add_tag(self, image: ImageSettings, pushed: Mapping[str, Any], tag: str) -> bool:
        """Let `tag` name the pushed image; False if the tag is immutable and names another."""
        media_type = pushed.get("imageManifestMediaType")
        try:
            self._ecr.put_image(
                repositoryName=image.repository,
                imageManifest=pushed["imageManifest"],
                imageTag=tag,
                **({"imageManifestMediaType": media_type} if media_type else {}),
            )
        except self._ecr.exceptions.ImageAlreadyExistsException:
            return True
        except self._ecr.exceptions.ImageTagAlreadyExistsException:
            return False
        return True

    def keep(self, image: ImageSettings, digest: str, pipeline: str, *, sink: Sink) -> None:
        """Let `digest` be what `pipeline` runs: no lifecycle rule of ours removes it then.

        Several pipelines may share a repository, and one that pushes often must not push out what
        another runs. Nothing depends on it at once: where ECR refuses, that is told to `sink`.
        """
        tag = self._names.running_tag(pipeline)
        try:
            found = self.read(image, imageDigest=digest)
            if found is not None and not self.add_tag(image, found, tag):
                sink(f"tag {tag} is immutable in {image.repository}: left as it is")
        except (BotoCoreError, ClientError) as error:
            sink(f"tag {tag} could not be set: {error}")
