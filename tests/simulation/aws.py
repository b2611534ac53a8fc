"""AWS as the simulation has it: SQS, SNS, EC2 and CodeCommit, and clients that fail.

Every caller has clients of its own (`Caller`): they know who calls, so that a killed process's
calls do nothing, and they fail as the history's faults say, before or after the call took effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.aws.answers import AwsFake
from tests.simulation.clockwork import Clockwork, Killed

NOT_CALLS = frozenset({"exceptions", "meta"})
CONDITIONAL = frozenset({"update_item", "put_item", "delete_item"})
"""DynamoDB's writes that have no token by which a repeated one is known, as its transactions do."""


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "refused"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "Call",
    )


class Caller:
    """One process: a Lambda's invocation or an agent. `calls_left`: calls until it crashes."""

    def __init__(self, name: str, weather: Any, clockwork: Clockwork) -> None:
        self.name = name
        self.dead = False
        self.calls_left: int | None = None
        self._weather = weather
        self._clockwork = clockwork

    def client(self, service: str, inner: Any) -> Any:
        return _Client(self, service, inner)

    def call(self, service: str, function: Callable[..., Any], /, **arguments: Any) -> Any:
        if self.dead:
            raise Killed
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                self.dead = True
                raise Killed
        fault = self._weather.call_fault(service)
        if fault == "slow":
            self._clockwork.sleep(self._weather.dice.uniform(0.5, 8.0))
            if self.dead:
                raise Killed
        elif fault == "refused":
            raise refusal("ThrottlingException")
        elif fault == "lost":
            raise ReadTimeoutError(endpoint_url=f"https://{service}.example")
        answer = function(**arguments)
        if fault == "unanswered":
            if function.__name__ in CONDITIONAL and self._weather.is_repeated():
                return function(**arguments)  # which may say that the condition does not hold
            raise ReadTimeoutError(endpoint_url=f"https://{service}.example")
        return answer


class _Client:
    def __init__(self, caller: Caller, service: str, inner: Any) -> None:
        self._caller, self._service, self._inner = caller, service, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in NOT_CALLS:
            return found
        call = self.__dict__[name] = partial(self._caller.call, self._service, found)
        return call


# --- SQS


@dataclass
class Message:
    message_id: str
    body: str
    visible_at: float
    receipt: str = ""
    receives: int = 0


@dataclass
class Queue:
    """A standard queue: unordered, at least once.

    `wake` is called when a message comes in, `before_delete` with the body of one that goes.
    """

    clockwork: Clockwork
    dice: Any
    weather: Any
    messages: dict[str, Message] = field(default_factory=dict)
    most_receives: int = 0
    wake: Callable[[float], None] = lambda at: None
    before_delete: Callable[[str], None] = lambda body: None
    counted: tuple[float, int, int] = (-1e9, 0, 0)
    numbers: int = 0

    def put(self, body: str, delay: float = 0.0) -> None:
        self.numbers += 1
        name = f"m{self.numbers}"
        at = self.clockwork.time + delay
        self.messages[name] = Message(name, body, at)
        self.wake(at)

    def receive(self, most: int, hold: float) -> list[dict[str, Any]]:
        now = self.clockwork.time
        there = [m for m in self.messages.values() if m.visible_at <= now]
        self.dice.shuffle(there)
        found = []
        for message in there[:most]:
            self.numbers += 1
            message.receipt = f"r{self.numbers}"
            message.receives += 1
            self.most_receives = max(self.most_receives, message.receives)
            if not self.weather.happens("received twice", 0.05):
                message.visible_at = now + hold
                self.wake(message.visible_at)
            found.append(
                {
                    "MessageId": message.message_id,
                    "ReceiptHandle": message.receipt,
                    "Body": message.body,
                }
            )
        return found

    def by_receipt(self, receipt: str) -> Message | None:
        return next((m for m in self.messages.values() if m.receipt == receipt), None)

    def counts(self) -> tuple[int, int]:
        """Visible and held, as they were up to a minute and a half ago."""
        then, visible, held = self.counted
        if self.clockwork.time - then > self.dice.uniform(0, 90):
            now = self.clockwork.time
            visible = sum(m.visible_at <= now for m in self.messages.values())
            held = len(self.messages) - visible
            self.counted = (now, visible, held)
        if self.weather.happens("wrong counts", 0.5):
            return self.dice.randint(0, 3), self.dice.randint(0, 3)
        return visible, held


