"""A smoke test's request: where it may go, how long it may take, what a good answer is."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from slipway.contracts.public_urls import is_public, is_url, parsed_url
from slipway.rollout import visiting
from slipway.rollout.plan import Smoke
from slipway.rollout.visiting import Got, holds, judged, visit

HOST = "shop.example.com"


@contextmanager
def server(*answers: bytes, drip: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Answers each connection with the next of `answers`, byte by byte where it drips."""
    asked: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                try:
                    for at in range(0, len(answer), 1 if drip else len(answer)):
                        connection.sendall(answer[at : at + 1] if drip else answer)
                        time.sleep(drip)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        listening.close()
        thread.join(2)


def here(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def anywhere(_address: str) -> bool:
    return True


def asked(port: int, *, path: str = "/health", **members: Any) -> visiting.SmokeSeen:
    smoke = Smoke(url=f"http://{HOST}:{port}{path}", **members)
    return visit(smoke, allowed=anywhere, resolve=here)


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


def test_a_good_answer_is_good() -> None:
    with server(OK, OK, OK) as (port, requests):
        assert asked(port).ok
        assert asked(port, contains='"ok"', pattern='"status"*"ok"').ok
        bad = asked(port, contains="down")
    assert (bad.ok, bad.told) == (False, "answered 200 without 'down'")
    lines = requests[0].split(b"\r\n")
    assert lines[0] == b"GET /health HTTP/1.1"
    assert f"Host: {HOST}:{port}".encode() in lines


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with server(moved, moved) as (port, requests):
        seen = asked(port)
        assert (seen.ok, seen.told) == (False, "answered 302")
        assert asked(port, status=(302,)).ok
    assert len(requests) == 2


def test_what_is_said_is_told_on_one_short_line() -> None:
    body = b"<b>\x1b[31mnot\x00 now\r\n" + b"x" * 500
    answer = b"HTTP/1.1 503 No\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    with server(answer) as (port, _):
        told = asked(port).told
    assert told.startswith("answered 503 ('<b> [31mnot now xxx")
    assert len(told) < 150
    assert told.isprintable()


def test_at_most_64_kib_are_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
    with server(head + b"x" * 65536 + b"ok" + b"x" * 100_000) as (port, _):
        assert asked(port, contains="ok").told == "answered 200 without 'ok'"


def test_chunks_are_put_together_also_where_the_last_one_is_missing() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server(head + b"2\r\nal\r\n3\r\nl o\r\n1\r\nk\r\n0\r\n\r\n", head + b"6\r\nall o") as (
        port,
        _,
    ):
        assert asked(port, contains="all ok").ok
        assert not asked(port, contains="all ok").ok


@pytest.mark.parametrize("part", ["head", "body"])
def test_who_drips_is_left_in_time(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a server that sends a byte now and then
    monkeypatch.setattr(visiting, "LONGEST", 0.5)
    with server(OK if part == "head" else OK + b"", drip=0.05) as (port, _):
        begun = time.monotonic()
        seen = asked(port)
    # THEN the whole takes as long as it may, not each read
    assert time.monotonic() - begun < 2.0
    assert (seen.ok, "did not answer" in seen.told) == (False, True)


def test_who_does_not_resolve_in_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visiting, "LONGEST", 0.2)

    def slow(_host: str, _port: int) -> list[str]:
        time.sleep(1.0)
        return ["127.0.0.1"]

    begun = time.monotonic()
    seen = visit(Smoke(url=f"http://{HOST}/"), allowed=anywhere, resolve=slow)
    assert time.monotonic() - begun < 0.9
    assert seen.told == f"did not answer ({HOST} was not resolved in time)"


def test_no_connection_and_nonsense_are_told() -> None:
    with server(b"not http\r\n\r\n") as (port, _):
        assert "did not answer" in asked(port).told
    assert "did not answer" in asked(port).told  # nobody listens any more


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """A name that leads elsewhere at the second look is not looked up a second time."""
    looks: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["127.0.0.2"]

    with server(OK) as (port, requests):
        assert visit(Smoke(url=f"http://{HOST}:{port}/"), allowed=anywhere, resolve=rebinding).ok
    assert (looks, len(requests)) == ([HOST], 1)


def test_nothing_is_asked_of_an_address_that_is_not_public() -> None:
    with server(OK, OK) as (port, requests):
        seen = visit(Smoke(url=f"http://{HOST}:{port}/"), resolve=here)
        mixed = visit(
            Smoke(url=f"http://{HOST}:{port}/"),
            resolve=lambda _host, _port: ["93.184.215.14", "127.0.0.1"],
        )
    told = f"was not asked: {HOST} is at 127.0.0.1, which is no public address"
    assert (seen.told, mixed.told, requests) == (told, told, [])


def test_a_certificate_is_checked_against_the_name() -> None:
    names: list[str] = []

    class Context:
        def wrap_socket(self, _connection: Any, *, server_hostname: str) -> Any:
            names.append(server_hostname)
            raise ssl.SSLCertVerificationError("certificate verify failed: Hostname mismatch")

    with server(OK) as (port, requests):
        context: Any = Context()
        smoke = Smoke(url=f"https://{HOST}:{port}/")
        seen = visit(smoke, allowed=anywhere, resolve=here, context=context)
    assert (names, seen.ok) == ([HOST], False)
    assert not any(requests)
    assert "Hostname mismatch" in seen.told


NOT_PUBLIC = [
    "127.0.0.1", "127.255.0.1", "0.0.0.1", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "192.0.0.1", "::", "::1", "::ffff:169.254.169.254",
    "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00::1",
    "fd00:ec2::254", "ff02::1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1", "2001:db8::1", "100::1", "5f00::1", "not an address", "",
]  # fmt: skip
PUBLIC = ["93.184.215.14", "1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_address_but_a_public_one_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


def test_what_is_public_is_global_for_python_too() -> None:
    """And of what Python calls private or reserved nothing is public."""
    for network in range(0, 2**32, 2**32 // 4096):
        ip = ipaddress.ip_address(network + 257)
        if is_public(str(ip)):
            assert ip.is_global
            assert not (ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast)


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/",
        "http://127.1/", "http://169.254.43518/", "http://localhost./", "http://127.0.0.1./",
        "http://user@shop.example.com/", "http://user:word@shop.example.com/", "http://@x.de/",
        "http://shop.example.com\\@169.254.169.254/", "http://shop.example.com/#a", "http://x.de#",
        "ftp://x.de/", "file:///etc/passwd", "gopher://x.de/", "//x.de/", "x.de", "http://",
        "http:///a", "http://x.de:0/", "http://x.de:65536/", "http://x.de:a/", "http://x .de/",
        "http://x.de/a b", "http://x.de/\r\nHost: y", "http://x.de/ä", "http://[::1/", "http://[x]/",
        "http://x..de/", "http://-x-.123/", "http://" + "a" * 64 + ".de/",
        "http://x.de/" + "a" * 990,
        "http://1.2.3.4.5/", "http://%31%32%37.0.0.1/", "http://①.①.①.①/",
    ],
)  # fmt: skip
def test_tricks_with_urls_are_refused(url: str) -> None:
    assert not is_url(url)
    assert not visit(Smoke(url=url), allowed=anywhere, resolve=_fails).ok


def _fails(_host: str, _port: int) -> list[str]:
    raise AssertionError("it was looked up")


@pytest.mark.parametrize(
    "url",
    ["https://shop.example.com", "http://shop.example.com:8080/a?b=c", "https://1.1.1.1/",
     "https://[2606:4700:4700::1111]:443/", "https://xn--bcher-kva.example/", "http://localhost/"],
)  # fmt: skip
def test_plain_urls_are_taken(url: str) -> None:
    assert parsed_url(url).scheme in ("http", "https")


@pytest.mark.parametrize(
    ("pattern", "text", "there"),
    [
        ("a*b", "xxaxxbxx", True), ("a*b", "b a", False), ("a**b", "ab", True), ("*", "", True),
        ("a*a", "a", False), ("up", "it is up", True), (".*", "none", False), (".*", "a.b", True),
        ("a*b*c", "a\nb\nc", True),
    ],
)  # fmt: skip
def test_a_pattern_is_parts_in_order(pattern: str, text: str, *, there: bool) -> None:
    assert holds(pattern, text) == there


def test_the_worst_pattern_takes_no_time() -> None:
    begun = time.monotonic()
    assert not holds("*a" * 100 + "b", "a" * visiting.MOST_BODY)
    assert time.monotonic() - begun < 0.5


def test_what_is_not_text_is_no_error() -> None:
    assert judged(Smoke(url="http://x.de", contains="ok"), Got(status=200, body=b"\xff ok")).ok
