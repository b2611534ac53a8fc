"""What CodeCommit and EventBridge say of a push, read into push events; nothing goes on raw.

Shapes: docs.aws.amazon.com/codecommit/latest/userguide/how-to-notify-lambda.html (trigger) and
…/monitoring-events.html (`CodeCommit Repository State Change`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.contracts.errors import InvalidMessage

EVENTBRIDGE = "CodeCommit Repository State Change"
BRANCH = "refs/heads/"


@dataclass(frozen=True, kw_only=True)
class PushEvent:
    """One reference that moved. `reference` is whole (`refs/heads/main`); `pushed_at` in seconds
    since the epoch, None if the event's time cannot be read.
    """

    event_id: str
    account: str
    repository: str
    reference: str
    commit_id: str
    deleted: bool
    pushed_by: str
    pushed_at: float | None

    @property
    def branch(self) -> str | None:
        """The branch's name; None for a tag or another reference."""
        if not self.reference.startswith(BRANCH):
            return None
        return self.reference[len(BRANCH) :]

    @property
    def is_sample(self) -> bool:
        """'Test trigger' on an empty repository sends a commit of zeros."""
        return not self.commit_id.strip("0")


Found = tuple[list[PushEvent], list[InvalidMessage]]


def push_events(event: Any) -> Found:
    """Every reference of every record, and what could not be read: the rest counts all the same."""
    if isinstance(event, dict) and event.get("detail-type") == EVENTBRIDGE:
        return _all_of([(event, "$")], _from_eventbridge)
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        problem = f"must be a CodeCommit trigger event or an EventBridge {EVENTBRIDGE!r}"
        return [], [InvalidMessage("$", problem)]
    pairs, problems = _references(records)
    found, more = _all_of(pairs, _from_reference)
    return found, problems + more


def _all_of(items: list[tuple[Any, str]], read: Callable[[Any, str], PushEvent]) -> Found:
    found: list[PushEvent] = []
    problems: list[InvalidMessage] = []
    for item, path in items:
        try:
            found.append(read(item, path))
        except InvalidMessage as error:
            problems.append(error)
    return found, problems


def _references(records: list[Any]) -> tuple[list[tuple[Any, str]], list[InvalidMessage]]:
    """(record, reference) of all records with where it stands, and the records without any."""
    pairs: list[tuple[Any, str]] = []
    problems: list[InvalidMessage] = []
    for index, record in enumerate(records):
        path = f"Records[{index}].codecommit.references"
        codecommit = record.get("codecommit") if isinstance(record, dict) else None
        references = codecommit.get("references") if isinstance(codecommit, dict) else None
        if not isinstance(references, list):
            problems.append(InvalidMessage(path, "must be a list"))
            continue
        pairs += [((record, r), f"{path}[{number}]") for number, r in enumerate(references)]
    return pairs, problems


def _from_reference(pair: tuple[dict[str, Any], Any], path: str) -> PushEvent:
    record, reference = pair
    if not isinstance(reference, dict):
        raise InvalidMessage(path, "must be an object")
    account, repository = _repository(_text(record, "eventSourceARN", path))
    return PushEvent(
        event_id=_text(record, "eventId", path),
        account=account,
        repository=repository,
        reference=_text(reference, "ref", path),
        commit_id=_text(reference, "commit", path),
        deleted=reference.get("deleted") is True,
        pushed_by=_who(record.get("userIdentityARN")),
        pushed_at=_when(record.get("eventTime")),
    )


def _from_eventbridge(event: dict[str, Any], path: str) -> PushEvent:
    detail = event.get("detail")
    if not isinstance(detail, dict):
        raise InvalidMessage(f"{path}.detail", "must be an object")
    deleted = detail.get("event") == "referenceDeleted"
    return PushEvent(
        event_id=_text(event, "id", path),
        account=_text(event, "account", path),
        repository=_text(detail, "repositoryName", f"{path}.detail"),
        reference=_text(detail, "referenceFullName", f"{path}.detail"),
        commit_id="" if deleted else _text(detail, "commitId", f"{path}.detail"),
        deleted=deleted,
        pushed_by=_who(detail.get("callerUserArn")),
        pushed_at=_when(event.get("time")),
    )


def _text(values: Mapping[str, Any], name: str, path: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidMessage(f"{path}.{name}", "must be a string that is not empty")
    return value


def _repository(arn: str) -> tuple[str, str]:
    """Account and repository of `arn:<partition>:codecommit:<region>:<account>:<repository>`."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "codecommit":
        raise InvalidMessage(
            "eventSourceARN", f"{arn[:200]!r} is not a CodeCommit repository's ARN"
        )
    return parts[4], parts[5]


def _who(arn: Any) -> str:
    """The last part of an IAM ARN: the user's or the session's name."""
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1][:200] if isinstance(arn, str) else ""


def _when(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
