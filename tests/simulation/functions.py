"""The Lambdas: invoked, perhaps lost, slow or crashing, and tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lambdas.reconciler.handler import BUILD_EVENT, EC2_EVENT, reconcile
from lambdas.shared.services import Services as LambdaServices
from lambdas.starter.handler import start
from lambdas.stopper.handler import stop
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from tests.aws.answers import AwsFake
from tests.simulation.agent import BUILD, DEAD
from tests.simulation.aws import Caller, refusal
from tests.simulation.clockwork import Killed
from tests.simulation.deploying import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

LAMBDA_TIMEOUT = 60.0
RETRIES = (60.0, 120.0)
"""Seconds until an asynchronous invocation that failed is tried again (Lambda's own rule)."""


class Functions:
    """The world's Lambdas; its counts of invocations are the world's."""

    def __init__(self, world: World) -> None:
        self._world = world

    def invoke(self, name: str, body: Callable[[Caller], None], tried: int = 0) -> None:
        """An asynchronous invocation: it may crash, be slow, be lost; it is tried three times."""
        if tried == 0 and self._world.weather.happens("Lambda is lost", 0.1):
            self._world.say(f"{name}: lost")
            return

        def again() -> None:
            self._world.under_way -= 1
            self.invoke(name, body, tried + 1)

        def over(done: bool) -> None:
            if not done and tried < len(RETRIES) and "retries" not in self._world.without:
                self._world.under_way += 1
                self._world.clockwork.after(RETRIES[tried], again)
            elif not done:
                self._world.failed_invocations += 1

        self._run(name, body, over)

    def invoke_from_queue(
        self, name: str, body: Callable[[Caller], None], delete: Callable[[], object]
    ) -> None:
        """An invocation with a queue's message, which is deleted only after a good end."""
        self._run(name, body, lambda done: delete() if done else None)

    def _run(
        self, name: str, body: Callable[[Caller], None], ended_with: Callable[[bool], object]
    ) -> None:
        self._world.invocations += 1
        self._world.under_way += 1
        caller = Caller(name, self._world.weather, self._world.clockwork)
        if self._world.weather.happens("Lambda crashes", 0.15):
            caller.calls_left = self._world.dice.randint(0, 12)
        ended: list[bool] = []

        def run() -> None:
            try:
                body(caller)
            except Killed:
                self._world.say(f"{name}: crashes")
            except Violation:
                raise
            except Exception as error:  # noqa: BLE001 - Lambda catches all, and tries again
                self._world.say(f"{name}: raises {str(error)[:60]}")
            else:
                ended.append(True)
            over()

        def over() -> None:
            if caller.dead and len(ended) > 1:
                return
            self._world.under_way -= 1
            ended_with(bool(ended))

        if self._may_wait:
            fiber = self._world.clockwork.spawn(run)
            if not fiber.done:
                self._world.clockwork.after(LAMBDA_TIMEOUT, lambda: setattr(caller, "dead", True))
        else:
            run()

    @property
    def _may_wait(self) -> bool:
        """Whether an invocation takes time: else it runs at once, which is quicker."""
        slow = {"call slow", "held up", "ECS is slow"} & self._world.weather.kinds
        return bool(slow) and not self._world.weather.over

    def services(self, caller: Caller) -> LambdaServices:
        return LambdaServices(
            installation=self._world.installation,
            now=self._world.clockwork.now,
            sns=caller.client("sns", self._world.sns),
            table=Table(caller.client("dynamodb", self._world.dynamodb), "t"),
            ec2=caller.client("ec2", self._world.ec2),
            sqs=caller.client("sqs", self._world.sqs),
            codecommit_as=lambda pipeline: caller.client("codecommit", _CodeCommit(self._world)),
            hosts=self._world.hosts,
            queue_url=BUILD,
            dead_letters_url=DEAD,
            follow_queue_url=self._world.installation.names.follow_queue,
            codebuild=caller.client("codebuild", self._world.codebuild),
            builder_project="slipway-builder",
        )

    def start(self, request: BuildRequest, attributes: dict[str, str]) -> None:
        """The starter gets a request."""
        told = {name: {"Type": "String", "Value": value} for name, value in attributes.items()}
        sns = {"Message": request.to_json(), "MessageAttributes": told}
        event = {"Records": [{"Sns": sns}]}

        def body(caller: Caller) -> None:
            start(event, self.services(caller))
            self._world.started.add(request.request_id)

        self.invoke("starter", body)

    def stop(self, text: str) -> None:
        """The stopper gets an idle notice."""
        event = {"Records": [{"Sns": {"Message": text}}]}
        self.invoke("stopper", lambda c: stop(event, self.services(c)))

    def tick(self) -> None:
        """The reconciler, by its schedule."""
        event: dict[str, Any] = {"detail-type": "Scheduled Event", "detail": {}}
        self.invoke("reconciler", lambda c: reconcile(event, self.services(c)))

    def stopped(self, host: str) -> None:
        """The reconciler, by EC2's event that `host` is stopped."""
        detail = {"instance-id": host, "state": "stopped"}
        event = {"detail-type": EC2_EVENT, "detail": detail}
        self.invoke("reconciler", lambda c: reconcile(event, self.services(c)))

    def build_ended(self, build_id: str, status: str) -> None:
        """The reconciler, by CodeBuild's event that a build is over."""
        arn = f"arn:aws:codebuild:us-east-1:222222222222:build/{build_id}"
        detail = {"build-id": arn, "build-status": status, "project-name": "slipway-builder"}
        event = {"detail-type": BUILD_EVENT, "detail": detail}
        self.invoke("reconciler", lambda c: reconcile(event, self.services(c)))


class _CodeCommit(AwsFake, service="codecommit"):
    def __init__(self, world: World) -> None:
        self._world = world

    def get_branch(self, *, repositoryName: str, branchName: str) -> dict[str, Any]:
        if self._world.no_dev or self._world.weather.happens("dev side is silent", 0.5):
            raise refusal("AccessDeniedException")
        repository = self._world.repositories[repositoryName]
        if not repository.made:
            raise refusal("BranchDoesNotExistException")
        return {"branch": {"commitId": repository.tip}}
