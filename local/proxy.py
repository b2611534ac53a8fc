"""One address per service that stays the same while revisions and their tasks come and go.

In AWS a load balancer does this. A connection goes to the newest running task that is healthy (or
whose health is not known yet, if none is), the next one if that does not answer.

    python -m local.proxy --endpoint-url URL --route 18080=cluster/service:8080 …
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from local.accounts import client_of
from slipway.contracts.errors import WrongUse

CONNECT_SECONDS = 1.0
COPY_BYTES = 65536
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 18\r\nConnection: close\r\n\r\n"
    b"no task answers.\r\n"
)

log = logging.getLogger("proxy")


@dataclass(frozen=True)
class Route:
    """A port of this machine and the service behind it."""

    port: int
    cluster: str
    service: str
    container_port: int

    @classmethod
    def parse(cls, text: str) -> Route:
        """`PORT=CLUSTER/SERVICE:CONTAINERPORT`; WrongUse for anything else."""
        port, _, rest = text.partition("=")
        cluster, _, rest = rest.partition("/")
        service, _, container_port = rest.rpartition(":")
        if not (port.isdigit() and container_port.isdigit() and cluster and service):
            raise WrongUse(f"--route {text!r}: must be PORT=CLUSTER/SERVICE:CONTAINERPORT")
        return cls(int(port), cluster, service, int(container_port))


def preferred(tasks: Sequence[dict[str, Any]]) -> list[str]:
    """The addresses of the running tasks in the order in which to try them."""
    running = [t for t in tasks if t.get("lastStatus") == "RUNNING" and _address(t)]
    sound = [t for t in running if t.get("healthStatus") != "UNHEALTHY"]
    ranked = sorted(
        sound,
        key=lambda t: (t.get("healthStatus") == "HEALTHY", str(t.get("startedAt", ""))),
        reverse=True,
    )
    return [str(_address(task)) for task in ranked]


def _address(task: dict[str, Any]) -> str | None:
    details = [d for a in task.get("attachments", ()) for d in a.get("details", ())]
    for detail in details:
        if detail.get("name") == "privateIPv4Address":
            return str(detail["value"])
    return None


def tasks_of(ecs: Any, route: Route) -> list[dict[str, Any]]:
    """The service's tasks as ECS describes them."""
    arns = ecs.list_tasks(cluster=route.cluster, serviceName=route.service)["taskArns"]
    if not arns:
        return []
    described: list[dict[str, Any]] = ecs.describe_tasks(cluster=route.cluster, tasks=arns)["tasks"]
    return described


class Proxy:
    """Serves one route."""

    def __init__(self, route: Route, addresses: Callable[[], list[str]]) -> None:
        self._route = route
        self._addresses = addresses

    async def serve(self) -> asyncio.Server:
        """Listen; OSError where the port is taken."""
        return await asyncio.start_server(self._connection, "127.0.0.1", self._route.port)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._connect()
            if upstream is None:
                writer.write(UNAVAILABLE)
                await writer.drain()
                return
            up_reader, up_writer = upstream
            try:
                await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
            finally:
                up_writer.close()
        except OSError as error:
            log.info("%s: %s", self._route.service, error)
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for address in await asyncio.to_thread(self._addresses):
            opening = asyncio.open_connection(address, self._route.container_port)
            with contextlib.suppress(OSError, TimeoutError):
                return await asyncio.wait_for(opening, CONNECT_SECONDS)
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(COPY_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def run(routes: Sequence[Route], addresses_of: Callable[[Route], list[str]]) -> None:
    """Serve all routes until SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    servers = [
        await Proxy(route, lambda route=route: addresses_of(route)).serve()  # type: ignore[misc]
        for route in routes
    ]
    await stopping.wait()
    for server in servers:
        server.close()


@click.command()
@click.option("--endpoint-url", required=True)
@click.option("--account", required=True)
@click.option("--region", required=True)
@click.option("--route", "routes", multiple=True, required=True)
def main(endpoint_url: str, account: str, region: str, routes: tuple[str, ...]) -> None:
    """Forward each route's connections to the service's task."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    ecs = client_of("ecs", endpoint_url, account, region)
    asyncio.run(
        run([Route.parse(text) for text in routes], lambda route: preferred(tasks_of(ecs, route)))
    )


if __name__ == "__main__":
    main()
