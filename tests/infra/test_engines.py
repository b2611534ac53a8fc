"""The stacks of the three choices of `builders.when`: what is there, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from infra.hosts.keepers import FINAL
from slipway.configuration.resolve import resolve
from tests.infra.kept_templates import SNAPSHOT, digests
from tests.infra.templates import (
    CODE_BUILD,
    EXAMPLE,
    FULL,
    Stacks,
    Template,
    identity_statements,
    resources,
    synthesize,
    synthesize_file,
    text,
    trust_statements,
)
from tests.infra.test_configuration import changed
from tests.infra.test_permissions import of_role
from tests.infra.test_scale import built_by

OF_HOSTS = ("AWS::EC2::", "AWS::IAM::InstanceProfile")


def kinds(template: Template) -> set[str]:
    return {resource["Type"] for resource in template["Resources"].values()}


def functions(template: Template) -> dict[str, Any]:
    found = resources(template, "AWS::Lambda::Function").values()
    return {f["FunctionName"].rpartition("-")[2]: f for f in found}


def variables(template: Template, name: str) -> dict[str, Any]:
    return dict(functions(template)[name]["Environment"]["Variables"])


# --- hosts


def test_with_hosts_not_a_byte_has_changed(example: Stacks, full: Stacks, local: Stacks) -> None:
    """`python -m tests.infra.kept_templates` writes the snapshot, where a change is meant."""
    now = digests({"example": example, "full": full, "local": local})
    before = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert now.keys() == before.keys()
    for name, of in before.items():
        assert now[name] == of, name


def test_with_hosts_nothing_speaks_of_builders(example: Stacks, full: Stacks) -> None:
    for template in (*example.both, *full.both):
        written = json.dumps(template).lower()
        for word in ("codebuild", "drainrequests", "-builder", "builder_project"):
            assert word not in written


def test_to_say_hosts_is_to_say_nothing(example: Stacks, tmp_path: Path) -> None:
    assert synthesize(changed("builders", {"when": "hosts"}), tmp_path).both == example.both


# --- codeBuild


def test_with_code_build_alone_there_is_nothing_of_hosts(code_build: Stacks) -> None:
    # THEN no resource is one of EC2's, and no statement, rule, alarm or widget speaks of it
    assert not [k for k in kinds(code_build.prod) if k.startswith(OF_HOSTS)]
    actions = {a for s in identity_statements(code_build.prod) for a in s.actions}
    assert not {a for a in actions if a.startswith(("ec2:", "ssmmessages:"))}
    rest = json.dumps(code_build.prod).lower()
    assert "aws/ec2" not in rest
    assert "aws.ec2" not in rest
    assert "instance" not in rest.replace("describecontainerinstances", "").replace(
        "readinstances", ""
    ).replace("container-instance", "").replace("container instances", "")
    assert "HostIds" not in code_build.prod["Outputs"]
    assert set(functions(code_build.prod)) == set(resolve(code_build.configuration).functions)


def test_with_code_build_alone_the_functions_are_told_of_no_host(code_build: Stacks) -> None:
    for name in ("starter", "reconciler"):
        told = variables(code_build.prod, name)
        assert told["SLIPWAY_HOSTS"] == ""
        assert told["SLIPWAY_BUILDER_PROJECT"] == "slipway-cb-builder"


def test_the_reconciler_drains_the_build_queue_and_nothing_polls_it(code_build: Stacks) -> None:
    sources = resources(code_build.prod, "AWS::Lambda::EventSourceMapping").values()
    assert "${Build.Arn}" not in {text(s["EventSourceArn"]) for s in sources}
    told = variables(code_build.prod, "reconciler")
    assert "BuildDeadLetters" in text(told["SLIPWAY_DEAD_LETTERS_URL"])
    of = {s.raw["Sid"]: s for s in of_role(code_build, "slipway-cb-reconciler")}
    assert set(of["DrainRequests"].actions) == {"sqs:ReceiveMessage", "sqs:DeleteMessage"}
    assert [r.rpartition(":")[2] for r in of["DrainRequests"].resources] == ["slipway-cb-build"]
    (given_up,) = of["GiveUpRequests"].resources
    assert given_up.endswith(":slipway-cb-build-dead-letters")
    # AND nobody else may
    drains = [s for s in identity_statements(code_build.prod) if s.raw["Sid"] == "DrainRequests"]
    assert {s.owner for s in drains} == {"slipway-cb-reconciler"}


def test_a_sample_service_has_its_network_without_hosts(tmp_path: Path) -> None:
    prod = synthesize(built_by("codeBuild", changed("name", "slipway")), tmp_path).prod
    assert {k for k in kinds(prod) if k.startswith("AWS::EC2::")} >= {"AWS::EC2::VPC"}
    assert "AWS::EC2::Instance" not in kinds(prod)
    (definition,) = resources(prod, "AWS::ECS::TaskDefinition").values()
    assert definition["RuntimePlatform"]["CpuArchitecture"] == "X86_64"


# --- overflow


def test_with_overflow_both_are_there_and_hosts_drain_the_queue(overflow: Stacks) -> None:
    assert {"AWS::EC2::Instance", "AWS::CodeBuild::Project"} <= kinds(overflow.prod)
    assert not {s.raw["Sid"] for s in identity_statements(overflow.prod)} & {"DrainRequests"}
    for name in ("starter", "stopper", "reconciler"):
        told = variables(overflow.prod, name)
        assert told["SLIPWAY_HOSTS"] != ""
        assert told["SLIPWAY_BUILDER_PROJECT"] == "slipway-over-builder"


# --- both


@pytest.fixture(params=["overflow", "code_build"])
def engine(request: pytest.FixtureRequest) -> Stacks:
    stacks: Stacks = request.getfixturevalue(request.param)
    return stacks


def project_of(stacks: Stacks) -> dict[str, Any]:
    (project,) = resources(stacks.prod, "AWS::CodeBuild::Project").values()
    return dict(project)


def test_the_project_has_no_source_and_no_limit_of_its_own(engine: Stacks) -> None:
    project, c = project_of(engine), engine.configuration
    assert project["Name"] == f"{c.name}-builder"
    assert project["Source"]["Type"] == "NO_SOURCE"
    assert project["Artifacts"] == {"Type": "NO_ARTIFACTS"}
    assert not {"ConcurrentBuildLimit", "Cache", "Triggers"} & set(project)
    assert project["TimeoutInMinutes"] == c.builder_timeout
    assert project["QueuedTimeoutInMinutes"] == 480
    assert project["LogsConfig"]["CloudWatchLogs"] == {
        "Status": "ENABLED",
        "GroupName": f"/{c.name}/builds",
        "StreamName": "builder",
    }
    environment = project["Environment"]
    assert environment["PrivilegedMode"] is True
    assert environment["EnvironmentVariables"] == [
        {"Name": "SLIPWAY_AGENT_PARAMETER", "Type": "PLAINTEXT", "Value": f"/{c.name}/agent"}
    ]


def test_the_project_is_what_code_build_s_own_model_takes(engine: Stacks) -> None:
    """CloudFormation's properties are CreateProject's members, in capitals."""
    model = botocore.session.get_session().get_service_model("codebuild")
    project = project_of(engine)
    shape = model.shape_for("ProjectEnvironment")
    environment = project["Environment"]
    for key in ("Type", "ComputeType", "ImagePullCredentialsType"):
        allowed = shape.members[key[0].lower() + key[1:]].enum
        assert environment[key] in allowed
    kinds_of = {"arm64": "ARM_CONTAINER", "x86_64": "LINUX_CONTAINER"}
    assert environment["Type"] == kinds_of[engine.configuration.architecture]
    for key, of in (("TimeoutInMinutes", "BuildTimeOut"), ("QueuedTimeoutInMinutes", "TimeOut")):
        bounds = model.shape_for(of).metadata
        assert bounds["min"] <= project[key] <= bounds["max"]


def test_the_buildspec_writes_the_script_and_runs_it(engine: Stacks) -> None:
    spec = json.loads(project_of(engine)["Source"]["BuildSpec"])
    assert spec["version"] == 0.2
    assert len(spec["phases"]["build"]["commands"]) == 2
    # AND one of CodeBuild's own images is told which Python
    own = engine.configuration.builder_image.startswith("aws/codebuild/")
    wanted = {"runtime-versions": {"python": 3.13}} if own else None
    assert spec["phases"].get("install") == wanted


def test_every_final_state_calls_the_reconciler(engine: Stacks) -> None:
    (rule,) = [
        r
        for r in resources(engine.prod, "AWS::Events::Rule").values()
        if r.get("EventPattern", {}).get("source") == ["aws.codebuild"]
    ]
    assert rule["EventPattern"] == {
        "source": ["aws.codebuild"],
        "detail-type": ["CodeBuild Build State Change"],
        "detail": {
            "project-name": [f"{engine.configuration.name}-builder"],
            "build-status": list(FINAL),
        },
    }
    (target,) = rule["Targets"]
    assert "Reconciler" in text(target["Arn"])
    assert "Undelivered" in text(target["DeadLetterConfig"]["Arn"])
    # AND those are all that CodeBuild's model has but the one that is none
    statuses = botocore.session.get_session().get_service_model("codebuild").shape_for("StatusType")
    assert set(FINAL) == set(statuses.enum) - {"IN_PROGRESS"}


def test_builds_are_started_and_asked_for_by_whom_it_concerns(engine: Stacks) -> None:
    name = engine.configuration.name
    project = f"arn:aws:codebuild:eu-central-1:222222222222:project/{name}-builder"
    of = {
        s.owner: (set(s.actions), s.resources)
        for s in identity_statements(engine.prod)
        if any(a.startswith("codebuild:") for a in s.actions)
    }
    actions = {f"codebuild:{a}" for a in ("StartBuild", "BatchGetBuilds", "ListBuildsForProject")}
    expected = {f"{name}-starter": (actions, [project])}
    # AND the reconciler alone stops one that is silent
    expected[f"{name}-reconciler"] = ({*actions, "codebuild:StopBuild"}, [project])
    assert of == expected


def test_the_reconciler_keeps_what_nobody_would_receive(engine: Stacks) -> None:
    name = engine.configuration.name
    sends = [
        s.resources
        for s in of_role(engine, f"{name}-reconciler")
        if s.actions == ["sqs:SendMessage"]
    ]
    queue = f"arn:aws:sqs:eu-central-1:222222222222:{name}-build-dead-letters"
    assert [queue] in sends
    assert "BuildDeadLetters" in text(
        variables(engine.prod, "reconciler")["SLIPWAY_DEAD_LETTERS_URL"]
    )


def test_a_builder_may_what_a_host_may_but_for_what_only_a_host_needs(overflow: Stacks) -> None:
    host, builder = (
        {s.raw["Sid"]: s.raw for s in of_role(overflow, f"slipway-over-{role}")}
        for role in ("host", "builder")
    )
    # THEN it takes no messages, and nobody opens a session on it
    assert set(host) - set(builder) == {"WorkOnRequests", "SessionManager"}
    own = {"SeeNetwork", "MakeInterfaces", "RemoveInterfaces", "LendInterfaces", "PullOwnImage"}
    assert set(builder) - set(host) == own
    # AND everything else is word for word the same, but for the queue that it does not read
    assert len(builder["FindQueues"]["Resource"]) == len(host["FindQueues"]["Resource"]) - 1
    for sid in set(host) & set(builder) - {"FindQueues"}:
        assert builder[sid] == host[sid], sid


def test_code_build_takes_the_role_for_this_project_alone(engine: Stacks) -> None:
    name = engine.configuration.name
    (trust,) = [s for s in trust_statements(engine.prod) if s.owner == f"{name}-builder"]
    assert trust.principal == "codebuild.amazonaws.com"
    assert f"project/{name}-builder" in trust.conditions
    assert "aws:SourceAccount = 222222222222" in trust.conditions
    # AND dev lets in whoever builds, and nobody else
    (source,) = [s for s in trust_statements(engine.dev) if s.owner == f"{name}-source"]
    roles = ["host", "builder"] if engine.configuration.hosts else ["builder"]
    assert source.conditions == "StringEquals aws:PrincipalArn = " + ", ".join(
        f"arn:aws:iam::222222222222:role/{name}-{role}" for role in roles
    )


def test_whoever_builds_reads_the_credentials_for_docker_hub_and_no_one_else(
    engine: Stacks,
) -> None:
    name = engine.configuration.name
    hub = "arn:aws:secretsmanager:eu-central-1:222222222222:secret:docker-hub-??????"
    readers = {
        s.owner: s.resources
        for s in identity_statements(engine.prod)
        if s.raw["Sid"] == "ReadDockerHubSecret"
    }
    roles = ["host", "builder"] if engine.configuration.hosts else ["builder"]
    assert readers == {f"{name}-{role}": [hub] for role in roles}
    # AND whoever may read it may decrypt it, where it is under a key of the customer's
    for role in roles:
        (decrypt,) = [
            s for s in of_role(engine, f"{name}-{role}") if s.raw["Sid"] == "DecryptSecrets"
        ]
        assert hub in decrypt.raw["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]


def test_the_dashboard_draws_who_builds(overflow: Stacks, code_build: Stacks) -> None:
    def drawn(stacks: Stacks) -> str:
        (dashboard,) = resources(stacks.prod, "AWS::CloudWatch::Dashboard").values()
        return text(dashboard["DashboardBody"])

    assert "Hosts awake" in drawn(overflow)
    assert "Builds of CodeBuild" in drawn(overflow)
    assert "Hosts awake" not in drawn(code_build)
    assert "Builds of CodeBuild" in drawn(code_build)


def test_alarms_of_code_build_alone_cost_nothing(code_build: Stacks) -> None:
    alarms = resources(code_build.prod, "AWS::CloudWatch::Alarm").values()
    assert len(alarms) == 8
    assert not [a for a in alarms if a["AlarmName"].endswith("-awake")]


def test_the_example_and_the_full_one_still_have_hosts() -> None:
    for path in (EXAMPLE, FULL):
        assert "builders" not in path.read_text(encoding="utf-8")


def test_a_second_synth_gives_the_same_templates(code_build: Stacks, tmp_path: Path) -> None:
    assert synthesize_file(CODE_BUILD, tmp_path).both == code_build.both
