"""Images: found by build key, built with BuildKit, pushed with the build key's tag last.

An image whose build tag is in ECR is whole, so it is never built again. Nor is it built by two runs
at once: the second waits for the first, and finds it. When two images are
compared, the labels that Slipway sets do not count: the commit is one of them.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from build_agent.host.clock import Clock
from build_agent.host.flights import Flights
from build_agent.host.gate import Gate
from build_agent.host.parallel import ahead
from build_agent.host.process import Sink, TimedOut
from build_agent.host.stop import Stop
from build_agent.image.build_cache import BuildCache, Use
from build_agent.image.build_failure import (
    build_failure,
    build_timeout,
    is_of_a_step,
    push_failure,
)
from build_agent.image.build_files import locate
from build_agent.image.command import LABELS, arguments_of, build_command, secret_variable
from build_agent.image.docker import (
    Docker,
    DockerSession,
    RegistryLogin,
    docker_hub_login,
    pushed_digest,
)
from build_agent.image.hiding import hidden, hiding
from build_agent.image.keeping import Keeping
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from slipway.contracts.stamps import utc_stamp, utc_text
from slipway.following.registry import Registry

PUSH_TIMEOUT = 1800.0

FetchSecret = Callable[[str], str]
"""From an SSM parameter's name or a Secrets Manager ARN to its value."""


