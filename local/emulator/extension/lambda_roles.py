"""Gap closed: what Lambda does in a function's name is done whatever the function's role allows.

Reading the queue of an event source mapping, writing the logs, and sending what failed to its
destination need the role's permissions in AWS; here they do too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs, lambda_svc

from local.emulator.extension.private import need, wrap
from local.emulator.extension.roles import Roles

log = logging.getLogger("slipway.lambda-roles")

Data = dict[str, Any]

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
        self._roles = Roles("lambda-service")

    def may(self, config: Data, action: str, resource: str) -> bool:
        """Whether the function's role may."""
        return self._roles.may(config.get("Role") or "", action, resource)

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
