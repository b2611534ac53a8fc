"""What a process works a rollout with: its clients, and what it need not ask AWS for twice.

Nothing here must outlive the process: another one reads it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.api import Api, Changes
from slipway.rollout.looks import SmokeSeen
from slipway.rollout.plan import Clock, Factory, Guard, OnProgress, Smoke
from slipway.rollout.service import Service
from slipway.rollout.targets import NotAsked
from slipway.rollout.taskdef import Definition, Described, describe

Visit = Callable[[Smoke], SmokeSeen]


def visit_anywhere(smoke: Smoke) -> SmokeSeen:
    """A smoke test's request to any address: only for the local run, all of it on one machine."""
    from slipway.rollout import visiting

    return visiting.visit(smoke, allowed=lambda _address: True)


class Means:
    """The services of AWS, each called with patience and under the same guard.

    `ecs` is a client of botocore (or boto3); `ecr`, `codedeploy_client`, `balancing`, `events`,
    `scheduler` and `cloudwatch_client` make one when it is needed. `visit`: makes the request of a
    smoke test (None: `visiting.py`). `service`: as it was seen last by this process.

    `patience`: seconds for which a call that fails is tried again (0: once). Between tries, and
    until the next look is due, `clock.sleep` is called, and nothing else here waits: with
    `clock.StepClock` that raises NotNow, and the step is taken again later, by `resumed`.
    """

    def __init__(
        self,
        *,
        ecs: Any,
        clock: Clock,
        patience: float,
        ecr: Factory | None = None,
        codedeploy_client: Factory | None = None,
        balancing: Factory | None = None,
        events: Factory | None = None,
        scheduler: Factory | None = None,
        cloudwatch_client: Factory | None = None,
        visit: Visit | None = None,
        on_progress: OnProgress | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.clock = clock
        self.changes = Changes()
        self.ecs = Api(ecs, clock, guard=guard, patience=patience, changes=self.changes)
        self.ecr = ecr
        self.service: Service | None = None
        self.on_progress = on_progress or (lambda _progress: None)
        self._guard = guard
        self.patience = patience
        self._make_codedeploy = codedeploy_client
        self._make_balancing = balancing
        self.events, self.scheduler = events, scheduler
        self._make_cloudwatch = cloudwatch_client
        self._cloudwatch: Api | None = None
        self._visit = visit
        self._codedeploy: Api | None = None
        self._scheduling: dict[str, Api] = {}
        self._balancing: Api | None = None
        self._definitions: dict[str, Described] = {}

    @property
    def codedeploy(self) -> Api:
        """CodeDeploy, under the same guard and with the same account of changes."""
        if self._codedeploy is None:
            if self._make_codedeploy is None:
                raise WrongUse("a CODE_DEPLOY service needs access to CodeDeploy")
            self._codedeploy = Api(
                self._make_codedeploy(),
                self.clock,
                guard=self._guard,
                patience=self.patience,
                changes=self.changes,
            )
        return self._codedeploy

    def scheduling(self, service: str) -> Api:
        """EventBridge (`events`) or EventBridge Scheduler (`scheduler`), as CodeDeploy is."""
        if service not in self._scheduling:
            make = self.events if service == "events" else self.scheduler
            if make is None:
                raise WrongUse(f"a scheduled task needs access to AWS's {service}")
            self._scheduling[service] = Api(
                make(),
                self.clock,
                guard=self._guard,
                patience=self.patience,
                changes=self.changes,
            )
        return self._scheduling[service]

    def balancing(self) -> Api:
        """Elastic Load Balancing, which is only read; NotAsked where it cannot be."""
        if self._balancing is None:
            if self._make_balancing is None:
                raise NotAsked("the balancer is not asked which tasks are healthy")
            try:
                client = self._make_balancing()
            except Exception as error:  # whatever botocore has against it
                raise NotAsked(f"the balancer cannot be asked ({error})") from error
            self._balancing = Api(client, self.clock, patience=self.patience)
        return self._balancing

    @property
    def cloudwatch(self) -> Api:
        """CloudWatch, whose alarms are only read."""
        if self._cloudwatch is None:
            if self._make_cloudwatch is None:
                raise WrongUse("alarms need access to CloudWatch")
            self._cloudwatch = Api(self._make_cloudwatch(), self.clock, patience=self.patience)
        return self._cloudwatch

    def visit(self, smoke: Smoke) -> SmokeSeen:
        """One request of a smoke test; to public addresses only, unless told otherwise."""
        if self._visit is not None:
            return self._visit(smoke)
        from slipway.rollout import visiting

        return visiting.visit(smoke)

    @property
    def model(self) -> Any:
        """botocore's service model of ECS."""
        return self.ecs.client.meta.service_model

    def definition(self, name: str) -> Described:
        """A task definition; a revision never changes, and is described once."""
        if name not in self._definitions:
            self._definitions[name] = describe(self.ecs, name)
        return self._definitions[name]

    def note_definition(self, arn: str, definition: Definition) -> None:
        """What was registered as `arn`."""
        self._definitions[arn] = Described(definition=definition)
