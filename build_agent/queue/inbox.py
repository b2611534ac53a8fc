"""The build queue: received in tens until it is empty, given back, deleted, dead-lettered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from build_agent.host.parallel import Parallel, one_by_one
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import dead_letter

TEN = 10  # messages in one call (SQS API reference)
AT_ONCE = 10
"""Calls at the same time: a hundred messages, which is what one call to the table takes."""
_GONE = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})


@dataclass(frozen=True)
class Message:
    """A received message; `receipt` changes with every delivery, `message_id` never. `deaths`:
    builds of CodeBuild that ended while they worked on it.
    """

    message_id: str
    receipt: str
    body: str
    deaths: int = 0


@dataclass
class Delivery:
    """A request and every delivery of it that is held."""

    request: BuildRequest
    messages: list[Message]
    deployment_id: str | None = None
    """The deployment that began to work on the request before, if one did."""

    @property
    def request_id(self) -> str:
        return self.request.request_id

    @property
    def pipeline(self) -> str:
        return self.request.pipeline

    @property
    def deaths(self) -> int:
        return max((message.deaths for message in self.messages), default=0)


class Inbox:
    """`sqs` is boto3's client. `visibility`: seconds that a received message is held unrenewed."""

    def __init__(
        self,
        sqs: Any,
        *,
        queue_url: str,
        dead_letters_url: str,
        visibility: int,
        parallel: Parallel = one_by_one,
    ) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dead_letters_url = dead_letters_url
        self._visibility = visibility
        self._parallel = parallel
        self.waiting = False
        """Whether a long poll is under way: nothing would be lost by leaving now."""

    def receive(self, wait: float) -> list[Message]:
        """Up to ten messages; waits up to `wait` seconds (20 at most) for the first."""
        self.waiting = wait >= 1
        try:
            return self._receive(min(20, max(0, int(wait))))
        finally:
            self.waiting = False

    def receive_more(self, last: int) -> list[Message]:
        """What else is there now; `last`: how many the call before brought."""
        times = AT_ONCE if last >= TEN else 1
        answers = self._parallel([lambda: self._receive(0)] * times)
        return [message for answer in answers for message in answer]

    def delete(self, messages: Iterable[Message]) -> None:
        """Delete; a message whose lease was lost comes again and is then found settled."""
        self._in_tens(
            messages,
            lambda entries: self._sqs.delete_message_batch(
                QueueUrl=self._queue_url, Entries=entries
            ),
        )

    def give_back(self, messages: Iterable[Message], delay: int = 0) -> None:
        """Let others receive these in `delay` seconds."""
        self.extend(messages, delay)

    def extend(self, messages: Iterable[Message], seconds: int | None = None) -> set[str]:
        """Hold for `seconds` (a whole lease) from now; the receipts whose lease is lost."""
        hold = self._visibility if seconds is None else seconds
        return self._in_tens(
            messages,
            lambda entries: self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue_url, Entries=entries
            ),
            VisibilityTimeout=hold,
        )

    def dead_letter(self, body: str, why: str) -> None:
        """Put a body that was given up on where an alarm watches."""
        dead_letter(self._sqs, self._dead_letters_url, body, why)

    def _receive(self, wait: int) -> list[Message]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=TEN,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self._visibility,
        )
        return [
            Message(m["MessageId"], m["ReceiptHandle"], m.get("Body", ""))
            for m in answer.get("Messages") or []
        ]

    def _in_tens(
        self, messages: Iterable[Message], call: Callable[[list[Any]], Any], **members: Any
    ) -> set[str]:
        """Call with entries of ten messages each; the receipts that SQS does not know any more."""

        def once(ten: list[Message]) -> set[str]:
            entries = [
                {"Id": str(i), "ReceiptHandle": m.receipt, **members} for i, m in enumerate(ten)
            ]
            failed = call(entries).get("Failed") or []
            return {ten[int(f["Id"])].receipt for f in failed if f.get("Code") in _GONE}

        functions = [partial(once, ten) for ten in _tens(messages)]
        return set().union(*self._parallel(functions)) if functions else set()


def _tens(messages: Iterable[Message]) -> Iterator[list[Message]]:
    ten: list[Message] = []
    for message in messages:
        ten.append(message)
        if len(ten) == TEN:
            yield ten
            ten = []
    if ten:
        yield ten
