"""What stands in for a guard that is taken out: the same without its check."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from build_agent.ends import Ends
from build_agent.queue.inbox import Inbox
from build_agent.queue.supersede import _join
from build_agent.source.known import Pushed
from lambdas.decide import decision
from lambdas.follower.world import World
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.pending import PendingRow
from slipway.contracts.table.pipelines import Pipelines
from slipway.contracts.table.places import Place, taking
from slipway.contracts.table.requests import Requests
from slipway.contracts.table.store import Write


def no_reply(*arguments: Any, **named: Any) -> None:
    return None


def never_told(*arguments: Any, **named: Any) -> None:
    return None


def false(*arguments: Any, **named: Any) -> bool:
    return False


def any_boot(host: Any, notice: Any) -> str:
    return _differences(host, dataclasses.replace(notice, boot=host.row.boot))


def no_ends(*arguments: Any, **named: Any) -> dict[str, str]:
    """CodeBuild says of no build that it is over."""
    return {}


def all_have(told: Mapping[str, Any]) -> dict[str, float]:
    """Every build has a machine, and has had it for long."""
    return dict.fromkeys(told, 0.0)


def taken_by_all(partition: str, place: Place, pipeline: str, generation: int) -> Write:
    """A place is taken whatever has become of it since it was seen."""
    return dataclasses.replace(
        taking(partition, place, pipeline, generation),
        condition=None,
        parameters={
            ":number": place.number, ":pipeline": pipeline, ":mine": generation, ":zero": 0,
        },
    )  # fmt: skip


def free_by_time(row: PendingRow, _generation: int, now: float) -> bool:
    """What a builder holds that is gone is free when its lease ends."""
    return row.visible_at <= now


def always_true(*arguments: Any, **named: Any) -> bool:
    return True


def any_number(host: Any, notice: Any) -> str:
    return _differences(host, dataclasses.replace(notice, idle_number=host.row.idle_number))


def kept_unless_held(snapshot: Any, host: Any) -> str:
    return "" if host.row.held else _kept(snapshot, host)


def startable_though_held(host: Any, now: float) -> bool:
    return host.ec2_state == "stopped" and host.row.next_start_at <= now


def only_silent(snapshot: Any, host: Any) -> Any:
    found = _why_broken(snapshot, host)
    return None if found and found.unchanged == "progress_at" else found


def locked(snapshot: Any, pipeline: str) -> bool:
    return bool(snapshot.locked(pipeline))


def whatever_has_come(deployment: Any) -> Pushed | None:
    """In place of `Deployment._pushed`."""
    request, before = deployment.request, deployment.before
    if request.reason != "push" or request.commit_id is None:
        return None
    return Pushed(request.commit_id, before.handled_tip, before.handled_at)


def never_paused(pipelines: Any, pipeline: str) -> Any:
    return dataclasses.replace(_row_of(pipelines, pipeline), paused=False)


def over_or_not(_locks: Any, row: LockRow, request: BuildRequest) -> bool:
    """Whether a holder gives way, were who asks for it over or not."""
    return row.gives_way(request)


def whoever_asks(lock: LockRow, _request: BuildRequest) -> bool:
    return lock.takeover is not None and lock.cancelled is None


def as_often_as_delivered(
    here: World, request: BuildRequest, delay: float, *, surely: bool = False
) -> None:
    here.again(request, delay)


def settles_nothing(_settled: Any, _kept: float) -> Write:
    return Write("check", {"pk": "NOTHING", "sk": "-"}, condition="attribute_not_exists(pk)")


def join_all(ends: Any, delivery: Any) -> None:
    delivery.deployment_id = None
    _leave_to_holder(ends, delivery)


def unknown_to_the_worker(requests: Any, request_ids: Any) -> Any:
    caller = sys._getframe(1).f_globals["__name__"]
    return {} if caller in WORKERS_OWN else _settled(requests, request_ids)


def deleted_at_once(inbox: Inbox, wait: float) -> Any:
    messages = _receive(inbox, wait)
    inbox.delete(messages)
    return messages


def settled_first(settler: Any, delivery: Any, result: Any, *, announced: bool) -> None:
    settler.settle(delivery, result.status, result.deployment_id)
    if not announced:
        settler._recorder.announce(result)


def each_by_itself(kept: Any, delivery: Any) -> None:
    _join(kept.named, delivery)


_receive = Inbox.receive


_differences, _kept, _why_broken = decision._not_that_host, decision._kept, decision._why_broken


_row_of, _settled = Pipelines.get, Requests.settled


_leave_to_holder = Ends.leave_to_holder


WORKERS_OWN = (
    "build_agent.run",
    "build_agent.ends",
    "build_agent.queue.intake",
    "build_agent.queue.settle",
)
