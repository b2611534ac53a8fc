"""A fake of AWS behind a real client, or behind a port, in the protocol of its service.

Serialisation, signing, parsing and events are botocore's own; what is asked and answered passes
through `tests.aws.answers`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from slipway.rollout.fence import HANDLER
from tests.aws.answers import answered, model_of

Json = dict[str, Any]
Handle = Callable[[str, Json], Json]
"""From an operation and its parameters to the answer; raises Fault."""

REGION = "us-east-1"
SERVICES = {
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AmazonSSM": "ssm",
    "CodeDeploy_20141006": "codedeploy",
}
"""By what a request's header names."""
FORMS = {"2015-12-01": "elbv2"}
"""By the version that a request's form names."""


class Fault(ClientError):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        metadata = {"HTTPStatusCode": status}
        told = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
        super().__init__(told, "Operation")  # type: ignore[arg-type]
        self.code, self.message, self.status = code, message, status


def reply(headers: Mapping[str, Any], body: bytes | str, handle: Handle) -> tuple[int, bytes]:
    """HTTP status and body of one call, in the protocol in which it was made."""
    text = body.decode() if isinstance(body, bytes) else body
    target = headers.get("X-Amz-Target")
    if target is None:
        return _reply_to_form(text, handle)
    name = target.decode() if isinstance(target, bytes) else str(target)
    prefix, _, operation = name.rpartition(".")
    asked = json.loads(text or "{}")
    try:
        given = answered(
            SERVICES[prefix], operation, asked, lambda: handle(operation, asked), wire=True
        )
    except Fault as fault:
        told = {"__type": fault.code, "message": fault.message}
        return fault.status, json.dumps(told).encode()
    return 200, json.dumps(given).encode()


def _reply_to_form(body: str, handle: Handle) -> tuple[int, bytes]:
    """The same in the query protocol: a form is asked, XML is answered; moto knows how."""
    from moto.core.parse import QueryParser  # noqa: PLC0415 - takes a while
    from moto.core.serialize import QuerySerializer  # noqa: PLC0415
    from moto.core.utils import get_service_model  # noqa: PLC0415
    from werkzeug.datastructures import MultiDict  # noqa: PLC0415

    form = dict(parse_qsl(body))
    service = FORMS[form["Version"]]
    model = get_service_model(service).operation_model(form["Action"])
    asked = QueryParser(model).parse({"values": MultiDict(form)})
    try:
        given = answered(service, model.name, asked, lambda: handle(model.name, asked))
    except Fault as fault:
        told = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
        return fault.status, f"<ErrorResponse><Error>{told}</Error></ErrorResponse>".encode()
    return 200, QuerySerializer(model).serialize(given)["body"].encode()


def answer_from(client: Any, handle: Handle, *, first: bool = True) -> Any:
    """`client` with its requests ending at `handle`; `first`: before any other handler."""

    def send(request: Any, **_ignored: Any) -> AWSResponse:
        status, body = reply(request.headers, request.body, handle)
        return AWSResponse(request.url, status, {}, _Body(body))

    register = client.meta.events.register_first if first else client.meta.events.register
    register(_sending(client), send, unique_id="scripted")
    return client


def _sending(client: Any) -> str:
    return f"before-send.{client.meta.service_model.service_id.hyphenize()}"


def client_of(name: str, handle: Handle) -> Any:
    """A real botocore client whose requests `handle` gets."""
    client = _client(name)
    for handler in ("scripted", HANDLER):  # of who had it before
        client.meta.events.unregister(_sending(client), unique_id=handler)
    return answer_from(client, handle)


class _Body:
    """What botocore reads a response's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_ignored: Any) -> Iterator[bytes]:
        yield self._content

    def read(self, *_ignored: Any) -> bytes:
        return self._content


@cache
def _client(name: str) -> Any:
    session = botocore.session.Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "a-secret-that-must-never-be-shown")
    config = Config(retries={"total_max_attempts": 1})
    return session.create_client(name, region_name=REGION, config=config)


@contextmanager
def served(handle: Handle) -> Iterator[str]:
    """`handle` behind a port of 127.0.0.1; its endpoint URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16  # head and body in one packet: two wait 40 ms for an acknowledgement

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = reply(self.headers, body, handle)
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_ignored: Any) -> None:
            """Nothing: who answers keeps the calls."""

    model_of("ecs")  # before anybody waits for an answer: loading it takes a while
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
