"""Builds: one for a token, limits, the words for an end, and the event that tells it."""

from __future__ import annotations

import json
import subprocess

import pytest
from ministack.core.responses import request_scope
from ministack.services import cloudwatch_logs, codebuild, eventbridge, iam

from local.emulator.extension import codebuild_iam
from local.emulator.extension.buildspec import BadBuildspec, read_buildspec
from local.emulator.extension.codebuild import CREDENTIALS, TOKEN_LIVES, Builds
from local.emulator.extension.codebuild_events import moment, state_change
from local.emulator.extension.codebuild_process import processes_of
from local.emulator.settings import EmulatorSettings
from tests.places import EVENTS

ACCOUNT, REGION = "222222222222", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
GROUP = "/slipway/build"
LOGS = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:*"


def allow(*actions: str, resource: str = "*") -> dict[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def buildspec(*commands: str) -> str:
    return json.dumps({"version": 0.2, "phases": {"build": {"commands": list(commands)}}})


class World:
    """Builds whose course the test begins, a clock in its hand, and what EventBridge hears."""

    def __init__(self, folder, monkeypatch) -> None:
        settings = EmulatorSettings(
            port=1, data_dir=folder, docker_host="", build_start_seconds=0, build_minute_seconds=0.3
        )
        self.now = 1_000_000.0
        self.waiting = []
        self.heard = []
        self.log_dir = folder / "builds"
        self.builds = Builds(settings, clock=lambda: self.now, begin=self.waiting.append)
        monkeypatch.setattr(eventbridge, "_put_events", self._hear)

    def _hear(self, data, allow_aws_source=False):
        assert allow_aws_source
        self.heard += [json.loads(entry["Detail"]) for entry in data["Entries"]]

    def project(self, *commands: str, **more) -> None:
        codebuild._create_project(
            {
                "name": "builder",
                "serviceRole": ROLE,
                "source": {"type": "NO_SOURCE", "buildspec": buildspec(*commands)},
                "timeoutInMinutes": 5,
                **more,
            }
        )
        codebuild._projects["builder"].update(more)

    def start(self, token: str | None = None, **variables: str):
        override = [{"name": n, "value": v, "type": "PLAINTEXT"} for n, v in variables.items()]
        asked = {"projectName": "builder", "environmentVariablesOverride": override}
        return self.ask(
            self.builds.start_build, asked | ({"idempotencyToken": token} if token else {})
        )

    def ask(self, operation, data):
        """The answer, or the error's code."""
        status, _, body = operation(data)
        answer = json.loads(body)
        return answer if status == 200 else answer["__type"]

    def run(self) -> None:
        """Let what was begun take its course, to its end."""
        waiting, self.waiting = self.waiting, []
        for course in waiting:
            course()

    @property
    def told(self) -> list[str]:
        return [detail["build-status"] for detail in self.heard]

    def status(self, build_id: str) -> str:
        found = self.ask(self.builds.batch_get_builds, {"ids": [build_id]})
        return found["builds"][0]["buildStatus"]

    def printed(self, build_id: str) -> str:
        return (self.log_dir / f"build-{build_id.rpartition(':')[2]}.log").read_text()


@pytest.fixture
def world(tmp_path, monkeypatch):
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "codebuild.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }
    logging = {"Statement": [allow("logs:CreateLogStream", "logs:PutLogEvents", resource=LOGS)]}
    with request_scope(ACCOUNT, REGION):
        iam._create_role({"RoleName": ["builder"], "AssumeRolePolicyDocument": [json.dumps(trust)]})
        iam._put_role_policy(
            {
                "RoleName": ["builder"],
                "PolicyName": ["logs"],
                "PolicyDocument": [json.dumps(logging)],
            }
        )
        cloudwatch_logs._create_log_group({"logGroupName": GROUP})
        yield World(tmp_path, monkeypatch)
        codebuild._projects.clear()
        codebuild._builds.clear()
        iam._roles.clear()
        cloudwatch_logs._log_groups.clear()


LOGGED = {
    "logsConfig": {
        "cloudWatchLogs": {"status": "ENABLED", "groupName": GROUP, "streamName": "builder"}
    }
}


def test_a_build_runs_its_own_commands_with_both_kinds_of_variables(world):
    # GIVEN a project whose environment and whose caller say something
    world.project(
        "cat >said <<END\n$ONE $TWO $CODEBUILD_BUILD_ID\nEND",
        "cat said",
        environment={
            "environmentVariables": [{"name": "ONE", "value": "1"}, {"name": "TWO", "value": "?"}]
        },
        **LOGGED,
    )
    # WHEN it is started / THEN it waits for its machine
    build = world.start(TWO="2")["build"]
    assert (build["buildStatus"], build["currentPhase"]) == ("IN_PROGRESS", "QUEUED")
    assert world.told == ["IN_PROGRESS"]
    # AND THEN it has run, is told of, and nothing of it is left
    world.run()
    assert world.status(build["id"]) == "SUCCEEDED"
    assert world.told == ["IN_PROGRESS", "SUCCEEDED"]
    assert f"1 2 {build['id']}" in world.printed(build["id"])
    assert processes_of(build["id"]) == []
    # AND THEN its words are where the project sends them
    stream = cloudwatch_logs._log_groups[GROUP]["streams"][
        "builder/" + build["id"].rpartition(":")[2]
    ]
    assert any(f"1 2 {build['id']}" in event["message"] for event in stream["events"])


def test_a_command_that_fails_ends_the_build(world):
    world.project("exit 3", "echo never", **LOGGED)
    build = world.start()["build"]
    world.run()
    assert world.status(build["id"]) == "FAILED"
    assert "never" not in world.printed(build["id"])
    phases = codebuild._builds[build["id"]]["phases"]
    assert [(p["phaseType"], p.get("phaseStatus")) for p in phases][-2:] == [
        ("BUILD", "FAILED"),
        ("COMPLETED", None),
    ]


def test_a_timeout_ends_all_that_the_build_has_started(world):
    # GIVEN a build that leaves something in a session of its own, and takes too long
    world.project("setsid sleep 60 & sleep 60", **LOGGED)
    build = world.start()["build"]
    # WHEN its five minutes are over
    world.run()
    # THEN nothing of it runs; the event knows no other word than FAILED
    assert world.status(build["id"]) == "TIMED_OUT"
    assert world.told == ["IN_PROGRESS", "FAILED"]
    assert processes_of(build["id"]) == []


def test_a_build_that_is_stopped_before_it_runs_never_runs(world):
    world.project("echo ran", **LOGGED)
    build = world.start()["build"]
    stopped = world.ask(world.builds.stop_build, {"id": build["id"]})
    assert stopped["build"]["buildStatus"] == "STOPPED"
    world.run()
    assert world.told == ["IN_PROGRESS", "STOPPED"]
    # AND a second stop changes nothing
    assert world.ask(world.builds.stop_build, {"id": build["arn"]})["build"]["endTime"]
    assert world.told == ["IN_PROGRESS", "STOPPED"]


def test_the_emulators_end_ends_a_build(world):
    world.project("echo ran", **LOGGED)
    build = world.start()["build"]
    world.builds.end_all()
    assert world.status(build["id"]) == "FAULT"


def test_a_token_starts_one_build_for_five_minutes(world):
    # GIVEN a build of a token
    world.project("true", **LOGGED)
    first = world.start("api-1", N="1")["build"]["id"]
    # WHEN / THEN the same call gives the same build, another call with it none
    assert world.start("api-1", N="1")["build"]["id"] == first
    assert world.start("api-1", N="2") == "InvalidInputException"
    assert len(world.waiting) == 1
    # AND WHEN the token is forgotten
    world.now += TOKEN_LIVES
    assert world.start("api-1", N="1")["build"]["id"] != first


def test_limits_refuse_a_start_until_a_build_ends(world):
    world.project("true", **LOGGED)
    world.builds.limit = 1
    world.start()
    assert world.start() == "AccountLimitExceededException"
    world.run()
    assert world.start()["build"]
    # AND the project's own
    world.builds.limit = None
    codebuild._projects["builder"]["concurrentBuildLimit"] = 1
    assert world.start() == "AccountLimitExceededException"


@pytest.mark.parametrize(
    ("service", "why"), [("ec2.amazonaws.com", "not trusted"), (None, "no such role")]
)
def test_a_role_that_codebuild_may_not_take_starts_nothing(world, service, why):
    world.project("true", **LOGGED)
    if service is None:
        iam._roles.clear()
    else:
        role = iam._roles["builder"]
        role["AssumeRolePolicyDocument"] = json.dumps(
            {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}}]}
        )
    assert world.start() == "InvalidInputException", why


