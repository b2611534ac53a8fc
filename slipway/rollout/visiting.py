"""One request of a smoke test. Only to a public address, within 5 seconds in all, never elsewhere.

The name is resolved once, each address is judged, and the connection goes to the address that was
judged: a name that changes its mind meanwhile (DNS rebinding) gains nothing. No redirect is
followed: a 3xx is an answer with that status. Of a body at most 64 KiB are read.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult

from slipway.contracts.public_urls import is_public, parsed_url
from slipway.rollout.looks import SmokeSeen
from slipway.rollout.plan import Smoke

LONGEST = 5.0
"""Seconds for one request, from the name's resolving to the body's last byte."""
MOST_BODY = 64 * 1024
MOST_TOLD = 120
"""Characters of a body that are told."""
Resolve = Callable[[str, int], list[str]]
"""From a host and a port to its addresses."""


class Unreachable(Exception):
    """There is no answer; the text is the end of a sentence."""


@dataclass(frozen=True, kw_only=True)
class Got:
    """An answer. `body`: as far as it was read."""

    status: int
    body: bytes


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, IPv4 first: a Lambda function has no IPv6."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return sorted(addresses, key=lambda address: ":" in address)


def visit(
    smoke: Smoke,
    *,
    allowed: Callable[[str], bool] = is_public,
    resolve: Resolve = resolved,
    context: ssl.SSLContext | None = None,
) -> SmokeSeen:
    """What `smoke.url` answers now. Raises nothing: whatever goes wrong is the answer's `told`."""
    deadline = time.monotonic() + LONGEST
    try:
        url = parsed_url(smoke.url)
        got = _got(url, _addresses(url, allowed, resolve, deadline), deadline, context)
    except Unreachable as error:
        return SmokeSeen(ok=False, told=str(error))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return SmokeSeen(ok=False, told=f"did not answer ({_clean(str(error)) or 'no reason'})")
    return judged(smoke, got)


def judged(smoke: Smoke, got: Got) -> SmokeSeen:
    """Whether an answer is the one that is wanted."""
    text = got.body.decode("utf-8", "replace")
    told = f"answered {got.status}"
    if got.status not in smoke.status:
        said = _clean(text)
        return SmokeSeen(ok=False, told=f"{told} ({said!r})" if said else told)
    if smoke.contains is not None and smoke.contains not in text:
        return SmokeSeen(ok=False, told=f"{told} without {smoke.contains!r}")
    if smoke.pattern is not None and not holds(smoke.pattern, text):
        return SmokeSeen(ok=False, told=f"{told} without {smoke.pattern!r}")
    return SmokeSeen(ok=True, told=told)


def holds(pattern: str, text: str) -> bool:
    """Whether the parts of `pattern` between its `*` stand in `text`, in this order.

    One search a part: a regular expression could take minutes, and Python cannot end one.
    """
    at = 0
    for part in pattern.split("*"):
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _addresses(
    url: SplitResult, allowed: Callable[[str], bool], resolve: Resolve, deadline: float
) -> list[str]:
    """Where the host is. One address that is not allowed spoils all."""
    host = str(url.hostname)
    found = _within(lambda: resolve(host, _port(url)), deadline, f"{host} was not resolved")
    if not found:
        raise Unreachable(f"did not answer ({host} has no address)")
    for address in found:
        if not allowed(address):
            raise Unreachable(f"was not asked: {host} is at {address}, which is no public address")
    return found


def _within(work: Callable[[], list[str]], deadline: float, what: str) -> list[str]:
    """What `work` brings, in time: a resolver knows no limit, so it is left to itself then."""
    results: list[list[str]] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True, name="resolving")
    thread.start()
    thread.join(max(0.0, deadline - time.monotonic()))
    if failures:
        raise Unreachable(f"did not answer ({what}: {_clean(str(failures[0]))})")
    if not results:
        raise Unreachable(f"did not answer ({what} in time)")
    return results[0]


def _got(
    url: SplitResult, addresses: list[str], deadline: float, context: ssl.SSLContext | None
) -> Got:
    """The answer of the first address that takes a connection."""
    connection = _connected(addresses, _port(url), deadline)
    try:
        if url.scheme == "https":
            connection.settimeout(_left(deadline))
            # The certificate must be of the name, whatever the address is.
            wrap = (context or ssl.create_default_context()).wrap_socket
            connection = wrap(connection, server_hostname=url.hostname)
        connection.settimeout(_left(deadline))
        connection.sendall(_request(url))
        return _read(connection, deadline)
    finally:
        connection.close()


def _connected(addresses: list[str], port: int, deadline: float) -> socket.socket:
    last: OSError = OSError("no address")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(_left(deadline))
            made.connect((str(ipaddress.ip_address(address)), port))
        except OSError as error:
            made.close()
            last = error
            continue
        return made
    raise last


def _request(url: SplitResult) -> bytes:
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = f"[{url.hostname}]" if ":" in str(url.hostname) else str(url.hostname)
    if url.port is not None:
        host += f":{url.port}"
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: slipway-smoke-test",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _read(connection: socket.socket, deadline: float) -> Got:
    answer = http.client.HTTPResponse(cast(Any, _Timed(connection, deadline)), method="GET")
    answer.begin()
    body = b""
    try:
        while len(body) < MOST_BODY:
            more = answer.read1(MOST_BODY - len(body))
            if not more:
                break
            body += more
    except http.client.IncompleteRead as error:
        body = (body + error.partial)[:MOST_BODY]
    return Got(status=answer.status, body=body)


class _Timed(io.RawIOBase):
    """A connection to read from, whose reads end in time, however slowly it drips."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As HTTPResponse asks for it."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unreachable(f"did not answer within {LONGEST:.0f} s")
    return left


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _clean(text: str) -> str:
    """The beginning of what a stranger said, as one printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MOST_TOLD]).split())
    return line if len(line) <= MOST_TOLD else f"{line[:MOST_TOLD]}…"