class SQS(AwsFake, service="sqs", often=True):
    def __init__(self, queues: dict[str, Queue]) -> None:
        self.queues = queues

    def receive_message(
        self,
        *,
        QueueUrl: str,
        MaxNumberOfMessages: int,
        WaitTimeSeconds: int,
        VisibilityTimeout: int,
    ) -> dict[str, Any]:
        return {"Messages": self.queues[QueueUrl].receive(MaxNumberOfMessages, VisibilityTimeout)}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:
        queue = self.queues[QueueUrl]
        for entry in Entries:
            message = queue.by_receipt(entry["ReceiptHandle"])
            if message is not None:
                queue.before_delete(message.body)
                del queue.messages[message.message_id]
        return {"Successful": [{"Id": e["Id"]} for e in Entries], "Failed": []}

    def change_message_visibility_batch(
        self, *, QueueUrl: str, Entries: list[Any]
    ) -> dict[str, Any]:
        queue, done, failed = self.queues[QueueUrl], [], []
        for entry in Entries:
            message = queue.by_receipt(entry["ReceiptHandle"])
            if message is None or message.visible_at <= queue.clockwork.time:
                failed.append(
                    {"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
                )
                continue
            done.append({"Id": entry["Id"]})
            message.visible_at = queue.clockwork.time + entry["VisibilityTimeout"]
            queue.wake(message.visible_at)
        return {"Successful": done, "Failed": failed}

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, **_more: Any
    ) -> dict[str, Any]:
        self.queues[QueueUrl].put(MessageBody, DelaySeconds)
        return {}

    def get_queue_url(self, *, QueueName: str) -> dict[str, Any]:
        return {"QueueUrl": QueueName}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        visible, held = self.queues[QueueUrl].counts()
        return {
            "Attributes": {
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(held),
            }
        }


# --- SNS


class SNS(AwsFake, service="sns", often=True):
    """Topics; `deliver(topic, text, attributes)` takes what was published."""

    def __init__(self, deliver: Callable[[str, str, dict[str, str]], None]) -> None:
        self._deliver = deliver

    def publish(
        self,
        *,
        TopicArn: str,
        Message: str,
        MessageAttributes: dict[str, Any],
        MessageStructure: str = "",
        Subject: str = "",
    ) -> dict[str, Any]:
        text = json.loads(Message)["default"] if MessageStructure == "json" else Message
        values = {k: v["StringValue"] for k, v in MessageAttributes.items()}
        self._deliver(TopicArn.rsplit("-", 1)[-1], text, values)
        return {}


# --- EC2


BY_HAND = "Client.UserInitiatedShutdown: User initiated shutdown"
CLIENT_ERROR = "Client.InternalError: Client error on launch"
SERVER_ERROR = "Server.InternalError: Internal error on launch"
NO_ROOM = (
    "InsufficientInstanceCapacity",
    "VcpuLimitExceeded",
    "InsufficientFreeAddressesInSubnet",
)
"""What EC2 answers in turn where it does not start a host now."""


@dataclass
class Instance:
    host_id: str
    state: str = "stopped"
    launched_at: float = 0.0
    boots: int = 0
    reason: str = BY_HAND

    @property
    def boot(self) -> str:
        return f"boot-{self.boots}"


