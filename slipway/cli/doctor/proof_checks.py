"""What `slipway doctor` finds of the proof after a deployment: alarms, and where requests go."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from slipway.cli.aws.session import Session
from slipway.cli.doctor.findings import Check, Finding, ok, skipped, wrong
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.public_urls import is_public, parsed_url
from slipway.rollout.looking_after import watched_by_ecs


def proof_checks(session: Session, pipeline: PipelineSettings) -> list[Check]:
    """None where a pipeline's deployments are not proved."""
    part = f"pipeline {pipeline.name}"
    checks = []
    if pipeline.rollout.alarms:
        checks.append(
            Check(part=part, name="alarms", look=lambda: _alarms(session, pipeline), mend="")
        )
    if any(one.smoke is not None for one in pipeline.per_service):
        checks.append(
            Check(part=part, name="smoke test", look=lambda: _smoke(session, pipeline), mend="")
        )
    return checks


def _alarms(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    names = pipeline.rollout.alarms or ()
    answer = session.client("cloudwatch").describe_alarms(AlarmNames=list(names))
    there = {alarm["AlarmName"]: alarm for alarm in answer.get("MetricAlarms") or []}
    missing = [name for name in names if name not in there]
    if missing:
        what = f"there is no metric alarm {', '.join(map(repr, missing))}: nothing is rolled out"
        yield wrong("alarms", what, "make the alarm, or correct rollout.alarms")
        return
    off = [name for name in names if there[name].get("StateValue") == "ALARM"]
    if off:
        what = f"{', '.join(map(repr, off))}: in ALARM now, so not judged until it was quiet"
        yield wrong("alarms", what, "look at the alarm")
        return
    of_ecs = _of_ecs(session, pipeline)
    doubled = [name for name in names if name in of_ecs]
    note = f"; ECS itself watches {', '.join(doubled)}" if doubled else ""
    minutes = (pipeline.rollout.bake or 0) // 60
    yield ok("alarms", f"{len(names)} quiet, watched for {minutes} min after a deployment{note}")


def _of_ecs(session: Session, pipeline: PipelineSettings) -> frozenset[str]:
    """The alarms for which ECS takes a deployment of the last service back."""
    last = pipeline.per_service[-1]
    answer = session.client("ecs").describe_services(cluster=last.cluster, services=[last.service])
    there = answer.get("services") or [{}]
    return watched_by_ecs(there[0])


def _smoke(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    for one in pipeline.per_service:
        if one.smoke is not None:
            yield _resolved(session, one.smoke.url)


def _resolved(session: Session, url: str) -> Finding:
    """Where the host is, as this machine's resolver says."""
    host = parsed_url(url).hostname or ""
    if session.installation.mode == "local":
        return skipped("smoke test", "the local run asks any address")
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, 443)}
    except OSError as error:
        return wrong("smoke test", f"{host} is not resolved: {error}", "correct smoke.url")
    private = sorted(address for address in found if not is_public(address))
    if private:
        what = f"{host} is at {private[0]}, which is no public address: it is not asked"
        return wrong("smoke test", what, "give smoke.url a public host, or use rollout.postDeploy")
    return ok("smoke test", f"{host} is at {', '.join(sorted(found))}")
