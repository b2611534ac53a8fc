"""Asks IAM what a role may do when a service acts in its name (Lambda, ECS)."""

from __future__ import annotations

import time
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_region, request_scope
from ministack.services import iam

from local.emulator.extension.imds import mint_session

SESSION_SECONDS = 3600
SLACK_SECONDS = 60


class Roles:
    """Keeps one session per role, so that a question costs no new key."""

    def __init__(self, session_name: str) -> None:
        self._session_name = session_name
        self._sessions: dict[str, dict[str, Any]] = {}

    def may(self, role_arn: str, action: str, resource: str) -> bool:
        """Whether the role's policies allow it now; a role that is not there may nothing."""
        session = self._session(role_arn)
        if session is None:
            return False
        service = action.partition(":")[0]
        with request_scope(role_arn.split(":")[4], get_region()):
            denied = iam_evaluator.enforce(
                session["access_key"], action, service, get_region(), resource_arn=resource
            )
        return denied is None

    def _session(self, role_arn: str) -> dict[str, Any] | None:
        known = self._sessions.get(role_arn)
        if known is not None and known["expires"] - SLACK_SECONDS > time.time():
            return known
        if ":role/" not in role_arn:
            return None
        account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)
        if role is None:
            return None
        self._sessions[role_arn] = mint_session(account, role, self._session_name, SESSION_SECONDS)
        return self._sessions[role_arn]
