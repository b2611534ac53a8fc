"""The little that a build host asks of AWS until its agent runs: metadata, a parameter, an object.

The whole chain has the emulator; here a release is whatever a test makes it, and may be made wrong.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

from infra.hosts.build_hosts import BOOTSTRAP, user_data
from slipway.contracts.names import Names
from tests.aws.wire import Fault, Json, reply

NAMES = Names("slipway")
REGION = "eu-central-1"
INSTANCE_ID = "i-0123456789abcdef0"
BUCKET = "assets"
ROLE = "slipway-host"
# It says what becomes of it in a file, and to systemd what the real one says; told to end, it still
# has a call to make.
AGENT = """
import os, pathlib, signal, socket, sys, time, urllib.request
NAME, BEHAVIOUR = {name!r}, {behaviour!r}
BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()

def note(word):
    print(word, NAME, flush=True)
    with open("/var/log/agents", "a") as log:
        log.write(f"{{word}} {{NAME}} {{BOOT}}\\n")

def tell(words):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(words.encode(), os.environ["NOTIFY_SOCKET"])

def ended(*_):
    url = os.environ["AWS_ENDPOINT_URL"] + "/said/given-back-by-" + NAME
    urllib.request.urlopen(url, timeout=60).close()
    note("ended")
    sys.exit(0)

def main():
    signal.signal(signal.SIGTERM, ended)
    note("started")
    if BEHAVIOUR == "ends":
        sys.exit(3)
    while BEHAVIOUR == "hangs":
        time.sleep(1)
    tell("READY=1\\nSTATUS=" + ("at work" if BEHAVIOUR == "works" else "idle"))
    while True:
        tell("WATCHDOG=1")
        time.sleep(5)

if __name__ == "__main__":
    main()
"""


def release(name: str, behaviour: str = "rests") -> bytes:
    """An archive with the real bootstrap and an agent that `rests`, `works`, `ends` or `hangs`."""
    files = {f"build_agent/bootstrap/{p.name}": p.read_bytes() for p in BOOTSTRAP.iterdir()}
    files["build_agent/__init__.py"] = b""
    files["build_agent/__main__.py"] = AGENT.format(name=name, behaviour=behaviour).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Cloud:
    """Answers on a free port of 127.0.0.1 while it is entered."""

    def __init__(self) -> None:
        self.archive = b""
        self.failures = 0
        """How many of the next calls for the parameter fail."""
        self.said: list[str] = []
        """What programs of a machine told by `/said/<word>`, each once."""
        self.gates: set[str] = set()
        """What they may go on with: `/gate/<name>` is there if it is one of these."""
        handler = type("Handler", (_Handler,), {"cloud": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Cloud:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, name: str, behaviour: str = "rests") -> None:
        """What the parameter names from now on."""
        self.archive = release(name, behaviour)

    def handle(self, operation: str, _parameters: Json) -> Json:
        """What the host asks of SSM."""
        assert operation == "GetParameter"
        if self.failures > 0:
            self.failures -= 1
            raise Fault("AccessDeniedException", "not now")
        return {"Parameter": {"Value": self.parameter()}}

    def parameter(self) -> str:
        digest = hashlib.sha256(self.archive).hexdigest()
        return json.dumps({"bucket": BUCKET, "key": "agent.tar", "sha256": digest})


def metadata(path: str) -> str | None:
    """The metadata service's document at a path below a version, or None."""
    documents = {
        "": "meta-data\nuser-data",
        "user-data": user_data(NAMES, REGION),
        "meta-data": "instance-id\niam/\nplacement/",
        "meta-data/instance-id": INSTANCE_ID,
        "meta-data/placement": "availability-zone",
        "meta-data/placement/availability-zone": f"{REGION}a",
        "meta-data/iam": "security-credentials/",
        "meta-data/iam/security-credentials": ROLE,
        f"meta-data/iam/security-credentials/{ROLE}": json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": "AKIDEXAMPLE",
                "SecretAccessKey": "example",
                "Token": "example",
                "Expiration": "2099-01-01T00:00:00Z",
            }
        ),
        "dynamic/instance-identity": "document",
        "dynamic/instance-identity/document": json.dumps({"region": REGION}),
    }
    return documents.get(path)


class _Handler(BaseHTTPRequestHandler):
    cloud: ClassVar[Cloud]

    def do_PUT(self) -> None:
        self._answer(200, "token")

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(*reply(self.headers, asked, self.cloud.handle))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        kind, _, word = path.lstrip("/").partition("/")
        if path == f"/{BUCKET}/agent.tar":
            self._answer(200, self.cloud.archive)
        elif kind == "said":
            self.cloud.said += [word] if word not in self.cloud.said else []
            self._answer(200, "")
        elif kind == "gate":
            self._answer(200 if word in self.cloud.gates else 404, "")
        else:
            _, _, _, _version, *rest = path.split("/")  # /imds/<instance>/<version>/…
            found = metadata("/".join(rest).strip("/"))
            self._answer(*((404, "") if found is None else (200, found)))

    def _answer(self, status: int, body: str | bytes) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.send_header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
