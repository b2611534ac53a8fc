"""Gap closed: unhealthy counts as up.

A service's task counts as up only when its health check says healthy, and one that becomes
unhealthy is replaced, which the circuit breaker counts. As in ECS, a HEALTHCHECK in the image is
not looked at.

Docker checks as often as the definition says, ECS's shortest pause being 5 s, and for the first
time after that pause. A local rollout need not wait so long: until a new container is healthy, the
emulator runs the same command in it more often. Not later: each check starts a process, and five
services that are checked once a second took a third of a processor. So a container that is healthy
and then is not, before Docker's own first check, is found out as late as Docker counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import docker.errors
from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs

from local.emulator.extension.private import need, wrap
from local.emulator.settings import EmulatorSettings

Data = dict[str, Any]
Word = Literal["HEALTHY", "UNHEALTHY"]

SECOND = 1_000_000_000
LOOK = 0.05
"""Seconds between two looks whether a check's command has ended."""
FAILURE_EVERY = 1.0
"""Seconds in which a new container that fails its checks does so once: it may need a moment."""
NO_HEALTH_CHECK = {"test": ["NONE"]}


@dataclass(frozen=True)
class Check:
    """A container definition's health check, in seconds. Defaults are ECS's: 30 s, 5 s, 3, 0 s
    (`HealthCheck`, Amazon ECS API Reference).
    """

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 5.0
    retries: int = 3
    start_period: float = 0.0

    @classmethod
    def of(cls, container: Data) -> Check | None:
        """None where the definition has none."""
        wanted = container.get("healthCheck") or {}
        if not wanted.get("command"):
            return None
        return cls(
            test=tuple(wanted["command"]),
            interval=float(wanted.get("interval") or cls.interval),
            timeout=float(wanted.get("timeout") or cls.timeout),
            retries=int(wanted.get("retries") or cls.retries),
            start_period=float(wanted.get("startPeriod") or cls.start_period),
        )

    @property
    def command(self) -> list[str]:
        """What runs in the container; empty for what neither ECS nor Docker runs."""
        form, *rest = self.test
        if form == "CMD-SHELL":
            return ["/bin/sh", "-c", *rest]
        return rest if form == "CMD" else []


def health_check(container: Data) -> Data:
    """Docker's health check for a container definition."""
    check = Check.of(container)
    if check is None:
        return NO_HEALTH_CHECK
    return {
        "test": list(check.test),
        "interval": int(check.interval * SECOND),
        "timeout": int(check.timeout * SECOND),
        "retries": check.retries,
        "start_period": int(check.start_period * SECOND),
    }


