"""Gap closed: events reach a Lambda once, whatever it says, whoever sends them.

SNS, EventBridge and CodeCommit invoke asynchronously: the function must have a permission that
lets them in, a failed run is repeated twice with growing pauses, and what fails for good goes to
the on-failure destination. What cannot be delivered at all goes to the subscription's dead-letter
queue. SNS tells a Lambda `Subject: null` where there is none, as AWS does.
"""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Callable
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge, lambda_svc, sns, sqs

from local.emulator.extension.private import need, replace, wrap

log = logging.getLogger("slipway.delivery")

Event = dict[str, Any]


def may_invoke(function: dict[str, Any], service: str, source_arn: str) -> bool:
    """Whether the function's policy lets `service` invoke it for `source_arn`."""
    config = function.get("config") or function
    account = config["FunctionArn"].split(":")[4]
    context = EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=config["FunctionArn"],
        region=get_region(),
        service_context={
            "aws:sourcearn": source_arn,
            "aws:sourceaccount": source_arn.split(":")[4],
        },
    )
    decision = evaluate_resource_policy(function.get("policy"), context, service=service)
    return bool(decision.decision == "Allow")


def deliver(function_arn: str, service: str, source_arn: str, event: Event) -> bool:
    """Invoke asynchronously, with Lambda's retries. False when it cannot be delivered at all."""
    _, _, _, region, account, *_ = function_arn.split(":")
    with request_scope(account, region):
        function, config, name = lambda_svc._get_func_record_for_ref(function_arn)
        if not function or not config:
            log.warning("%s cannot invoke %s: no such function", service, name)
            return False
        if not may_invoke(function, service, source_arn):
            log.warning("%s cannot invoke %s: no permission for %s", service, name, source_arn)
            return False
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, event)
    return True


def _sns_event(envelope: str, subscription_arn: str) -> Event:
    notice = json.loads(envelope)
    notice.setdefault("Subject", None)
    notice.setdefault("MessageAttributes", {})
    # A Lambda is told these two with a small 'rl', an SQS queue with capitals.
    notice["SigningCertUrl"] = notice.pop("SigningCertURL", "")
    notice["UnsubscribeUrl"] = notice.pop("UnsubscribeURL", "")
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "EventSource": "aws:sns",
        "Sns": notice,
    }
    return {"Records": [record]}


def _from_sns(  # noqa: PLR0917 - ministack's own signature
    endpoint: str,
    envelope: str,
    topic_arn: str,
    subscription_arn: str,
    message_id: str,
    raw_message: str,
    attributes: Event,
) -> None:
    event = _sns_event(envelope, subscription_arn)
    if not deliver(endpoint, "sns.amazonaws.com", topic_arn, event):
        _to_dead_letters(topic_arn, subscription_arn, envelope)


# The rule and the target that are being served.
_rule_arn: contextvars.ContextVar[str] = contextvars.ContextVar("slipway_rule_arn", default="")
_dead_letters: contextvars.ContextVar[str] = contextvars.ContextVar("slipway_dead", default="")


def _remember_rule(invoke_target: Callable[..., Any]) -> Callable[..., Any]:
    """Permissions name the rule, which ministack's dispatchers are not told."""

    def invoke(target: Event, event: Event, rule: Event, *rest: Any) -> Any:
        rule_token = _rule_arn.set(rule.get("Arn") or "")
        dead_token = _dead_letters.set((target.get("DeadLetterConfig") or {}).get("Arn") or "")
        try:
            return invoke_target(target, event, rule, *rest)
        finally:
            _rule_arn.reset(rule_token)
            _dead_letters.reset(dead_token)

    return invoke


def _to_lambda_target(function_arn: str, payload: str) -> None:
    try:
        event = json.loads(payload)
    except ValueError:
        event = {"body": payload}
    delivered = deliver(function_arn, "events.amazonaws.com", _rule_arn.get(), event)
    if not delivered and _dead_letters.get():
        eventbridge._dispatch_to_sqs(parse_arn(_dead_letters.get()), payload)


