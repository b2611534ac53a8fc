"""Failing builds, what each must be taken for, and what real dockers of three ages said of them.

The e2e tests build them with the machine's docker. `python -m tests.docker_builds CLIENT`, with
DOCKER_HOST set, prints what another docker says, as tests/events/docker/*.json keep it; builds that
need more than a Dockerfile (a killed daemon, a full disk) are recorded there by hand.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from build_agent.host import process
from build_agent.host.stop import Stop
from build_agent.image.docker import environment
from tests.places import EVENTS

RECORDED = EVENTS / "docker"
BUSYBOX = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\n"
REGISTRY = "127.0.0.1:5000"
"""Stands for the address of `registry()` in a Dockerfile."""
WORDS = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon"
    " running?",
    "error during connect: dial unix /var/run/docker.sock",
    "rpc error: code = Unavailable desc = error reading from server: EOF",
    "write /x: no space left on device",
    "#5 ERROR: write /x: no space left on device",
    "------",
    " > [internal] load metadata for x:",
    "------",
    "ERROR: failed to solve: Unavailable: error reading from server: EOF",
    "failed to solve: toomanyrequests: You have reached your pull rate limit.",
    "dial tcp: lookup x: no such host",
)
"""What docker says when the world fails, and what a step may print."""


@dataclass(frozen=True)
class Build:
    """A build that fails: `of` names who is to blame, `cause` is a part of what is told."""

    dockerfile: str
    of: Literal["commit", "world"]
    cause: str
    files: Mapping[str, str] = field(default_factory=dict)


def _of_commit(cause: str, steps: str, *, words: str = "", name: str = "words") -> Build:
    return Build(BUSYBOX + steps, "commit", cause, {name: words} if words else {})


def _of_registry(dockerfile: str) -> Build:
    return Build(dockerfile, "world", "could not reach a registry")


_TOLD = "COPY words /\nRUN /bin/busybox cat /words"
_LINES = "\\n".join(WORDS[3:9])
"""Some of them as one text in a Dockerfile."""
_COMMIT: Mapping[str, Build] = {
    "exit code": _of_commit("failed with exit code 3", "RUN echo boom; exit 3\n"),
    "words": _of_commit("exit code 1", f"{_TOLD}; exit 1\n", words="\n".join(WORDS) + "\n"),
    "words without a line's end": _of_commit(
        "exit code 1",
        "RUN /bin/busybox printf '\\r#5 ERROR: no space left on device\\nUnavailable: x'; exit 1\n",
    ),
    "words behind a long line": _of_commit(
        "exit code 1", f"{_TOLD}; exit 1\n", words="x" * 4090 + "ERROR: failed to solve: EOF\n" * 3
    ),
    "words behind zeros": _of_commit(
        "exit code 1",
        f"RUN /bin/busybox head -c 5000 /dev/zero; /bin/busybox printf '\\n{_LINES}'; exit 1\n",
    ),
    "words of a step that went well": _of_commit(
        "exit code 4", f"{_TOLD}\nRUN exit 4\n", words="\n".join(WORDS) + "\n"
    ),
    "words in a command": _of_commit(
        "exit code 5", f'RUN ["/bin/sh", "-c", "exit 5\\n{_LINES}"]\n'
    ),
    "words as a file": _of_commit("not found", 'COPY ["no space left on device", "/x"]\n'),
    "words as a registry's file": _of_commit("not found", 'COPY ["connection refused", "/x"]\n'),
    "words as a user": _of_commit("failed", "USER toomanyrequests:\nRUN echo\n"),
    "words of a variable": _of_commit("no such host", 'ARG x\nCOPY ["${x:?no such host}", "/a"]\n'),
    "words of a variable in lines": _of_commit(
        "no such host", f'ARG x\nCOPY ["${{x:?q\\n{_LINES}\\n------\\nno such host}}", "/a"]\n'
    ),
    "words as a base image": Build(
        f"FROM {REGISTRY}/status/404/toomanyrequests\n", "commit", "not found"
    ),
    "an exit code in words": _of_commit("exit code 2", "RUN echo ': exit code: 9'; exit 2\n"),
    "its own full memory disk": _of_commit(
        "exit code 1", "RUN /bin/busybox dd if=/dev/zero of=/dev/shm/x bs=1M count=99; exit 1\n"
    ),
    "killed": _of_commit(
        "exit code 137 (killed, as where memory runs out)",
        'RUN sh -c "kill -9 \\$\\$"; exit $?\n',
    ),
    "no such program": _of_commit("exit code 1", 'RUN ["/no such host"]\n'),
    "a long command": _of_commit("exit code 6", f"RUN : {'y' * 4200}; exit 6\n"),
    "no such instruction": Build("FRM toomanyrequests\n", "commit", "unknown instruction: FRM"),
    "an empty Dockerfile": Build("", "commit", "empty"),
    "no such file": _of_commit("3/3 COPY nothere /x", "COPY nothere /x\n"),
    "a folder that is a file": _of_commit("not a directory", "WORKDIR /bin/sh\nRUN echo\n"),
    "an ignore file that is wrong": _of_commit(
        "syntax error in pattern", "COPY . /x\n", words="[a\n", name=".dockerignore"
    ),
    "a base image that is not there": Build(f"FROM {REGISTRY}/status/404/x\n", "commit", "not fou"),
    "a base image that is not for us": Build(f"FROM {REGISTRY}/status/403/x\n", "commit", "403"),
    "another stage": _of_commit(
        "exit code 7", "FROM scratch\nCOPY --from=0 /bin/sh /bin/sh\nRUN exit 7\n"
    ),
}
_WORLD: Mapping[str, Build] = {
    "a registry that is gone": _of_registry("FROM 127.0.0.1:1/x\n"),
    "a registry without a name": _of_registry("FROM no-such-host.invalid/x\n"),
    "a registry that fails": _of_registry(f"FROM {REGISTRY}/status/503/x\n"),
    "a registry that has enough": _of_registry(f"FROM {REGISTRY}/status/429/x\n"),
    "a registry that hangs up": _of_registry(f"FROM {REGISTRY}/status/0/x\n"),
    "a registry to copy from": _of_registry(f"{BUSYBOX}COPY --from=127.0.0.1:1/y /a /b\n"),
    "a frontend's registry": _of_registry("# syntax=127.0.0.1:1/x\nFROM scratch\n"),
    "a web server that is gone": _of_registry(f"{BUSYBOX}ADD http://127.0.0.1:1/y /b\n"),
}
BUILDS: Mapping[str, Build] = {**_COMMIT, **_WORLD}
BY_HAND: Mapping[str, str] = {
    "a daemon that is killed": "docker d",
    "a daemon that is stopped": "docker d",
    "no daemon": "docker did not say what failed: Cannot connect to the Docker daemon",
    "a full disk at the context": "the disk is full",
    "a full disk at a copy": "the disk is full",
    "a full disk at the beginning": "the disk is full",
}
"""The world's all of them, and what is told."""


