"""`slipway redrive`: give dead letters another try.

What is given up on is never dropped, it lies in a dead-letter queue. Where it belongs depends on
the queue: a build request is published again, so that the starter hears it too; a notice goes back
to the notices queue, a look at a rollout to the follow queue; an event that a Lambda failed on, or
that could not be delivered to it, is what that Lambda is invoked with again. SQS's own
StartMessageMoveTask knows only the first kind of queue, and would bring back a request that is
settled already.

A message is deleted after it was sent on: a crash between the two sends it twice, never loses it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.aws.ask import publish
from slipway.cli.aws.begun import begun
from slipway.cli.aws.dead_letters import Event, Look, Notice, Request, Way, ways_back
from slipway.cli.aws.errors import plainly
from slipway.cli.aws.session import Session
from slipway.cli.options import verb
from slipway.cli.show.output import BAD, Output
from slipway.cli.user.ending import uninterrupted
from slipway.contracts.errors import InvalidMessage, SlipwayError, WrongUse
from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.wording import counted, tidy

if TYPE_CHECKING:
    pass

VISIBILITY = 120
"""Seconds in which a received dead letter is dealt with."""
BODY_SHOWN = 300
"""Characters of an unreadable body that are shown before it is removed."""
MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


@dataclass(frozen=True)
class Letter:
    """A dead letter, and its way back; None with `problem` if it has none."""

    queue: str
    message: dict[str, Any]
    way: Way | None
    problem: str = ""


class Held:
    """The dead letters that this command keeps from others: received, and not dealt with yet.

    However it ends, they are given back, so that the alarm and the next command see them at once.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.done = 0
        self._open: dict[str, tuple[str, str]] = {}

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_error: object) -> None:
        with uninterrupted():
            for queue, receipt in list(self._open.values()):
                self._give_back(queue, receipt)

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Up to ten messages of the queue (a short poll may miss some); none where it is not."""
        messages = _receive(self.session, queue)
        self._open |= {m["MessageId"]: (queue, m["ReceiptHandle"]) for m in messages}
        return messages

    def send_on(self, letter: Letter, way: Way) -> None:
        """Send it on and delete it, as one."""
        with uninterrupted():
            _send(self.session, way)
            self.done += 1
            self._delete(letter)

    def remove(self, letter: Letter) -> None:
        """Delete it for ever."""
        with uninterrupted():
            self._delete(letter)
            self.done += 1

    def done_in_words(self, how: str = "sent again") -> str:
        """What was done when the command ended early."""
        return f"{self.done} {how}, the others stay where they are" if self.done else ""

    def _delete(self, letter: Letter) -> None:
        self.session.client("sqs").delete_message(
            QueueUrl=self.session.queue_url(letter.queue),
            ReceiptHandle=letter.message["ReceiptHandle"],
        )
        self._open.pop(letter.message["MessageId"], None)

    def _give_back(self, queue: str, receipt: str) -> None:
        """As well as can be: where AWS does not let us, it comes back by itself."""
        with suppress(SlipwayError), plainly():
            self.session.client("sqs").change_message_visibility(
                QueueUrl=self.session.queue_url(queue),
                ReceiptHandle=receipt,
                VisibilityTimeout=0,
            )


@click.command()
@click.option("--queue", help="Only this dead-letter queue. Default: all of the installation's.")
@click.option("--dry-run", is_flag=True, help="List them, and leave them where they are.")
@click.option(
    "--discard",
    is_flag=True,
    help="Remove what cannot be read, for ever; the rest stays where it is. Asks first.",
)
@click.option("--yes", is_flag=True, help="With --discard: do not ask.")
@verb
def command(
    session: Session, out: Output, *, queue: str | None, dry_run: bool, discard: bool, yes: bool
) -> None:
    """Give dead letters another try: requests, notices, and events that a Lambda failed on.

    A request that was given up on is sent again. What cannot be read stays where it is, and the
    exit code is 1. `--discard` shows that and removes it.

    \b
    Examples:
      slipway redrive --dry-run
      slipway redrive --queue slipway-build-dead-letters
    """
    ways = ways_back(session.installation.names)
    if queue is not None and queue not in ways:
        raise WrongUse(f"--queue {queue!r}: must be one of {', '.join(ways)}")
    if yes and not discard:
        raise WrongUse("--yes is the answer to --discard's question: give --discard too")
    names = [queue] if queue else list(ways)
    if discard:
        _discard(session, out, names, ways, dry_run=dry_run, yes=yes)
        return
    told: list[dict[str, Any]] = []
    held = Held(session)
    with begun(held.done_in_words), held:
        for name, received in zip(names, _first_of_each(held, names), strict=True):
            for letter in _letters(held, name, received, ways[name]):
                told.append(_tell(letter, out))
                if not dry_run and letter.way is not None:
                    held.send_on(letter, letter.way)
    out.data({"dead_letters": told, "dry_run": dry_run})
    unreadable = sum(1 for letter in told if letter["problem"])
    if not told:
        out.say("no dead letters")
    elif not dry_run:
        out.say(f"{len(told) - unreadable} sent again, {unreadable} left")
    click.get_current_context().exit(1 if unreadable else 0)


def _discard(
    session: Session,
    out: Output,
    names: list[str],
    ways: dict[str, Callable[[str], Way]],
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Remove what cannot be read, once a person has seen it and said so; keep everything else."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise WrongUse("--discard asks first, and there is no terminal to ask on: give --yes")
    held = Held(session)
    with begun(lambda: held.done_in_words("removed")), held:
        unreadable = [
            letter
            for name, received in zip(names, _first_of_each(held, names), strict=True)
            for letter in _letters(held, name, received, ways[name])
            if letter.way is None
        ]
        told = [_tell_whole(letter, out) for letter in unreadable]
        if unreadable and not dry_run and (yes or _confirmed(len(unreadable))):
            for letter in unreadable:
                held.remove(letter)
        removed = held.done
    out.data({"dead_letters": told, "discarded": removed})
    if unreadable:
        out.say(f"{removed} removed, {len(unreadable) - removed} left")
    else:
        out.say("every dead letter can be read: nothing to discard")


def _tell_whole(letter: Letter, out: Output) -> dict[str, Any]:
    """What it is, and the beginning of what it holds: nobody can bring it back."""
    told = _tell(letter, out)
    out.say(f"  {tidy(letter.message['Body'], BODY_SHOWN)}")
    return told


def _confirmed(count: int) -> bool:
    return click.confirm(f"Remove {counted(count, 'dead letter')} for ever?", err=True)


def _first_of_each(held: Held, queues: list[str]) -> list[list[dict[str, Any]]]:
    """The first messages of each queue, asked for at once: an empty one takes its whole wait."""
    held.session.client("sqs")  # made once, not by each thread
    asked = [held.session.start(held.receive, queue) for queue in queues]
    return [answer.result() for answer in asked]


def _letters(
    held: Held, queue: str, received: list[dict[str, Any]], read: Callable[[str], Way]
) -> Iterator[Letter]:
    """Each message of the queue once, from the `received` ones on until it is empty."""
    seen: set[str] = set()
    while fresh := [message for message in received if message["MessageId"] not in seen]:
        seen |= {message["MessageId"] for message in fresh}
        for message in fresh:
            yield _letter(held.session, queue, message, read)
        received = held.receive(queue)


def _receive(session: Session, queue: str) -> list[dict[str, Any]]:
    """Up to ten messages (a short poll may miss some); none where there is no such queue."""
    from botocore.exceptions import ClientError

    try:
        answer = session.client("sqs").receive_message(
            QueueUrl=session.queue_url(queue),
            MaxNumberOfMessages=10,
            VisibilityTimeout=VISIBILITY,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=1,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in MISSING:
            return []
        raise
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _letter(
    session: Session, queue: str, message: dict[str, Any], read: Callable[[str], Way]
) -> Letter:
    try:
        way = read(message["Body"])
    except InvalidMessage as error:
        return Letter(queue, message, None, str(error))
    if isinstance(way, Request):
        way = Request(_anew(session, way.request, message["MessageId"]))
    return Letter(queue, message, way)


def _anew(session: Session, request: BuildRequest, message_id: str) -> BuildRequest:
    """The request to publish: under a new id if its own is settled, or nobody would look at it.

    The new id comes from the dead letter, so that redriving it twice asks once.
    """
    if not session.table.requests.settled([request.request_id]):
        return request
    new_id = request_id_of(f"redrive {message_id}", request.pipeline, request.request_id)
    return replace(request, request_id=new_id)


def _tell(letter: Letter, out: Output) -> dict[str, Any]:
    why = letter.message.get("MessageAttributes", {}).get("why", {}).get("StringValue", "")
    match letter.way:
        case Request(request):
            what = f"a request of {request.pipeline} ({request.reason})"
        case Event(function):
            what = f"an event for {function}"
        case Notice():
            what = "a notice"
        case Look():
            what = "a look at a rollout"
        case None:
            what = click.style(f"cannot be read, {letter.problem}", fg=BAD)
    out.say(f"{letter.queue}: {what}{f'; given up because of: {tidy(why, 200)}' if why else ''}")
    return {
        "queue": letter.queue,
        "message_id": letter.message["MessageId"],
        "what": type(letter.way).__name__.lower() if letter.way else None,
        "given_up": why or None,
        "problem": letter.problem or None,
    }


def _send(session: Session, way: Way) -> None:
    match way:
        case Request(request):
            publish(session, request)
        case Notice(body):
            _put_back(session, session.installation.names.notices_queue, body)
        case Look(body):
            _put_back(session, session.installation.names.follow_queue, body)
        case Event(function, payload):
            session.client("lambda").invoke(
                FunctionName=function, InvocationType="Event", Payload=json.dumps(payload).encode()
            )


def _put_back(session: Session, queue: str, body: str) -> None:
    session.client("sqs").send_message(QueueUrl=session.queue_url(queue), MessageBody=body)
