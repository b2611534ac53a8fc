"""The ways out of a machine's empty network: to the emulator, and to its own metadata service.

Listening sockets are opened in the machine's network namespace; this thread, which stays outside,
takes their connections and makes the other half on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

METADATA_ADDRESS = "169.254.169.254"
METADATA_PORT = 80
LOOPBACK = "127.0.0.1"
CHUNK = 1 << 16
Connected = Callable[[StreamReader, StreamWriter], Awaitable[None]]
_HEAD = re.compile(rb"^([A-Z]+) (/\S*) HTTP/1\.[01]\r\n")
_CONNECTION = re.compile(rb"(?i)\r\nconnection:[^\r]*")


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens in the calling thread's network namespace."""
    handle = socket.socket()
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    handle.bind((address, port))
    handle.listen(128)
    return handle


class Outside:
    """A thread that relays; it must be made before its maker leaves this network."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Future[None]] = set()
        threading.Thread(target=self._loop.run_forever, name="relay", daemon=True).start()

    def relay(self, listening: socket.socket, port: int) -> None:
        """What connects to `listening` is connected to `port` of 127.0.0.1 outside."""

        async def connected(reader: StreamReader, writer: StreamWriter) -> None:
            with contextlib.closing(writer):
                there, back = await asyncio.open_connection(LOOPBACK, port)
                with contextlib.closing(back):
                    await asyncio.gather(_pour(reader, back), _pour(there, writer))

        self._serve(listening, connected)

    def relay_metadata(self, listening: socket.socket, port: int, instance_id: str) -> None:
        """What asks `listening` is answered by the emulator's metadata service of the instance.

        A request of a container is not answered: its answer would need a second hop, and the
        template allows one.
        """

        async def connected(reader: StreamReader, writer: StreamWriter) -> None:
            with contextlib.closing(writer):
                if writer.get_extra_info("peername")[0] != METADATA_ADDRESS:
                    return
                head = await reader.readuntil(b"\r\n\r\n")
                there, back = await asyncio.open_connection(LOOPBACK, port)
                with contextlib.closing(back):
                    back.write(of_instance(head, instance_id))
                    await _pour(there, writer)

        self._serve(listening, connected)

    def _serve(self, listening: socket.socket, connected: Connected) -> None:
        async def quietly(reader: StreamReader, writer: StreamWriter) -> None:
            with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
                await connected(reader, writer)

        def begin(reader: StreamReader, writer: StreamWriter) -> None:
            # The loop itself forgets a task that nobody holds, in the middle of its work.
            task = asyncio.ensure_future(quietly(reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        self._wait(asyncio.start_server(begin, sock=listening))

    def _wait(self, what: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result()


def of_instance(head: bytes, instance_id: str) -> bytes:
    """The head of a metadata request, turned to the emulator's address for that instance.

    The connection ends with the answer. ValueError for what is no HTTP request.
    """
    match = _HEAD.match(head)
    if match is None:
        raise ValueError("not a request of HTTP/1")
    method, path = match[1], match[2]
    rest = _CONNECTION.sub(b"", b"\r\n" + head[match.end() :])
    line = method + b" /imds/" + instance_id.encode() + path + b" HTTP/1.1\r\nConnection: close"
    return line + rest


async def _pour(reader: StreamReader, writer: StreamWriter) -> None:
    """All that comes from one side to the other, and its end, too."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
