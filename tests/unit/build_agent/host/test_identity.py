"""Who the host is, asked of a metadata service that wants a token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from build_agent.host.identity import parse_identity, read_identity
from slipway.contracts.errors import WorldFailed

DOCUMENT = {"instanceId": "i-1", "pendingTime": "2027-01-15T08:00:00Z", "region": "eu-west-1"}


class Imds(BaseHTTPRequestHandler):
    """IMDSv2: a PUT for a token, then a GET that shows it."""

    def do_PUT(self) -> None:
        self._answer("token" if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else "")

    def do_GET(self) -> None:
        good = self.headers["X-aws-ec2-metadata-token"] == "token"
        known = self.path == "/i/latest/dynamic/instance-identity/document"
        self._answer(json.dumps(DOCUMENT) if good and known else "")

    def _answer(self, text: str) -> None:
        self.send_response(200 if text else 401)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: Any) -> None:
        return None


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Imds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/i/"
    server.shutdown()
    server.server_close()


def test_the_boot_is_the_launch_time_of_the_identity_document(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    host = read_identity()
    assert (host.host_id, host.boot, host.region) == ("i-1", DOCUMENT["pendingTime"], "eu-west-1")
    assert host.holder(2) == f"i-1/2027-01-15T08:00:00Z/{host.process}.2"
    assert read_identity().process != host.process


def test_no_metadata_service_is_the_worlds_fault(endpoint: str) -> None:
    with pytest.raises(WorldFailed, match="does not answer"):
        read_identity(endpoint + "wrong")
    with pytest.raises(WorldFailed, match="does not answer"):
        read_identity("http://127.0.0.1:1")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"instanceId": "i"}'])
def test_a_document_that_is_none_is_the_worlds_fault(text: str) -> None:
    with pytest.raises(WorldFailed):
        parse_identity(text)
