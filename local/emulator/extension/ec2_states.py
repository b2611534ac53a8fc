"""Gap closed: EC2 instances change state at once, without events and without refusals.

Here they take their time (`pending`, `stopping`), StartInstances and StopInstances refuse what
AWS refuses, the launch time is new at each start, MetadataOptions come back, every state is told
on the account's event bus, and a test can take capacity away or kill an instance.
"""

from __future__ import annotations

import calendar
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import ec2, eventbridge

from local.emulator.extension.private import entry, need, replace, wrap
from local.emulator.settings import EmulatorSettings

Params = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Instance = dict[str, Any]

STATE_CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
BY_HAND = "Client.UserInitiatedShutdown: User initiated shutdown"
SERVER_ERROR = "Server.InternalError: Internal error on launch"
DEFAULT_METADATA_OPTIONS = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "InstanceMetadataTags": "disabled",
}
INITIATED_INSIDE = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"


class Later(Protocol):
    """Runs a function after some seconds, on another thread."""

    def __call__(self, seconds: float, action: Callable[[], None]) -> None: ...


def timer_thread(seconds: float, action: Callable[[], None]) -> None:
    """The real `Later`: a daemon timer, so that it never keeps the emulator alive."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


@dataclass(frozen=True)
class Located:
    """An instance and where it lives."""

    account: str
    region: str
    instance: Instance


def find_instance(instance_id: str) -> Located | None:
    """The instance of that id in whatever account, for callers without credentials (IMDS)."""
    for (account, region, key), instance in ec2._instances.all_items():
        if key == instance_id:
            return Located(account, region, instance)
    return None


class InstanceStates:
    """The timed state machine of all instances."""

    def __init__(self, settings: EmulatorSettings, later: Later = timer_thread) -> None:
        self._settings = settings
        self._later = later

    # -- the API ------------------------------------------------------------------------------

    def start_instances(self, params: Params) -> Response:
        """StartInstances: `stopped` starts, `pending` and `running` are left alone."""
        return self._change(params, "StartInstances", refuse=_not_startable, apply=self._start)

    def stop_instances(self, params: Params) -> Response:
        """StopInstances: `running` stops, `stopping` and `stopped` are left alone."""
        return self._change(params, "StopInstances", refuse=_not_stoppable, apply=self._stop)

    def terminate_instances(self, params: Params) -> Response:
        """TerminateInstances: through `shutting-down`."""
        return self._change(params, "TerminateInstances", refuse=_never, apply=self._terminate)

    def launched(self, instances: list[Instance]) -> None:
        """Put instances that ministack has just made `running` on the way there."""
        for instance in instances:
            instance["MetadataOptions"] = dict(DEFAULT_METADATA_OPTIONS)
            if self._settings.instances_start_stopped:
                instance["StateReason"] = BY_HAND
                self._enter(instance, "stopped")
            else:
                self._enter(instance, "pending")
                self._after(self._settings.pending_seconds, instance, "running")

    def die(self, instance_id: str) -> bool:
        """The hardware fails: a running instance is `stopped` at once. False if there is none."""
        located = find_instance(instance_id)
        if located is None:
            return False
        with request_scope(located.account, located.region):
            located.instance["StateTransitionReason"] = "Server.InternalError"
            located.instance["StateReason"] = SERVER_ERROR
            self._enter(located.instance, "stopped")
        return True

    def powered_off(self, instance_id: str) -> bool:
        """The machine has shut down: `stopped`, through `stopping`. False if it was not on."""
        located = find_instance(instance_id)
        state = located.instance["State"]["Name"] if located else ""
        if located is None or state not in ("running", "stopping"):
            return False
        with request_scope(located.account, located.region):
            if state == "running":
                located.instance["StateTransitionReason"] = INITIATED_INSIDE
                self._enter(located.instance, "stopping")
            self._enter(located.instance, "stopped")
        return True

    # -- the machine --------------------------------------------------------------------------

    def _change(
        self,
        params: Params,
        operation: str,
        *,
        refuse: Callable[[Instance], str | None],
        apply: Callable[[Instance], None],
    ) -> Response:
        ids: list[str] = ec2._parse_member_list(params, "InstanceId")
        for instance_id in ids:
            if instance_id not in ec2._instances:
                return _error(
                    "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist"
                )
        instances = [ec2._instances.get(instance_id) for instance_id in ids]
        for instance in instances:
            problem = refuse(instance)
            if problem:
                return _error("IncorrectInstanceState", problem)
        items = "".join(_state_change_xml(instance, apply) for instance in instances)
        response: Response = ec2._xml(
            200, f"{operation}Response", f"<instancesSet>{items}</instancesSet>"
        )
        return response

    def _start(self, instance: Instance) -> None:
        if instance["State"]["Name"] != "stopped":
            return
        instance["LaunchTime"] = next_launch_time(instance["LaunchTime"], time.time())
        instance["StateTransitionReason"] = ""
        instance["StateReason"] = ""
        self._enter(instance, "pending")
        self._after(self._settings.pending_seconds, instance, "running")

    def _stop(self, instance: Instance) -> None:
        if instance["State"]["Name"] != "running":
            return
        instance["StateReason"] = BY_HAND
        instance["StateTransitionReason"] = f"User initiated ({_utc(time.time(), ' GMT')})"
        self._enter(instance, "stopping")
        self._after(self._settings.stopping_seconds, instance, "stopped")

    def _terminate(self, instance: Instance) -> None:
        if instance["State"]["Name"] in ("shutting-down", "terminated"):
            return
        self._enter(instance, "shutting-down")
        instance["_terminated_at"] = time.time()
        self._after(self._settings.stopping_seconds, instance, "terminated")

    def _after(self, seconds: float, instance: Instance, state: str) -> None:
        account, region = get_account_id(), get_region()
        turn = instance["_turn"]

        def arrive() -> None:
            # A newer change (a sudden death, a termination) makes this one void.
            if instance.get("_turn") != turn:
                return
            with request_scope(account, region):
                self._enter(instance, state)

        self._later(seconds, arrive)

    def _enter(self, instance: Instance, state: str) -> None:
        instance["State"] = {"Code": STATE_CODES[state], "Name": state}
        instance["_turn"] = instance.get("_turn", 0) + 1
        _tell(instance["InstanceId"], state)


def next_launch_time(previous: str, now: float) -> str:
    """The launch time of a start at `now` (Unix seconds), always later than the previous one.

    Launch times are whole seconds and name a boot; two boots must not share one.
    """
    launched = _utc(now, ".000Z")
    if launched > previous:
        return launched
    earlier = time.strptime(previous[:19], "%Y-%m-%dT%H:%M:%S")
    return _utc(calendar.timegm(earlier) + 1, ".000Z")


def _utc(seconds: float, suffix: str) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + suffix


def _never(_instance: Instance) -> str | None:
    return None


def _not_startable(instance: Instance) -> str | None:
    if instance["State"]["Name"] in ("pending", "running", "stopped"):
        return None
    instance_id = instance["InstanceId"]
    return f"The instance '{instance_id}' is not in a state from which it can be started."


def _not_stoppable(instance: Instance) -> str | None:
    if instance["State"]["Name"] in ("running", "stopping", "stopped"):
        return None
    instance_id = instance["InstanceId"]
    return f"The instance '{instance_id}' is not in a state from which it can be stopped."


def _error(code: str, message: str) -> Response:
    response: Response = ec2._error(code, message, 400)
    return response


def _state_change_xml(instance: Instance, apply: Callable[[Instance], None]) -> str:
    before = dict(instance["State"])
    apply(instance)
    after = instance["State"]
    return (
        f"<item><instanceId>{instance['InstanceId']}</instanceId>"
        f"<previousState><code>{before['Code']}</code><name>{before['Name']}</name></previousState>"
        f"<currentState><code>{after['Code']}</code><name>{after['Name']}</name></currentState>"
        "</item>"
    )


def _tell(instance_id: str, state: str) -> None:
    arn = f"arn:aws:ec2:{get_region()}:{get_account_id()}:instance/{instance_id}"
    event = {
        "Source": "aws.ec2",
        "DetailType": "EC2 Instance State-change Notification",
        "Resources": [arn],
        "Detail": json.dumps({"instance-id": instance_id, "state": state}),
    }
    eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)


def _with_details(instance_xml: Callable[[Instance], str]) -> Callable[[Instance], str]:
    """What DescribeInstances leaves out: the reason of the last change and MetadataOptions."""

    def detailed(instance: Instance) -> str:
        options = instance.get("MetadataOptions") or DEFAULT_METADATA_OPTIONS
        metadata = (
            "<metadataOptions><state>applied</state>"
            f"<httpTokens>{options['HttpTokens']}</httpTokens>"
            f"<httpPutResponseHopLimit>{options['HttpPutResponseHopLimit']}"
            "</httpPutResponseHopLimit>"
            f"<httpEndpoint>{options['HttpEndpoint']}</httpEndpoint>"
            f"<instanceMetadataTags>{options['InstanceMetadataTags']}</instanceMetadataTags>"
            "</metadataOptions>"
        )
        reason = f"<reason>{instance.get('StateTransitionReason', '')}</reason>"
        message = instance.get("StateReason", "")
        if message:
            code = message.partition(":")[0]
            reason += f"<stateReason><code>{code}</code><message>{message}</message></stateReason>"
        body, end, rest = instance_xml(instance).rpartition("</item>")
        return body + reason + metadata + end + rest

    return detailed


def _tag_collector() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """EC2 instances' tags, for conditions on `aws:ResourceTag/…`."""
    prefix = f"arn:aws:ec2:{get_region()}:{get_account_id()}:instance/"
    for instance_id in list(ec2._instances.keys()):
        yield prefix + instance_id, ec2._tags.get(instance_id) or []


