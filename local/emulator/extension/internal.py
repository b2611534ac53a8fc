"""Internal endpoints, open only when the emulator is started with `--internal-endpoints`.

* `GET  /_slipway/emails`: what SNS would have sent by e-mail, oldest first.
* `GET  /_slipway/health`: answers whenever the emulator serves; always open.
* `GET  /_slipway/faults`, `POST /_slipway/faults`, `DELETE /_slipway/faults`: see `faults`.
* `GET  /_slipway/asked`: which principal asked which action of IAM, and the answer.
* `POST /_slipway/ec2/<instance-id>/die`: the instance stops at once.
* `POST /_slipway/codebuild/limit`: `{"builds": 2}`: so many builds of an account at the same time.
* `POST /_slipway/ec2/<instance-id>/off`: its machine has shut down; always open.
"""

from __future__ import annotations

import json
from typing import Any

from local.emulator.extension.asked import Asked
from local.emulator.extension.codebuild import Builds
from local.emulator.extension.ec2_states import InstanceStates
from local.emulator.extension.faults import Faults
from local.emulator.extension.imds import NOT_FOUND, Answer
from local.emulator.extension.mailbox import Mailbox
from local.emulator.settings import EmulatorSettings
from slipway.contracts.errors import WrongUse

PREFIX = "/_slipway/"


class InternalEndpoints:
    """What tests and the local run ask of the emulator itself."""

    def __init__(
        self,
        settings: EmulatorSettings,
        *,
        states: InstanceStates,
        builds: Builds,
        mailbox: Mailbox,
        faults: Faults,
        asked: Asked,
    ) -> None:
        self._settings = settings
        self._states = states
        self._builds = builds
        self._mailbox = mailbox
        self._faults = faults
        self._asked = asked

    def answer(self, method: str, path: str, data: dict[str, Any]) -> Answer:
        """Answer one request; `path` begins with `/_slipway/`."""
        what = path.removeprefix(PREFIX)
        if (method, what) == ("GET", "health"):
            return _json({"run_id": self._settings.run_id, "status": "ready"})
        if (method, what) == ("GET", "emails"):
            return _json(self._mailbox.emails())
        instance_id, _, verb = what.removeprefix("ec2/").partition("/")
        if (method, verb) == ("POST", "off"):
            return _json({"off": self._states.powered_off(instance_id)})
        if not self._settings.internal_endpoints:
            return NOT_FOUND
        try:
            return self._told(method, what, data)
        except WrongUse as error:
            return _json({"error": str(error)}, 400)

    def _told(self, method: str, what: str, data: dict[str, Any]) -> Answer:
        if what == "faults":
            if method == "POST":
                self._faults.add(data)
            elif method == "DELETE":
                self._faults.clear()
            return _json(self._faults.listed())
        if (method, what) == ("GET", "asked"):
            return _json(self._asked.listed())
        if (method, what) == ("POST", "codebuild/limit"):
            self._builds.limit = data.get("builds")
            return _json({"builds": self._builds.limit})
        kind, _, rest = what.partition("/")
        instance_id, _, verb = rest.partition("/")
        if (method, kind, verb) == ("POST", "ec2", "die"):
            return _json({"died": self._states.die(instance_id)})
        return NOT_FOUND


def _json(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document), "application/json")
