"""The ASGI application: git, instance metadata and internal endpoints in front of ministack."""

from __future__ import annotations

import json
from typing import Any

from local.emulator.extension import imds
from local.emulator.extension.codebuild import Builds
from local.emulator.extension.git_http import PREFIX as GIT_PREFIX
from local.emulator.extension.git_http import GitServer, Receive, Scope, Send
from local.emulator.extension.imds import Answer, InstanceMetadata
from local.emulator.extension.internal import PREFIX as INTERNAL_PREFIX
from local.emulator.extension.internal import InternalEndpoints


class Gateway:
    """Sends each request where it belongs; everything that is not ours goes to ministack."""

    def __init__(
        self,
        *,
        ministack: Any,
        git: GitServer,
        metadata: InstanceMetadata,
        builds: Builds,
        internal: InternalEndpoints,
    ) -> None:
        self._ministack = ministack
        self._git = git
        self._metadata = metadata
        self.builds = builds
        self._internal = internal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "") if scope["type"] == "http" else ""
        if path.startswith(GIT_PREFIX):
            await self._git(scope, receive, send)
        elif path.startswith(imds.PREFIX):
            await _send(send, self._metadata.answer(scope["method"], path, _headers(scope)))
        elif path.startswith(INTERNAL_PREFIX):
            body = await _body(receive)
            data = json.loads(body) if body else {}
            await _send(send, self._internal.answer(scope["method"], path, data))
        else:
            await self._ministack(scope, receive, send)


def _headers(scope: Scope) -> dict[str, str]:
    return {key.decode().lower(): value.decode("latin-1") for key, value in scope["headers"]}


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = answer.body if isinstance(answer.body, bytes) else answer.body.encode()
    await send({"type": "http.response.body", "body": body, "more_body": False})