@dataclass(frozen=True)
class Built:
    """An image that docker holds, not pushed yet. `architecture` in docker's words.

    `token`: waits for ECR's token, which was asked for while docker built. `use`: what the build
    had of the build cache in ECR; `secrets`: the values that it was lent.
    """

    image_id: str
    architecture: str
    content: Mapping[str, Any]
    token: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    use: Use | None = field(default=None, compare=False, repr=False)
    secrets: tuple[str, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Made:
    """An image's digest; `is_pushed` False: it is another one's, with the same content."""

    digest: str
    is_pushed: bool


class Images:
    """Builds and pushes, for several runs at once. `ecr` is boto3's client; `secret` fetches the
    value of a build secret; `builds`: each build uses it until its image is pushed (`Disk`).
    `docker_hub`: the secret of Docker Hub's name and password, whose pulls are limited without.
    `cache`: the build cache in ECR; None: there is none.
    """

    def __init__(
        self,
        *,
        docker: Docker,
        ecr: Any,
        secret: FetchSecret,
        clock: Clock,
        folder: Path,
        names: Names,
        builds: Gate | None = None,
        docker_hub: str | None = None,
        cache: BuildCache | None = None,
    ) -> None:
        self._docker = docker
        self._ecr = ecr
        self._secret = secret
        self._clock = clock
        self._folder = folder
        self._builds = builds or Gate()
        self._docker_hub = docker_hub
        self._cache = cache
        self._mutex = threading.Lock()
        self._pushed_at: dict[str, int] = {}
        self._flights: Flights[str | None] = Flights()
        self._registry = Registry(lambda: ecr, names)

    def find(self, image: ImageSettings, tag: str) -> str | None:
        """The digest that `tag` has in ECR, or None."""
        return self._registry.digest(image, tag)

    def once(
        self,
        image: ImageSettings,
        tag: str,
        make: Callable[[], Made],
        *,
        stop: Stop,
        sink: Sink,
    ) -> str:
        """The digest of `tag`: as ECR has it, or else as `make` builds and pushes it.

        One run makes it at a time: whoever comes meanwhile waits, and makes it by itself only where
        it is not in ECR then. Raises what `make` raises, and Interrupted where `stop` ends a wait.
        """
        mine: list[str] = []

        def find_or_make() -> str | None:
            found = self.find(image, tag)
            if found is not None:
                return found
            waits = "waiting for the disk, which is being pruned"
            with self._builds.use(stop=stop, waiting=lambda: sink(waits)):
                made = make()
            mine.append(made.digest)
            return made.digest if made.is_pushed else None

        while True:
            shared = self._flights.share(
                (image.repository_uri, tag), None, find_or_make, stop=stop,
                waiting=lambda: sink("waiting for another run, which builds this image"),
            )  # fmt: skip
            digest = mine[0] if mine else shared
            if digest is not None:
                return digest

    def build(
        self,
        pipeline: PipelineSettings,
        image: ImageSettings,
        commit: Commit,
        tree: Path,
        *,
        tag: str,
        fresh: bool,
        stop: Stop,
        sink: Sink,
    ) -> Built:
        """Build `image` from the files in `tree` and name it by `tag`; `fresh`: without any cache.

        DeploymentFailed where the commit cannot be built; WorldFailed for docker and the disk.
        """
        files = locate(tree, image)
        secrets = self._secrets(image)
        # While docker builds: ECR's token lasts twelve hours, a build not as long. It is good for
        # every registry of the region, of other accounts too, that the role may use.
        token = ahead(self._new_token)
        with (
            tempfile.TemporaryDirectory(prefix="build-", dir=self._folder) as scratch,
            self._docker.session() as docker,
        ):
            id_file = Path(scratch, "id")
            dockerfile = files.lay_out(Path(scratch, "dockerfile"))
            use = Use() if self._cache is None else self._cache.begin(
                pipeline, image, dockerfile, fresh=fresh, docker=docker, stop=stop, say=sink
            )  # fmt: skip
            command = build_command(
                pipeline, image, commit, tag=tag, dockerfile=dockerfile, context=files.context,
                id_file=id_file, secrets=list(secrets), created=utc_text(self._clock.now()),
                fresh=fresh,
            )  # fmt: skip
            variables = {secret_variable(i): v for i, v in enumerate(secrets.values())}
            run = partial(
                docker, stop=stop, timeout=pipeline.build_timeout, extra=variables,
                sink=hiding(use.heard(sink), list(secrets.values())),
            )  # fmt: skip
            for registry in _registries((*image.base_repositories, *use.imports)):
                docker.log_in(RegistryLogin.of_token(registry, token()), stop=stop)
            self._log_in_to_docker_hub(docker, stop, sink)
            try:
                ended = run([*command[:1], *use.options, *command[1:]])
                if not ended.ok and use.imports and not is_of_a_step(ended.tail):
                    sink("once more, without the build cache in ECR")
                    ended = run(command)
            except TimedOut as error:
                tail = tuple(hidden(line, secrets.values()) for line in error.tail)
                raise build_timeout(tail, pipeline.build_timeout) from None
            if not ended.ok:
                tail = tuple(hidden(line, secrets.values()) for line in ended.tail)
                raise build_failure(tail, ended.returncode)
            built = self._inspect(docker, id_file.read_text().strip(), stop)
            if self._cache is not None:
                self._cache.built(use, built.image_id)
            return replace(built, token=token, use=use, secrets=tuple(secrets.values()))

    def keep_layers(
        self,
        pipeline: PipelineSettings,
        image: ImageSettings,
        commit: Commit,
        tree: Path,
        built: Built,
        *,
        stop: Stop,
        sink: Sink,
    ) -> None:
        """Write what `built` brought to the build cache in ECR; `built` was pushed before.

        Raises nothing but Interrupted: a build is none the worse for it.
        """
        if self._cache is None or built.use is None:
            return
        stages = self._cache.to_write(built.use)
        if not stages:
            return
        try:
            keeping = Keeping(
                cache=self._cache, use=built.use, image=image, files=locate(tree, image),
                arguments=arguments_of(image, commit), source=pipeline.git_url,
                secrets=built.secrets,
            )  # fmt: skip
            token = built.token or self._new_token
            with (
                tempfile.TemporaryDirectory(prefix="keep-", dir=self._folder) as scratch,
                self._docker.session() as docker,
            ):
                registry = image.repository_uri.partition("/")[0]
                docker.log_in(RegistryLogin.of_token(registry, token()), stop=stop)
                keeping.write(stages, docker, Path(scratch), stop=stop, sink=sink)
        except (WorldFailed, DeploymentFailed, BotoCoreError, ClientError, OSError) as failed:
            sink(f"the build cache in ECR is not written: {failed}")

    def _log_in_to_docker_hub(self, docker: DockerSession, stop: Stop, sink: Sink) -> None:
        """Docker Hub limits the pulls of who gives no name, by address: builders meet that soon.

        A build that needs nothing of it does not fail with it: that there is no login is said.
        """
        if self._docker_hub is None:
            return
        login = docker_hub_login(self._secret(self._docker_hub))
        try:
            docker.log_in(login, stop=stop)
        except WorldFailed as error:
            sink(f"warning: {error}; images of Docker Hub are pulled without a name")

    def same_as_running(
        self, image: ImageSettings, built: Built, digest: str, *, stop: Stop
    ) -> bool:
        """Whether `built` is the image `digest`, Slipway's own labels aside.

        Only where this host still holds that image: a comparison is worth no download.
        """
        with self._docker.session() as docker:
            name = f"{image.repository_uri}@{digest}"
            ended = docker(["image", "inspect", "--", name], stop=stop)
        if not ended.ok:
            return False
        return _content(_first(ended.output)) == built.content

    def push(
        self,
        image: ImageSettings,
        built: Built,
        *,
        commit: str,
        tag: str,
        stop: Stop,
        sink: Sink,
    ) -> str:
        """Push under the time's tag, then add the others, the build tag last; the digest.

        The others are added by ECR itself: docker would go through every layer again for each.
        """
        stamp = self._stamp(image.repository_uri)
        token = built.token or self._new_token
        with self._docker.session() as docker:
            registry = image.repository_uri.partition("/")[0]
            docker.log_in(RegistryLogin.of_token(registry, token()), stop=stop)
            name = f"{image.repository_uri}:{stamp}"
            digest = self._push(docker, name, built, stop=stop, sink=sink)
        # By digest, where docker told it: another host may have pushed within the same second.
        pushed = self._registry.read(
            image, **({"imageDigest": digest} if digest else {"imageTag": stamp})
        )
        if pushed is None:
            raise WorldFailed(f"ECR does not have {image.repository}:{stamp}, which was pushed")
        for name in (commit, "latest"):
            if not self._registry.add_tag(image, pushed, name):
                sink(f"tag {name} is taken and cannot change: left as it is")
        stop.check()
        if not self._registry.add_tag(image, pushed, tag):
            raise WorldFailed(f"ECR refuses the tag {tag}: it is taken by another image")
        return str(pushed["imageId"]["imageDigest"])

    def keep(self, image: ImageSettings, digest: str, pipeline: str, *, sink: Sink) -> None:
        """Let `digest` be what `pipeline` runs (`Registry.keep`)."""
        self._registry.keep(image, digest, pipeline, sink=sink)

    # --- steps

    def _stamp(self, repository_uri: str) -> str:
        """The time's tag, of this one push alone: two within a second would name one image."""
        with self._mutex:
            at = max(int(self._clock.now()), self._pushed_at.get(repository_uri, 0) + 1)
            self._pushed_at[repository_uri] = at
        return utc_stamp(at)

    def _push(
        self, docker: DockerSession, name: str, built: Built, *, stop: Stop, sink: Sink
    ) -> str | None:
        """The digest of what was pushed, as docker tells it."""
        tagged = docker(["image", "tag", "--", built.image_id, name], stop=stop)
        if not tagged.ok:
            raise push_failure(tagged.tail)
        try:
            ended = docker(["push", "--", name], stop=stop, timeout=PUSH_TIMEOUT, sink=sink)
        except TimedOut as error:
            raise WorldFailed(f"the push of {name} hung: {error}") from None
        if not ended.ok:
            raise push_failure(ended.tail)
        # On this host only the build tag stays: a name for every time would keep every image.
        docker(["image", "rm", "--no-prune", "--", name], stop=stop)
        return pushed_digest(ended)

    def _new_token(self) -> str:
        answer = self._ecr.get_authorization_token()["authorizationData"][0]
        return str(answer["authorizationToken"])

    def _secrets(self, image: ImageSettings) -> dict[str, str]:
        return {name: self._secret(place) for name, place in image.build_secrets.items()}

    def _inspect(self, docker: DockerSession, image_id: str, stop: Stop) -> Built:
        ended = docker(["image", "inspect", "--", image_id], stop=stop)
        if not ended.ok:
            raise WorldFailed("docker does not have the image that it just built")
        described = _first(ended.output)
        return Built(image_id, str(described.get("Architecture", "")), _content(described))


def _registries(repositories: Sequence[str]) -> list[str]:
    """The hosts of repositories' URIs, each once."""
    return list(dict.fromkeys(uri.partition("/")[0] for uri in repositories))


def _content(described: Mapping[str, Any]) -> dict[str, Any]:
    """What `docker image inspect` tells of an image that is not of this one build of it.

    Layers, platform, author and the whole configuration, without the labels that differ with the
    commit. Docker's versions write what is absent in different ways.
    """
    config = {**(described.get("Config") or {})}
    config["Labels"] = {
        name: value for name, value in (config.get("Labels") or {}).items() if name not in LABELS
    }
    return {
        "layers": (described.get("RootFS") or {}).get("Layers"),
        "about": [described.get(k) or "" for k in ("Architecture", "Variant", "Os", "Author")],
        "config": {name: value for name, value in config.items() if value},
    }


def _first(output: str) -> Mapping[str, Any]:
    try:
        found = json.loads(output)[0]
    except (ValueError, IndexError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
