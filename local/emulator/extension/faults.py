"""Faults on request, for tests: a service answers errors for a while or a number of times.

A fault is JSON: `service` (`sns`, `ecr`, `ecs`, `ec2`, `registry`, `lambda` …), optionally
`action` (`Publish`, `StartInstances`; for `lambda` runs the function's name), `code` (default
`ServiceUnavailable`), `message`, `status` (default 503), and an end: `times` or `seconds`.

`{"service": "lambda-run", "action": "<function>", "times": 1}` kills the next run of a function.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.services import lambda_svc

from local.emulator.extension.private import need, wrap
from slipway.contracts.errors import WrongUse

Response = tuple[int, dict[str, str], bytes]
XML_SERVICES = ("ec2", "sns", "sts", "iam", "cloudformation", "autoscaling")


@dataclass
class Fault:
    """One fault; it is over after `times` answers or at `until` (Unix seconds)."""

    service: str
    action: str
    code: str
    message: str
    status: int
    times: int | None
    until: float | None

    def is_over(self, now: float) -> bool:
        spent = self.times is not None and self.times <= 0
        return spent or (self.until is not None and now >= self.until)


class Faults:
    """The faults in force. Requests and background deliveries ask from several threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, data: dict[str, Any]) -> None:
        """Add a fault. Raises `WrongUse` when it names no service or would never end."""
        service, times, seconds = data.get("service"), data.get("times"), data.get("seconds")
        if not service:
            raise WrongUse("fault.service: missing; a service as in IAM actions, or 'registry'")
        if times is None and seconds is None:
            raise WrongUse("fault: 'times' or 'seconds' is needed, else it would never end")
        fault = Fault(
            service=str(service),
            action=str(data.get("action") or ""),
            code=str(data.get("code") or "ServiceUnavailable"),
            message=str(data.get("message") or "a fault that was asked for"),
            status=int(data.get("status") or 503),
            times=None if times is None else int(times),
            until=None if seconds is None else time.time() + float(seconds),
        )
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def strike(self, service: str, action: str) -> Fault | None:
        """The fault that hits this call, counted down; None for a call that goes through."""
        now = time.time()
        with self._lock:
            self._faults = [fault for fault in self._faults if not fault.is_over(now)]
            for fault in self._faults:
                if fault.service == service and fault.action in ("", action):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def _error_answer(service: str, fault: Fault) -> Response:
    if service in XML_SERVICES:
        error = f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
        inner = f"<Errors>{error}</Errors>" if service == "ec2" else error
        outer = "Response" if service == "ec2" else "ErrorResponse"
        body = f"<{outer}>{inner}<RequestId>fault</RequestId></{outer}>"
        return fault.status, {"Content-Type": "text/xml"}, body.encode()
    answer = {"__type": fault.code, "message": fault.message}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": fault.code}
    return fault.status, headers, json.dumps(answer).encode()


def install() -> Faults:
    """Ask about faults before ministack answers."""
    faults = Faults()
    for owner, name in (
        (router, "detect_service"),
        (iam_actions, "extract_iam_action"),
        (app, "_routing_params"),
    ):
        need(owner, name)

    def dispatching(
        dispatch: Callable[..., Awaitable[Response]],
    ) -> Callable[..., Awaitable[Response]]:
        async def struck(  # noqa: PLR0917 - ministack's own signature
            method: str, path: str, headers: Any, body: bytes, query: Any, request_id: str
        ) -> Response:
            parameters = app._routing_params(method, path, headers, body, query)
            service = router.detect_service(method, path, headers, parameters)
            action = iam_actions.extract_iam_action(
                service, method, path, headers, body, parameters
            )
            fault = faults.strike(service, (action or "").rpartition(":")[2])
            if fault is not None:
                return _error_answer(service, fault)
            return await dispatch(method, path, headers, body, query, request_id)

        return struck

    def registry(
        handle: Callable[..., Awaitable[Response | None]],
    ) -> Callable[..., Awaitable[Response | None]]:
        async def struck(
            method: str, path: str, headers: Any, body: bytes, query: Any
        ) -> Response | None:
            if app._is_ecr_registry_path(path):
                fault = faults.strike("registry", method)
                if fault is not None:
                    errors = {"errors": [{"code": fault.code, "message": fault.message}]}
                    plain = {"Content-Type": "application/json"}
                    return fault.status, plain, json.dumps(errors).encode()
            return await handle(method, path, headers, body, query)

        return struck

    def running(execute: Callable[..., Any]) -> Callable[..., Any]:
        def killed(function: dict[str, Any], event: dict[str, Any]) -> Any:
            config = function.get("config") or function
            fault = faults.strike("lambda-run", config.get("FunctionName", ""))
            if fault is None:
                return execute(function, event)
            body = {"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}
            return {"body": body, "error": True, "function_error": "Unhandled", "log": ""}

        return killed

    need(app, "_is_ecr_registry_path")
    wrap(app, "_dispatch_service_request", dispatching)
    wrap(app, "_handle_ecr_registry_request", registry)
    wrap(lambda_svc, "_execute_function", running)
    return faults
