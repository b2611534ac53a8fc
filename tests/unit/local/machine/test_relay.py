"""The ways out of a machine: what its metadata service is asked, and bytes both ways."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from local.machine.relay import Outside, listen, of_instance


def test_a_metadata_request_is_the_instances() -> None:
    head = (
        b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\nConnection: keep-alive\r\n"
        b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    )

    assert of_instance(head, "i-1") == (
        b"PUT /imds/i-1/latest/api/token HTTP/1.1\r\nConnection: close\r\nHost: 169.254.169.254\r\n"
        b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
    )


@pytest.mark.parametrize("head", [b"\r\n\r\n", b"GET http://x/ HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n"])
def test_what_is_no_request_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="not a request"):
        of_instance(head, "i-1")


def echo(listening: socket.socket) -> None:
    """Answer one connection with what it said, once it has said all."""
    connection, _ = listening.accept()
    with connection:
        said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        connection.sendall(said)


def test_bytes_and_their_end_go_both_ways() -> None:
    # GIVEN a service, and a relay to it
    service, entrance = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    threading.Thread(target=echo, args=(service,), daemon=True).start()
    Outside().relay(entrance, service.getsockname()[1])

    # WHEN more is sent than any buffer holds, and its end
    sent = bytes(range(256)) * (1 << 14)
    with socket.create_connection(entrance.getsockname()) as client:
        threading.Thread(
            target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)), daemon=True
        ).start()
        answered = b"".join(iter(lambda: client.recv(1 << 16), b""))

    # THEN all of it comes back
    assert answered == sent


def test_a_container_gets_no_answer_of_the_metadata_service() -> None:
    # GIVEN a metadata service; who asks is not the machine itself, but an address behind it
    service, entrance = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    service.settimeout(1)
    Outside().relay_metadata(entrance, service.getsockname()[1], "i-1")

    with socket.create_connection(entrance.getsockname()) as client:
        client.sendall(b"PUT /latest/api/token HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""

    # THEN the service was never asked
    with pytest.raises(TimeoutError):
        service.accept()