def test_a_role_that_may_not_write_the_logs_fails_the_build(world):
    other = {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/other"}}
    world.project("echo ran", logsConfig=other)
    build = world.start()["build"]
    world.run()
    assert world.status(build["id"]) == "FAILED"
    failed = codebuild._builds[build["id"]]["phases"][-2]
    assert failed["contexts"][0]["statusCode"] == "ACCESS_DENIED"


def test_builds_are_listed_by_their_order_a_hundred_at_once(world):
    world.project("true", **LOGGED)
    started = [world.start()["build"]["id"] for _ in range(101)]
    listed = world.ask(world.builds.list_builds, {"projectName": "builder"})
    assert listed["ids"] == started[:0:-1]
    rest = {"projectName": "builder", "nextToken": listed["nextToken"]}
    assert world.ask(world.builds.list_builds, rest) == {"ids": started[:1]}
    ascending = {"projectName": "builder", "sortOrder": "ASCENDING"}
    assert world.ask(world.builds.list_builds, ascending)["ids"] == started[:100]
    found = world.ask(world.builds.batch_get_builds, {"ids": ["builder:gone", started[0]]})
    assert (found["buildsNotFound"], len(found["builds"])) == (["builder:gone"], 1)
    assert world.ask(world.builds.batch_get_builds, {"ids": started}) == "InvalidInputException"


def test_credentials_are_there_for_as_long_as_the_build_is(world):
    # GIVEN a build that is not over
    world.project("true", **LOGGED)
    build = world.start()["build"]
    running = world.builds._running[build["id"]]
    # WHEN / THEN
    answer = world.builds.credentials(CREDENTIALS + running.secret)
    told = json.loads(answer.body)
    assert {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "RoleArn"} == told.keys()
    assert json.loads(world.builds.credentials(CREDENTIALS + running.secret).body) == told
    assert world.builds.credentials(CREDENTIALS + "x").status == 404
    world.run()
    assert world.builds.credentials(CREDENTIALS + running.secret).status == 404


# --- the event


def test_an_event_is_as_aws_sends_it(world):
    # GIVEN AWS's event, and a build that has ended
    known = json.loads((EVENTS / "codebuild_succeeded.json").read_text())
    world.project(
        "true", environment={"environmentVariables": [{"name": "A", "value": "b"}]}, **LOGGED
    )
    build = world.start()["build"]
    world.run()
    # WHEN
    event = state_change(codebuild._builds[build["id"]])
    # THEN it has the same members, of the same kinds, all the way down
    assert (event["Source"], event["DetailType"]) == (known["source"], known["detail-type"])
    assert event["Resources"] == [build["arn"]]
    assert shape(json.loads(event["Detail"])) == shape(known["detail"])
    last = json.loads(event["Detail"])["additional-information"]["phases"][-1]
    assert shape(last) == shape(known["detail"]["additional-information"]["phases"][-1])


def shape(value):
    """Names and types; of a list its first."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value)


def test_moments_are_written_as_codebuild_writes_them():
    assert moment(1504282349) == "Sep 1, 2017 4:12:29 PM"
    assert moment(1587603562) == "Apr 23, 2020 12:59:22 AM"


# --- the buildspec


def run(spec: str, folder) -> tuple[int, list[str]]:
    script = read_buildspec(spec).write(folder)
    done = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    return done.returncode, [line for line in done.stdout.splitlines() if "phase" not in line]


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ({"install": ["A=1"], "build": ["echo $A"], "post_build": ["echo $A"]}, (0, ["1", "1"])),
        ({"pre_build": ["false"], "build": ["echo b"], "post_build": ["echo p"]}, (1, [])),
        ({"build": ["false", "echo b"], "post_build": ["echo p"]}, (1, ["p"])),
        ({"build": ["echo b"], "post_build": ["false"]}, (1, ["b"])),
        ({"build": ["exit 3"], "post_build": ["echo p"]}, (3, [])),
    ],
)
def test_phases_follow_each_other_as_in_codebuild(tmp_path, phases, expected):
    written = {name: {"commands": commands} for name, commands in phases.items()}
    assert run(json.dumps({"version": 0.2, "phases": written}), tmp_path) == expected


def test_yaml_is_read_with_its_variables():
    spec = read_buildspec(
        "version: 0.2\nenv:\n  variables: {A: 1}\nphases: {build: {commands: [ls]}}\n"
    )
    assert (spec.variables, spec.commands["build"]) == ({"A": "1"}, ("ls",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "version: 0.2",
        "version: 0.1\nphases: {}",
        "version: 0.2\nphases: {build: {commands: [{a: b}]}}",
    ],
)
def test_what_cannot_be_run_is_refused(text):
    with pytest.raises(BadBuildspec):
        read_buildspec(text)


# --- IAM


@pytest.mark.parametrize(
    ("data", "projects"),
    [
        ({"id": "one:1"}, ["one"]),
        ({"id": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/one:1"}, ["one"]),
        ({"ids": ["one:1", "two:2", "one:3"]}, ["one", "two"]),
        ({"projectName": "one"}, []),
    ],
)
def test_a_call_is_about_the_projects_of_the_builds_that_it_names(data, projects):
    assert codebuild_iam.build_projects(data, "p:") == [f"p:project/{name}" for name in projects]
