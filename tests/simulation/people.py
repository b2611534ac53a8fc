"""What people do: push, roll back; and what comes again by itself, long after."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.trigger.handler import publish_pushes
from slipway.cli.aws.cancelling import (
    LeftOver,
    UnderWay,
    Waits,
    ask_to_end,
    end_left_behind,
    end_waiting,
    look,
)
from slipway.contracts.errors import SlipwayError
from slipway.contracts.messages import BuildRequest, FollowMessage, Target, request_id_of
from slipway.contracts.requesting import may_need_no_builder, publish_request
from slipway.contracts.table import Table
from slipway.following.state import from_json
from tests.simulation.aws import Caller
from tests.simulation.deploying import PROOFS

if TYPE_CHECKING:
    from tests.simulation.world import World

UNTOUCHED = {"others": 1, "undo": 2}
"""What such a commit lays out under the paths: what so many tips before did."""
LOOKS_AGAIN = 60.0
"""Seconds until an operator's command looks at what is still there."""


class Operator:
    """What `slipway cancel` has of AWS: its `Session`, with clients that fail."""

    caller = "ada"

    def __init__(self, world: World) -> None:
        self._world = world
        self._caller = Caller("an operator", world.weather, world.clockwork)
        self.installation = world.installation
        self.clock = world.clockwork
        self.table = Table(self._caller.client("dynamodb", world.dynamodb), "t")

    def start(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        answer.set_result(function(*arguments))
        return answer

    def client(self, _service: str) -> Any:
        return self._caller.client("sqs", self._world.sqs)

    def queue_url(self, name: str) -> str:
        return name


class People:
    """Who push to the world's repositories, and its operators."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._commits = 0

    def push(self, pipeline: str, kind: str) -> None:
        """`kind`: good, bad fetch, build, rollout or worker (the rollout of the second service), or
        smoke, task or alarm (what proves it fails), or back (to the commit before, by force);
        others (a commit that concerns none of the paths), undo (one that takes back the last); kill
        (its build takes a builder's container with it; on a host it fails).
        """
        repository = self._world.repositories[pipeline]
        if kind == "back" and len(repository.tips) > 2:
            commit = repository.tips[-2]
        else:
            self._commits += 1
            commit = f"{self._commits:040x}"
        if kind in ("fetch", "build", "rollout", "worker", "kill", *PROOFS):
            repository.bad[commit] = kind
        if kind in UNTOUCHED:
            alike = repository.tips[-min(UNTOUCHED[kind], len(repository.tips))]
            repository.contents[commit] = repository.content(alike)
            if repository.bad.get(alike) in ("build", "rollout", "worker", *PROOFS):
                repository.bad[commit] = repository.bad[alike]
        repository.move(commit, self._world.clockwork.time)
        version = len(repository.tips) - 1
        self._world.say(f"push {version} to {pipeline} ({kind}): {commit[-4:]}")
        event = {
            "Records": [
                {
                    "codecommit": {"references": [{"commit": commit, "ref": "refs/heads/main"}]},
                    "eventId": f"{pipeline}-{version}",
                    "eventSourceARN": f"arn:aws:codecommit:us-east-1:111111111111:{pipeline}",
                    "eventTime": None,
                    "userIdentityARN": "arn:aws:iam::111111111111:user/ada",
                }
            ]
        }
        world, at = self._world, self._world.clockwork.time
        world.functions.invoke(
            "trigger",
            lambda c: publish_pushes(event, world.installation, c.client("sns", world.sns), now=at),
        )

    def rollback(self, pipeline: str) -> None:
        """An operator goes back to the deployment before the newest that succeeded."""
        rows = self._world.table.deployments.newest(pipeline, 20)
        good = [r for r in rows if r.status == "succeeded" and r.task_definition_after]
        if len(good) < 2:
            return
        earlier = good[1]
        named = [(pipeline, earlier.task_definition_after)]
        if earlier.result is not None and earlier.result.services is not None:
            named = [(one.service, one.now) for one in earlier.result.services]
        revisions = {(name, int(str(ran).rpartition(":")[2])) for name, ran in named}
        self._world.rollbacks |= revisions
        self._world.say(f"an operator rolls {pipeline} back to {earlier.deployment_id}")
        request = BuildRequest(
            request_id=request_id_of("rollback", pipeline, str(self._world.clockwork.time)),
            pipeline=pipeline,
            target=Target(kind="deployment", deployment_id=earlier.deployment_id),
            pushed_by="operator",
            pushed_at=self._world.clockwork.time,
            reason="rollback",
        )
        builder = not may_need_no_builder(request)
        self._world.table.wants.note(request, self._world.clockwork.time, builder=builder)
        self._publish(request)
        locks, now = self._world.table.locks, self._world.clockwork.time
        if locks.ask_takeover(request, now):
            self._world.say("whoever deploys it is to give way")
            self._look_now(pipeline)

    def _look_now(self, pipeline: str) -> None:
        followed = self._world.table.locks.get(pipeline).deployment
        if followed is not None and not self._world.weather.happens("follow message lost", 0.1):
            self._world.follow_queue.put(FollowMessage(deployment_id=followed).to_json())

    def edit(self, pipeline: str) -> None:
        """Somebody changes a scheduled task beside what it runs."""
        self._world.say(f"somebody edits the rule of {pipeline}")
        self._world.families[pipeline].edit(self._world.clockwork.time)

    def cancel(self, pipeline: str) -> None:
        """An operator ends what is under way, or else what waits: as `slipway cancel` does."""
        operator: Any = Operator(self._world)
        try:
            found = look(operator, pipeline)
            self._world.say(f"an operator cancels {pipeline}: {found}")
            match found:
                case UnderWay(deployment_id):
                    over = self._is_over(deployment_id)
                    if ask_to_end(operator, deployment_id, pipeline) and not over:
                        self._world.cancelled.setdefault(deployment_id, self._world.clockwork.time)
                case LeftOver(rows):
                    end_left_behind(operator, rows)
                    self._world.clockwork.after(LOOKS_AGAIN, lambda: self.cancel(pipeline))
                case Waits(wants):
                    end_waiting(operator, wants)
        except (BotoCoreError, ClientError, SlipwayError) as error:
            self._world.say(f"the cancel fails: {str(error)[:60]}")

    def _is_over(self, deployment_id: str) -> bool:
        """Its rollout has ended, and that is only to be recorded: too late to cancel it."""
        row = self._world.table.deployments.get(deployment_id)
        return bool(row and row.rollout) and from_json(row.rollout).under_way is None

    def duplicate(self) -> None:
        """An old request comes again, long after it was settled."""
        settled = [
            r
            for r in self._world.accepted.values()
            if self._world.table.requests.settled([r.request_id])
        ]
        if settled:
            request = self._world.dice.choice(settled)
            self._world.say(f"an old request of {request.pipeline} comes again")
            self._world.weather.happened["old duplicate"] += 1
            self._publish(request)

    def _publish(self, request: BuildRequest) -> None:
        world = self._world
        publish_request(world.sns, world.installation.request_topic_arn, request)

    def old_notice(self) -> None:
        """An idle notice comes again, whatever has become of its host since."""
        if self._world.idle_notices:
            self._world.functions.stop(self._world.dice.choice(self._world.idle_notices[-3:]))
