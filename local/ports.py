"""Free ports on 127.0.0.1, all different, and a clear word about one that is taken."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence

from slipway.contracts.errors import WorldFailed

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """That many ports that nothing listens on; whoever is quicker may still take one of them."""
    with reserved_ports(count) as ports:
        return list(ports)


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[Sequence[int]]:
    """That many free ports, which nobody is given by chance until the end of the block.

    Each is bound, but not listened on. Linux gives such a port to nobody who asks for any; a server
    that names it and sets SO_REUSEADDR, as servers do, has it all the same (socket(7)).
    """
    with contextlib.ExitStack() as stack:
        yield [_reserve(stack, 0) for _ in range(count)]


@contextlib.contextmanager
def reserved(port: int, what: str) -> Iterator[int]:
    """This port, in the same way; WorldFailed where something listens on it already."""
    with contextlib.ExitStack() as stack:
        try:
            _reserve(stack, port)
        except OSError as error:
            raise WorldFailed(
                f"port {port} on {HOST}, wanted for {what}, cannot be used: {error.strerror};"
                " choose another one, or none to take a free one"
            ) from None
        yield port


def _reserve(stack: contextlib.ExitStack, port: int) -> int:
    handle = stack.enter_context(socket.socket())
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind((HOST, port))
    return int(handle.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
