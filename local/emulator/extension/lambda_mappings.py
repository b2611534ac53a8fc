"""Gap closed: a queue's messages may come back while the function that reads them still runs.

Lambda makes no event source mapping of a queue whose visibility timeout is shorter than the
function's timeout: such a message would be worked on twice at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from local.emulator.extension.private import entry, need, wrap

Data = dict[str, Any]
Made = tuple[str, Data]


def refusal(queue: Data | None, config: Data | None) -> str | None:
    """Why Lambda does not read this queue for a function; None: it does, or it is no queue."""
    if queue is None or config is None:
        return None
    visible_after = int(queue["attributes"].get("VisibilityTimeout", "30"))
    timeout = int(config.get("Timeout") or 3)
    if visible_after >= timeout:
        return None
    return (
        f"Queue visibility timeout: {visible_after} seconds is less than "
        f"Function timeout: {timeout} seconds"
    )


def _refusal(mapping: Data) -> str | None:
    source = str(mapping.get("EventSourceArn") or "")
    if ":sqs:" not in source:
        return None
    reference = str(mapping.get("FunctionName") or "")
    function, config, _ = lambda_svc._get_func_record_for_ref(reference)
    return refusal(sqs._queue_by_arn(source), config if function else None)


def _asking(create: Callable[[Data], Any]) -> Callable[[Data], Any]:
    def created(data: Data) -> Any:
        why = _refusal(data)
        if why is not None:
            return error_response_json("InvalidParameterValueException", why, 400)
        return create(data)

    return created


def _handlers(original: Data) -> Data:
    create: Callable[..., Made] = original["create"]
    update: Callable[..., Made] = original["update"]

    def check(properties: Data) -> None:
        why = _refusal(properties)
        if why is not None:
            raise ValueError(f"Invalid request provided: {why}")

    def created(logical_id: str, properties: Data, stack: str) -> Made:
        check(properties)
        return create(logical_id, properties, stack)

    def updated(physical_id: str, old: Data, new: Data, stack: str) -> Made:
        check(new)
        return update(physical_id, old, new, stack)

    return {**original, "create": created, "update": updated}


def install() -> None:
    """Ask before a mapping is made, by the API or by CloudFormation."""
    need(lambda_svc, "_get_func_record_for_ref")
    need(sqs, "_queue_by_arn")
    wrap(lambda_svc, "_create_esm", _asking)
    kind = "AWS::Lambda::EventSourceMapping"
    original = need(provisioners, "_RESOURCE_HANDLERS")[kind]
    entry(provisioners, "_RESOURCE_HANDLERS", kind, _handlers(original))
