"""Gap closed: ministack's CodeBuild ends a build the moment it is started, and tells nobody.

Here a build is a process of this machine: the project's own buildspec, with the project's and the
caller's variables, and credentials of the project's service role from the emulator. StopBuild,
the timeout and the emulator's end kill all that it has started. The same idempotency token gives
the same build for five minutes, limits of builds at the same time refuse a start, and each state is
told on the account's event bus. The project's role must let CodeBuild take it, and write the logs.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import (
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    request_scope,
)
from ministack.services import cloudwatch_logs, codebuild, eventbridge, iam

from local.emulator.extension import codebuild_projects
from local.emulator.extension.buildspec import ENTERED, BadBuildspec, Buildspec, read_buildspec
from local.emulator.extension.codebuild_credentials import serve_credentials
from local.emulator.extension.codebuild_events import state_change
from local.emulator.extension.codebuild_process import BuildProcess, machine_environment
from local.emulator.extension.codebuild_records import (
    build_name,
    denied,
    enter_phase,
    finish,
    new_build,
)
from local.emulator.extension.imds import NOT_FOUND, Answer, credentials_document, mint_session
from local.emulator.extension.private import need, replace
from local.emulator.extension.roles import Roles
from local.emulator.settings import EmulatorSettings

Data = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

CREDENTIALS = "/credentials/"
SERVICE = "codebuild.amazonaws.com"
TOKEN_LIVES = 300.0
"""Seconds: StartBuild's `idempotencyToken` (API reference)."""
PAGE = 100
"""Of ListBuildsForProject, and the most that BatchGetBuilds takes."""
SESSION_SECONDS = 3600
REFRESH_SECONDS = 15 * 60
LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")


