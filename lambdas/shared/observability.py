"""One logger and one set of metrics for all Lambdas (Powertools; no Tracer: it costs 200 ms).

Every log line about a request bears its id as the correlation id.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Slipway"

logger = Logger(service="slipway")
metrics = Metrics(namespace=NAMESPACE, service="slipway")

Handler = Callable[[dict[str, Any], Any], Any]


def count(name: str, value: float = 1) -> None:
    """Add to the counter `name` (a CloudWatch metric in the namespace `Slipway`)."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def took(name: str, seconds: float) -> None:
    """Add a duration to the metric `name` (same namespace), in seconds."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=max(seconds, 0.0))


def about(request_id: str | None) -> None:
    """From here on log lines are about this request (or about none)."""
    logger.set_correlation_id(request_id)


def observed(handler: Handler) -> Handler:
    """A handler that starts with a clean logger, logs what it raises, and always sends metrics."""

    @functools.wraps(handler)
    def wrapper(event: dict[str, Any], context: Any) -> Any:
        about(None)
        try:
            return handler(event, context)
        except Exception:
            logger.exception("the invocation failed")
            raise
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    return wrapper
