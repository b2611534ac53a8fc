"""Reserved ports: nobody is given them by chance, and their servers have them all the same."""

from __future__ import annotations

import asyncio
import socket

import pytest

from local.plan import Options, ports_for
from local.ports import HOST, free_ports, listens, reserved, reserved_ports
from slipway.contracts.errors import WorldFailed

MANY = 2000


def test_nobody_is_given_a_reserved_port_by_chance() -> None:
    # GIVEN some ports that are reserved
    with reserved_ports(20) as mine:
        # WHEN others ask for any, with and without SO_REUSEADDR
        others = [port for _ in range(MANY // 100) for port in free_ports(100)]
        plain = [_any_port() for _ in range(MANY)]

    # THEN none of ours is among them
    assert len(set(mine)) == 20
    assert not {*mine} & {*others, *plain}


def _any_port() -> int:
    with socket.socket() as handle:
        handle.bind((HOST, 0))
        return int(handle.getsockname()[1])


def test_a_server_has_its_reserved_port() -> None:
    # GIVEN two reserved ports
    with reserved_ports(2) as (one, other):
        # WHEN a server of asyncio's and a plain one name them
        async def serves() -> bool:
            server = await asyncio.start_server(lambda _r, w: w.close(), HOST, one)
            async with server:
                return await asyncio.to_thread(listens, one)

        # THEN both listen
        assert asyncio.run(serves())
        with socket.create_server((HOST, other)):
            assert listens(other)


def test_a_port_on_which_something_listens_is_refused_by_its_number() -> None:
    # GIVEN a server
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        # WHEN its port is asked for  THEN the error says which, what for, and what to do
        wanted = rf"port {port} on 127.0.0.1, wanted for the emulator, .*choose another one"
        with pytest.raises(WorldFailed, match=wanted), reserved(port, "the emulator"):
            pass


@pytest.mark.parametrize("asked", [False, True])
def test_a_run_has_a_port_for_each_of_its_servers(asked: bool) -> None:
    # GIVEN a run of three pipelines, and perhaps a port that somebody wants for its emulator
    port = free_ports(1)[0] if asked else None
    with ports_for(Options(pipelines=3, port=port)) as ports:
        found = [ports.emulator, ports.slack, *ports.services]
    # THEN each of the five is its own
    assert len(set(found)) == len(found) == 5
    assert ports.emulator == port or not asked


def test_what_fails_beside_a_reserved_port_is_not_its_fault() -> None:
    (port,) = free_ports(1)
    with pytest.raises(FileNotFoundError), reserved(port, "the emulator"):
        raise FileNotFoundError("something else")