class Refused(Exception):
    """An answer of the API that is an error: the exception's name and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Running:
    """A build that is not over. `secret` ends the address of its credentials."""

    record: Data
    account: str
    region: str
    spec: Buildspec
    variables: dict[str, str]
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    over: threading.Event = field(default_factory=threading.Event)
    process: BuildProcess | None = None
    session: Data | None = None

    @property
    def folder_name(self) -> str:
        return str(self.record["id"].rpartition(":")[2])


class Builds:
    """The builds of all projects, from StartBuild to their ends."""

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        clock: Callable[[], float] = time.time,
        begin: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`begin` lets a build take its course, beside the caller."""
        self._settings = settings
        self._clock = clock
        self._begin = begin or _in_thread
        self._roles = Roles("codebuild-service")
        self._lock = threading.RLock()
        self._running: dict[str, Running] = {}
        self._tokens: dict[tuple[str, str, str], tuple[float, Data, str]] = {}
        self.credentials_url = ""
        """Where `credentials` answers, without its path."""
        self.limit: int | None = None
        """Builds that an account may have at the same time; None: as many as it likes."""

    # -- the API ------------------------------------------------------------------------------

    def start_build(self, data: Data) -> Response:
        """StartBuild."""
        return _answer(lambda: {"build": self._start(data)})

    def batch_get_builds(self, data: Data) -> Response:
        """BatchGetBuilds; a build is named by its id or its ARN."""

        def found() -> Data:
            ids = data.get("ids") or []
            if not 1 <= len(ids) <= PAGE:
                raise Refused("InvalidInputException", f"ids: 1 to {PAGE}")
            known = {name: codebuild._builds.get(build_name(name)) for name in ids}
            return {
                "builds": [build for build in known.values() if build],
                "buildsNotFound": [name for name, build in known.items() if not build],
            }

        return _answer(found)

    def list_builds(self, data: Data) -> Response:
        """ListBuildsForProject: by their order, newest first unless asked otherwise."""

        def listed() -> Data:
            name = _project(data)["name"]
            ours = [b for b in codebuild._builds.values() if b["projectName"] == name]
            newest_first = data.get("sortOrder") != "ASCENDING"
            ours.sort(key=lambda build: build["buildNumber"], reverse=newest_first)
            first = int(data.get("nextToken") or 0)
            page = {"ids": [build["id"] for build in ours[first : first + PAGE]]}
            more = {"nextToken": str(first + PAGE)} if len(ours) > first + PAGE else {}
            return {**page, **more}

        return _answer(listed)

    def stop_build(self, data: Data) -> Response:
        """StopBuild; one that is over stays as it is."""

        def stopped() -> Data:
            record = codebuild._builds.get(build_name(data.get("id") or ""))
            if record is None:
                raise Refused("ResourceNotFoundException", f"Build {data.get('id')} not found")
            running = self._running.get(record["id"])
            if running is not None:
                self.end(running, "STOPPED")
            return {"build": record}

        return _answer(stopped)

    # -- a build's course ---------------------------------------------------------------------

    def _start(self, data: Data) -> Data:
        project, token = _project(data), data.get("idempotencyToken")
        key = (get_account_id(), get_region(), token or "")
        with self._lock:
            known = self._tokens.get(key) if token else None
            if known is not None and self._clock() - known[0] < TOKEN_LIVES:
                if known[1] != data:
                    raise Refused("InvalidInputException", "idempotencyToken: other parameters")
                return dict(codebuild._builds[known[2]])
            running = self._made(project, data)
            record = running.record
            codebuild._builds[record["id"]] = record
            self._running[record["id"]] = running
            if token:
                self._tokens[key] = (self._clock(), data, record["id"])
            answer = json.loads(json.dumps(record))
        _tell(running)
        self._begin(lambda: self._run(running))
        return dict(answer)

    def _made(self, project: Data, data: Data) -> Running:
        """The build that is asked for. Raises `Refused`."""
        role = project["serviceRole"]
        if not _lets_codebuild(role):
            message = f"CodeBuild is not authorized to perform: sts:AssumeRole on {role}"
            raise Refused("InvalidInputException", message)
        overridden = _variables(data.get("environmentVariablesOverride"))
        variables = {**_variables(project["environment"].get("environmentVariables")), **overridden}
        try:
            spec = read_buildspec(data.get("buildspecOverride") or project["source"]["buildspec"])
        except (BadBuildspec, KeyError) as error:
            raise Refused("InvalidInputException", str(error)) from None
        self._check_limits(project)
        record = new_build(project, variables, data, self._clock())
        return Running(record, get_account_id(), get_region(), spec, variables)

    def _check_limits(self, project: Data) -> None:
        account = [r for r in self._running.values() if r.account == get_account_id()]
        own = [r for r in account if r.record["projectName"] == project["name"]]
        for limit, builds in ((self.limit, account), (project.get("concurrentBuildLimit"), own)):
            if limit is not None and len(builds) >= limit:
                message = f"Cannot have more than {limit} builds in queue for the account"
                raise Refused("AccountLimitExceededException", message)

    def _run(self, running: Running) -> None:
        """In a thread of its own: provisioned after a while, then its process, until it ends."""
        with request_scope(running.account, running.region):
            if running.over.wait(self._settings.build_start_seconds):
                return
            enter_phase(running.record, "PROVISIONING", self._clock())
            said = self._log_of(running)
            if said is None:
                self.end(running, "FAILED", denied(running.record))
                return
            with self._lock:
                if running.over.is_set():
                    return
                running.process = BuildProcess(
                    running.record["id"],
                    self._settings.data_dir / "builds" / running.folder_name,
                    spec=running.spec,
                    environment=self._environment(running),
                    said=said,
                )
            minutes = running.record["timeoutInMinutes"]
            code = running.process.wait(minutes * self._settings.build_minute_seconds)
            if code is None:
                self.end(running, "TIMED_OUT")
            else:
                self.end(running, "SUCCEEDED" if code == 0 else "FAILED")

    def end(self, running: Running, status: str, context: Data | None = None) -> None:
        """The build is over; the first word counts. Nothing of it runs any more when it is told."""
        with self._lock:
            if running.over.is_set():
                return
            running.over.set()
        if running.process is not None:
            running.process.end()
        with self._lock:
            finish(running.record, status, self._clock(), context)
            del self._running[running.record["id"]]
        with request_scope(running.account, running.region):
            _tell(running)

    def end_all(self) -> None:
        """The emulator ends: so does what runs in its builds."""
        for running in list(self._running.values()):
            self.end(running, "FAULT")

    # -- what a build is given ----------------------------------------------------------------

    def _environment(self, running: Running) -> dict[str, str]:
        record = running.record
        folder = self._settings.data_dir / "builds" / running.folder_name
        return {
            **machine_environment(os.environ, folder),
            "AWS_ENDPOINT_URL": self._settings.endpoint_url,
            "AWS_REGION": running.region,
            "AWS_DEFAULT_REGION": running.region,
            # CodeBuild says where by a path on 169.254.170.2, which is nobody here.
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": (
                f"{self.credentials_url}{CREDENTIALS}{running.secret}"
            ),
            "CODEBUILD_BUILD_ARN": record["arn"],
            "CODEBUILD_BUILD_IMAGE": record["environment"].get("image", ""),
            "CODEBUILD_BUILD_NUMBER": str(record["buildNumber"]),
            "CODEBUILD_INITIATOR": record["initiator"],
            "CODEBUILD_START_TIME": str(int(record["startTime"] * 1000)),
            "CODEBUILD_CI": "true",
            **running.variables,
        }

    def credentials(self, path: str) -> Answer:
        """What a build is told at the address in its environment, for as long as it runs."""
        secret = path.removeprefix(CREDENTIALS)
        running = next((r for r in list(self._running.values()) if r.secret == secret), None)
        if running is None:
            return NOT_FOUND
        session, role_arn = running.session, running.record["serviceRole"]
        if session is None or session["expires"] - REFRESH_SECONDS < self._clock():
            role = iam._roles.get_scoped(running.account, None, role_arn.rpartition("/")[2])
            if role is None:
                return NOT_FOUND
            name = f"AWSCodeBuild-{running.folder_name}"
            session = mint_session(running.account, role, name, SESSION_SECONDS)
            running.session = session
        document = {**credentials_document(session), "RoleArn": role_arn}
        return Answer(200, json.dumps(document), "application/json")

    def _log_of(self, running: Running) -> Callable[[str], None] | None:
        """Takes lines of output: into the log group, and a file; None where the role may not."""
        record, logs = running.record, running.record["logs"]
        emit: Callable[[str], None] = lambda _line: None  # noqa: E731
        if logs:
            prefix = f"arn:aws:logs:{running.region}:{running.account}:log-group:"
            stream = f"{prefix}{logs['groupName']}:log-stream:{logs['streamName']}"
            needed = [(action, stream) for action in LOG_ACTIONS]
            if logs["groupName"] not in cloudwatch_logs._log_groups:
                needed.append(("logs:CreateLogGroup", prefix + logs["groupName"]))
            if not all(self._roles.may(record["serviceRole"], *one) for one in needed):
                return None
            emit = codebuild._log_sink(record)
        folder = self._settings.build_log_dir or self._settings.data_dir / "builds"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"build-{running.folder_name}.log"

        def said(line: str) -> None:
            if line.startswith(ENTERED):
                enter_phase(record, line.removeprefix(ENTERED), self._clock())
            with (
                file.open("a", encoding="utf-8") as kept,
                request_scope(running.account, running.region),
            ):
                kept.write(line + "\n")
                emit(line)

        return said


