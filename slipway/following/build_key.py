"""What makes an image the same image, as one short text."""

from __future__ import annotations

import hashlib
import json

from slipway.contracts.codec import encode
from slipway.contracts.installation import ImageSettings
from slipway.contracts.names import BUILT


def build_tag(image: ImageSettings, commit: str, *, force: str | None = None) -> str:
    """The tag `build-<32 hex digits>` of what `commit` builds with these settings.

    `force`: a text that makes a build of its own of a forced rebuild (its request's id). Build
    secrets are named, never their values: a new value alone is no new build.
    """
    parts = {
        "commit": commit,
        "dockerfile": image.dockerfile,
        "context": image.context,
        "target": image.target,
        "arguments": sorted(image.build_arguments.items()),
        "secrets": sorted(image.build_secrets.items()),
        "platform": image.platform,
        "force": force,
    }
    if image.test is not None:  # what has passed no tests, or other ones, is not this image
        parts["test"] = encode(image.test)
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return BUILT + hashlib.sha256(text.encode()).hexdigest()[:32]