class _Registry(BaseHTTPRequestHandler):
    """Answers `/v2/status/<code>/…` with that code, with 0 not at all, anything else with 200."""

    default_request_version = "HTTP/1.0"  # docker tries https first, and knows http by its answer

    def do_GET(self) -> None:
        found = re.match(r"/v2/status/(\d+)/", self.path)
        status = int(found[1]) if found else 200
        if status == 0:
            self.close_connection = True
            return
        text = (
            b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your limit."}]}'
        )
        body = text if status == 429 else b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[str]:
    """The address of a registry that answers as its images' names say."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def lay_out(build: Build, folder: Path, busybox: Path, address: str) -> None:
    """The build's files in `folder`, with the registry at `address`."""
    shutil.copy(busybox, folder / "busybox")
    (folder / "busybox").chmod(0o755)
    for name, text in build.files.items():
        (folder / name).write_text(text)
    (folder / "Dockerfile").write_text(build.dockerfile.replace(REGISTRY, address))


def recorded() -> list[tuple[str, str, tuple[str, ...]]]:
    """Docker's version, the build's name, the last lines of what was said."""
    return [
        (file.stem, name, tuple(lines))
        for file in sorted(RECORDED.glob("*.json"))
        for name, lines in json.loads(file.read_text())["builds"].items()
    ]


def record(client: str, busybox: Path) -> dict[str, list[str]]:
    """What `client` and its daemon say of each build, with no path of this machine."""
    said = {}
    with registry() as address, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = {"timeout": 120.0, "stop": Stop(), "env": environment(folder / "configuration")}
        (folder / "configuration").mkdir()
        form = ["info", "--format", "{{.DockerRootDir}}"]
        root = process.run([client, *form], **given).output.strip()  # type: ignore[arg-type]
        for case, build in BUILDS.items():
            tree = folder / "tree"
            tree.mkdir()
            lay_out(build, tree, busybox, address)
            command = [client, "build", "--progress", "plain", "--iidfile", f"{name}/id", "--"]
            ended = process.run([*command, str(tree)], **given)  # type: ignore[arg-type]
            shutil.rmtree(tree)
            hidden = {root: "/var/lib/docker", address: REGISTRY, name: "/build"}
            said[case] = [_replaced(line, hidden) for line in ended.tail]
    return said


def _replaced(text: str, parts: Mapping[str, str]) -> str:
    for old, new in parts.items():
        text = text.replace(old, new)
    return text


if __name__ == "__main__":
    print(
        json.dumps({"builds": record(sys.argv[1], Path(shutil.which("busybox") or ""))}, indent=1)
    )