def install(settings: EmulatorSettings, later: Later = timer_thread) -> InstanceStates:
    """Put the state machine into ministack's EC2."""
    from ministack.services import tagging  # noqa: PLC0415

    for name in ("_parse_member_list", "_xml", "_error", "_tags"):
        need(ec2, name)
    need(eventbridge, "_put_events")
    states = InstanceStates(settings, later)
    entry(ec2, "_ACTION_MAP", "StartInstances", states.start_instances)
    entry(ec2, "_ACTION_MAP", "StopInstances", states.stop_instances)
    entry(ec2, "_ACTION_MAP", "TerminateInstances", states.terminate_instances)
    replace(ec2, "_stop_instances", states.stop_instances)
    replace(ec2, "_start_instances", states.start_instances)
    replace(ec2, "_terminate_instances", states.terminate_instances)
    wrap(ec2, "_instance_xml", _with_details)

    def launching(original: Callable[..., list[Instance]]) -> Callable[..., list[Instance]]:
        def launch(*args: Any, **kwargs: Any) -> list[Instance]:
            instances = original(*args, **kwargs)
            states.launched(instances)
            return instances

        return launch

    wrap(ec2, "_launch_instances_internal", launching)
    need(tagging, "_RESOURCE_TAG_COLLECTORS")["ec2"] = _tag_collector
    return states
