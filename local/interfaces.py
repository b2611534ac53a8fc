"""Network interfaces by ioctl (numbers: linux/sockios.h): `ip` need not be installed."""

from __future__ import annotations

import contextlib
import fcntl
import random
import socket
import struct
from pathlib import Path

from slipway.contracts.errors import WorldFailed

_ADD_BRIDGE, _DELETE_BRIDGE = 0x89A0, 0x89A1
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_NETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_UP = 0x1


def make_bridge(name: str) -> None:
    """A bridge with a private network that no route of this machine touches."""
    with socket.socket() as handle:
        try:
            fcntl.ioctl(handle, _ADD_BRIDGE, name.encode() + b"\0")
            _bring_up(handle, name, f"{_free_network()}.1", "255.255.255.0")
        except OSError as error:
            raise WorldFailed(f"cannot make a network bridge for Docker: {error}") from None


def remove_bridge(name: str) -> None:
    """Take it away; one that is gone already is no error."""
    with socket.socket() as handle, contextlib.suppress(OSError):
        _set_flags(handle, name, up=False)
        fcntl.ioctl(handle, _DELETE_BRIDGE, name.encode() + b"\0")


def bring_loopback_up(*addresses: str) -> None:
    """`lo` of the calling thread's network namespace, with these addresses beside 127.0.0.1."""
    with socket.socket() as handle:
        _bring_up(handle, "lo", "127.0.0.1", "255.0.0.0")
        for number, address in enumerate(addresses, start=1):
            _bring_up(handle, f"lo:{number}", address, "255.255.255.255")


def _bring_up(handle: socket.socket, name: str, address: str, netmask: str) -> None:
    fcntl.ioctl(handle, _SET_ADDRESS, _address(name, address))
    fcntl.ioctl(handle, _SET_NETMASK, _address(name, netmask))
    _set_flags(handle, name, up=True)


def _set_flags(handle: socket.socket, name: str, *, up: bool) -> None:
    request = struct.pack("16sH14x", name.encode(), 0)
    flags: int = struct.unpack_from("16sH", fcntl.ioctl(handle, _GET_FLAGS, request))[1]
    flags = flags | _UP if up else flags & ~_UP
    fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sH14x", name.encode(), flags))


def _address(name: str, address: str) -> bytes:
    return struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def _free_network() -> str:
    """The first three bytes of a private /24 that no route of this machine touches."""
    taken = _routed_networks()
    for _ in range(100):
        second, third = random.randrange(100, 250), random.randrange(256)  # noqa: S311
        if not any((10 << 24 | second << 16 | third << 8) & mask == net for net, mask in taken):
            return f"10.{second}.{third}"
    raise WorldFailed("every private network from 10.100.0.0 to 10.249.0.0 is routed already")


def _routed_networks() -> list[tuple[int, int]]:
    """(network, mask) of each route but the default one."""
    lines = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    routes = [(_number(line.split()[1]), _number(line.split()[7])) for line in lines]
    return [(network, mask) for network, mask in routes if mask]


def _number(text: str) -> int:
    """The kernel writes an address as hexadecimal in the machine's byte order."""
    return socket.ntohl(int(text, 16))
