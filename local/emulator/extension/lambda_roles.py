"""Gap closed: what Lambda does in a function's name is done whatever the function's role allows.

Reading the queue of an event source mapping, writing the logs, and sending what failed to its
destination need the role's permissions in AWS; here they do too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch_logs, iam, lambda_svc

from local.emulator.extension.imds import mint_session
from local.emulator.extension.private import need, wrap

log = logging.getLogger("slipway.lambda-roles")

Data = dict[str, Any]

SESSION_SECONDS = 3600
DESTINATION_ACTIONS = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
}
QUEUE_ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")


class FunctionRoles:
    """Asks IAM what the roles of functions may do."""

    def __init__(self) -> None:
        self._sessions: dict[str, Data] = {}

    def may(self, config: Data, action: str, resource: str) -> bool:
        """Whether the function's role may; a function without a known role may nothing."""
        role_arn = config.get("Role") or ""
        session = self._session(role_arn)
        if session is None:
            return False
        service = action.partition(":")[0]
        with request_scope(role_arn.split(":")[4], get_region()):
            denied = iam_evaluator.enforce(
                session["access_key"], action, service, get_region(), resource_arn=resource
            )
        return denied is None

    def _session(self, role_arn: str) -> Data | None:
        known = self._sessions.get(role_arn)
        if known is not None and known["expires"] - 60 > time.time():
            return known
        if ":role/" not in role_arn:
            return None
        account, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
        role = iam._roles.get_scoped(account, None, name)
        if role is None:
            return None
        self._sessions[role_arn] = mint_session(account, role, "lambda-service", SESSION_SECONDS)
        return self._sessions[role_arn]

    def polling(self, concurrency: Callable[..., int]) -> Callable[..., int]:
        """No batch for a mapping whose function may not read the queue."""

        def allowed(mapping: Data, function: Data, config: Data, *rest: Any) -> int:
            queue_arn = mapping.get("EventSourceArn", "")
            for action in QUEUE_ACTIONS:
                if not self.may(config or function.get("config") or {}, action, queue_arn):
                    log.warning("%s lacks %s", config.get("FunctionName"), action)
                    return 0
            return concurrency(mapping, function, config, *rest)

        return allowed

    def logging(self, emit: Callable[..., Any]) -> Callable[..., Any]:
        """No log lines from a function that may not write them."""

        def emitted(function: Data, *rest: Any, **named: Any) -> Any:
            config = function.get("config") or function
            default = f"/aws/lambda/{config.get('FunctionName')}"
            group = (config.get("LoggingConfig") or {}).get("LogGroup") or default
            prefix = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}"
            stream = f"{prefix}:log-stream:lambda"
            needed = [(action, stream) for action in LOG_ACTIONS]
            if group not in cloudwatch_logs._log_groups:
                needed.append(("logs:CreateLogGroup", prefix))
            if all(self.may(config, action, resource) for action, resource in needed):
                return emit(function, *rest, **named)
            log.warning("%s may not write its logs to %s", config.get("FunctionName"), group)
            return None

        return emitted

    def failing(self, route: Callable[..., Any]) -> Callable[..., Any]:
        """No destination for what failed, unless the role may send there."""

        def routed(target_arn: str, function_name: str, *rest: Any) -> Any:
            config = (lambda_svc._functions.get(function_name) or {}).get("config") or {}
            action = DESTINATION_ACTIONS.get(target_arn.split(":")[2], "")
            if not self.may(config, action, target_arn):
                log.warning("%s lacks %s on %s", function_name, action, target_arn)
                return None
            return route(target_arn, function_name, *rest)

        return routed


def install() -> None:
    """Ask the role where ministack does not."""
    need(lambda_svc, "_functions")
    need(cloudwatch_logs, "_log_groups")
    roles = FunctionRoles()
    wrap(lambda_svc, "_sqs_esm_concurrency", roles.polling)
    wrap(lambda_svc, "_emit_lambda_logs", roles.logging)
    wrap(lambda_svc, "_route_async_failure", roles.failing)
