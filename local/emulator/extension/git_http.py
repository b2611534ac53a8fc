"""Gap closed: there is no git server.

`http://127.0.0.1:<port>/v1/repos/<repository>` speaks git's smart HTTP (`git http-backend`) behind
basic authentication and IAM: `codecommit:GitPull` to fetch, `codecommit:GitPush` to push. After a
push, what changed is told to the triggers and to EventBridge.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from local.emulator.extension import push_events
from local.emulator.extension.git_credentials import Caller, GitCredentials, allowed
from local.emulator.extension.repositories import (
    Repositories,
    Repository,
    git_environment,
    references,
    settle_default_branch,
)
from local.emulator.settings import EmulatorSettings

log = logging.getLogger("slipway.git")

PREFIX = "/v1/repos/"
CHUNK = 64 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class GitServer:
    """The git side of CodeCommit, as an ASGI application under `/v1/repos/`."""

    def __init__(
        self, settings: EmulatorSettings, repositories: Repositories, credentials: GitCredentials
    ) -> None:
        self._region = settings.region
        self._repositories = repositories
        self._credentials = credentials
        # One push at a time per repository, so that what a push changed can be told apart.
        self._pushing: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, _, action = scope["path"].removeprefix(PREFIX).partition("/")
        name = name.removesuffix(".git")
        headers = {key.decode().lower(): value.decode("latin-1") for key, value in scope["headers"]}
        caller = self._caller(headers, scope["path"], name)
        if caller is None:
            challenge = [(b"www-authenticate", b'Basic realm="CodeCommit"')]
            await _answer(send, 401, "who are you?\n", challenge)
            return
        repository = self._repositories.get(caller.account, self._region, name)
        if repository is None:
            await _answer(send, 404, f"repository {name} does not exist\n")
            return
        push = b"git-receive-pack" in (scope["path"] + "?").encode() + scope["query_string"]
        if not allowed(caller, "GitPush" if push else "GitPull", repository.arn):
            verb = "GitPush" if push else "GitPull"
            await _answer(send, 403, f"{caller.arn} may not codecommit:{verb} {repository.arn}\n")
            return
        environment = _cgi(scope, headers, repository, action, caller)
        if push and scope["method"] == "POST":
            await self._push(repository, caller, environment, receive, send)
        else:
            await _http_backend(environment, receive, send)

    def _caller(self, headers: dict[str, str], path: str, name: str) -> Caller | None:
        # git signs the remote's path as the user wrote it, with or without '.git'.
        for signed in (f"{PREFIX}{name}", f"{PREFIX}{name}.git"):
            caller = self._credentials.authenticate(
                headers.get("authorization", ""), headers.get("host", ""), signed, time.time()
            )
            if caller is not None:
                return caller
        return None

    async def _push(
        self,
        repository: Repository,
        caller: Caller,
        environment: dict[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        async with self._pushing[repository.arn]:
            before = await asyncio.to_thread(references, repository)
            await _http_backend(environment, receive, send)
            after = await asyncio.to_thread(references, repository)
            await asyncio.to_thread(settle_default_branch, repository)
        push_events.pushed(repository, push_events.changes(before, after), caller.arn)


def _cgi(
    scope: Scope, headers: dict[str, str], repository: Repository, action: str, caller: Caller
) -> dict[str, str]:
    environment = {
        **git_environment(),
        "GIT_PROJECT_ROOT": str(repository.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repository.path.name}/{action}",
        "REQUEST_METHOD": scope["method"],
        "QUERY_STRING": scope["query_string"].decode(),
        "REMOTE_USER": caller.arn,
        "REMOTE_ADDR": "127.0.0.1",
    }
    passed_on = {
        "content-type": "CONTENT_TYPE",
        "content-length": "CONTENT_LENGTH",
        "content-encoding": "HTTP_CONTENT_ENCODING",
        "git-protocol": "GIT_PROTOCOL",
    }
    for header, variable in passed_on.items():
        if header in headers:
            environment[variable] = headers[header]
    return environment


async def _http_backend(environment: dict[str, str], receive: Receive, send: Send) -> None:
    process = await asyncio.create_subprocess_exec(
        "git",
        "http-backend",
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    feeding = asyncio.create_task(_feed(process, receive))
    complaining = asyncio.create_task(_complaints(process))
    try:
        await _relay(process, send)
    finally:
        feeding.cancel()
        if process.returncode is None:
            await process.wait()
        await complaining


async def _feed(process: asyncio.subprocess.Process, receive: Receive) -> None:
    stdin = process.stdin
    if stdin is None:
        return
    more = True
    try:
        while more:
            message = await receive()
            stdin.write(message.get("body", b""))
            await stdin.drain()
            more = message["type"] == "http.request" and message.get("more_body", False)
    except (BrokenPipeError, ConnectionResetError):
        log.info("git stopped reading before the end of the request")
    stdin.close()


async def _complaints(process: asyncio.subprocess.Process) -> None:
    if process.stderr is not None:
        said = (await process.stderr.read()).decode(errors="replace").strip()
        if said:
            log.info("git http-backend: %s", said)


async def _relay(process: asyncio.subprocess.Process, send: Send) -> None:
    if process.stdout is None:
        return
    status, headers = 200, []
    while True:
        line = (await process.stdout.readline()).decode("latin-1").rstrip("\r\n")
        if not line:
            break
        name, _, value = line.partition(": ")
        if name.lower() == "status":
            status = int(value.split(" ")[0])
        else:
            headers.append((name.lower().encode(), value.encode()))
    if not headers:
        status = 500
    await send({"type": "http.response.start", "status": status, "headers": headers})
    while chunk := await process.stdout.read(CHUNK):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _answer(send: Send, status: int, text: str, headers: Headers | None = None) -> None:
    plain = [(b"content-type", b"text/plain")]
    start = {"type": "http.response.start", "status": status, "headers": plain + (headers or [])}
    await send(start)
    await send({"type": "http.response.body", "body": text.encode(), "more_body": False})
