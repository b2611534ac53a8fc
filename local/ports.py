"""Free ports on 127.0.0.1, all different, and a clear word about one that is taken."""

from __future__ import annotations

import contextlib
import socket

from slipway.contracts.errors import WorldFailed

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """That many ports that nothing listens on; held open together so that none comes twice."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            handle = stack.enter_context(socket.socket())
            handle.bind((HOST, 0))
            ports.append(int(handle.getsockname()[1]))
        return ports


def check_free(port: int, what: str) -> int:
    """The port, or WorldFailed where something listens on it already."""
    with socket.socket() as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            handle.bind((HOST, port))
        except OSError as error:
            raise WorldFailed(
                f"port {port} on {HOST}, wanted for {what}, cannot be used: {error.strerror};"
                " choose another one, or none to take a free one"
            ) from None
    return port


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
