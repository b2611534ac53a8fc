"""Builds of CodeBuild: started, found again, stopped, ended in their pipelines' rows.

The row comes first. Who asks for the next generation alone calls StartBuild, with a token of
pipeline and generation: a call that is repeated starts no second build (CodeBuild knows a token for
five minutes; API reference, StartBuild). After that the project's builds are looked through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from lambdas.decide.situation import (
    EndBuilder,
    FindBuilder,
    ForgetBuilder,
    StartBuilder,
    StopBuilder,
)
from lambdas.shared.observability import logger
from lambdas.shared.refusals import code_of, is_refused
from lambdas.shared.services import Services
from slipway.contracts.table.builders import BuilderRow

FULL = "AccountLimitExceededException"
"""The account has as many builds at the same time as its quota allows."""
TOKEN_LIVES = 240.0
"""Seconds in which the same token surely starts no second build: less than five minutes."""
PIPELINE_VARIABLE, GENERATION_VARIABLE = "SLIPWAY_PIPELINE", "SLIPWAY_GENERATION"
LOOKED_BACK = 100
"""Newest builds of the project that are looked through, one call of BatchGetBuilds."""
IN_PROGRESS = "IN_PROGRESS"
"""The one status of a build that is not over (API reference, Build)."""
PROVISIONING = "PROVISIONING"
"""The phase in which a build waits for its machine (API reference, BuildPhase)."""
BuildTold = Mapping[str, Any]
"""A build, as BatchGetBuilds tells of it."""
GONE = "NOT_FOUND"
"""In place of a status: CodeBuild does not know the build (it keeps them for a year)."""


OfBuilder = StartBuilder | FindBuilder | StopBuilder | EndBuilder | ForgetBuilder


def on_builder(services: Services, action: OfBuilder) -> None:
    """Carry it out; safe to do twice or too late."""
    match action:
        case StartBuilder():
            _start_next(services, action)
        case FindBuilder():
            _find_or_start(services, action)
        case StopBuilder():
            _stop(services, action)
        case EndBuilder():  # CodeBuild's word: whatever the build held is free
            services.table.builders.end(action.builder, action.status, services.now())
        case ForgetBuilder():  # the builder's own row last: while it is there the rest is found
            host = services.table.hosts.get(action.builder.host_id)
            if host is not None:
                services.table.hosts.forget(host)
            services.table.builders.forget(action.builder)


def _start_next(services: Services, action: StartBuilder) -> None:
    """The next generation's, unless somebody else has asked for it, or for the last place."""
    asked = services.table.builders.ask(action.builder, services.now(), places=action.places)
    if asked is None:
        logger.info("another was quicker", extra={"pipeline": action.builder.pipeline})
        return
    _start(services, asked)


def _find_or_start(services: Services, action: FindBuilder) -> None:
    """The build of a row whose StartBuild has no answer; started once more where there is none."""
    row = action.builder
    if services.now() - row.asked_at > TOKEN_LIVES:
        found = _find(services, row)
        if found is not None:
            services.table.builders.start(row.pipeline, row.generation, found)
            return
    _start(services, row)


def _stop(services: Services, action: StopBuilder) -> None:
    """StopBuild, under a claim: a builder that is heard meanwhile wins, and one that is heard later
    begins nothing. That its build is over CodeBuild says itself.
    """
    host, limits = action.seen, services.installation.limits
    claimed = services.table.hosts.claim_broken(
        host, services.now(), claim=limits.stop_claim, unchanged=action.unchanged
    )
    if not claimed:
        logger.info("the builder was quicker", extra={"pipeline": action.builder.pipeline})
        return
    services.codebuild.stop_build(id=action.builder.build_id)
    services.table.hosts.stop_sent(host.host_id, host.boot)


# --- what CodeBuild tells


def told_builds(services: Services, rows: list[BuilderRow]) -> dict[str, BuildTold]:
    """What CodeBuild tells of the builds of live rows, by pipeline; of none that it knows not."""
    by_id = {row.build_id: row.pipeline for row in rows if row.is_live and row.build_id}
    told: dict[str, BuildTold] = {}
    ids = sorted(by_id)
    for first in range(0, len(ids), LOOKED_BACK):
        answer = services.codebuild.batch_get_builds(ids=ids[first : first + LOOKED_BACK])
        told |= {by_id[build["id"]]: build for build in answer.get("builds") or []}
        gone = answer.get("buildsNotFound") or []
        told |= {by_id[missing]: {"buildStatus": GONE} for missing in gone}
    return told


def ended_builds(told: Mapping[str, BuildTold]) -> dict[str, str]:
    """How those ended that are over."""
    statuses = {name: str(build["buildStatus"]) for name, build in told.items()}
    return {name: status for name, status in statuses.items() if status != IN_PROGRESS}


def machines_since(told: Mapping[str, BuildTold]) -> dict[str, float]:
    """Since when those have a machine that have one: seconds since the epoch."""
    return {
        name: phase["endTime"].timestamp()
        for name, build in told.items()
        for phase in build.get("phases") or []
        if phase.get("phaseType") == PROVISIONING and phase.get("endTime")
    }


def _start(services: Services, row: BuilderRow) -> None:
    variables = {PIPELINE_VARIABLE: row.pipeline, GENERATION_VARIABLE: str(row.generation)}
    try:
        answer = services.codebuild.start_build(
            projectName=services.builder_project,
            idempotencyToken=row.token,
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"}
                for name, value in variables.items()
            ],
        )
    except ClientError as error:
        is_full = code_of(error) == FULL
        if is_refused(error):
            services.table.builders.refuse(row, services.now(), is_full=is_full)
        if not is_full:
            raise
        logger.warning("no further build now", extra={"pipeline": row.pipeline})
        return
    services.table.builders.start(row.pipeline, row.generation, answer["build"]["id"])


def _find(services: Services, row: BuilderRow) -> str | None:
    """The id of the build that has the row's pipeline and generation in its environment."""
    listed = services.codebuild.list_builds_for_project(
        projectName=services.builder_project, sortOrder="DESCENDING"
    )
    ids = (listed.get("ids") or [])[:LOOKED_BACK]
    if not ids:
        return None
    builds = services.codebuild.batch_get_builds(ids=ids).get("builds") or []
    return next((build["id"] for build in builds if _is_of(build, row)), None)


def _is_of(build: dict[str, Any], row: BuilderRow) -> bool:
    variables = build.get("environment", {}).get("environmentVariables") or []
    given = {variable["name"]: variable["value"] for variable in variables}
    wanted = (row.pipeline, str(row.generation))
    return (given.get(PIPELINE_VARIABLE), given.get(GENERATION_VARIABLE)) == wanted
