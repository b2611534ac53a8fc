"""What `slipway doctor` looks at for each pipeline: from the push to the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slipway.cli.aws.session import Session
from slipway.cli.aws.tips import verdict
from slipway.cli.doctor.findings import Check, Finding, ok, skipped, wrong
from slipway.cli.doctor.proof_checks import proof_checks
from slipway.cli.doctor.scheduled_checks import scheduled_checks
from slipway.cli.show.moments import short_moment
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.wording import counted, person, short, task_definition_name

TOLD_ELSEWHERE = "docs/operating.md, 'Fitting in a service that exists'"
FETCHED = (
    "build", "test", "push", "register", "update", "wait", "prove", "rollout", "record", "close",
)  # fmt: skip
"""Stages that come after the fetch."""


def pipeline_checks(session: Session, pipeline: PipelineSettings, dev: Any) -> list[Check]:
    """The checks of one pipeline. `dev`: makes a client in the dev account, or is None."""
    part = f"pipeline {pipeline.name}"

    def check(name: str, look: Any, mend: str) -> Check:
        return Check(part=part, name=name, look=lambda: look(session, pipeline), mend=mend)

    return [
        Check(
            part=part,
            name="trigger",
            look=lambda: _trigger(session, pipeline, dev),
            mend="deploy the dev stack",
        ),
        check("tip role", _tip, f"is {pipeline.repository} {pipeline.branch} there?"),
        check("git access", _git_access, ""),
        check("ECR", _images, "deploy the prod stack, or create the repository"),
        check("service", _service, "deploy the service, or correct its name in the configuration"),
        check("PassRole", _pass_role, "deploy the prod stack"),
        *([check("scheduled tasks", scheduled_checks, "")] if pipeline.has_companions else []),
        *proof_checks(session, pipeline),
        check("state", _state, ""),
    ]


def _trigger(session: Session, pipeline: PipelineSettings, dev: Any) -> Iterator[Finding]:
    if dev is None:
        yield skipped("trigger", "is in the dev account", "give --dev-profile to look there too")
        return
    answer = dev("codecommit").get_repository_triggers(repositoryName=pipeline.repository)
    function = session.installation.names.trigger_function
    heard = [
        trigger
        for trigger in answer.get("triggers", [])
        if trigger["destinationArn"].rpartition(":")[2] == function
        and (not trigger.get("branches") or pipeline.branch in trigger["branches"])
    ]
    if heard:
        yield ok("trigger", f"{pipeline.repository} {pipeline.branch} calls {function}")
        return
    rules = dev("events").list_rule_names_by_target(
        TargetArn=_function_arn(session, function)
    )  # an imported repository has an EventBridge rule in its place
    if rules.get("RuleNames"):
        yield ok("trigger", f"the rule {rules['RuleNames'][0]} calls {function}")
    else:
        yield wrong("trigger", f"nothing calls {function} for a push", "deploy the dev stack")


def _function_arn(session: Session, function: str) -> str:
    settings = session.installation
    place = f"{settings.dev_region}:{settings.dev_account}"
    return f"arn:{settings.partition}:lambda:{place}:function:{function}"


def _tip(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    credentials = session.assumed(pipeline.tip_role_arn)
    yield ok("tip role", "can be assumed")
    client = session.client(
        "codecommit", region=session.installation.dev_region, credentials=credentials
    )
    answer = client.get_branch(repositoryName=pipeline.repository, branchName=pipeline.branch)
    tip = answer["branch"]["commitId"]
    state = verdict(tip, session.table.pipelines.get(pipeline.name))
    yield ok("tip", f"{pipeline.branch} is at {short(tip)}: {state}")


def _git_access(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    """Only who builds may assume the source role: its own last fetch is the evidence."""
    hosts = session.installation.builders.uses_hosts
    who, may = ("the host", "the build host") if hosts else ("a builder", "a builder")
    for row in session.table.deployments.newest(pipeline.name, 20):
        when = f"{row.deployment_id}, {short_moment(row.started_at)} UTC"
        if any(stage in row.stages for stage in FETCHED) and row.reason != "rollback":
            yield ok("git access", f"{who} fetched it last in {when}")
            return
        if row.stage == "fetch" and row.status in ("failed", "gave_up"):
            cause = row.result.cause if row.result else ""
            mend = f"`slipway logs {row.deployment_id}`; deploy the dev stack for the source role"
            yield wrong("git access", f"the fetch failed in {when}: {cause}", mend)
            return
    yield skipped("git access", f"only {may} may fetch, and it never did yet")


def _images(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    for image in pipeline.images:
        answer = session.client("ecr").describe_repositories(repositoryNames=[image.repository])
        yield ok("ECR", f"{answer['repositories'][0]['repositoryName']} is there")


def _service(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    mend = "deploy the service, or correct its name in the configuration"
    running: list[str] = []
    services = pipeline.per_service
    for one in services:
        found = _described(session, one)
        if found is None:
            yield wrong("service", f"{one.cluster}/{one.service} does not exist", mend)
            continue
        if found["status"] != "ACTIVE":
            yield wrong("service", f"{one.service} is {found['status'].lower()}", mend)
            continue
        yield ok("service", f"{one.cluster}/{one.service} is active")
        running.append(task_definition_name(found["taskDefinition"]))
    if len(running) == len(services):
        yield _runs(session, pipeline, ", ".join(running))


def _runs(session: Session, pipeline: PipelineSettings, now: str) -> Finding:
    """Whether the services still run what Slipway deployed: another stack may put its own back."""
    if session.table.locks.get(pipeline.name).taken(session.clock.now()):
        return skipped("runs what was deployed", "a deployment is under way")
    deployed = session.table.pipelines.get(pipeline.name).running_task_definition
    if deployed is None:
        return skipped("runs what was deployed", "nothing was deployed yet")
    known = ", ".join(map(task_definition_name, deployed.split(", ")))
    if known == now:
        return ok("runs what was deployed", now)
    return wrong(
        "runs what was deployed",
        f"it runs {now}, Slipway deployed {known} last: another stack or a person put it there",
        f"`slipway redeploy {pipeline.name}`; how to avoid it: {TOLD_ELSEWHERE}",
    )


def _pass_role(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    for one in pipeline.per_service:
        yield from _pass_roles_of(session, one)


def _pass_roles_of(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    found = _described(session, pipeline)
    if found is None:
        yield skipped("PassRole", "there is no service to ask for its roles")
        return
    definition = session.client("ecs").describe_task_definition(
        taskDefinition=found["taskDefinition"]
    )["taskDefinition"]
    named = (definition.get(k) for k in ("taskRoleArn", "executionRoleArn"))
    roles = list(dict.fromkeys(r for r in named if r))
    if not roles:
        yield ok("PassRole", "its task definition names no role")
        return
    settings = session.installation
    if settings.mode == "local":
        yield skipped("PassRole", "the emulator simulates no policy with conditions")
        return
    who, name = _who_builds(settings)
    arn = f"arn:{settings.partition}:iam::{settings.prod_account}:role/{name}"
    decisions = _decisions(session, arn, roles)
    for role in roles:
        decision = decisions.get(role)
        if decision is None:
            yield skipped("PassRole", f"AWS says nothing about {role}")
        elif decision == "allowed":
            yield ok("PassRole", f"the {who} may pass {role}")
        else:
            mend = "name the role in the pipeline's configuration and deploy the prod stack"
            yield wrong("PassRole", f"the {who} may not pass {role}", mend)


def _who_builds(settings: Installation) -> tuple[str, str]:
    """In a word, and the name of its role; hosts first: what they may, builders may, too."""
    if settings.builders.uses_hosts:
        return "host", settings.names.host_role
    return "builder", settings.names.builder_role


def _decisions(session: Session, role: str, roles: list[str]) -> dict[str, str]:
    """What IAM's simulation decides about passing each of `roles` to a task, by role.

    There is one result for the action; its `EvalResourceName` is a template of an ARN, and what
    is decided about each resource is in `ResourceSpecificResults`. A result without these is about
    the resource that it names.
    """
    pages = (
        session.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=role,
            ActionNames=["iam:PassRole"],
            ResourceArns=roles,
            ContextEntries=[
                {
                    "ContextKeyName": "iam:PassedToService",
                    "ContextKeyValues": ["ecs-tasks.amazonaws.com"],
                    "ContextKeyType": "string",
                }
            ],
        )
    )
    decisions: dict[str, str] = {}
    for result in (r for page in pages for r in page["EvaluationResults"]):
        for specific in result.get("ResourceSpecificResults", []):
            decisions[specific["EvalResourceName"]] = specific["EvalResourceDecision"]
        if not result.get("ResourceSpecificResults"):
            decisions[result.get("EvalResourceName", "")] = result["EvalDecision"]
    return decisions


def _described(session: Session, pipeline: PipelineSettings) -> dict[str, Any] | None:
    answer = session.client("ecs").describe_services(
        cluster=pipeline.cluster, services=[pipeline.service]
    )
    services: list[dict[str, Any]] = answer["services"]
    return services[0] if services else None


def _state(session: Session, pipeline: PipelineSettings) -> Iterator[Finding]:
    row = session.table.pipelines.get(pipeline.name)
    if row.mixed:
        text = f"the services run versions of different deployments: {row.mixed}"
        yield wrong("state", text, f"`slipway redeploy {pipeline.name}`, or push")
    if row.paused:
        by = person(row.paused_by or "an operator")
        yield ok("state", f"paused by {by}: pushes wait for `slipway resume {pipeline.name}`")
    elif row.rolled_back_to:
        yield ok("state", f"rolled back to {row.rolled_back_to} until the next push")
    elif row.failures:
        times = counted(row.failures, "deployment")
        yield ok("state", f"{times} failed in a row: `slipway history {pipeline.name} --failed`")
    else:
        yield ok("state", "neither paused nor failing")
