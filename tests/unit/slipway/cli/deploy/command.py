"""Run `slipway deploy` or `slipway taskdef` against the scripted ECS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from click.testing import CliRunner, Result

from slipway.cli.aws.credentials import Credentials
from slipway.cli.deploy.world import World
from slipway.cli.main import main
from tests.scripted_codedeploy import ScriptedCodeDeploy
from tests.scripted_ecs import ScriptedEcs


class Clients:
    """Clients of the scripted services, and what was asked for."""

    def __init__(self, ecs: ScriptedEcs, codedeploy: ScriptedCodeDeploy | None = None) -> None:
        self.ecs = ecs
        self.codedeploy = codedeploy
        self.made: list[str] = []
        self.credentials: Credentials | None = None
        self.others: dict[str, Callable[[], Any]] = {}

    def __call__(self, credentials: Credentials, on_call: Any) -> Clients:
        self.credentials = credentials
        self.on_call = on_call
        return self

    def client(self, service: str) -> Any:
        self.made.append(service)
        if service in self.others:
            return self.others[service]()
        if service == "codedeploy":
            assert self.codedeploy is not None
            return self.codedeploy.client()
        return self._watched(self.ecs.client(service))

    def _watched(self, client: Any) -> Any:
        client.meta.events.unregister("before-call", unique_id="verbose")
        if self.on_call is not None:
            client.meta.events.register("before-call", self.on_call, unique_id="verbose")
        return client


def slipway(clients: Clients, *arguments: str, env: dict[str, str] | None = None) -> Result:
    """Run the command in process; its output holds both streams, `stdout` and `stderr` each one."""
    world = World(clients=clients, clock=clients.ecs.clock)
    return CliRunner().invoke(main, list(arguments), obj=world, env=env)
