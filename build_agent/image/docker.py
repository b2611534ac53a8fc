"""The docker client: which one, and how it is called; always through the process runner."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from build_agent.host.process import Finished, Runner, Sink
from build_agent.host.stop import Stop
from slipway.contracts.errors import DeploymentFailed, WorldFailed

BUILT_IN_BUILDKIT_UNTIL = 23
"""Clients before this major version have BuildKit built in; later ones need the buildx plug-in."""
SHORT = 60.0
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_VERSION = re.compile(r"version (\d+)\.")


@dataclass(frozen=True)
class RegistryLogin:
    """A registry's host and what `docker login` needs."""

    registry: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def of_token(cls, registry: str, token: str) -> RegistryLogin:
        """From the token of `ecr:GetAuthorizationToken`: base64 of `user:password`."""
        user, _, password = base64.b64decode(token).decode().partition(":")
        return cls(registry, user, password)


DOCKER_HUB = "docker.io"
_PUSHED = re.compile(r": digest: (sha256:[0-9a-f]{64}) size: \d+")


def docker_hub_login(secret: str) -> RegistryLogin:
    """Of JSON with `username` and `password`: the form of ECS's own registry secrets (Amazon ECS
    Developer Guide, private registry authentication). DeploymentFailed for any other.
    """
    try:
        given = json.loads(secret)
        return RegistryLogin(DOCKER_HUB, str(given["username"]), str(given["password"]))
    except (ValueError, KeyError, TypeError):
        wanted = "the secret that dockerHub.secret names must be JSON with username and password"
        raise DeploymentFailed(wanted, stage="build") from None


@dataclass(frozen=True)
class Docker:
    """The docker client and the environment that it runs in; `program` waits for its name."""

    program: Callable[[], str]
    run: Runner
    folder: Path

    @contextmanager
    def session(self) -> Iterator[DockerSession]:
        """A throw-away docker configuration: no login of one build outlives it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="docker-", dir=self.folder) as config:
            Path(config).chmod(0o700)
            yield DockerSession(self, Path(config))


@dataclass(frozen=True)
class DockerSession:
    """docker with a login of its own, in a folder that is thrown away after the build."""

    docker: Docker
    config: Path

    def __call__(
        self,
        arguments: Sequence[str],
        *,
        stop: Stop,
        timeout: float = SHORT,
        sink: Sink | None = None,
        text: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Finished:
        return self.docker.run(
            [self.docker.program(), *arguments],
            timeout=timeout,
            stop=stop,
            sink=sink,
            text=text,
            env={**environment(self.config), **(extra or {})},
        )

    def log_in(self, login: RegistryLogin, *, stop: Stop) -> None:
        """`docker login` with the password on standard input; WorldFailed if it is refused."""
        command = ["login", "--username", login.user, "--password-stdin", "--", login.registry]
        ended = self(command, stop=stop, text=login.password)
        if not ended.ok:
            raise WorldFailed(f"cannot log in to {login.registry}: {ended.last_line}")


def pushed_digest(ended: Finished) -> str | None:
    """The digest of what a `docker push` has pushed, as it tells in the end; None: it does not."""
    told = [m[1] for line in ended.tail if (m := _PUSHED.search(line))]
    return told[-1] if told else None


def environment(config: Path) -> dict[str, str]:
    """What a docker client sees: where the daemon is and its configuration, nothing of AWS."""
    passed = ("PATH", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", *PROXY_VARIABLES)
    return {
        **{name: os.environ[name] for name in passed if name in os.environ},
        "HOME": str(config),
        "DOCKER_CONFIG": str(config),
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "DOCKER_CLI_HINTS": "false",
    }


def find_client(run: Runner, programs: Iterable[str], *, stop: Stop) -> str:
    """The first client that can build with BuildKit; WorldFailed, with those seen, for none."""
    seen = []
    for program in programs:
        version = run([program, "--version"], timeout=SHORT, stop=stop)
        if not version.ok:
            continue
        plugin = run([program, "buildx", "version"], timeout=SHORT, stop=stop)
        if has_buildkit(version.output, buildx=plugin.ok):
            return program
        seen.append(f"{program} ({version.output.strip()})")
    known = ", ".join(seen) or "none found"
    raise WorldFailed(f"no docker client that can build with BuildKit: {known}")


def has_buildkit(version: str, *, buildx: bool) -> bool:
    """Whether a client of this `docker --version`, with or without buildx, has BuildKit."""
    match = _VERSION.search(version)
    return buildx or (match is not None and int(match[1]) < BUILT_IN_BUILDKIT_UNTIL)


def client_programs(path: str | None = None) -> list[str]:
    """Every `docker` on the search path, in its order, each program once."""
    folders = (path or os.environ.get("PATH", os.defpath)).split(os.pathsep)
    found: dict[Path, str] = {}
    for folder in folders:
        program = Path(folder or ".", "docker")
        if program.is_file() and os.access(program, os.X_OK):
            found.setdefault(program.resolve(), str(program))
    return list(found.values())
