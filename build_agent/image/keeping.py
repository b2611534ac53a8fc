"""Writes a build's stages to the build cache in ECR, after its image was pushed there.

Each is made an image from docker's own cache, looked through for build secrets, and pushed. docker
skips the layers that ECR has. Nothing that fails here is a failure of the build.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_agent.host.process import Finished, Sink
from build_agent.host.stop import Stop
from build_agent.image import leaks
from build_agent.image.build_cache import BuildCache, KeptStage, Use
from build_agent.image.build_files import BuildFiles
from build_agent.image.command import stage_command
from build_agent.image.docker import DockerSession, environment, pushed_digest
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import ImageSettings

STAGE_TIMEOUT = 120.0
"""Seconds for making a stage an image: its steps are in docker's cache."""
PUSH_TIMEOUT = 900.0
LEAST_SECRET = 8
"""Characters of a text that is looked for: a shorter one is in any image by chance."""


@dataclass(frozen=True)
class Keeping:
    """What was built, for its stages to be kept. `secrets`: the values that no layer may hold.

    `arguments`: the values of the build's arguments; `source`: the git URL.
    """

    cache: BuildCache
    use: Use
    image: ImageSettings
    files: BuildFiles
    arguments: Mapping[str, str]
    secrets: Sequence[str]
    source: str

    def write(
        self,
        stages: Sequence[KeptStage],
        docker: DockerSession,
        folder: Path,
        *,
        stop: Stop,
        sink: Sink,
    ) -> None:
        """Write these (`BuildCache.to_write`); `docker` is logged in to ECR."""
        for number, kept in enumerate(stages):
            self.cache.writing(self.use, kept)
            name = self.use.name(kept)
            try:
                image_id = self._make(docker, kept, folder / str(number), stop)
                self._refuse_secrets(docker, image_id, stop)
                pushed = _need(docker(["push", "--", name], stop=stop, timeout=PUSH_TIMEOUT))
            except WorldFailed as failed:
                sink(f"{_told(kept)} is not kept for builders without cache: {failed}")
            else:
                self.cache.written(self.use, kept, pushed_digest(pushed))
                sink(f"{_told(kept)} is kept for builders without cache: {kept.tag}")
            # The layers stay in docker's cache: a name of their own would hold them there.
            docker(["image", "rm", "--no-prune", "--", name], stop=stop)

    def _make(self, docker: DockerSession, kept: KeptStage, folder: Path, stop: Stop) -> str:
        dockerfile = self.files.lay_out(folder)
        id_file = folder / ".id"
        dockerfile.write_bytes(kept.stage.text.encode(errors="surrogateescape"))
        command = stage_command(
            self.image, name=self.use.name(kept), source=self.source, dockerfile=dockerfile,
            context=self.files.context, arguments=self.arguments, id_file=id_file,
        )  # fmt: skip
        _need(docker(command, stop=stop, timeout=STAGE_TIMEOUT))
        return id_file.read_text().strip()

    def _refuse_secrets(self, docker: DockerSession, image_id: str, stop: Stop) -> None:
        """WorldFailed where a layer holds a secret: a step may have copied what it was lent."""
        sought = sought_for(self.secrets)
        if not sought:
            return
        named = {leaks.SOUGHT.format(number): text for number, text in enumerate(sought)}
        ended = docker.docker.run(
            [sys.executable, leaks.__file__, docker.docker.program(), image_id],
            timeout=PUSH_TIMEOUT,
            stop=stop,
            env={**environment(docker.config), **named},
        )
        if ended.returncode == leaks.FOUND:
            raise WorldFailed("its files hold a build secret")
        _need(ended)


def sought_for(secrets: Iterable[str]) -> list[str]:
    """The texts by which a secret in a file is known: as it is, by lines, and each as base64."""
    texts: dict[str, None] = {}
    for secret in secrets:
        for text in map(str.strip, (secret, *secret.splitlines())):
            if len(text) >= LEAST_SECRET:
                texts[text] = None
                texts[base64.b64encode(text.encode()).decode().rstrip("=")] = None
    return list(texts)


def _told(kept: KeptStage) -> str:
    return f"stage {kept.stage.name}"


def _need(ended: Finished) -> Finished:
    if not ended.ok:
        raise WorldFailed(ended.last_line)
    return ended