def _asking_the_queue(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """A queue takes a rule's event only if its policy says so."""

    def dispatched(queue: Any, payload: str, *rest: Any) -> Any:
        rule_arn = _rule_arn.get()
        events = "events.amazonaws.com"
        if sqs.queue_policy_allows(str(queue), events, rule_arn, get_account_id()):
            return dispatch(queue, payload, *rest)
        log.warning("%s may not send to %s", rule_arn, queue)
        return None

    return dispatched


def _subscription(topic_arn: str, subscription_arn: str) -> Event | None:
    topic = sns._topic_by_arn_any_scope(topic_arn) or {}
    for subscription in topic.get("subscriptions", []):
        if subscription.get("arn") == subscription_arn:
            found: Event = subscription
            return found
    return None


def _to_dead_letters(topic_arn: str, subscription_arn: str, envelope: str) -> None:
    subscription = _subscription(topic_arn, subscription_arn) or {}
    redrive = subscription.get("attributes", {}).get("RedrivePolicy") or "{}"
    policy = json.loads(redrive) if isinstance(redrive, str) else redrive
    queue_arn = policy.get("deadLetterTargetArn")
    if queue_arn:
        log.warning("SNS gives up on %s, to %s", subscription.get("endpoint"), queue_arn)
        sns._deliver_to_sqs(queue_arn, envelope, False, envelope, topic_arn=topic_arn)


def _queue_takes(queue_arn: str, topic_arn: str) -> bool:
    account = topic_arn.split(":")[4] if topic_arn else get_account_id()
    return bool(sqs._queue_by_arn(queue_arn)) and bool(
        sqs.queue_policy_allows(queue_arn, "sns.amazonaws.com", topic_arn, account)
    )


def _with_dead_letters(fanout: Callable[..., Any]) -> Callable[..., Any]:
    """A queue that is gone, or that refuses the topic: the message goes to the dead letters."""

    # ministack's own signature, so that whoever calls it by position or by name is served.
    def fan_out(  # noqa: PLR0917
        topic_arn: str,
        msg_id: str,
        message: str,
        subject: str,
        message_structure: str = "",
        message_attributes: Event | None = None,
        **fifo: str,
    ) -> Any:
        topic = sns._topic_by_arn_any_scope(topic_arn) or {}
        attributes = message_attributes or {}
        for subscription in list(topic.get("subscriptions", [])):
            if subscription.get("protocol") != "sqs" or not subscription.get("confirmed"):
                continue
            text = sns._resolve_message_for_protocol(message, message_structure, "sqs")
            wanted = sns._matches_filter_policy(subscription, attributes, text)
            if wanted and not _queue_takes(subscription["endpoint"], topic_arn):
                envelope = sns._build_envelope(topic_arn, msg_id, text, subject, attributes, False)
                _to_dead_letters(topic_arn, subscription["arn"], envelope)
        return fanout(topic_arn, msg_id, message, subject, message_structure, attributes, **fifo)

    return fan_out


def install() -> None:
    """Put Lambda's asynchronous invocation behind SNS and EventBridge."""
    for name in (
        "_get_func_record_for_ref",
        "_execution_record_for_config",
        "invoke_async_with_retry",
    ):
        need(lambda_svc, name)
    for name in (
        "_topic_by_arn_any_scope",
        "_resolve_message_for_protocol",
        "_matches_filter_policy",
        "_build_envelope",
        "_deliver_to_sqs",
    ):
        need(sns, name)
    for name in ("_queue_by_arn", "queue_policy_allows"):
        need(sqs, name)
    replace(sns, "_deliver_to_lambda", _from_sns)
    wrap(sns, "_fanout", _with_dead_letters)
    wrap(eventbridge, "_invoke_target", _remember_rule)
    replace(eventbridge, "_dispatch_to_lambda", _to_lambda_target)
    wrap(eventbridge, "_dispatch_to_sqs", _asking_the_queue)