def first_word(
    check: Check,
    *,
    interval: float,
    is_up: Callable[[], bool],
    passes: Callable[[], bool | None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Word | None:
    """Check a new container every `interval` seconds until it is healthy, or failed too often.

    As Docker counts: a check that begins in the start period does not fail. `passes` is None where
    Docker did not say; the word is None where the container is gone.
    """
    began_at, failures, failed_at = clock(), 0, float("-inf")
    while failures < check.retries:
        sleep(interval)
        if not is_up():
            return None
        now = clock()
        passed = passes()
        if passed:
            return "HEALTHY"
        counts = now - began_at >= check.start_period and now - failed_at >= FAILURE_EVERY
        if passed is False and counts:
            failures, failed_at = failures + 1, now
    return "UNHEALTHY"


class Probe:
    """A check's command in a container of Docker's (`api`: its client), once at a time.

    Docker's interface cannot end what it has started there: what takes too long has failed, and is
    waited for before the next begins.
    """

    def __init__(
        self,
        api: Any,
        docker_id: str,
        check: Check,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._docker_id = docker_id
        self._check = check
        self._clock = clock
        self._sleep = sleep
        self._late: str | None = None

    def passes(self) -> bool | None:
        """Whether the command ends well in its time; None if Docker did not answer."""
        try:
            if self._late is not None and self._exit_code(self._late) is None:
                return False
            self._late = None
            run = self._begin()
            code = self._exit_code(run)
        except docker.errors.DockerException:  # no such command, or the container has just ended
            return False
        except OSError:
            return None
        if code is None:
            self._late = run
        return code == 0

    def _begin(self) -> str:
        made = self._api.exec_create(
            self._docker_id, self._check.command, stdout=False, stderr=False
        )
        self._api.exec_start(made["Id"], detach=True)
        return str(made["Id"])

    def _exit_code(self, run: str) -> int | None:
        """Once it has ended; None if it has not after the check's timeout."""
        until = self._clock() + self._check.timeout
        while self._clock() < until:
            self._sleep(LOOK)
            ended = self._api.exec_inspect(run)
            if not ended["Running"]:
                return int(ended["ExitCode"])
        return None


class TaskHealth:
    """Follows the health of tasks that have health checks.

    `interval`: seconds between two checks of a container that is not healthy yet. `say`: called
    with the id of a container of which something is known now.
    """

    def __init__(self, interval: float, say: Callable[[str], None]) -> None:
        self._interval = interval
        self._say = say

    def starting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        """Remember which containers of a task have a health check, and begin to check them."""

        def started(task: Data, definition: Data, overrides: Any, client: Any) -> Any:
            containers = definition.get("containerDefinitions", [])
            checks = {i: check for i, c in enumerate(containers) if (check := Check.of(c))}
            with ecs.resource_lock("ecs-task", task["taskArn"]):
                task["_health_checked"], task["_first_word"] = list(checks), {}
            result = start(task, definition, overrides, client)
            if task.get("lastStatus") == "RUNNING":
                for index, check in checks.items():
                    self._begin(task, index, check, client)
            return result

        return started

    def _begin(self, task: Data, index: int, check: Check, client: Any) -> None:
        docker_ids = task.get("_docker_ids") or []
        is_sooner = self._interval < check.interval
        if index < len(docker_ids) and check.command and is_sooner:
            threading.Thread(
                target=self._first, args=(task, index, check, docker_ids[index], client),
                name=f"first-checks-{docker_ids[index][:12]}", daemon=True,
            ).start()  # fmt: skip

    def _first(self, task: Data, index: int, check: Check, docker_id: str, client: Any) -> None:
        word = first_word(
            check, interval=self._interval,
            is_up=lambda: task.get("lastStatus") == "RUNNING",
            passes=Probe(client.api, docker_id, check).passes,
        )  # fmt: skip
        if word is not None:
            task["_first_word"][index] = word
            self._say(docker_id)

    def watching(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """Where ministack looks whether a task still runs, look at its health as well."""

        def looked(task: Data, client: Any = None) -> Any:
            result = look(task, client)
            if task.get("_health_checked") and task.get("lastStatus") == "RUNNING":
                self._look(task, client or ecs._get_docker())
            return result

        return looked

    def _look(self, task: Data, client: Any) -> None:
        states = []
        for index, docker_id in enumerate(list(task.get("_docker_ids") or [])):
            if index not in task["_health_checked"]:
                continue
            state = health_of(client, docker_id, task["_first_word"].get(index))
            states.append(state)
            task["containers"][index]["healthStatus"] = state
        before = task.get("healthStatus")
        task["healthStatus"] = _worst(states)
        if before != "HEALTHY" and task["healthStatus"] == "HEALTHY":
            _let_the_rollout_see(task)
        elif task["healthStatus"] == "UNHEALTHY" and task.get("group", "").startswith("service:"):
            _replace_unhealthy(task, client)

    def confirming(self, confirm: Callable[..., Any]) -> Callable[..., Any]:
        """A task with health checks has survived its start only when it is healthy."""

        def confirmed(service_key: str, task: Data) -> Any:
            if task.get("_health_checked") and task.get("healthStatus") != "HEALTHY":
                return None
            return confirm(service_key, task)

        return confirmed


def health_of(client: Any, docker_id: str, first: Word | None = None) -> str:
    """ECS's word for what Docker says of a container's health; `first` until Docker knows.

    Docker calls a container that has ended unhealthy; what counts then is that it ended.
    """
    try:
        state = client.api.inspect_container(docker_id)["State"]
    except docker.errors.DockerException:
        return "UNKNOWN"
    if not state.get("Running"):
        return "UNKNOWN"
    docker_word = (state.get("Health") or {}).get("Status", "")
    return {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}.get(docker_word, first or "UNKNOWN")


def _worst(states: list[str]) -> str:
    for state in ("UNHEALTHY", "UNKNOWN"):
        if state in states:
            return state
    return "HEALTHY"


def _let_the_rollout_see(task: Data) -> None:
    cluster = ecs._cluster_name_from_arn(task.get("clusterArn", ""))
    group = task.get("group", "")
    if cluster and group.startswith("service:"):
        ecs._schedule_service_deployment_completion(
            cluster,
            f"{cluster}/{group.split(':', 1)[1]}",
            get_account_id(),
            get_region(),
            healthy_task=task,
        )


def _replace_unhealthy(task: Data, client: Any) -> None:
    stopped = ecs._mark_task_stopped(
        task["taskArn"], task, "Task failed container health checks", "ServiceSchedulerInitiated"
    )
    if stopped:
        ecs._cleanup_task_resources(task, client)
        ecs._record_service_task_failure(task)


def install(settings: EmulatorSettings, say: Callable[[str], None]) -> None:
    """Judge tasks by their health checks; `say` as `TaskHealth` has it."""
    for name in (
        "_get_docker",
        "_cluster_name_from_arn",
        "_schedule_service_deployment_completion",
        "_mark_task_stopped",
        "_cleanup_task_resources",
        "_record_service_task_failure",
        "resource_lock",
    ):
        need(ecs, name)
    health = TaskHealth(settings.health_interval_seconds, say)
    wrap(ecs, "_maybe_mark_stopped", health.watching)
    wrap(ecs, "_record_service_task_healthy", health.confirming)
    wrap(ecs, "_start_task_worker", health.starting)