def _project(data: Data) -> Data:
    project: Data | None = codebuild._projects.get(data.get("projectName") or "")
    if project is None:
        message = f"Project cannot be found: {data.get('projectName')}"
        raise Refused("ResourceNotFoundException", message)
    return project


def _variables(given: list[Data] | None) -> dict[str, str]:
    for variable in given or []:
        if variable.get("type", "PLAINTEXT") != "PLAINTEXT":
            message = f"{variable['name']}: {variable['type']} is not known locally"
            raise Refused("InvalidInputException", message)
    return {variable["name"]: variable["value"] for variable in given or []}


def _lets_codebuild(role_arn: str) -> bool:
    """Whether the role is there and trusts CodeBuild; its conditions are not looked at."""
    role = iam._roles.get_scoped(get_account_id(), None, role_arn.rpartition("/")[2])
    document = (role or {}).get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    statements = document.get("Statement") or []
    principals = [
        (one.get("Principal") or {}).get("Service")
        for one in statements
        if one["Effect"] == "Allow"
    ]
    return any(SERVICE in ([p] if isinstance(p, str) else p or []) for p in principals)


def _tell(running: Running) -> None:
    entry_of_event = state_change(running.record)
    eventbridge._put_events({"Entries": [entry_of_event]}, allow_aws_source=True)


def _in_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="codebuild-build", daemon=True).start()


def _answer(operation: Callable[[], Data]) -> Response:
    try:
        response: Response = json_response(operation())
    except Refused as error:
        response = error_response_json(error.code, str(error), 400)
    return response


def install(settings: EmulatorSettings) -> Builds:
    """Put builds that run into ministack's CodeBuild."""
    for name in ("_builds", "_projects", "_log_sink", "_build_arn"):
        need(codebuild, name)
    need(cloudwatch_logs, "_log_groups")
    need(eventbridge, "_put_events")
    need(iam, "_roles")
    builds = Builds(settings)
    builds.credentials_url = serve_credentials(builds.credentials)
    replace(codebuild, "_start_build", builds.start_build)
    replace(codebuild, "_batch_get_builds", builds.batch_get_builds)
    replace(codebuild, "_list_builds_for_project", builds.list_builds)
    replace(codebuild, "_stop_build", builds.stop_build)
    codebuild_projects.install()
    return builds
