"""Deregister old revisions, never one that anything still needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slipway.contracts.errors import Interrupted, SlipwayError
from slipway.rollout.api import Api
from slipway.rollout.plan import short
from slipway.rollout.service import Service, look_again, parse_service

PER_CALL = 10
"""Services that one DescribeServices may name."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """`deregistered`: ARNs. `warnings`: what was left undone, and why."""

    deregistered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def prune(api: Api, service: Service, *, keep: int, needed: Iterable[str]) -> Pruned:
    """Keep the `keep` newest ACTIVE revisions of the live family and those that are needed.

    `needed`: the live and the previous revision. Added to them is every revision that a deployment
    of this service, or of another service in its cluster, names; where that cannot be looked at,
    nothing is deregistered. A failure never undoes the success: it is a warning.
    """
    done: list[str] = []
    try:
        now = look_again(api, service) or service
        family = short(now.task_definition).rpartition(":")[0]
        revisions = _active(api, family)
        protected = set(needed) | now.named_definitions | {now.proven}
        outdated = surplus(revisions, keep=keep, needed=protected)
        if outdated:
            outdated = surplus(revisions, keep=keep, needed=protected | _used_in_cluster(api, now))
        for arn in outdated:
            api.change("deregister_task_definition", taskDefinition=arn)
            done.append(arn)
    except Interrupted:
        raise
    except SlipwayError as error:
        warning = f"old revisions were not all deregistered: {error}"
        return Pruned(deregistered=tuple(done), warnings=(warning,))
    return Pruned(deregistered=tuple(done))


def surplus(revisions: Iterable[str], *, keep: int, needed: Iterable[str]) -> list[str]:
    """Which of one family's `revisions` (ARNs, any order) to deregister, the oldest first."""
    newest_first = sorted(revisions, key=_number, reverse=True)
    protected = set(needed)
    return [arn for arn in reversed(newest_first[keep:]) if arn not in protected]


def _active(api: Api, family: str) -> list[str]:
    """The ACTIVE revisions of exactly this family."""
    arns = api.pages(
        "list_task_definitions",
        "taskDefinitionArns",
        familyPrefix=family,
        status="ACTIVE",
        sort="DESC",
    )
    return [arn for arn in arns if short(arn).rpartition(":")[0] == family]


def _used_in_cluster(api: Api, service: Service) -> set[str]:
    """Task definitions that services of the same cluster name."""
    arns = api.pages("list_services", "serviceArns", cluster=service.cluster)
    used: set[str] = set()
    for start in range(0, len(arns), PER_CALL):
        answer = api.read(
            "describe_services", cluster=service.cluster, services=arns[start : start + PER_CALL]
        )
        for raw in answer.get("services") or []:
            used |= parse_service(raw).named_definitions
    return used


def _number(arn: str) -> int:
    digits = arn.rpartition(":")[2]
    return int(digits) if digits.isdigit() else 0