class EC2(AwsFake, service="ec2", often=True):
    """Instances with all their states. `on_state(instance)` is told of each change.

    `no_key`: the starter may not use the key of the hosts' disks: each start dies in silence.
    """

    def __init__(
        self,
        clockwork: Clockwork,
        dice: Any,
        weather: Any,
        host_ids: tuple[str, ...],
        on_state: Callable[[Instance], None],
    ) -> None:
        self.instances = {host_id: Instance(host_id) for host_id in host_ids}
        self._clockwork, self._dice, self._weather = clockwork, dice, weather
        self._on_state = on_state
        self._stale: dict[str, tuple[float, str, float, str]] = {}
        self.before_stop: Callable[[Instance], None] = lambda instance: None
        self.before_start: Callable[[Instance], None] = lambda instance: None
        self.starts = 0
        self.no_key = False
        self._refusals = 0

    def describe_instances(self, *, Filters: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = Filters[0]["Values"]
        found = []
        for host_id in wanted:
            instance = self.instances[host_id]
            state, launched, reason = instance.state, instance.launched_at, instance.reason
            changed, *before = self._stale.get(host_id, (-1e9, "", 0.0, ""))
            late = self._clockwork.time - changed < 5
            if late and self._weather.happens("EC2 answers late", 0.5):
                state, launched, reason = before
            described: dict[str, Any] = {
                "InstanceId": host_id,
                "State": {"Name": state},
                "LaunchTime": datetime.fromtimestamp(launched, UTC),
            }
            if reason:
                code = reason.partition(":")[0]
                described["StateReason"] = {"Code": code, "Message": reason}
            found.append(described)
        return {"Reservations": [{"Instances": found}]}

    def start_instances(self, *, InstanceIds: list[str]) -> dict[str, Any]:
        instance = self.instances[InstanceIds[0]]
        if instance.state in ("pending", "running"):
            return {}
        if instance.state != "stopped":
            raise refusal("IncorrectInstanceState")
        if self._weather.happens("no capacity", 0.4):
            self._refusals += 1
            raise refusal(NO_ROOM[self._refusals % len(NO_ROOM)])
        self.before_start(instance)
        self.starts += 1
        instance.boots += 1
        boots = instance.boots
        self._become(instance, "pending", launched=float(int(self._clockwork.time)), reason="")
        if self.no_key or self._weather.happens("start dies", 0.2):
            self._clockwork.after(
                20, lambda: self._if(instance, boots, "pending", "stopped", CLIENT_ERROR)
            )
        else:
            wait = self._dice.uniform(2, 10)
            self._clockwork.after(wait, lambda: self._if(instance, boots, "pending", "running"))
        return {}

    def stop_instances(self, *, InstanceIds: list[str]) -> dict[str, Any]:
        instance = self.instances[InstanceIds[0]]
        if instance.state == "pending":
            raise refusal("IncorrectInstanceState")
        if instance.state != "running":
            return {}
        self.before_stop(instance)
        if self._weather.happens("stop refused", 0.3):
            raise refusal("RequestLimitExceeded", 503)
        self._stop(instance)
        return {}

    def _stop(self, instance: Instance) -> None:
        self._become(instance, "stopping", reason=BY_HAND)
        boots = instance.boots
        slow = self._weather.happens("slow stop", 0.3)
        wait = self._dice.uniform(60, 400) if slow else self._dice.uniform(5, 30)
        self._clockwork.after(wait, lambda: self._if(instance, boots, "stopping", "stopped"))

    def stop_by_hand(self, instance: Instance) -> None:
        """Somebody else stops it, an operator or AWS: nothing of Slipway's is asked."""
        if instance.state == "running":
            self._stop(instance)

    def die(self, instance: Instance) -> None:
        """The hardware fails: stopped at once."""
        if instance.state == "running":
            self._become(instance, "stopped", reason=SERVER_ERROR)

    def _if(
        self, instance: Instance, boots: int, state: str, then: str, reason: str | None = None
    ) -> None:
        if (instance.boots, instance.state) == (boots, state):
            self._become(instance, then, reason=reason)

    def _become(
        self,
        instance: Instance,
        state: str,
        *,
        launched: float | None = None,
        reason: str | None = None,
    ) -> None:
        self._stale[instance.host_id] = (
            self._clockwork.time,
            instance.state,
            instance.launched_at,
            instance.reason,
        )
        instance.state = state
        instance.reason = instance.reason if reason is None else reason
        instance.launched_at = instance.launched_at if launched is None else launched
        self._on_state(instance)
