"""Where builds ask for their credentials: a port of its own, answered on threads of its own.

SDKs give this service two seconds. On a machine that is busy with builds the emulator's own loop
may not be that quick, and a build without credentials has failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.emulator.extension.imds import Answer
from local.emulator.settings import HOST


def serve_credentials(answer: Callable[[str], Answer]) -> str:
    """Answer GET requests, given their path, for as long as this process lives; the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(self.path)
            body = found.body if isinstance(found.body, bytes) else found.body.encode()
            self.send_response(found.status)
            self.send_header("Content-Type", found.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """An address is a secret: it is written nowhere."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="codebuild-credentials", daemon=True).start()
    return f"http://{HOST}:{server.server_port}"
